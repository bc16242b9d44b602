//! `POST /emails/batch`: up to a hundred messages in one request, under one key, accepted in one
//! transaction.

use postrider_gate::{AcceptError, Caller, Group, GroupError, Submission};
use postrider_http::{Answer, FieldError, Problem, Request, RequestId};
use postrider_model::MessageId;
use serde::Serialize;

use crate::http::headers::{self, Mode};
use crate::http::intake::Taken;
use crate::http::reading::Batch;
use crate::http::submit::{apart, refused, replayed};
use crate::http::unknown::Unknown;
use crate::http::{HttpDoor, MessageRef};
use crate::refusal;

/// One answer in strict mode names no more than this.
const FAULTS_MOST: usize = 20;
/// And of one item no more than this.
const FAULTS_OF_ITEM: usize = 3;

#[derive(Serialize)]
struct Sent {
    /// Those that were accepted, in their order.
    data: Vec<MessageRef>,
    /// Those that were not, in permissive mode.
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<Vec<Fault>>,
}

/// One bad item.
#[derive(Serialize)]
struct Fault {
    index: usize,
    message: String,
}

/// The place of an item in the request, and what was wrong with it.
type BadItem = (usize, Problem);

impl HttpDoor {
    /// Takes an array of messages as JSON.
    pub(crate) async fn send_batch(
        &self,
        caller: &Caller,
        mut request: Request,
    ) -> Result<Answer, Problem> {
        let reading = self.reading(&request)?;
        let mode = headers::batch_mode(&request.headers)?;
        let Taken { bytes, room } = self.body(caller, &mut request).await?;
        let work = |bytes: bytes::Bytes| {
            move || {
                let mut unknown = Unknown::default();
                (reading.batch(&bytes, mode, &mut unknown), unknown)
            }
        };
        // A hundred small ones are as much work as a large one.
        let (batch, unknown) = apart(usize::MAX, work(bytes)).await?;
        let answer = match batch {
            Ok(batch) => {
                self.accept_batch(caller, (batch, mode), &request.request_id)
                    .await
            }
            Err(problem) => Err(problem),
        };
        drop(room);
        Ok(unknown.warn(answer.unwrap_or_else(Answer::from)))
    }

    async fn accept_batch(
        &self,
        caller: &Caller,
        (Batch { items, claim }, mode): (Batch, Mode),
        id: &RequestId,
    ) -> Result<Answer, Problem> {
        let (places, submissions, bad) = sorted(items);
        // What is refused anyway costs no signatures.
        if mode == Mode::Strict && !bad.is_empty() {
            return Err(strict_refusal(bad));
        }
        if submissions.is_empty() {
            return Ok(Answer::json(200, &sent(Vec::new(), Some(bad))));
        }
        let group = Group { submissions, claim };
        let decide = |told: &[Result<MessageId, AcceptError>]| decided(mode, (&places, told), bad);
        match self.ports.gate.accept_all(caller, group, decide).await {
            Ok(accepted) => {
                let (tenant, stored) = (caller.tenant.id, accepted.stored.len());
                tracing::debug!(request.id = %id, tenant.id = %tenant, stored, "accepted a batch");
                let answer = Answer::json_text(accepted.answer.status, accepted.answer.body);
                Ok(match stored {
                    0 => replayed(answer),
                    _ => answer,
                })
            }
            Err(GroupError::Refused(answer)) => Ok(*answer),
            Err(GroupError::Accept(error)) => Err(refused(&error, id)),
        }
    }
}

// What can be handed to the gate with its places in the request, and what cannot.
fn sorted(items: Vec<Result<Submission, Problem>>) -> (Vec<usize>, Vec<Submission>, Vec<BadItem>) {
    let (mut places, mut submissions, mut bad) = (Vec::new(), Vec::new(), Vec::new());
    for (index, item) in items.into_iter().enumerate() {
        match item {
            Ok(submission) => {
                places.push(index);
                submissions.push(submission);
            }
            Err(problem) => bad.push((index, problem)),
        }
    }
    (places, submissions, bad)
}

// What is promised, after each message was sealed and before any is stored; `Err` is the answer
// where nothing is.
fn decided(
    mode: Mode,
    (places, told): (&[usize], &[Result<MessageId, AcceptError>]),
    mut bad: Vec<BadItem>,
) -> Result<String, Box<Answer>> {
    let mut ids = Vec::with_capacity(told.len());
    for (place, one) in places.iter().zip(told) {
        match one {
            Ok(id) => ids.push(*id),
            Err(error) => bad.push((*place, refusal::of_accept(error))),
        }
    }
    bad.sort_by_key(|(index, _)| *index);
    match mode {
        Mode::Strict if !bad.is_empty() => Err(Box::new(strict_refusal(bad).into())),
        Mode::Strict => written(&sent(ids, None)),
        Mode::Permissive if ids.is_empty() => {
            Err(Box::new(Answer::json(200, &sent(ids, Some(bad)))))
        }
        Mode::Permissive => written(&sent(ids, Some(bad))),
    }
}

fn written(sent: &Sent) -> Result<String, Box<Answer>> {
    serde_json::to_string(sent).map_err(|_| Box::new(Problem::internal().into()))
}

fn sent(ids: Vec<MessageId>, bad: Option<Vec<BadItem>>) -> Sent {
    let fault = |(index, problem)| Fault {
        index,
        message: sentence(problem),
    };
    Sent {
        data: ids.into_iter().map(MessageRef::bare).collect(),
        errors: bad.map(|bad| bad.into_iter().map(fault).collect()),
    }
}

// All that is wrong with one item, as one text.
fn sentence(problem: Problem) -> String {
    if problem.errors.is_empty() {
        return problem.message;
    }
    let more = problem.errors.len().saturating_sub(FAULTS_OF_ITEM);
    let told = problem.errors.iter().take(FAULTS_OF_ITEM);
    let told: Vec<_> = told
        .map(|error| format!("{}: {}", error.field, error.message))
        .collect();
    match more {
        0 => told.join(" "),
        more => format!("{} (and {more} more)", told.join(" ")),
    }
}

// One status and name whatever the items' own are: it is the request that is refused.
fn strict_refusal(bad: Vec<BadItem>) -> Problem {
    let mut errors: Vec<_> = bad.into_iter().flat_map(placed).collect();
    let more = errors.len().saturating_sub(1);
    let more = match more {
        0 => String::new(),
        more => format!(" (and {more} more, see errors)"),
    };
    errors.truncate(FAULTS_MOST);
    let first = errors.first();
    let first = first.map_or(String::new(), |error| {
        format!("{}: {}", error.field, error.message)
    });
    let message = format!("{first}{more} Nothing of the batch was accepted.");
    let mut problem = Problem::new(422, "validation_error", message);
    problem.errors = errors;
    problem
}

fn placed((index, problem): BadItem) -> Vec<FieldError> {
    if problem.errors.is_empty() {
        return vec![FieldError {
            field: format!("[{index}]"),
            message: problem.message,
        }];
    }
    let placed = problem.errors.into_iter().map(|error| FieldError {
        field: format!("[{index}].{}", error.field),
        message: error.message,
    });
    placed.collect()
}
