//! Before the route: the message is opened, and sealed again where its signatures are about to end.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use postrider_model::{CredentialId, Provider, RecipientId, Timestamp, WaitCause};
use postrider_store::{Lease, OpenMessage, QueueRow, StoreError};

use super::{Left, rest, untouched};
use crate::bodies::Content;
use crate::schedule::Due;
use crate::settle::Party;
use crate::{Shared, reseal};

/// How long rows rest when the database cannot open their message.
const DATABASE_REST: Duration = Duration::from_secs(1);
/// The same where that is no passing trouble.
const DAMAGE_REST: Duration = Duration::from_mins(5);
/// How long they rest when their message could not be sealed again; divided as retries are.
const SEAL_REST: Duration = Duration::from_mins(1);

/// How long rows rest where large messages have all the room there is in memory.
const ROOM_REST: Duration = Duration::from_millis(250);

/// What opening came to.
pub(super) struct Opened {
    /// Rows that are not attempted.
    pub(super) left: Vec<Left>,
    pub(super) ready: Option<(Content, Vec<Party>)>,
    /// The message came in by this key, which is suspended.
    pub(super) key: Option<CredentialId>,
}

/// Opens the message of these rows for an attempt.
pub(super) async fn open(
    shared: &Shared,
    rows: Vec<Due>,
    (lease, begun): (Lease, Timestamp),
) -> Opened {
    let ids: Vec<RecipientId> = rows.iter().map(|due| due.row.recipient).collect();
    let Some(first) = rows.first().map(|due| due.row.clone()) else {
        return nothing(Vec::new());
    };
    let live = rows.iter().any(|due| due.row.expires_at > begun);
    let mut message = match read(shared, &first, &ids).await {
        Ok(Some(message)) => message,
        Ok(None) => return nothing(Vec::new()),
        Err(Rest(span)) => return nothing(rest(plain(rows), begun.after(span), None)),
    };
    if let Some(key) = suspended_key(shared, &message).filter(|_| live) {
        return Opened {
            key: Some(key),
            ..nothing(untouched(plain(rows)))
        };
    }
    if live && reseal::is_due(&message, &shared.roster, shared.clock.now()) {
        message = match seal(shared, message, &ids).await {
            Ok(Some(message)) => message,
            Ok(None) => return nothing(Vec::new()),
            Err(Rest(span)) => {
                let due_at = shared.clock.now().after(span);
                return nothing(rest(plain(rows), due_at, Some(WaitCause::Retry)));
            }
        };
    }
    let Some(room) = shared.bodies.room(message.size) else {
        let due_at = shared.clock.now().after(ROOM_REST);
        return nothing(rest(plain(rows), due_at, None));
    };
    let bytes = match body(shared, &mut message).await {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return nothing(Vec::new()),
        Err(Rest(span)) => return nothing(rest(plain(rows), begun.after(span), None)),
    };
    let content = Content {
        bytes,
        smtputf8: message.smtputf8,
        _room: room,
    };
    let (left, parties) = parties(rows, &message, (lease, begun));
    Opened {
        left,
        ready: Some((content, parties)),
        key: None,
    }
}

/// By which key the message came in, where that is suspended.
fn suspended_key(shared: &Shared, message: &OpenMessage) -> Option<CredentialId> {
    let keys = shared.roster.suspended_keys();
    message.credential.filter(|key| keys.contains_key(key))
}

async fn body(shared: &Shared, message: &mut OpenMessage) -> Result<Option<Bytes>, Rest> {
    if let Some(here) = message.body.take() {
        return Ok(Some(here));
    }
    let read = shared.queue.large_body(message.id).await;
    read.map_err(|fault| {
        tracing::error!(error = &fault as &dyn std::error::Error, message.id = %message.id, "a message's bytes cannot be read");
        Rest(DATABASE_REST)
    })
}

/// They rest for so long.
struct Rest(Duration);

/// `None` where it was erased or is past retention: there is nothing to send.
async fn read(
    shared: &Shared,
    first: &QueueRow,
    ids: &[RecipientId],
) -> Result<Option<OpenMessage>, Rest> {
    match shared.queue.open(first.message, ids).await {
        Ok(Some(message)) => Ok(Some(message)),
        Ok(None) => {
            tracing::info!(message.id = %first.message, "a message is not there any more");
            Ok(None)
        }
        Err(fault @ StoreError::Corrupt { .. }) => {
            tracing::error!(error = &fault as &dyn std::error::Error, message.id = %first.message, "a message cannot be read");
            Err(Rest(DAMAGE_REST))
        }
        Err(fault) => {
            tracing::error!(error = &fault as &dyn std::error::Error, message.id = %first.message, "a message cannot be opened");
            Err(Rest(DATABASE_REST))
        }
    }
}

/// The message with new signatures, by whoever was first to make them.
async fn seal(
    shared: &Shared,
    message: OpenMessage,
    ids: &[RecipientId],
) -> Result<Option<OpenMessage>, Rest> {
    let (id, tenant) = (message.id, message.tenant);
    let again = Rest(SEAL_REST / shared.retry.divisor.max(1));
    match shared.seals.reseal(tenant, id, message.sealed_until).await {
        Ok(ours) => shared.instruments.owner.resealed.add(u64::from(ours)),
        Err(fault) => {
            tracing::error!(error = &*fault as &dyn std::error::Error, message.id = %id, "a message cannot be sealed again; it waits");
            return Err(again);
        }
    }
    let opened = shared.queue.open(id, ids).await;
    match opened {
        Ok(Some(message)) if reseal::is_due(&message, &shared.roster, shared.clock.now()) => {
            tracing::error!(message.id = %id, "a message was sealed again and its signatures are still about to end; it waits");
            Err(again)
        }
        Ok(message) => Ok(message),
        Err(fault) => {
            tracing::error!(error = &fault as &dyn std::error::Error, message.id = %id, "a message cannot be opened");
            Err(Rest(DATABASE_REST))
        }
    }
}

fn nothing(left: Vec<Left>) -> Opened {
    Opened {
        left,
        ready: None,
        key: None,
    }
}

fn plain(rows: Vec<Due>) -> impl Iterator<Item = QueueRow> {
    rows.into_iter().map(|due| due.row)
}

// Rows whose recipient is not live any more fall away here, and those that are older than what
// the database has.
fn parties(
    rows: Vec<Due>,
    message: &OpenMessage,
    (lease, begun): (Lease, Timestamp),
) -> (Vec<Left>, Vec<Party>) {
    let mut rows: HashMap<_, _> = rows
        .into_iter()
        .map(|due| (due.row.recipient, due))
        .collect();
    let (mut left, mut parties) = (Vec::new(), Vec::new());
    for recipient in &message.recipients {
        let Some(Due { row, waits }) = rows.remove(&recipient.id) else {
            continue;
        };
        if recipient.attempts > row.attempts {
            left.push(Left::Stale(Box::new(row)));
            continue;
        }
        parties.push(Party {
            row,
            waits,
            begun,
            lease,
            recipient: recipient.clone(),
            provider: Provider::None,
        });
    }
    (left, parties)
}
