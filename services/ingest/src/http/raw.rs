//! `POST /emails/raw`: a whole message, RFC 5322, as SMTP's DATA would have delivered it.

use postrider_gate::{Caller, ClaimRequest, Door, Options, Submission};
use postrider_http::{Answer, Problem, Query, Request};
use postrider_model::{EmailAddress, IdempotencyKey, Timestamp};

use crate::http::complaints::Complaints;
use crate::http::intake::Taken;
use crate::http::submit::apart;
use crate::http::{HttpDoor, fingerprint, headers, json, mailboxes};
use crate::refusal;

const SEND_RAW: &str = "POST /emails/raw";

impl HttpDoor {
    /// Takes a message as it is.
    pub(crate) async fn send_raw(
        &self,
        caller: &Caller,
        mut request: Request,
    ) -> Result<Answer, Problem> {
        let key = headers::idempotency_key(&request.headers)?;
        headers::refuse_json(&request.headers)?;
        let envelope = envelope(&request.query, self.recipients_most)?;
        let Taken { bytes, room } = self.body(caller, &mut request).await?;
        let size = bytes.len();
        // What a program sends that could not read its own file.
        if bytes.trim_ascii().is_empty() {
            let message = "The body is empty; send a whole message, header and text.";
            return Err(Problem::new(422, "missing_required_field", message));
        }
        let now = self.ports.clock.now();
        let work = move || from_raw(&bytes, envelope, key, now);
        let submission = apart(size, work).await??;
        let answer = self.accept(caller, submission, &request.request_id).await;
        drop(room);
        answer
    }
}

// What its header asks is obeyed as over SMTP: a program may have been written for that door.
fn from_raw(
    bytes: &[u8],
    envelope: Vec<EmailAddress>,
    key: Option<IdempotencyKey>,
    now: Timestamp,
) -> Result<Submission, Problem> {
    let raw = postrider_message::normalise(bytes.to_vec());
    let asked = Options::of(&raw, now).map_err(|error| refusal::of_accept(&error))?;
    let claim = the_one(key, asked.key)?.map(|key| {
        let printed: Vec<_> = envelope.iter().map(ToString::to_string).collect();
        ClaimRequest {
            endpoint: SEND_RAW,
            key,
            request: fingerprint::of_raw(&printed, bytes),
        }
    });
    Ok(Submission {
        door: Door::Http,
        raw,
        envelope,
        bcc: Vec::new(),
        stream: asked.stream,
        tags: asked.tags,
        scheduled_at: asked.scheduled_at,
        expires_at: asked.expires_at,
        claim,
        session: None,
    })
}

// The key of the request and that of the message: the same, where there are two.
fn the_one(
    of_request: Option<IdempotencyKey>,
    of_message: Option<IdempotencyKey>,
) -> Result<Option<IdempotencyKey>, Problem> {
    match (of_request, of_message) {
        (Some(one), Some(other)) if one != other => {
            let message = format!(
                "is '{}' and the message's own header says '{}'; give one of them.",
                one.as_str(),
                other.as_str()
            );
            Err(Problem::field(
                400,
                "invalid_idempotency_key",
                "Idempotency-Key",
                message,
            ))
        }
        (one, other) => Ok(one.or(other)),
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
