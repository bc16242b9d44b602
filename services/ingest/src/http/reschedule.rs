//! `PATCH /emails/{id}`: another time for a scheduled message.

use postrider_gate::{AcceptError, Caller, RescheduleError};
use postrider_http::{Answer, Problem, Request, RequestId};
use postrider_model::{MessageId, Timestamp};
use postrider_store::Rescheduling;

use crate::http::json::Value;
use crate::http::unknown::Unknown;
use crate::http::{HttpDoor, MessageRef, fault, headers, intake, json, reading, times};
use crate::refusal::{self, Verb};

/// Bytes of such a request.
const REQUEST_MOST: u64 = 64 * 1024;

impl HttpDoor {
    /// Answers 200 only where the message leaves at the new time and not before.
    pub(crate) async fn reschedule(
        &self,
        caller: &Caller,
        message: MessageId,
        mut request: Request,
    ) -> Result<Answer, Problem> {
        let (tenant, id) = (caller.tenant.id, request.request_id.clone());
        let says_json = headers::says_json(&request.headers);
        let coding = headers::coding(&request.headers)?;
        let budget = (&self.ports.budget, tenant);
        let taken = intake::read(&mut request.body, coding, budget, REQUEST_MOST).await?;
        let mut unknown = Unknown::default();
        let wish = wish(
            &taken.bytes,
            self.ports.clock.now(),
            says_json,
            &mut unknown,
        );
        drop(taken);
        let answer = match wish {
            Ok(wish) => self.move_to(caller, (message, wish), &id).await,
            Err(problem) => Err(problem),
        };
        Ok(unknown.warn(answer.unwrap_or_else(Answer::from)))
    }

    async fn move_to(
        &self,
        caller: &Caller,
        (message, wish): (MessageId, Timestamp),
        id: &RequestId,
    ) -> Result<Answer, Problem> {
        let (tenant, mail) = (caller.tenant.id, &self.ports.mail);
        let email = mail.email(tenant, message).await;
        let email = email.map_err(|error| fault(id, &error))?;
        let size = email.ok_or_else(Problem::not_found)?.size;
        // Its bytes are read, and written anew.
        let room = self.ports.budget.reserve(tenant, size).await;
        let _room = room.map_err(refusal::of_budget)?;
        let done = self.ports.gate.reschedule(tenant, message, wish).await;
        match done.map_err(|error| refused(&error, id))? {
            Rescheduling::Done => Ok(Answer::json(200, &MessageRef::email(message))),
            Rescheduling::NotFound => Err(Problem::not_found()),
            Rescheduling::SealedByAnother => Err(refusal::sealed_by_another()),
            Rescheduling::NotScheduled => {
                // Only to say what it is now: the refusal stands.
                let email = mail.email(tenant, message).await;
                let email = email.map_err(|error| fault(id, &error))?;
                let email = email.ok_or_else(Problem::not_found)?;
                Err(refusal::not_scheduled(&email, Verb::Reschedule))
            }
        }
    }
}

// What is our fault is logged, here and once.
fn refused(error: &RescheduleError, id: &RequestId) -> Problem {
    let problem = refusal::of_reschedule(error);
    if problem.status >= 500
        && !matches!(error, RescheduleError::Refused(AcceptError::SpaceIsShort))
    {
        tracing::error!(request.id = %id, error = error as &dyn std::error::Error, "a message could not be rescheduled");
    }
    problem
}

// The one field that is read. One SDK repeats the id, which the path has told.
fn wish(
    bytes: &[u8],
    now: Timestamp,
    says_json: bool,
    unknown: &mut Unknown,
) -> Result<Timestamp, Problem> {
    let body = json::read(bytes).map_err(|error| reading::not_json(&error, says_json))?;
    let Value::Object(members) = body else {
        let message = format!(
            "The body is {}; send a JSON object with scheduled_at.",
            body.kind()
        );
        return Err(Problem::new(422, "validation_error", message));
    };
    let mut given = None;
    for (name, value) in members {
        match (name.as_ref(), value) {
            ("scheduled_at", Value::Null) | ("id", _) => {}
            ("scheduled_at", value) => given = Some(value),
            (name, _) => unknown.add(name),
        }
    }
    let invalid = |name, message: String| Problem::field(422, name, "scheduled_at", message);
    match given {
        Some(Value::Text(text)) => {
            times::read(&text, now).map_err(|message| invalid("invalid_parameter", message))
        }
        Some(other) => {
            let message = format!("is {}, not a string.", other.kind());
            Err(invalid("invalid_parameter", message))
        }
        None => {
            let message = "is missing; give the new time.".to_owned();
            Err(invalid("missing_required_field", message))
        }
    }
}
