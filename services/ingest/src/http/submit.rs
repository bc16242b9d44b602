//! `POST /emails`: from a request to the gate's promise.

use ::http::{HeaderName, HeaderValue};
use postrider_gate::{AcceptError, Caller, Submission};
use postrider_http::{Answer, Problem, Request, RequestId};

use crate::http::fields::Limits;
use crate::http::intake::{self, Taken};
use crate::http::reading::Reading;
use crate::http::unknown::Unknown;
use crate::http::{HttpDoor, headers};
use crate::refusal;

const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

impl HttpDoor {
    /// Takes a message as JSON.
    pub(crate) async fn send(
        &self,
        caller: &Caller,
        mut request: Request,
    ) -> Result<Answer, Problem> {
        let reading = self.reading(&request)?;
        let Taken { bytes, room } = self.body(caller, &mut request).await?;
        let work = |bytes| {
            move || {
                let mut unknown = Unknown::default();
                (reading.message(bytes, &mut unknown), unknown)
            }
        };
        let (submission, unknown) = apart(bytes.len(), work(bytes)).await?;
        let answer = match submission {
            Ok(submission) => self.accept(caller, submission, &request.request_id).await,
            Err(problem) => Err(problem),
        };
        drop(room);
        // A refusal names the unknown fields as well: one of them may be a misspelt one.
        Ok(unknown.warn(answer.unwrap_or_else(Answer::from)))
    }

    /// What its JSON is read with.
    pub(crate) fn reading(&self, request: &Request) -> Result<Reading, Problem> {
        Ok(Reading {
            limits: Limits {
                recipients: self.recipients_most,
                now: self.ports.clock.now(),
            },
            rng: self.ports.rng.clone(),
            says_json: headers::says_json(&request.headers),
            key: headers::idempotency_key(&request.headers)?,
        })
    }

    /// The whole body of a submission, unpacked.
    pub(crate) async fn body(
        &self,
        caller: &Caller,
        request: &mut Request,
    ) -> Result<Taken, Problem> {
        if self.ports.gate.space_is_short() {
            return Err(refusal::space_is_short());
        }
        let coding = headers::coding(&request.headers)?;
        let budget = (&self.ports.budget, caller.tenant.id);
        intake::read(&mut request.body, coding, budget, self.request_most).await
    }

    /// Hands a submission to the gate.
    pub(crate) async fn accept(
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
                let answer = Answer::json_text(accepted.answer.status, accepted.answer.body);
                Ok(match accepted.stored {
                    Some(_) => answer,
                    None => replayed(answer),
                })
            }
            Err(error) => Err(refused(&error, id)),
        }
    }
}

/// With the sign that nothing was stored for it now.
pub(crate) fn replayed(answer: Answer) -> Answer {
    answer.header(REPLAYED, HeaderValue::from_static("true"))
}

/// What the table says of it. What is our fault is logged, here and once.
pub(crate) fn refused(error: &AcceptError, id: &RequestId) -> Problem {
    let problem = refusal::of_accept(error);
    if problem.status >= 500 {
        tracing::error!(request.id = %id, error = error as &dyn std::error::Error, "a message could not be accepted");
    }
    problem
}

/// Reads what has this size here or on a thread of its own.
pub(crate) async fn apart<T: Send + 'static>(
    size: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problem> {
    let done = postrider_runtime::apart(size, work).await;
    done.map_err(|error| {
        tracing::error!(%error, "a request was not read to its end");
        Problem::internal()
    })
}
