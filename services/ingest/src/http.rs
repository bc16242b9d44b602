//! The HTTP door: which endpoint, who calls, and what every answer carries.

mod attachments;
mod cancel;
mod complaints;
mod email;
mod extras;
mod fields;
mod fingerprint;
mod intake;
mod json;
mod mailboxes;
mod recipient;
mod show;
mod submit;
mod times;
mod unknown;
mod usage;

use ::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use async_trait::async_trait;
use postrider_gate::{Caller, Denied, RateState};
use postrider_http::{Answer, Door, Problem, Request, RequestId};
use postrider_model::{ApiToken, MessageId};
use postrider_runtime::Shutdown;
use postrider_store::StoreError;

use crate::{Config, Ports, refusal};

/// The door.
pub(crate) struct HttpDoor {
    ports: Ports,
    request_most: u64,
    recipients_most: usize,
    shutdown: Shutdown,
}

/// What can be asked for.
enum Endpoint {
    Send,
    SendRaw,
    Email(MessageId),
    Events(MessageId),
    Cancel(MessageId),
    Usage,
    Health,
    Ready,
}

#[async_trait]
impl Door for HttpDoor {
    async fn answer(&self, request: Request) -> Answer {
        let endpoint = match endpoint(&request) {
            Ok(endpoint) => endpoint,
            Err(problem) => return problem.into(),
        };
        match endpoint {
            Endpoint::Health => Answer::json(200, &serde_json::json!({ "status": "ok" })),
            Endpoint::Ready => self.ready(&request.request_id).await,
            other => self.known(other, request).await,
        }
    }
}

impl HttpDoor {
    pub(crate) fn new(ports: Ports, config: &Config, shutdown: Shutdown) -> Self {
        Self {
            ports,
            request_most: config.request_most,
            recipients_most: config.http_recipients_most,
            shutdown,
        }
    }

    // All endpoints that need a key.
    async fn known(&self, endpoint: Endpoint, request: Request) -> Answer {
        let caller = match self.identify(&request.headers) {
            Ok(caller) => caller,
            Err((problem, rate)) => return with_rate(problem.into(), rate),
        };
        let tenant = caller.tenant.id;
        let id = request.request_id.clone();
        let answer = match endpoint {
            Endpoint::Send => self.send(&caller, request).await,
            Endpoint::SendRaw => self.send_raw(&caller, request).await,
            Endpoint::Email(message) => self.email(tenant, message, &id).await,
            Endpoint::Events(message) => self.events(tenant, message, &id).await,
            Endpoint::Cancel(message) => self.cancel(tenant, message, &id).await,
            Endpoint::Usage => self.usage(&caller, &id).await,
            Endpoint::Health | Endpoint::Ready => Ok(Problem::not_found().into()),
        };
        with_rate(answer.unwrap_or_else(Answer::from), Some(caller.rate))
    }

    fn identify(&self, headers: &HeaderMap) -> Result<Caller, (Problem, Option<RateState>)> {
        let text = bearer(headers).ok_or_else(|| (refusal::missing_key(), None))?;
        let key = ApiToken::parse(text).map_err(|_| (refusal::invalid_key(), None))?;
        self.ports.access.identify(&key).map_err(|denied| {
            let rate = match &denied {
                Denied::RateLimited { rate, .. } => Some(*rate),
                Denied::UnknownKey | Denied::RevokedKey | Denied::Suspended => None,
            };
            (refusal::of_denied(&denied), rate)
        })
    }

    async fn ready(&self, id: &RequestId) -> Answer {
        if self.shutdown.has_begun() {
            return Problem::unavailable("The service is stopping.", 5).into();
        }
        if self.ports.gate.space_is_short() {
            return refusal::space_is_short().into();
        }
        match self.ports.upkeep.check().await {
            Ok(()) => Answer::json(200, &serde_json::json!({ "status": "ready" })),
            Err(error) => fault(id, &error).into(),
        }
    }
}

fn endpoint(request: &Request) -> Result<Endpoint, Problem> {
    let segments: Vec<_> = request.path.segments().iter().map(String::as_str).collect();
    let message = |id: &str| id.parse().map_err(|_| Problem::not_found());
    match segments.as_slice() {
        ["emails"] => post(request, Endpoint::Send),
        ["emails", "raw"] => post(request, Endpoint::SendRaw),
        ["emails", id] => get(request, Endpoint::Email(message(id)?)),
        ["emails", id, "events"] => get(request, Endpoint::Events(message(id)?)),
        // Whatever its body is: clients send none, or `{}`.
        ["emails", id, "cancel"] => post(request, Endpoint::Cancel(message(id)?)),
        ["usage"] => get(request, Endpoint::Usage),
        ["healthz"] => get(request, Endpoint::Health),
        ["readyz"] => get(request, Endpoint::Ready),
        _ => Err(Problem::not_found()),
    }
}

fn post(request: &Request, endpoint: Endpoint) -> Result<Endpoint, Problem> {
    match request.method {
        Method::POST => Ok(endpoint),
        _ => Err(Problem::method_not_allowed("POST")),
    }
}

fn get(request: &Request, endpoint: Endpoint) -> Result<Endpoint, Problem> {
    match request.method {
        Method::GET | Method::HEAD => Ok(endpoint),
        _ => Err(Problem::method_not_allowed("GET, HEAD")),
    }
}

// RFC 6750 §2.1; the scheme's name in any case (RFC 9110 §11.1).
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let text = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, key) = text.trim().split_once(' ')?;
    let key = key.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !key.is_empty()).then_some(key)
}

/// A fault of ours: logged here, once, and told as the table says.
pub(crate) fn fault(id: &RequestId, error: &StoreError) -> Problem {
    tracing::error!(request.id = %id, error = error as &dyn std::error::Error, "the store failed a request");
    refusal::of_store(error)
}

// Plain integers: one SDK converts them on every answer without a guard. A tenant without a limit
// has none to be told.
fn with_rate(mut answer: Answer, rate: Option<RateState>) -> Answer {
    let Some(rate) = rate.filter(|rate| rate.limit > 0) else {
        return answer;
    };
    for (name, value) in [
        ("ratelimit-limit", rate.limit.to_string()),
        ("ratelimit-remaining", rate.remaining.to_string()),
        ("ratelimit-reset", rate.reset.to_string()),
        (
            "ratelimit-policy",
            format!("\"default\";q={};w=1", rate.limit),
        ),
        // draft-ietf-httpapi-ratelimit-headers-10 §4.
        (
            "ratelimit",
            format!("\"default\";r={};t={}", rate.remaining, rate.reset),
        ),
    ] {
        if let Ok(value) = HeaderValue::try_from(value) {
            answer = answer.header(HeaderName::from_static(name), value);
        }
    }
    answer
}
