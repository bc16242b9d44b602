//! `POST /emails` and `POST /emails/raw`: from a request to the gate's promise.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use postrider_gate::{AcceptError, Accepted, Caller, ClaimRequest, Submission};
use postrider_http::{Answer, Problem, Query, Request, RequestId};
use postrider_message::compose;
use postrider_model::{EmailAddress, IdempotencyKey, Stream};

use crate::http::complaints::Complaints;
use crate::http::fields::{self, Limits};
use crate::http::intake::{self, Taken};
use crate::http::unknown::Unknown;
use crate::http::{HttpDoor, fingerprint, json, mailboxes};
use crate::refusal;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

const SEND: &str = "POST /emails";
const SEND_RAW: &str = "POST /emails/raw";

/// Above this a request is read on a blocking thread, in bytes.
const INLINE_MOST: usize = 128 * 1024;

impl HttpDoor {
    /// Takes a message as JSON.
    pub(crate) async fn send(
        &self,
        caller: &Caller,
        mut request: Request,
    ) -> Result<Answer, Problem> {
        let key = idempotency_key(&request.headers)?;
        let Taken { bytes, room } = self.body(caller, &mut request).await?;
        let reading = Reading {
            limits: Limits {
                recipients: self.recipients_most,
                now: self.ports.clock.now(),
            },
            random: self.ports.rng.bytes(),
            says_json: says_json(&request.headers),
        };
        let size = bytes.len();
        let work = move || reading.read(bytes, key);
        let (submission, unknown) = apart(size, work).await?;
        let answer = match submission {
            Ok(submission) => self.accept(caller, submission, &request.request_id).await,
            Err(problem) => Err(problem),
        };
        drop(room);
        // A refusal names the unknown fields as well: one of them may be a misspelt one.
        Ok(unknown.warn(answer.unwrap_or_else(Answer::from)))
    }

    /// Takes a message as it is, RFC 5322, as SMTP's DATA would have delivered it.
    pub(crate) async fn send_raw(
        &self,
        caller: &Caller,
        mut request: Request,
    ) -> Result<Answer, Problem> {
        let key = idempotency_key(&request.headers)?;
        refuse_json(&request.headers)?;
        let envelope = envelope(&request.query, self.recipients_most)?;
        let Taken { bytes, room } = self.body(caller, &mut request).await?;
        // What a program sends that could not read its own file.
        if bytes.trim_ascii().is_empty() {
            let message = "The body is empty; send a whole message, header and text.";
            return Err(Problem::new(422, "missing_required_field", message));
        }
        let submission = apart(bytes.len(), move || from_raw(bytes, envelope, key)).await?;
        let answer = self.accept(caller, submission, &request.request_id).await;
        drop(room);
        answer
    }

    async fn body(&self, caller: &Caller, request: &mut Request) -> Result<Taken, Problem> {
        if self.ports.gate.space_is_short() {
            return Err(refusal::space_is_short());
        }
        refuse_encoding(&request.headers)?;
        let (budget, tenant) = (&self.ports.budget, caller.tenant.id);
        intake::read(&mut request.body, budget, tenant, self.request_most).await
    }

    async fn accept(
        &self,
        caller: &Caller,
        submission: Submission,
        id: &RequestId,
    ) -> Result<Answer, Problem> {
        match self.ports.gate.accept(caller, submission).await {
            Ok(accepted) => {
                tracing::debug!(
                    request.id = %id,
                    tenant.id = %caller.tenant.id,
                    message.id = accepted.stored.map(tracing::field::display),
                    "accepted a message"
                );
                Ok(promised(accepted))
            }
            Err(error) => Err(refused(&error, id)),
        }
    }
}

fn promised(accepted: Accepted) -> Answer {
    let answer = Answer::json_text(accepted.answer.status, accepted.answer.body);
    match accepted.stored {
        Some(_) => answer,
        None => answer.header(REPLAYED, HeaderValue::from_static("true")),
    }
}

// What is our fault is logged, here and once.
fn refused(error: &AcceptError, id: &RequestId) -> Problem {
    let problem = refusal::of_accept(error);
    if problem.status >= 500 {
        tracing::error!(request.id = %id, error = error as &dyn std::error::Error, "a message could not be accepted");
    }
    problem
}

/// What reading a JSON request needs beside it.
struct Reading {
    limits: Limits,
    random: [u8; 16],
    says_json: bool,
}

impl Reading {
    fn read(
        &self,
        bytes: Bytes,
        key: Option<IdempotencyKey>,
    ) -> (Result<Submission, Problem>, Unknown) {
        let mut unknown = Unknown::default();
        let submission = self.submission(bytes, key, &mut unknown);
        (submission, unknown)
    }

    fn submission(
        &self,
        bytes: Bytes,
        key: Option<IdempotencyKey>,
        unknown: &mut Unknown,
    ) -> Result<Submission, Problem> {
        let value = json::read(&bytes).map_err(|error| self.not_json(&error))?;
        let message = fields::read(&value, self.limits, unknown)?;
        let request = key.map(|key| (key, fingerprint::of_json(&value)));
        // Before the message is written out: large files would be in memory three times.
        drop(value);
        drop(bytes);
        let composed = compose(&message.draft, self.random);
        let composed = composed.map_err(|error| refusal::of_compose(&error))?;
        Ok(Submission {
            raw: composed.bytes,
            envelope: message.envelope(),
            bcc: message.bcc,
            stream: message.stream,
            tags: message.tags,
            scheduled_at: message.scheduled_at,
            expires_at: message.expires_at,
            claim: request.map(|(key, request)| ClaimRequest {
                endpoint: SEND,
                key,
                request,
            }),
        })
    }

    fn not_json(&self, error: &json::JsonError) -> Problem {
        let message = format!("The request cannot be read: {error}.");
        let status = match error {
            json::JsonError::Malformed(_) if self.says_json => 400,
            // A form or a file: not broken, but nothing for this endpoint.
            json::JsonError::Malformed(_) => {
                let message = format!("{message} Send JSON, as application/json.");
                return Problem::new(422, "validation_error", message);
            }
            json::JsonError::DuplicateName(_)
            | json::JsonError::TooDeep
            | json::JsonError::TooMany => 422,
        };
        Problem::new(status, "validation_error", message)
    }
}

fn from_raw(bytes: Bytes, envelope: Vec<EmailAddress>, key: Option<IdempotencyKey>) -> Submission {
    let claim = key.map(|key| {
        let printed: Vec<_> = envelope.iter().map(ToString::to_string).collect();
        ClaimRequest {
            endpoint: SEND_RAW,
            key,
            request: fingerprint::of_raw(&printed, &bytes),
        }
    });
    Submission {
        raw: bytes.into(),
        envelope,
        bcc: Vec::new(),
        stream: Stream::default(),
        tags: Vec::new(),
        scheduled_at: None,
        expires_at: None,
        claim,
    }
}

// The envelope of a raw message: `to=` for each recipient, and nothing else in the query.
fn envelope(query: &Query, most: usize) -> Result<Vec<EmailAddress>, Problem> {
    let mut complaints = Complaints::default();
    for name in query.names().filter(|name| *name != "to") {
        let name = json::shortened(name).escape_debug().to_string();
        complaints.add(
            "invalid_parameter",
            name,
            "is not a parameter of this endpoint; only to is.",
        );
    }
    let mut envelope = Vec::new();
    for (index, text) in query.all("to").enumerate() {
        match EmailAddress::parse(text) {
            Ok(address) => envelope.push(address),
            Err(error) => {
                let text = json::shortened(text).escape_debug().to_string();
                let hint = if text.contains(' ') {
                    " (a + is written %2B in a query)"
                } else {
                    ""
                };
                let message = format!(
                    "'{text}' is not an address ({error}){hint}; give one address for each to=."
                );
                complaints.invalid(format!("to[{index}]"), message);
            }
        }
    }
    if query.one("to").is_none() {
        let message = "is missing; give ?to=ann@example.org, once for each recipient.";
        complaints.add("missing_required_field", "to", message);
    }
    let envelope = mailboxes::distinct(envelope.iter());
    if envelope.len() > most {
        complaints.invalid(
            "to",
            format!("names {} recipients; {most} are the most.", envelope.len()),
        );
    }
    complaints.into_result().map(|()| envelope)
}

// Whoever sends JSON here means the other endpoint.
fn refuse_json(headers: &HeaderMap) -> Result<(), Problem> {
    if media_type(headers).is_some_and(is_json) {
        let message = "This endpoint takes message/rfc822; send JSON to /emails.";
        return Err(Problem::new(422, "validation_error", message));
    }
    Ok(())
}

// RFC 9110 §15.5.16.
fn refuse_encoding(headers: &HeaderMap) -> Result<(), Problem> {
    let encoding = headers.get(header::CONTENT_ENCODING);
    if encoding.is_some_and(|encoding| encoding != "identity") {
        let message = "The body is compressed (Content-Encoding); send it as it is.";
        return Err(Problem::new(415, "validation_error", message));
    }
    Ok(())
}

/// Whether a request calls its body JSON, or nothing at all.
fn says_json(headers: &HeaderMap) -> bool {
    media_type(headers).is_none_or(is_json)
}

fn is_json(kind: &str) -> bool {
    kind.eq_ignore_ascii_case("application/json")
}

fn media_type(headers: &HeaderMap) -> Option<&str> {
    let text = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    text.split(';').next().map(str::trim)
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<IdempotencyKey>, Problem> {
    let Some(value) = headers.get(IDEMPOTENCY_KEY) else {
        return Ok(None);
    };
    // What is not visible ASCII is refused by `parse`; a byte that is no character at all, too.
    let text = String::from_utf8_lossy(value.as_bytes());
    IdempotencyKey::parse(&text)
        .map(Some)
        .map_err(|error| refusal::of_idempotency_key(&error))
}

// Large bodies take too long to be read between other tasks' turns.
async fn apart<T: Send + 'static>(
    size: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problem> {
    if size <= INLINE_MOST {
        return Ok(work());
    }
    tokio::task::spawn_blocking(work).await.map_err(|error| {
        tracing::error!(%error, "reading a request ended in a panic");
        Problem::internal()
    })
}
