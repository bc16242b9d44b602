//! The port of the message trace: mail by its recipient, over all tenants.

use async_trait::async_trait;
use postrider_model::{
    EmailAddress, EventKind, MessageId, Stream, Suppression, SuppressionId, TenantId, Timestamp,
};
use postrider_store::{
    LastEvent, Senders, StoreError, StoredRecipient, Suppressing, Trace, Traced,
};
use sqlx::FromRow;
use uuid::Uuid;

use crate::PostgresStore;
use crate::fault::Fault;
use crate::mail::RecipientRow;
use crate::rows::{Id, Place};
use crate::store::bounded;
use crate::suppressions::SuppressionRow;

/// Messages at most.
const MOST: u8 = 100;
const SUPPRESSIONS_MOST: i64 = 100;

#[async_trait]
impl Trace for PostgresStore {
    async fn trace(
        &self,
        address: &EmailAddress,
        senders: Senders,
        most: u8,
    ) -> Result<Vec<Traced>, StoreError> {
        Ok(bounded(self.read_trace(address, senders, most)).await?)
    }

    async fn suppressions_of(
        &self,
        address: &EmailAddress,
        senders: Senders,
        now: Timestamp,
    ) -> Result<Vec<Suppression>, StoreError> {
        Ok(bounded(self.read_suppressions_of(address, senders, now)).await?)
    }

    async fn suppressions_by(
        &self,
        senders: Senders,
        which: Suppressing,
        now: Timestamp,
        most: u8,
    ) -> Result<Vec<Suppression>, StoreError> {
        Ok(bounded(self.read_suppressions_by((senders, which), now, most)).await?)
    }
}

#[derive(FromRow)]
struct TracedRow {
    message: Uuid,
    tenant: Uuid,
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

/// $1 address; $2 tenant or NULL; $3 how many; $4 vendor or NULL. Indexes `recipients_address`; then recipients, messages,
/// `queue_recipient` and events for the rest.
const TRACE: &str = "
WITH found AS MATERIALIZED (
    SELECT message, id FROM recipients
    WHERE lower(address COLLATE \"C\") = $1 AND ($2::uuid IS NULL OR tenant = $2)
        AND ($4::uuid IS NULL OR tenant IN (SELECT id FROM tenants WHERE vendor = $4))
    ORDER BY message DESC, id LIMIT $3)
SELECT r.message, r.tenant, m.accepted_at, m.expires_at, m.stream, m.summary,
    r.id, r.address, r.state, r.attempts, q.due_at, q.cause, r.waits, r.reply_code,
    r.reply_enhanced, r.reply_text, r.updated_at,
    e.at AS last_at, e.kind AS last_kind, e.mx_host AS last_mx_host, e.note AS last_note
FROM found AS f JOIN recipients AS r ON r.message = f.message AND r.id = f.id
JOIN messages AS m ON m.id = r.message
LEFT JOIN queue AS q ON q.recipient = r.id
LEFT JOIN LATERAL (
    SELECT o.at, o.kind, o.mx_host, o.note FROM events AS o WHERE o.recipient = r.id
    ORDER BY o.seq DESC, o.epoch DESC LIMIT 1) AS e ON true
ORDER BY r.message DESC, r.id";

impl PostgresStore {
    async fn read_trace(
        &self,
        address: &EmailAddress,
        senders: Senders,
        most: u8,
    ) -> Result<Vec<Traced>, Fault> {
        let mut connection = self.lend().await?;
        let rows: Vec<TracedRow> = sqlx::query_as(TRACE)
            .bind(address.folded())
            .bind(senders.tenant().map(Id::uuid))
            .bind(i64::from(most.clamp(1, MOST)))
            .bind(senders.vendor().map(Id::uuid))
            .fetch_all(&mut *connection)
            .await?;
        connection.back();
        rows.into_iter().map(Traced::try_from).collect()
    }

    async fn read_suppressions_of(
        &self,
        address: &EmailAddress,
        senders: Senders,
        now: Timestamp,
    ) -> Result<Vec<Suppression>, Fault> {
        let mut connection = self.lend().await?;
        // Index suppressions_address, tenant by tenant: there are thousands of them at most.
        let rows: Vec<SuppressionRow> = sqlx::query_as(
            "SELECT s.id, s.tenant, s.address, s.stream, s.reason, s.source, s.since, s.until
             FROM tenants AS t JOIN suppressions AS s
                 ON s.tenant = t.id AND s.folded = $1
             WHERE ($2::uuid IS NULL OR t.id = $2) AND ($5::uuid IS NULL OR t.vendor = $5)
                 AND (s.until IS NULL OR s.until > $3)
             ORDER BY s.since DESC, s.id DESC LIMIT $4",
        )
        .bind(address.folded())
        .bind(senders.tenant().map(Id::uuid))
        .bind(now.as_micros())
        .bind(SUPPRESSIONS_MOST)
        .bind(senders.vendor().map(Id::uuid))
        .fetch_all(&mut *connection)
        .await?;
        connection.back();
        rows.into_iter().map(Suppression::try_from).collect()
    }

    async fn read_suppressions_by(
        &self,
        (senders, which): (Senders, Suppressing),
        now: Timestamp,
        most: u8,
    ) -> Result<Vec<Suppression>, Fault> {
        let bound = which.older_than.map_or(Uuid::max(), SuppressionId::uuid);
        let mut connection = self.lend().await?;
        // Indexes suppressions (primary key) and tenants_vendor.
        let rows: Vec<SuppressionRow> = sqlx::query_as(
            "SELECT id, tenant, address, stream, reason, source, since, until FROM suppressions
             WHERE id < $1 AND (until IS NULL OR until > $2)
                 AND ($3::text IS NULL OR stream IN ($3, 'all'))
                 AND ($4::uuid IS NULL OR tenant = $4)
                 AND ($5::uuid IS NULL OR tenant IN (SELECT id FROM tenants WHERE vendor = $5))
             ORDER BY id DESC LIMIT $6",
        )
        .bind(bound)
        .bind(now.as_micros())
        .bind(which.stream.map(Stream::as_str))
        .bind(senders.tenant().map(Id::uuid))
        .bind(senders.vendor().map(Id::uuid))
        .bind(i64::from(most.clamp(1, MOST)))
        .fetch_all(&mut *connection)
        .await?;
        connection.back();
        rows.into_iter().map(Suppression::try_from).collect()
    }
}

impl TryFrom<TracedRow> for Traced {
    type Error = Fault;

    fn try_from(row: TracedRow) -> Result<Self, Fault> {
        let place = Place {
            table: "messages",
            id: row.message,
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
            message: MessageId::of(row.message),
            tenant: TenantId::of(row.tenant),
            accepted_at: Timestamp::from_micros(row.accepted_at),
            expires_at: Timestamp::from_micros(row.expires_at),
            stream: place.cell("stream", Stream::parse(&row.stream))?,
            summary: place.json("summary", &row.summary)?,
            recipient: StoredRecipient::try_from(row.recipient)?,
            last,
        })
    }
}
