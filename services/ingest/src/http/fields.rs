//! The fields of `POST /emails`, from JSON to what a message is composed of. Types, numbers and
//! what concerns several fields is checked here; what mail itself forbids, by `message`.

use postrider_http::Problem;
use postrider_message::{ComposeReason, Draft, faults};
use postrider_model::{EmailAddress, Mailbox, Stream, Tag, Timestamp};

use crate::http::complaints::{self, Complaints};
use crate::http::json::{Value, shortened};
use crate::http::unknown::Unknown;
use crate::http::{attachments, extras, mailboxes, times};
use crate::refusal;

/// A message as the client described it, every field checked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Message {
    pub(crate) draft: Draft,
    pub(crate) bcc: Vec<Mailbox>,
    pub(crate) tags: Vec<Tag>,
    pub(crate) stream: Option<Stream>,
    pub(crate) scheduled_at: Option<Timestamp>,
    pub(crate) expires_at: Option<Timestamp>,
}

impl Message {
    /// Everybody it goes to, each once.
    pub(crate) fn envelope(&self) -> Vec<EmailAddress> {
        let all = self.draft.to.iter().chain(&self.draft.cc).chain(&self.bcc);
        mailboxes::distinct(all.map(|mailbox| &mailbox.address))
    }
}

/// What fields are checked against.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    /// `to`, `cc` and `bcc` together, after removing doubles.
    pub(crate) recipients: usize,
    pub(crate) now: Timestamp,
}

const REPLY_TO_MOST: usize = 10;

/// Reads a request. Unknown fields are remembered, `null` is as good as absent.
pub(crate) fn read(
    body: &Value<'_>,
    limits: Limits,
    unknown: &mut Unknown,
) -> Result<Message, Problem> {
    let Value::Object(members) = body else {
        let message = format!(
            "The body is {}; send a JSON object with the message's fields.",
            body.kind()
        );
        return Err(Problem::new(422, "validation_error", message));
    };
    let mut complaints = Complaints::default();
    let mut fields = Fields {
        members,
        complaints: &mut complaints,
    };
    let draft = Draft {
        from: fields.from(),
        to: fields.mailboxes("to"),
        cc: fields.mailboxes("cc"),
        reply_to: fields.mailboxes("reply_to"),
        subject: fields.subject(),
        text: fields.content("text"),
        html: fields.content("html"),
        preamble: None,
        headers: extras::headers(fields.value("headers"), fields.complaints),
        attachments: attachments::list(fields.value("attachments"), unknown, fields.complaints),
    };
    let message = Message {
        draft,
        bcc: fields.mailboxes("bcc"),
        tags: extras::tags(fields.value("tags"), unknown, fields.complaints),
        stream: fields.stream(),
        scheduled_at: fields.time("scheduled_at", limits.now),
        expires_at: fields.time("expires_at", limits.now),
    };
    fields.strangers(unknown);
    check(&message, limits, &mut complaints);
    if !complaints.is_empty() {
        forbidden(&message.draft, &mut complaints);
    }
    complaints.into_result().map(|()| message)
}

/// What mail forbids in a draft, of those fields that nothing was said of yet: what could not be
/// read is not in the draft, and what stands behind it has another place there.
pub(crate) fn forbidden(draft: &Draft, complaints: &mut Complaints) {
    let told = complaints.fields();
    for fault in faults(draft) {
        // Where it has no body is checked above.
        let is_news = fault.reason != ComposeReason::NoBody;
        if is_news && !told.contains(complaints::part_of(&fault.field)) {
            let name = refusal::name_of_compose(&fault);
            complaints.add(name, fault.field, format!("{}.", fault.reason));
        }
    }
}

struct Fields<'a> {
    members: &'a [(std::borrow::Cow<'a, str>, Value<'a>)],
    complaints: &'a mut Complaints,
}

impl<'a> Fields<'a> {
    fn value(&self, name: &str) -> Option<&'a Value<'a>> {
        let found = self
            .members
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value);
        found.filter(|value| !matches!(value, Value::Null))
    }

    fn text(&mut self, name: &'static str, complaint: &'static str) -> Option<&'a str> {
        match self.value(name)? {
            Value::Text(text) => Some(text.as_ref()),
            other => {
                self.complaints.add(
                    complaint,
                    name,
                    format!("is {}, not a string.", other.kind()),
                );
                None
            }
        }
    }

    fn from(&mut self) -> Option<Mailbox> {
        let text = self.text("from", "invalid_from_address")?;
        match mailboxes::single(text) {
            Ok(mailbox) => Some(mailbox),
            Err(message) => {
                self.complaints.add("invalid_from_address", "from", message);
                None
            }
        }
    }

    fn mailboxes(&mut self, name: &'static str) -> Vec<Mailbox> {
        mailboxes::list(name, self.value(name), self.complaints)
    }

    fn subject(&mut self) -> String {
        if self.value("subject").is_none() {
            let message = "is missing; give the message's subject.";
            self.complaints
                .add("missing_required_field", "subject", message);
        }
        let subject = self.text("subject", "validation_error").unwrap_or_default();
        subject.to_owned()
    }

    fn content(&mut self, name: &'static str) -> Option<String> {
        let text = self.text(name, "validation_error")?;
        if text.contains('\0') {
            self.complaints
                .invalid(name, "holds a NUL character; remove it.");
        }
        Some(text.to_owned())
    }

    fn stream(&mut self) -> Option<Stream> {
        let word = self.text("stream", "invalid_parameter")?;
        let stream = Stream::parse(word);
        if stream.is_err() {
            let word = shortened(word).escape_debug().to_string();
            let message = format!("'{word}' is not a stream; write transactional or bulk.");
            self.complaints.add("invalid_parameter", "stream", message);
        }
        stream.ok()
    }

    fn time(&mut self, name: &'static str, now: Timestamp) -> Option<Timestamp> {
        let text = self.text(name, "invalid_parameter")?;
        match times::read(text, now) {
            Ok(at) => Some(at),
            Err(message) => {
                self.complaints.add("invalid_parameter", name, message);
                None
            }
        }
    }

    fn strangers(&mut self, unknown: &mut Unknown) {
        for (name, value) in self.members {
            match name.as_ref() {
                "from" | "to" | "cc" | "bcc" | "reply_to" | "subject" | "text" | "html"
                | "headers" | "attachments" | "tags" | "stream" | "scheduled_at" | "expires_at" => {
                }
                // Ignoring one of these would send another mail than was asked for.
                "template" | "topic_id" | "react" => {
                    if !matches!(value, Value::Null) {
                        let message = "is not supported; send html or text.";
                        self.complaints.invalid(name.to_string(), message);
                    }
                }
                other => unknown.add(other),
            }
        }
    }
}

// What concerns more than one field.
fn check(message: &Message, limits: Limits, complaints: &mut Complaints) {
    let draft = &message.draft;
    let told = complaints.fields();
    if draft.to.is_empty() && !told.contains("to") {
        let text = "is missing; give at least one recipient.";
        complaints.add("missing_required_field", "to", text);
    }
    let recipients = message.envelope().len();
    if recipients > limits.recipients {
        let most = limits.recipients;
        let text =
            format!("to, cc and bcc have {recipients} recipients together; {most} are the most.");
        complaints.invalid("to", text);
    }
    if draft.reply_to.len() > REPLY_TO_MOST {
        let given = draft.reply_to.len();
        complaints.invalid(
            "reply_to",
            format!("has {given} addresses; {REPLY_TO_MOST} are the most."),
        );
    }
    let is_told = told.contains("html") || told.contains("text");
    if draft.html.is_none() && draft.text.is_none() && !is_told {
        let text = "is missing, and so is text; give at least one of them.";
        complaints.add("missing_required_field", "html", text);
    }
}

#[cfg(test)]
mod tests;
