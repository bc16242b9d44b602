//! The port of the message trace: mail by its recipient, over all tenants.

use async_trait::async_trait;
use postrider_model::{EmailAddress, EventKind, Stream, Suppression, SuppressionId, Timestamp};
use postrider_store::{
    LastEvent, Senders, StoreError, StoredRecipient, Suppressing, Trace, Traced,
};
use sqlx::FromRow;

use crate::SqliteStore;
use crate::fault::Fault;
use crate::mail::RecipientRow;
use crate::rows::Place;
use crate::suppressions::SuppressionRow;

/// Messages at most.
const MOST: u8 = 100;
const SUPPRESSIONS_MOST: u32 = 100;

#[async_trait]
impl Trace for SqliteStore {
    async fn trace(
        &self,
        address: &EmailAddress,
        senders: Senders,
        most: u8,
    ) -> Result<Vec<Traced>, StoreError> {
        Ok(self.read_trace(address, senders, most).await?)
    }

    async fn suppressions_of(
        &self,
        address: &EmailAddress,
        senders: Senders,
        now: Timestamp,
    ) -> Result<Vec<Suppression>, StoreError> {
        Ok(self.read_suppressions_of(address, senders, now).await?)
    }

    async fn suppressions_by(
        &self,
        senders: Senders,
        which: Suppressing,
        now: Timestamp,
        most: u8,
    ) -> Result<Vec<Suppression>, StoreError> {
        Ok(self
            .read_suppressions_by((senders, which), now, most)
            .await?)
    }
}

#[derive(FromRow)]
struct TracedRow {
    message: Vec<u8>,
    tenant: Vec<u8>,
    accepted_at: i64,
    expires_at: i64,
    stream: String,
    summary: String,
    #[sqlx(flatten)]
    recipient: RecipientRow,
    last_at: Option<i64>,
    last_kind: Option<String>,
    last_mx_host: Option<String>,
    last_note: Option<String>,
}

/// ?1 address; ?2 tenant or NULL; ?3 how many; ?4 vendor or NULL. The newest of each tenant, of which there are thousands at
/// most: an address that a hundred thousand messages went to is answered as soon as any. Indexes `recipients_address`; then recipients, messages,
/// `queue_recipient` and events for the rest.
const TRACE: &str = "
WITH found AS MATERIALIZED (
    SELECT r.message, r.id FROM tenants AS t CROSS JOIN recipients AS r
    WHERE (?2 IS NULL OR t.id = ?2) AND (?4 IS NULL OR t.vendor = ?4) AND (r.message, r.id) IN (
            SELECT o.message, o.id FROM recipients AS o
            WHERE lower(o.address) = ?1 AND o.tenant = t.id
            ORDER BY o.message DESC, o.id DESC LIMIT ?3)
    ORDER BY r.message DESC, r.id LIMIT ?3)
SELECT r.message, r.tenant, m.accepted_at, m.expires_at, m.stream, m.summary,
    r.id, r.address, r.state, r.attempts, q.due_at, q.cause, r.waits, r.reply_code,
    r.reply_enhanced, r.reply_text, r.updated_at,
    e.at AS last_at, e.kind AS last_kind, e.mx_host AS last_mx_host, e.note AS last_note
FROM found AS f CROSS JOIN recipients AS r ON r.message = f.message AND r.id = f.id
CROSS JOIN messages AS m ON m.id = r.message
LEFT JOIN queue AS q ON q.recipient = r.id
LEFT JOIN events AS e ON e.recipient = r.id AND (e.seq, e.epoch) = (
    SELECT o.seq, o.epoch FROM events AS o WHERE o.recipient = r.id
    ORDER BY o.seq DESC, o.epoch DESC LIMIT 1)
ORDER BY r.message DESC, r.id";

impl SqliteStore {
    async fn read_trace(
        &self,
        address: &EmailAddress,
        senders: Senders,
        most: u8,
    ) -> Result<Vec<Traced>, Fault> {
        let rows: Vec<TracedRow> = sqlx::query_as(TRACE)
            .bind(address.folded())
            .bind(senders.tenant().map(|id| id.as_bytes().to_vec()))
            .bind(most.clamp(1, MOST))
            .bind(senders.vendor().map(|id| id.as_bytes().to_vec()))
            .fetch_all(self.readers())
            .await?;
        rows.into_iter().map(Traced::try_from).collect()
    }

    async fn read_suppressions_of(
        &self,
        address: &EmailAddress,
        senders: Senders,
        now: Timestamp,
    ) -> Result<Vec<Suppression>, Fault> {
        // Index suppressions_address, tenant by tenant: there are thousands of them at most.
        let rows: Vec<SuppressionRow> = sqlx::query_as(
            "SELECT s.id, s.tenant, s.address, s.stream, s.reason, s.source, s.since, s.until
             FROM tenants AS t CROSS JOIN suppressions AS s
                 ON s.tenant = t.id AND s.folded = ?1
             WHERE (?2 IS NULL OR t.id = ?2) AND (?5 IS NULL OR t.vendor = ?5) AND (s.until IS NULL OR s.until > ?3)
             ORDER BY s.since DESC, s.id DESC LIMIT ?4",
        )
        .bind(address.folded())
        .bind(senders.tenant().map(|id| id.as_bytes().to_vec()))
        .bind(now.as_micros())
        .bind(SUPPRESSIONS_MOST)
        .bind(senders.vendor().map(|id| id.as_bytes().to_vec()))
        .fetch_all(self.readers())
        .await?;
        rows.into_iter().map(Suppression::try_from).collect()
    }

    async fn read_suppressions_by(
        &self,
        (senders, which): (Senders, Suppressing),
        now: Timestamp,
        most: u8,
    ) -> Result<Vec<Suppression>, Fault> {
        let newest = SuppressionId::from_bytes([0xff; 16]);
        let bound = which.older_than.unwrap_or(newest);
        // Indexes suppressions (primary key) and tenants_vendor.
        let rows: Vec<SuppressionRow> = sqlx::query_as(
            "SELECT id, tenant, address, stream, reason, source, since, until FROM suppressions
             WHERE id < ?1 AND (until IS NULL OR until > ?2)
                 AND (?3 IS NULL OR stream IN (?3, 'all')) AND (?4 IS NULL OR tenant = ?4)
                 AND (?5 IS NULL OR tenant IN (SELECT id FROM tenants WHERE vendor = ?5))
             ORDER BY id DESC LIMIT ?6",
        )
        .bind(bound.as_bytes().as_slice())
        .bind(now.as_micros())
        .bind(which.stream.map(Stream::as_str))
        .bind(senders.tenant().map(|id| id.as_bytes().to_vec()))
        .bind(senders.vendor().map(|id| id.as_bytes().to_vec()))
        .bind(most.clamp(1, MOST))
        .fetch_all(self.readers())
        .await?;
        rows.into_iter().map(Suppression::try_from).collect()
    }
}

impl TryFrom<TracedRow> for Traced {
    type Error = Fault;

    fn try_from(row: TracedRow) -> Result<Self, Fault> {
        let place = Place {
            table: "messages",
            id: &row.message,
        };
        let last = match (row.last_at, row.last_kind) {
            (Some(at), Some(kind)) => Some(LastEvent {
                at: Timestamp::from_micros(at),
                kind: place.cell("kind", EventKind::parse(&kind))?,
                mx_host: row.last_mx_host,
                note: row.last_note,
            }),
            _ => None,
        };
        Ok(Self {
            message: place.id("id", &row.message)?,
            tenant: place.id("tenant", &row.tenant)?,
            accepted_at: Timestamp::from_micros(row.accepted_at),
            expires_at: Timestamp::from_micros(row.expires_at),
            stream: place.cell("stream", Stream::parse(&row.stream))?,
            summary: place.json("summary", &row.summary)?,
            recipient: StoredRecipient::try_from(row.recipient)?,
            last,
        })
    }
}
