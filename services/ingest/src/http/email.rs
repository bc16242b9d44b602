//! What a tenant sees of its mail: the email object as Resend's, with ours on top, and its events.

use postrider_http::Answer;
use postrider_message::Texts;
use postrider_model::{EventKind, MessageId, MxHost, Reply, Tag, Timestamp, TlsFacts, WaitCause};
use postrider_store::{ListedEmail, Listing, StoredEmail, StoredEvent, Summary};
use serde::Serialize;

use crate::http::recipient::RecipientObject;
use crate::suspension::{self, Suspension};

/// `GET /emails/{id}`, with the message's texts where they were read.
pub(crate) fn object(
    email: &StoredEmail,
    texts: Texts,
    suspensions: &[Suspension],
    now: Timestamp,
) -> Answer {
    let object = Email {
        head: Head::from(email),
        html: texts.html,
        text: texts.text,
        recipients: email
            .recipients
            .iter()
            .map(|recipient| {
                let suspended = suspension::since(suspensions, &recipient.address);
                RecipientObject::of(recipient, suspended, now)
            })
            .collect(),
    };
    Answer::json(200, &object)
}

/// `GET /emails`, newest first.
pub(crate) fn list(listing: &Listing) -> Answer {
    let data: Vec<_> = listing.emails.iter().map(Head::from).collect();
    let list = List {
        has_more: listing.more,
        ..List::whole(data)
    };
    Answer::json(200, &list)
}

/// `GET /emails/{id}/events`, oldest first.
pub(crate) fn events(events: &[StoredEvent]) -> Answer {
    let data: Vec<_> = events.iter().map(EventObject::from).collect();
    Answer::json(200, &List::whole(data))
}

/// A message by its name only.
#[derive(Serialize)]
pub(crate) struct MessageRef {
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<&'static str>,
    id: String,
}

impl MessageRef {
    /// `{"id"}`.
    pub(crate) fn bare(id: MessageId) -> Self {
        let id = id.to_string();
        Self { object: None, id }
    }

    /// `{"object":"email","id"}`.
    pub(crate) fn email(id: MessageId) -> Self {
        Self {
            object: Some("email"),
            ..Self::bare(id)
        }
    }
}

#[derive(Serialize)]
struct Email<'a> {
    #[serde(flatten)]
    head: Head<'a>,
    // Read from the message's bytes while they are kept.
    html: Option<String>,
    text: Option<String>,
    recipients: Vec<RecipientObject<'a>>,
}

// Clients read `cc` and `bcc` without asking whether they are there, and `statusCode` in a success
// would be an error to some.
#[derive(Serialize)]
struct Head<'a> {
    object: &'static str,
    id: String,
    from: &'a str,
    to: &'a [String],
    cc: &'a [String],
    bcc: &'a [String],
    reply_to: &'a [String],
    subject: &'a str,
    created_at: Timestamp,
    scheduled_at: Option<Timestamp>,
    last_event: &'static str,
    tags: &'a [Tag],
    message_id: String,
    original_from: Option<&'a str>,
    stream: &'static str,
    expires_at: Timestamp,
    size: u64,
    suppressed: bool,
    attachments: &'a [postrider_model::Attachment],
}

/// What is the same of a message alone and of one in a list.
struct Facts<'a> {
    id: MessageId,
    accepted_at: Timestamp,
    expires_at: Timestamp,
    size: u64,
    summary: &'a Summary,
    last_event: EventKind,
}

impl<'a> From<&'a StoredEmail> for Head<'a> {
    fn from(email: &'a StoredEmail) -> Self {
        Self::of(&Facts {
            id: email.id,
            accepted_at: email.accepted_at,
            expires_at: email.expires_at,
            size: email.size,
            summary: &email.summary,
            last_event: email.last_event,
        })
    }
}

impl<'a> From<&'a ListedEmail> for Head<'a> {
    fn from(email: &'a ListedEmail) -> Self {
        Self::of(&Facts {
            id: email.id,
            accepted_at: email.accepted_at,
            expires_at: email.expires_at,
            size: email.size,
            summary: &email.summary,
            last_event: email.last_event,
        })
    }
}

impl<'a> Head<'a> {
    fn of(facts: &Facts<'a>) -> Self {
        let summary = facts.summary;
        Self {
            object: "email",
            id: facts.id.to_string(),
            from: &summary.from,
            to: &summary.to,
            cc: &summary.cc,
            bcc: &summary.bcc,
            reply_to: &summary.reply_to,
            subject: &summary.subject,
            created_at: facts.accepted_at,
            scheduled_at: summary.scheduled_at,
            last_event: last_event(facts.last_event),
            tags: &summary.tags,
            message_id: format!("<{}>", summary.message_id),
            original_from: summary.original_from.as_deref(),
            stream: summary.stream.as_str(),
            expires_at: facts.expires_at,
            size: facts.size,
            suppressed: facts.last_event == EventKind::Suppressed,
            attachments: &summary.attachments,
        }
    }
}

/// The word of the closed set that clients know; one of them fails on any other.
fn last_event(kind: EventKind) -> &'static str {
    match kind {
        EventKind::Scheduled | EventKind::Rescheduled => "scheduled",
        EventKind::Attempted => "sent",
        EventKind::Deferred => "delivery_delayed",
        EventKind::Delivered => "delivered",
        EventKind::Bounced => "bounced",
        EventKind::Failed | EventKind::Expired | EventKind::Suppressed => "failed",
        EventKind::Cancelled => "canceled",
        EventKind::Complained => "complained",
        EventKind::Accepted | EventKind::Held | EventKind::Released => "queued",
        // These leave it as it was, so the store never gives them.
        EventKind::Ambiguous
        | EventKind::ReplyToReplaced
        | EventKind::Duplicate
        | EventKind::AutoReply => "queued",
    }
}

/// A list as all endpoints give it.
#[derive(Serialize)]
pub(crate) struct List<T> {
    object: &'static str,
    has_more: bool,
    data: Vec<T>,
}

impl<T> List<T> {
    /// All there is.
    pub(crate) fn whole(data: Vec<T>) -> Self {
        Self {
            object: "list",
            has_more: false,
            data,
        }
    }
}

#[derive(Serialize)]
struct EventObject<'a> {
    id: String,
    #[serde(rename = "type")]
    kind: EventKind,
    created_at: Timestamp,
    recipient: String,
    attempt: u32,
    reply: Option<&'a Reply>,
    mx: Option<&'a MxHost>,
    tls: Option<&'a TlsFacts>,
    duration_ms: Option<u64>,
    note: Option<&'a str>,
    /// Why the recipient waits from here on; ours on top.
    cause: Option<WaitCause>,
}

impl<'a> From<&'a StoredEvent> for EventObject<'a> {
    fn from(stored: &'a StoredEvent) -> Self {
        let event = &stored.event;
        let millis =
            |span: std::time::Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        Self {
            id: format!("{}.{}", event.recipient, stored.seq),
            kind: event.kind,
            created_at: event.at,
            recipient: stored.address.to_string(),
            attempt: event.attempt,
            reply: event.reply.as_ref(),
            mx: event.mx.as_ref(),
            tls: event.tls.as_ref(),
            duration_ms: event.duration.map(millis),
            note: event.note.as_deref(),
            cause: event.cause,
        }
    }
}
