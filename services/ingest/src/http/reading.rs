//! From a request's JSON to submissions: pure, on whatever thread.

use bytes::Bytes;
use postrider_gate::{ClaimRequest, Door, Submission};
use postrider_http::Problem;
use postrider_message::{ComposeError, Draft, compose};
use postrider_model::IdempotencyKey;
use postrider_runtime::Rng;

use crate::http::complaints::Complaints;
use crate::http::fields::{self, Limits, Message};
use crate::http::headers::Mode;
use crate::http::json::{JsonError, Value};
use crate::http::unknown::Unknown;
use crate::http::{fingerprint, json};
use crate::refusal;

const SEND: &str = "POST /emails";
const SEND_BATCH: &str = "POST /emails/batch";

/// Messages of one batch, by the contract.
const BATCH_MOST: usize = 100;

/// What reading a JSON request needs beside it.
pub(crate) struct Reading {
    pub(crate) limits: Limits,
    pub(crate) rng: Rng,
    pub(crate) says_json: bool,
    pub(crate) key: Option<IdempotencyKey>,
}

/// A batch, read: each of its items in their order, or what is wrong with it.
pub(crate) struct Batch {
    pub(crate) items: Vec<Result<Submission, Problem>>,
    pub(crate) claim: Option<ClaimRequest>,
}

impl Reading {
    /// Reads one message.
    pub(crate) fn message(
        self,
        bytes: Bytes,
        unknown: &mut Unknown,
    ) -> Result<Submission, Problem> {
        let value = self.value(&bytes)?;
        let message = fields::read(&value, self.limits, unknown)?;
        let claim = self.key.clone().map(|key| ClaimRequest {
            endpoint: SEND,
            key,
            request: fingerprint::of_json(&value),
        });
        // Before the message is written out: large files would be in memory three times.
        drop(value);
        drop(bytes);
        let submission = self.composed(message)?;
        Ok(Submission {
            claim,
            ..submission
        })
    }

    /// Reads an array of messages. `Err` is about the array, not about one of them.
    pub(crate) fn batch(
        self,
        bytes: &[u8],
        mode: Mode,
        unknown: &mut Unknown,
    ) -> Result<Batch, Problem> {
        let value = self.value(bytes)?;
        let claim = self.key.clone().map(|key| ClaimRequest {
            endpoint: SEND_BATCH,
            key,
            request: fingerprint::of_batch(&value, mode),
        });
        let items = items(&value)?.iter().enumerate();
        let read = |(index, item): (usize, &Value<'_>)| {
            let mut strange = Unknown::default();
            let message = match item {
                Value::Object(_) => fields::read(item, self.limits, &mut strange),
                other => Err(not_an_object(other)),
            };
            unknown.add_all(&format!("[{index}]"), strange);
            // One after another, so that only one of them has its files in memory decoded.
            self.composed(message?)
        };
        let items = items.map(read).collect();
        Ok(Batch { items, claim })
    }

    fn value<'a>(&self, bytes: &'a [u8]) -> Result<Value<'a>, Problem> {
        json::read(bytes).map_err(|error| not_json(&error, self.says_json))
    }

    fn composed(&self, message: Message) -> Result<Submission, Problem> {
        let composed = compose(&message.draft, self.rng.bytes());
        let composed = composed.map_err(|error| unsendable(&message.draft, &error))?;
        Ok(Submission {
            door: Door::Http,
            raw: composed.bytes,
            envelope: message.envelope(),
            bcc: message.bcc,
            stream: message.stream,
            tags: message.tags,
            scheduled_at: message.scheduled_at,
            expires_at: message.expires_at,
            claim: None,
            session: None,
        })
    }
}

// All that mail forbids in it, the first of which is `error`.
fn unsendable(draft: &Draft, error: &ComposeError) -> Problem {
    let mut complaints = Complaints::default();
    fields::forbidden(draft, &mut complaints);
    match complaints.into_result() {
        Err(problem) => problem,
        Ok(()) => refusal::of_compose(error),
    }
}

fn items<'v, 'a>(value: &'v Value<'a>) -> Result<&'v [Value<'a>], Problem> {
    let refused = |message: String| Problem::new(422, "validation_error", message);
    match value {
        Value::List(items) if items.is_empty() => Err(refused(format!(
            "The array is empty; send 1 to {BATCH_MOST} messages in it."
        ))),
        Value::List(items) if items.len() > BATCH_MOST => Err(refused(format!(
            "The array has {} messages; {BATCH_MOST} are the most in one request.",
            items.len()
        ))),
        Value::List(items) => Ok(items),
        other => {
            let kind = match other {
                Value::Bytes(_) => "an array of numbers",
                other => other.kind(),
            };
            Err(refused(format!(
                "The body is {kind}; send an array of 1 to {BATCH_MOST} objects, each with a message's fields."
            )))
        }
    }
}

fn not_an_object(item: &Value<'_>) -> Problem {
    let message = format!(
        "The item is {}, not an object with a message's fields.",
        item.kind()
    );
    Problem::new(422, "validation_error", message)
}

/// What is told of a body that is not JSON, or not such as is taken.
pub(crate) fn not_json(error: &JsonError, says_json: bool) -> Problem {
    let message = format!("The request cannot be read: {error}.");
    let status = match error {
        JsonError::Malformed(_) if says_json => 400,
        // A form or a file: not broken, but nothing for this endpoint.
        JsonError::Malformed(_) => {
            let message = format!("{message} Send JSON, as application/json.");
            return Problem::new(422, "validation_error", message);
        }
        JsonError::DuplicateName(_) | JsonError::TooDeep | JsonError::TooMany => 422,
    };
    Problem::new(status, "validation_error", message)
}
