//! Events, written and read. Append-only: there is no UPDATE here.

use postrider_model::{
    EmailAddress, Event, EventKind, MessageId, MxHost, RecipientId, TenantId, Timestamp, TlsFacts,
    WaitCause,
};
use postrider_store::{Note, StoredEvent};
use serde::Serialize;
use sqlx::SqliteConnection;

use crate::fault::Fault;
use crate::rows::{Place, ReplyCells, json};

#[derive(Serialize)]
struct EventRow<'e> {
    recipient: RecipientId,
    seq: i64,
    at: i64,
    kind: EventKind,
    attempt: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_code: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_enhanced: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_text: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mx_host: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mx_address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls: Option<&'e TlsFacts>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<WaitCause>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'e str>,
}

impl<'e> EventRow<'e> {
    fn of(seq: i64, event: &'e Event) -> Self {
        let reply = event.reply.as_ref();
        let mx = event.mx.as_ref();
        Self {
            recipient: event.recipient,
            seq,
            at: event.at.as_micros(),
            kind: event.kind,
            attempt: event.attempt,
            reply_code: reply.map(|reply| reply.code),
            reply_enhanced: reply.and_then(|reply| Some(reply.enhanced?.to_string())),
            reply_text: reply.map(|reply| reply.text.as_str()),
            mx_host: mx.map(|mx| mx.host.as_str()),
            mx_address: mx.map(|mx| mx.address.to_string()),
            tls: event.tls.as_ref(),
            duration: event
                .duration
                .map(|span| i64::try_from(span.as_micros()).unwrap_or(i64::MAX)),
            cause: event.cause,
            note: event.note.as_deref(),
        }
    }
}

/// Writes events under the numbers given.
pub(crate) async fn insert(
    connection: &mut SqliteConnection,
    events: &[(i64, &Event)],
) -> Result<(), Fault> {
    if events.is_empty() {
        return Ok(());
    }
    let rows: Vec<_> = events
        .iter()
        .map(|(seq, event)| EventRow::of(*seq, event))
        .collect();
    sqlx::query(
        "INSERT INTO events (recipient, seq, epoch, at, kind, attempt, reply_code, reply_enhanced,
             reply_text, mx_host, mx_address, tls_version, tls_cipher, tls_verdict, duration,
             cause, note)
         WITH x AS MATERIALIZED (SELECT value FROM jsonb_each(?1))
         SELECT unhex(value ->> 'recipient', '-'), value ->> 'seq', 0, value ->> 'at',
             value ->> 'kind', value ->> 'attempt', value ->> 'reply_code',
             value ->> 'reply_enhanced', value ->> 'reply_text', value ->> 'mx_host',
             value ->> 'mx_address', value ->> '$.tls.version', value ->> '$.tls.cipher',
             value ->> '$.tls.verdict', value ->> 'duration', value ->> 'cause', value ->> 'note'
         FROM x",
    )
    .bind(json(&rows)?)
    .execute(connection)
    .await?;
    Ok(())
}

/// A recipient with so many events gets no notes any more: what a client repeats for ever costs no
/// quota, and must not fill the disk.
const NOTED_MOST: i64 = 50;

/// Adds an event about each recipient of a message; false where its tenant has none of that id.
pub(crate) async fn note(
    connection: &mut SqliteConnection,
    (tenant, message): (TenantId, MessageId),
    note: &Note,
) -> Result<bool, Fault> {
    // Indexes messages and recipients (primary keys).
    let there: Option<i64> =
        sqlx::query_scalar("SELECT 1 FROM messages WHERE tenant = ?1 AND id = ?2")
            .bind(tenant.as_bytes().as_slice())
            .bind(message.as_bytes().as_slice())
            .fetch_optional(&mut *connection)
            .await?;
    if there.is_none() {
        return Ok(false);
    }
    // Index recipients (primary key). The number first: the same rows are counted up behind it.
    sqlx::query(
        "INSERT INTO events (recipient, seq, epoch, at, kind, attempt, note)
         SELECT id, events + 1, 0, ?2, ?3, attempts, ?4 FROM recipients
         WHERE message = ?1 AND events < ?5",
    )
    .bind(message.as_bytes().as_slice())
    .bind(note.at.as_micros())
    .bind(note.kind.as_str())
    .bind(&note.note)
    .bind(NOTED_MOST)
    .execute(&mut *connection)
    .await?;
    sqlx::query("UPDATE recipients SET events = events + 1 WHERE message = ?1 AND events < ?2")
        .bind(message.as_bytes().as_slice())
        .bind(NOTED_MOST)
        .execute(connection)
        .await?;
    Ok(true)
}

/// Whether all of these, and there are some, are written already.
pub(crate) async fn are_there(
    connection: &mut SqliteConnection,
    events: &[Event],
) -> Result<bool, Fault> {
    for event in events {
        // Index events (primary key).
        let found: Option<i64> = sqlx::query_scalar(
            "SELECT 1 FROM events WHERE recipient = ?1 AND at = ?2 AND kind = ?3 AND attempt = ?4
             LIMIT 1",
        )
        .bind(event.recipient.as_bytes().as_slice())
        .bind(event.at.as_micros())
        .bind(event.kind.as_str())
        .bind(event.attempt)
        .fetch_optional(&mut *connection)
        .await?;
        if found.is_none() {
            return Ok(false);
        }
    }
    Ok(!events.is_empty())
}

/// An event with its recipient's address, as `mail` selects it.
#[derive(sqlx::FromRow)]
pub(crate) struct StoredEventRow {
    recipient: Vec<u8>,
    address: String,
    seq: i64,
    at: i64,
    kind: String,
    attempt: i64,
    #[sqlx(flatten)]
    reply: ReplyCells,
    mx_host: Option<String>,
    mx_address: Option<String>,
    tls_version: Option<String>,
    tls_cipher: Option<String>,
    tls_verdict: Option<String>,
    duration: Option<i64>,
    cause: Option<String>,
    note: Option<String>,
}

impl TryFrom<StoredEventRow> for StoredEvent {
    type Error = Fault;

    fn try_from(row: StoredEventRow) -> Result<Self, Fault> {
        let place = Place {
            table: "events",
            id: &row.recipient,
        };
        let mx = match (row.mx_host, row.mx_address) {
            (Some(host), Some(address)) => Some(MxHost {
                host,
                address: place.parsed("mx_address", &address)?,
            }),
            _ => None,
        };
        let tls = match (row.tls_version, row.tls_cipher, row.tls_verdict) {
            (Some(version), Some(cipher), Some(verdict)) => Some(TlsFacts {
                version,
                cipher,
                verdict,
            }),
            _ => None,
        };
        let cause = row.cause.as_deref().map(WaitCause::parse).transpose();
        let duration = row.duration.map(|micros| place.number("duration", micros));
        let address: EmailAddress = place.address("address", &row.address)?;
        Ok(Self {
            seq: place.number("seq", row.seq)?,
            address,
            event: Event {
                recipient: place.id("recipient", &row.recipient)?,
                at: Timestamp::from_micros(row.at),
                kind: place.cell("kind", EventKind::parse(&row.kind))?,
                attempt: place.number("attempt", row.attempt)?,
                reply: place.reply(row.reply)?,
                mx,
                tls,
                duration: duration.transpose()?.map(std::time::Duration::from_micros),
                cause: place.cell("cause", cause)?,
                note: row.note,
            },
        })
    }
}
