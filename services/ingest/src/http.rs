//! The HTTP door: which endpoint, who calls, and what every answer carries.

mod attachments;
mod batch;
mod cancel;
mod complaints;
mod domains;
mod email;
mod enrol;
mod extras;
mod fields;
mod files;
mod fingerprint;
mod headers;
mod intake;
mod json;
mod list;
mod mailboxes;
mod pages;
mod raw;
mod reading;
mod recipient;
mod reschedule;
mod route;
mod sessions;
mod show;
mod submit;
mod suppressions;
mod times;
mod unknown;
mod usage;

use std::time::Instant;

use ::http::{HeaderMap, HeaderName, HeaderValue, header};
use async_trait::async_trait;
use postrider_gate::{Caller, Denied, RateState};
use postrider_http::{Answer, Door, Problem, Request, RequestId};
use postrider_model::ApiToken;
use postrider_runtime::Shutdown;
use postrider_store::StoreError;

use crate::instruments::{Asked, Instruments};
use crate::{Config, Doors, Ports, refusal};

pub(crate) use email::MessageRef;
pub(crate) use route::Endpoint;

/// The door.
pub(crate) struct HttpDoor {
    ports: Ports,
    request_most: u64,
    recipients_most: usize,
    mta_sts: Option<String>,
    shutdown: Shutdown,
    instruments: Instruments,
    doors: Doors,
}

/// A caller that is not let in, and what is left of its rate.
struct TurnedAway {
    problem: Problem,
    rate: Option<RateState>,
}

/// The contract as an `OpenAPI` 3.1 document.
const CONTRACT: &[u8] = include_bytes!("../openapi.json");

#[async_trait]
impl Door for HttpDoor {
    async fn answer(&self, request: Request) -> Answer {
        let began = Instant::now();
        let _in_flight = self.instruments.in_flight.hold();
        let (asked, answer) = match route::endpoint(&request) {
            Ok(endpoint) => (Asked::of(&endpoint), self.asked(endpoint, request).await),
            Err(problem) => (Asked::Nothing, problem.into()),
        };
        self.instruments.answered(asked, &answer, began.elapsed());
        answer
    }
}

impl HttpDoor {
    async fn asked(&self, endpoint: Endpoint, request: Request) -> Answer {
        match endpoint {
            Endpoint::Health => Answer::json(200, &serde_json::json!({ "status": "ok" })),
            Endpoint::Ready => self.ready(&request.request_id).await,
            Endpoint::Contract => Answer::json_text(200, CONTRACT),
            Endpoint::Refusals => pages::refusals(&request),
            Endpoint::MtaSts => self.mta_sts(),
            Endpoint::ReplyPage(token) => self.reply_page(&token, &request),
            Endpoint::ReplyAnswer(token) => self.reply_answer(&token, request).await,
            Endpoint::UnsubscribePage(token) => self.unsubscribe_page(&token, &request).await,
            Endpoint::Unsubscribe(token) => self.unsubscribe(&token, &request).await,
            Endpoint::MessagePage(token) => self.message_page(&token, &request).await,
            Endpoint::Enrol => self.enrol(request).await,
            Endpoint::Rotate => self.rotate(request).await,
            Endpoint::Enrolment => self.enrolment(&request).await,
            other => self.known(other, request).await,
        }
    }

    pub(crate) fn new(ports: Ports, config: &Config, shutdown: Shutdown) -> Self {
        Self {
            instruments: Instruments::new(&ports.metrics),
            ports,
            request_most: config.request_most,
            recipients_most: config.http_recipients_most,
            mta_sts: config.mta_sts.clone(),
            shutdown,
            doors: config.doors.clone(),
        }
    }

    fn mta_sts(&self) -> Answer {
        match &self.mta_sts {
            Some(policy) => Answer::text(200, policy.clone()),
            None => Problem::not_found().into(),
        }
    }

    // All endpoints that need a key.
    async fn known(&self, endpoint: Endpoint, request: Request) -> Answer {
        let caller = match self.identify(&request) {
            Ok(caller) => caller,
            Err(away) => return with_rate(away.problem.into(), away.rate),
        };
        let tenant = caller.tenant.id;
        let id = request.request_id.clone();
        let answer = match endpoint {
            Endpoint::Send => self.send(&caller, request).await,
            Endpoint::SendBatch => self.send_batch(&caller, request).await,
            Endpoint::SendRaw => self.send_raw(&caller, request).await,
            Endpoint::List => self.list(tenant, &request.query, &id).await,
            Endpoint::Email(message) => self.email(tenant, message, &id).await,
            Endpoint::Reschedule(message) => self.reschedule(&caller, message, request).await,
            Endpoint::Events(message) => self.events(tenant, message, &id).await,
            Endpoint::Attachments(message) => self.attachments(tenant, message, &id).await,
            Endpoint::Cancel(message) => self.cancel(tenant, message, &id).await,
            Endpoint::Domains => Ok(domains::seen_by(&caller)),
            Endpoint::Usage => self.usage(&caller, &id).await,
            Endpoint::Session(code) => self.session(tenant, code, &request).await,
            Endpoint::Suppressions => self.suppressions(tenant, &request.query, &id).await,
            Endpoint::Suppress => self.suppress(&caller, request).await,
            Endpoint::SuppressAll => self.suppress_all(&caller, request).await,
            Endpoint::LiftAll => self.lift_all(&caller, request).await,
            Endpoint::Suppression(which) => self.suppression(tenant, &which, &id).await,
            Endpoint::Lift(which) => self.lift(tenant, &which, &id).await,
            Endpoint::Health
            | Endpoint::Ready
            | Endpoint::Contract
            | Endpoint::Refusals
            | Endpoint::MtaSts
            | Endpoint::ReplyPage(_)
            | Endpoint::ReplyAnswer(_)
            | Endpoint::UnsubscribePage(_)
            | Endpoint::MessagePage(_)
            | Endpoint::Unsubscribe(_)
            | Endpoint::Enrol
            | Endpoint::Rotate
            | Endpoint::Enrolment => Ok(Problem::not_found().into()),
        };
        with_rate(answer.unwrap_or_else(Answer::from), Some(caller.rate))
    }

    fn identify(&self, request: &Request) -> Result<Caller, Box<TurnedAway>> {
        let turned_away = |problem, rate| Box::new(TurnedAway { problem, rate });
        let text = bearer(&request.headers);
        let text = text.ok_or_else(|| turned_away(refusal::missing_key(), None))?;
        // A password for old forms is printed in groups.
        let text: String = text.split_ascii_whitespace().collect();
        let key = ApiToken::parse(&text);
        let key = key.map_err(|_| turned_away(refusal::invalid_key(), None))?;
        let caller = self.ports.access.identify(&key, request.peer.ip());
        caller.map_err(|denied| {
            let rate = match &denied {
                Denied::RateLimited { rate, .. } => Some(*rate),
                Denied::UnknownKey
                | Denied::RevokedKey
                | Denied::Expired { .. }
                | Denied::WrongNetwork { .. }
                | Denied::SuspendedKey
                | Denied::Suspended { .. }
                | Denied::SuspendedVendor { .. } => None,
            };
            turned_away(refusal::of_denied(&denied), rate)
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
