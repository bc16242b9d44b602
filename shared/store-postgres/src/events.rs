//! Events, written and read. Append-only: there is no UPDATE here.

use postrider_model::{
    EmailAddress, Event, EventKind, MessageId, MxHost, TenantId, Timestamp, TlsFacts, WaitCause,
};
use postrider_store::{Note, StoredEvent};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::fault::Fault;
use crate::rows::{Id as _, Place, ReplyCells, text};

/// Events, a column each.
#[derive(Default)]
pub(crate) struct EventColumns {
    pub(crate) recipient: Vec<Uuid>,
    pub(crate) seq: Vec<i64>,
    pub(crate) epoch: Vec<i64>,
    pub(crate) at: Vec<i64>,
    pub(crate) kind: Vec<&'static str>,
    pub(crate) attempt: Vec<i64>,
    reply_code: Vec<Option<i32>>,
    reply_enhanced: Vec<Option<String>>,
    reply_text: Vec<Option<String>>,
    mx_host: Vec<Option<String>>,
    mx_address: Vec<Option<String>>,
    tls_version: Vec<Option<String>>,
    tls_cipher: Vec<Option<String>>,
    tls_verdict: Vec<Option<String>>,
    duration: Vec<Option<i64>>,
    pub(crate) cause: Vec<Option<&'static str>>,
    pub(crate) note: Vec<Option<String>>,
}

impl EventColumns {
    /// Of events with their numbers and epochs.
    pub(crate) fn of(events: &[(i64, i64, &Event)]) -> Self {
        let mut columns = Self::default();
        for (seq, epoch, event) in events {
            columns.push(*seq, *epoch, event);
        }
        columns
    }

    fn push(&mut self, seq: i64, epoch: i64, event: &Event) {
        let owned = |given: &str| text(given).into_owned();
        let reply = event.reply.as_ref();
        let mx = event.mx.as_ref();
        let tls = event.tls.as_ref();
        self.recipient.push(event.recipient.uuid());
        self.seq.push(seq);
        self.epoch.push(epoch);
        self.at.push(event.at.as_micros());
        self.kind.push(event.kind.as_str());
        self.attempt.push(event.attempt.into());
        self.reply_code.push(reply.map(|reply| reply.code.into()));
        let enhanced = reply.and_then(|reply| Some(reply.enhanced?.to_string()));
        self.reply_enhanced.push(enhanced);
        self.reply_text.push(reply.map(|reply| owned(&reply.text)));
        self.mx_host.push(mx.map(|mx| owned(&mx.host)));
        self.mx_address.push(mx.map(|mx| mx.address.to_string()));
        self.tls_version.push(tls.map(|tls| owned(&tls.version)));
        self.tls_cipher.push(tls.map(|tls| owned(&tls.cipher)));
        self.tls_verdict.push(tls.map(|tls| owned(&tls.verdict)));
        let duration = event.duration;
        self.duration
            .push(duration.map(|span| i64::try_from(span.as_micros()).unwrap_or(i64::MAX)));
        self.cause.push(event.cause.map(WaitCause::as_str));
        self.note.push(event.note.as_deref().map(owned));
    }

    /// Writes them.
    pub(crate) async fn insert(self, connection: &mut PgConnection) -> Result<(), Fault> {
        if self.recipient.is_empty() {
            return Ok(());
        }
        sqlx::query(
            "INSERT INTO events (recipient, seq, epoch, at, kind, attempt, reply_code,
                 reply_enhanced, reply_text, mx_host, mx_address, tls_version, tls_cipher,
                 tls_verdict, duration, cause, note)
             SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::bigint[],
                 $5::text[], $6::bigint[], $7::integer[], $8::text[], $9::text[], $10::text[],
                 $11::text[], $12::text[], $13::text[], $14::text[], $15::bigint[], $16::text[],
                 $17::text[])",
        )
        .bind(self.recipient)
        .bind(self.seq)
        .bind(self.epoch)
        .bind(self.at)
        .bind(self.kind)
        .bind(self.attempt)
        .bind(self.reply_code)
        .bind(self.reply_enhanced)
        .bind(self.reply_text)
        .bind(self.mx_host)
        .bind(self.mx_address)
        .bind(self.tls_version)
        .bind(self.tls_cipher)
        .bind(self.tls_verdict)
        .bind(self.duration)
        .bind(self.cause)
        .bind(self.note)
        .execute(connection)
        .await?;
        Ok(())
    }
}

/// A recipient with so many events gets no notes any more: what a client repeats for ever costs no
/// quota, and must not fill the disk.
const NOTED_MOST: i64 = 50;

/// Adds an event about each recipient of a message; false where its tenant has none of that id.
pub(crate) async fn note(
    connection: &mut PgConnection,
    (tenant, message): (TenantId, MessageId),
    note: &Note,
) -> Result<bool, Fault> {
    // Index messages (primary key).
    let there: Option<i32> =
        sqlx::query_scalar("SELECT 1 FROM messages WHERE tenant = $1 AND id = $2")
            .bind(tenant.uuid())
            .bind(message.uuid())
            .fetch_optional(&mut *connection)
            .await?;
    if there.is_none() {
        return Ok(false);
    }
    // Index recipients (primary key). Locked in the order in which all do.
    sqlx::query("SELECT 1 FROM recipients WHERE message = $1 ORDER BY message, id FOR UPDATE")
        .bind(message.uuid())
        .execute(&mut *connection)
        .await?;
    sqlx::query(
        "WITH r AS (
             UPDATE recipients SET events = events + 1 WHERE message = $1 AND events < $5
             RETURNING id, events, attempts)
         INSERT INTO events (recipient, seq, epoch, at, kind, attempt, note)
         SELECT r.id, r.events, 0, $2, $3, r.attempts, $4 FROM r",
    )
    .bind(message.uuid())
    .bind(note.at.as_micros())
    .bind(note.kind.as_str())
    .bind(note.note.as_deref().map(text))
    .bind(NOTED_MOST)
    .execute(connection)
    .await?;
    Ok(true)
}

/// Whether all of these, and there are some, are written already.
pub(crate) async fn are_there(
    connection: &mut PgConnection,
    events: &[Event],
) -> Result<bool, Fault> {
    for event in events {
        // Index events (primary key), in the part of its day.
        let found: Option<i32> = sqlx::query_scalar(
            "SELECT 1 FROM events WHERE recipient = $1 AND at = $2 AND kind = $3 AND attempt = $4
             LIMIT 1",
        )
        .bind(event.recipient.uuid())
        .bind(event.at.as_micros())
        .bind(event.kind.as_str())
        .bind(i64::from(event.attempt))
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
    recipient: Uuid,
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
            id: row.recipient,
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
                recipient: postrider_model::RecipientId::of(row.recipient),
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
