//! The rows of new messages, all but their bodies: messages, recipients, queue, usage; and their
//! first events, numbered.

use std::collections::{BTreeMap, HashMap};

use postrider_model::{
    CredentialId, Event, MessageId, RecipientId, RecipientState, TenantId, WaitCause,
};
use postrider_store::{NewMessage, QueueRow, Shard, Summary};
use serde::Serialize;
use sqlx::SqliteConnection;

use crate::fault::Fault;
use crate::rows::json;

#[derive(Serialize)]
struct MessageRow<'m> {
    id: MessageId,
    tenant: TenantId,
    accepted_at: i64,
    expires_at: i64,
    size: usize,
    stream: &'static str,
    smtputf8: u8,
    selectors: &'m [String],
    sealed_until: i64,
    summary: &'m Summary,
    #[serde(skip_serializing_if = "Option::is_none")]
    credential: Option<CredentialId>,
}

impl<'m> MessageRow<'m> {
    fn of(message: &'m NewMessage) -> Self {
        Self {
            id: message.id,
            tenant: message.tenant,
            accepted_at: message.accepted_at.as_micros(),
            expires_at: message.expires_at.as_micros(),
            size: message.body.len(),
            stream: message.summary.stream.as_str(),
            smtputf8: message.smtputf8.into(),
            selectors: &message.selectors,
            sealed_until: message.sealed_until.as_micros(),
            summary: &message.summary,
            credential: message.credential,
        }
    }
}

/// A recipient with its queue row.
#[derive(Serialize)]
struct RecipientRow<'m> {
    message: MessageId,
    id: RecipientId,
    position: usize,
    address: String,
    return_path: String,
    state: RecipientState,
    events: usize,
    updated_at: i64,
    seq: i64,
    tenant: TenantId,
    shard: u16,
    stream: &'static str,
    domain: &'m str,
    due_at: i64,
    expires_at: i64,
    cause: WaitCause,
}

#[derive(Serialize)]
struct UsageRow {
    tenant: TenantId,
    day: i64,
    accepted: usize,
    simulated: usize,
}

/// Writes messages and recipients with their queue rows, and counts them. Four statements in one
/// go: each alone would cost two changes of thread.
pub(crate) async fn insert(
    connection: &mut SqliteConnection,
    messages: &[&NewMessage],
    seq: &mut i64,
) -> Result<(), Fault> {
    if messages.is_empty() {
        return Ok(());
    }
    let rows: Vec<_> = messages.iter().map(|m| MessageRow::of(m)).collect();
    let mut recipients = Vec::with_capacity(messages.len());
    for message in messages {
        push_recipients(&mut recipients, message, seq);
    }
    // Index usage (primary key). «WHERE true»: else ON would be read as a join's.
    sqlx::query(
        "INSERT INTO messages (id, tenant, accepted_at, expires_at, size, stream, smtputf8,
             selectors, sealed_until, summary, credential)
         WITH x AS MATERIALIZED (SELECT value FROM jsonb_each(?3))
         SELECT unhex(value ->> 'id', '-'), unhex(value ->> 'tenant', '-'),
             value ->> 'accepted_at', value ->> 'expires_at', value ->> 'size',
             value ->> 'stream', value ->> 'smtputf8', value -> 'selectors',
             value ->> 'sealed_until', value -> 'summary', unhex(value ->> 'credential', '-')
         FROM x;
         INSERT INTO recipients (message, id, position, address, return_path, state, attempts,
             events, updated_at, tenant)
         WITH x AS MATERIALIZED (SELECT value FROM jsonb_each(?1))
         SELECT unhex(value ->> 'message', '-'), unhex(value ->> 'id', '-'), value ->> 'position',
             value ->> 'address', value ->> 'return_path', value ->> 'state', 0,
             value ->> 'events', value ->> 'updated_at', unhex(value ->> 'tenant', '-')
         FROM x;
         INSERT INTO queue (seq, recipient, message, tenant, shard, stream, domain, accepted_at,
             since, due_at, expires_at, attempts, cause)
         WITH x AS MATERIALIZED (SELECT value FROM jsonb_each(?1))
         SELECT value ->> 'seq', unhex(value ->> 'id', '-'), unhex(value ->> 'message', '-'),
             unhex(value ->> 'tenant', '-'), value ->> 'shard', value ->> 'stream',
             value ->> 'domain', value ->> 'updated_at', value ->> 'updated_at',
             value ->> 'due_at', value ->> 'expires_at', 0, value ->> 'cause'
         FROM x WHERE value ->> 'state' IN ('queued', 'scheduled');
         INSERT INTO usage (tenant, day, accepted, simulated)
         SELECT unhex(value ->> 'tenant', '-'), value ->> 'day', value ->> 'accepted',
             value ->> 'simulated'
         FROM json_each(?2) WHERE true
         ON CONFLICT (tenant, day) DO UPDATE SET accepted = accepted + excluded.accepted,
             simulated = simulated + excluded.simulated",
    )
    .bind(json(&recipients)?)
    .bind(json(&usage(messages))?)
    .bind(json(&rows)?)
    .execute(connection)
    .await?;
    Ok(())
}

fn push_recipients<'m>(rows: &mut Vec<RecipientRow<'m>>, message: &'m NewMessage, seq: &mut i64) {
    let mut events: HashMap<RecipientId, usize> = HashMap::with_capacity(message.recipients.len());
    for event in &message.events {
        *events.entry(event.recipient).or_default() += 1;
    }
    let (state, cause) = start(message);
    let shard = Shard::of(message.tenant).number();
    for (position, recipient) in message.recipients.iter().enumerate() {
        let state = if recipient.suppressed {
            RecipientState::Suppressed
        } else {
            state
        };
        // A number that no row has would be waited for again and again.
        *seq += i64::from(!message.held && !recipient.suppressed);
        rows.push(RecipientRow {
            message: message.id,
            id: recipient.id,
            position,
            address: recipient.address.to_string(),
            return_path: recipient.return_path.to_string(),
            state,
            events: events.get(&recipient.id).copied().unwrap_or(0),
            updated_at: message.accepted_at.as_micros(),
            seq: *seq,
            tenant: message.tenant,
            shard,
            stream: message.summary.stream.as_str(),
            domain: recipient.address.domain().as_str(),
            due_at: message.due_at.as_micros(),
            expires_at: message.expires_at.as_micros(),
            cause,
        });
    }
}

/// Where a message's recipients stand from its acceptance on, and what they wait for.
fn start(message: &NewMessage) -> (RecipientState, WaitCause) {
    if message.held {
        (RecipientState::Held, WaitCause::Held)
    } else if message.due_at > message.accepted_at {
        (RecipientState::Scheduled, WaitCause::Scheduled)
    } else {
        (RecipientState::Queued, WaitCause::Turn)
    }
}

/// The queue rows of new messages, as they would be read.
pub(crate) fn queue_rows(messages: &[&NewMessage]) -> Vec<QueueRow> {
    let rows = messages.iter().flat_map(|message| {
        let (_, cause) = start(message);
        message.live().map(move |recipient| QueueRow {
            recipient: recipient.id,
            message: message.id,
            tenant: message.tenant,
            stream: message.summary.stream,
            domain: recipient.address.domain().clone(),
            accepted_at: message.accepted_at,
            since: message.accepted_at,
            due_at: message.due_at,
            expires_at: message.expires_at,
            attempts: 0,
            cause,
        })
    });
    rows.collect()
}

/// One row per tenant and day, however many messages.
fn usage(messages: &[&NewMessage]) -> Vec<UsageRow> {
    let mut sums: BTreeMap<(TenantId, i64), (usize, usize)> = BTreeMap::new();
    for message in messages {
        let day = (message.tenant, message.accepted_at.day());
        let (accepted, simulated) = sums.entry(day).or_default();
        *accepted += message.recipients.len();
        *simulated += message.recipients.len() - message.real();
    }
    sums.into_iter()
        .map(|((tenant, day), (accepted, simulated))| UsageRow {
            tenant,
            day,
            accepted,
            simulated,
        })
        .collect()
}

/// The first events of messages with their numbers.
pub(crate) fn events<'m>(messages: &[&'m NewMessage]) -> Vec<(i64, &'m Event)> {
    let mut numbers: HashMap<RecipientId, i64> = HashMap::new();
    messages
        .iter()
        .flat_map(|message| &message.events)
        .map(|event| {
            let number = numbers.entry(event.recipient).or_default();
            *number += 1;
            (*number, event)
        })
        .collect()
}
