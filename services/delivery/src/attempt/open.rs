//! Before the route: the message is opened, and sealed again where its signatures are about to end.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use postrider_model::{Provider, RecipientId, Timestamp, WaitCause};
use postrider_store::{Lease, OpenMessage, QueueRow, StoreError};

use super::awaited::{self, Awaited};
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
    /// The message waits for this.
    pub(super) awaits: Option<Awaited>,
}

/// Why there is nothing to send now.
enum Stop {
    /// The message was erased, or is past retention.
    Gone,
    /// The rows rest for so long, for this.
    Rest(Duration, Option<WaitCause>),
    Awaits(Awaited),
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
    match fit_to_leave(shared, (&first, &ids), live).await {
        Ok((message, content)) => {
            let (left, parties) = parties(rows, &message, (lease, begun));
            Opened {
                left,
                ready: Some((content, parties)),
                awaits: None,
            }
        }
        Err(Stop::Gone) => nothing(Vec::new()),
        Err(Stop::Rest(span, cause)) => {
            let due_at = shared.clock.now().after(span);
            nothing(rest(plain(rows), due_at, cause))
        }
        Err(Stop::Awaits(awaited)) => Opened {
            awaits: Some(awaited),
            ..nothing(untouched(plain(rows)))
        },
    }
}

/// The message that nobody's word stops, with signatures that last. What does not leave is not sealed:
/// a restart finds all of it again. What is not `live` is opened to be ended.
async fn fit_to_leave(
    shared: &Shared,
    (first, ids): (&QueueRow, &[RecipientId]),
    live: bool,
) -> Result<(OpenMessage, Content), Stop> {
    let mut message = read(shared, first, ids).await?;
    if let Some(awaited) = awaited::by_key(shared, &message) {
        return Err(Stop::Awaits(awaited));
    }
    let mut content = content(shared, &mut message).await?;
    if let Some(awaited) = awaited::by_owner(shared, first, &content.bytes) {
        return Err(Stop::Awaits(awaited));
    }
    if live && reseal::is_due(&message, &shared.roster, shared.clock.now()) {
        // Its room is free for another while it is sealed.
        drop(content);
        message = seal(shared, message, ids).await?;
        content = self::content(shared, &mut message).await?;
    }
    Ok((message, content))
}

/// The bytes, where there is room for them.
async fn content(shared: &Shared, message: &mut OpenMessage) -> Result<Content, Stop> {
    let room = shared.bodies.room(message.size);
    let room = room.ok_or(Stop::Rest(ROOM_REST, None))?;
    Ok(Content {
        bytes: body(shared, message).await?,
        smtputf8: message.smtputf8,
        _room: room,
    })
}

async fn body(shared: &Shared, message: &mut OpenMessage) -> Result<Bytes, Stop> {
    if let Some(here) = message.body.take() {
        return Ok(here);
    }
    let read = shared.queue.large_body(message.id).await;
    let read = read.map_err(|fault| {
        tracing::error!(error = &fault as &dyn std::error::Error, message.id = %message.id, "a message's bytes cannot be read");
        Stop::Rest(DATABASE_REST, None)
    })?;
    read.ok_or(Stop::Gone)
}

async fn read(shared: &Shared, first: &QueueRow, ids: &[RecipientId]) -> Result<OpenMessage, Stop> {
    match shared.queue.open(first.message, ids).await {
        Ok(Some(message)) => Ok(message),
        Ok(None) => {
            tracing::info!(message.id = %first.message, "a message is not there any more");
            Err(Stop::Gone)
        }
        Err(fault @ StoreError::Corrupt { .. }) => {
            tracing::error!(error = &fault as &dyn std::error::Error, message.id = %first.message, "a message cannot be read");
            Err(Stop::Rest(DAMAGE_REST, None))
        }
        Err(fault) => {
            tracing::error!(error = &fault as &dyn std::error::Error, message.id = %first.message, "a message cannot be opened");
            Err(Stop::Rest(DATABASE_REST, None))
        }
    }
}

/// The message with new signatures, by whoever was first to make them.
async fn seal(
    shared: &Shared,
    message: OpenMessage,
    ids: &[RecipientId],
) -> Result<OpenMessage, Stop> {
    let (id, tenant) = (message.id, message.tenant);
    let again = || {
        Stop::Rest(
            SEAL_REST / shared.retry.divisor.max(1),
            Some(WaitCause::Retry),
        )
    };
    match shared.seals.reseal(tenant, id, message.sealed_until).await {
        Ok(ours) => shared.instruments.owner.resealed.add(u64::from(ours)),
        Err(fault) => {
            tracing::error!(error = &*fault as &dyn std::error::Error, message.id = %id, "a message cannot be sealed again; it waits");
            return Err(again());
        }
    }
    let opened = shared.queue.open(id, ids).await;
    match opened {
        Ok(Some(message)) if reseal::is_due(&message, &shared.roster, shared.clock.now()) => {
            tracing::error!(message.id = %id, "a message was sealed again and its signatures are still about to end; it waits");
            Err(again())
        }
        Ok(message) => message.ok_or(Stop::Gone),
        Err(fault) => {
            tracing::error!(error = &fault as &dyn std::error::Error, message.id = %id, "a message cannot be opened");
            Err(Stop::Rest(DATABASE_REST, Some(WaitCause::Retry)))
        }
    }
}

fn nothing(left: Vec<Left>) -> Opened {
    Opened {
        left,
        ready: None,
        awaits: None,
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
