//! The mail port: what a tenant sees of its mail, and takes back. The tenant is in every WHERE.

use async_trait::async_trait;
use bytes::Bytes;
use postrider_model::{
    CredentialId, EventKind, MessageId, RecipientId, RecipientState, TenantId, Timestamp, WaitCause,
};
use postrider_store::{
    Cancelled, Listing, Mail, MailFilter, MailPage, Note, StoreError, StoredEmail, StoredEvent,
    StoredRecipient, Usage,
};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::events::StoredEventRow;
use crate::fault::Fault;
use crate::rows::{Id as _, Place, ReplyCells};
use crate::store::bounded;
use crate::{PostgresStore, cancel, events, quota, transaction};

#[async_trait]
impl Mail for PostgresStore {
    async fn email(
        &self,
        tenant: TenantId,
        id: MessageId,
    ) -> Result<Option<StoredEmail>, StoreError> {
        Ok(bounded(self.read_email(tenant, id)).await?)
    }

    async fn list(
        &self,
        tenant: TenantId,
        filter: &MailFilter,
        page: MailPage,
    ) -> Result<Option<Listing>, StoreError> {
        Ok(bounded(self.read_list(tenant, filter, page)).await?)
    }

    async fn events(
        &self,
        tenant: TenantId,
        id: MessageId,
    ) -> Result<Option<Vec<StoredEvent>>, StoreError> {
        Ok(bounded(self.read_events(tenant, id)).await?)
    }

    async fn body(&self, tenant: TenantId, id: MessageId) -> Result<Option<Bytes>, StoreError> {
        Ok(bounded(self.read_body(tenant, id)).await?)
    }

    async fn cancel(
        &self,
        tenant: TenantId,
        id: MessageId,
        at: Timestamp,
    ) -> Result<Cancelled, StoreError> {
        let cancelled = self
            .alone(move |connection| {
                Box::pin(async move { cancel::cancel(connection, tenant, id, at).await })
            })
            .await;
        self.fresh().forget(id);
        cancelled
    }

    async fn usage(&self, tenant: TenantId, at: Timestamp) -> Result<Usage, StoreError> {
        let usage = async {
            let mut connection = self.lend().await?;
            let usage = quota::usage(&mut connection, tenant, at).await?;
            connection.back();
            Ok(usage)
        };
        Ok(bounded(usage).await?)
    }

    async fn key_usage(
        &self,
        tenant: TenantId,
        credential: CredentialId,
        at: Timestamp,
    ) -> Result<u64, StoreError> {
        let usage = async {
            let mut connection = self.lend().await?;
            let usage = quota::key_usage(&mut connection, (tenant, credential), at).await?;
            connection.back();
            Ok(usage)
        };
        Ok(bounded(usage).await?)
    }

    async fn note(&self, tenant: TenantId, id: MessageId, note: Note) -> Result<bool, StoreError> {
        self.alone(move |connection| {
            Box::pin(async move { events::note(connection, (tenant, id), &note).await })
        })
        .await
    }
}

#[derive(sqlx::FromRow)]
struct EmailRow {
    id: Uuid,
    credential: Option<Uuid>,
    accepted_at: i64,
    expires_at: i64,
    size: i64,
    summary: String,
}

#[derive(sqlx::FromRow)]
pub(crate) struct RecipientRow {
    id: Uuid,
    address: String,
    state: String,
    attempts: i64,
    due_at: Option<i64>,
    cause: Option<String>,
    waits: String,
    #[sqlx(flatten)]
    reply: ReplyCells,
    updated_at: i64,
}

impl PostgresStore {
    async fn read_email(
        &self,
        tenant: TenantId,
        id: MessageId,
    ) -> Result<Option<StoredEmail>, Fault> {
        // One snapshot: message, recipients and events as of one moment.
        let mut snapshot = self.lend().await?;
        transaction::begin_reading(&mut snapshot).await?;
        // Index messages (primary key).
        let row: Option<EmailRow> = sqlx::query_as(
            "SELECT id, credential, accepted_at, expires_at, size, summary FROM messages
             WHERE tenant = $1 AND id = $2",
        )
        .bind(tenant.uuid())
        .bind(id.uuid())
        .fetch_optional(&mut *snapshot)
        .await?;
        let Some(row) = row else {
            transaction::commit(&mut snapshot).await?;
            snapshot.back();
            return Ok(None);
        };
        let place = Place {
            table: "messages",
            id: row.id,
        };
        let email = StoredEmail {
            id,
            tenant,
            credential: row.credential.map(CredentialId::of),
            accepted_at: Timestamp::from_micros(row.accepted_at),
            expires_at: Timestamp::from_micros(row.expires_at),
            size: place.number("size", row.size)?,
            summary: place.cell("summary", serde_json::from_str(&row.summary))?,
            recipients: recipients(&mut snapshot, id).await?,
            last_event: last_event(&mut snapshot, id).await?,
        };
        transaction::commit(&mut snapshot).await?;
        snapshot.back();
        Ok(Some(email))
    }

    async fn read_events(
        &self,
        tenant: TenantId,
        id: MessageId,
    ) -> Result<Option<Vec<StoredEvent>>, Fault> {
        let mut snapshot = self.lend().await?;
        transaction::begin_reading(&mut snapshot).await?;
        // Index messages (primary key).
        let known: Option<i32> =
            sqlx::query_scalar("SELECT 1 FROM messages WHERE tenant = $1 AND id = $2")
                .bind(tenant.uuid())
                .bind(id.uuid())
                .fetch_optional(&mut *snapshot)
                .await?;
        if known.is_none() {
            transaction::commit(&mut snapshot).await?;
            snapshot.back();
            return Ok(None);
        }
        // Indexes recipients and events (primary keys).
        let rows: Vec<StoredEventRow> = sqlx::query_as(
            "SELECT e.recipient, r.address, e.seq, e.at, e.kind, e.attempt, e.reply_code,
                 e.reply_enhanced, e.reply_text, e.mx_host, e.mx_address, e.tls_version,
                 e.tls_cipher, e.tls_verdict, e.duration, e.cause, e.note
             FROM recipients AS r JOIN events AS e ON e.recipient = r.id
             WHERE r.message = $1 ORDER BY e.at, e.seq, r.position",
        )
        .bind(id.uuid())
        .fetch_all(&mut *snapshot)
        .await?;
        transaction::commit(&mut snapshot).await?;
        snapshot.back();
        let events: Result<Vec<_>, Fault> = rows.into_iter().map(StoredEvent::try_from).collect();
        events.map(Some)
    }

    async fn read_body(&self, tenant: TenantId, id: MessageId) -> Result<Option<Bytes>, Fault> {
        let mut connection = self.lend().await?;
        // Indexes messages and bodies (primary keys).
        let bytes: Option<Vec<u8>> = sqlx::query_scalar(
            "SELECT b.bytes FROM messages AS m JOIN bodies AS b ON b.message = m.id
             WHERE m.tenant = $1 AND m.id = $2",
        )
        .bind(tenant.uuid())
        .bind(id.uuid())
        .fetch_optional(&mut *connection)
        .await?;
        connection.back();
        Ok(bytes.map(Bytes::from))
    }
}

/// Of a message whose tenant was checked in the same snapshot.
async fn recipients(
    snapshot: &mut PgConnection,
    message: MessageId,
) -> Result<Vec<StoredRecipient>, Fault> {
    // Indexes recipients (primary key) and queue_recipient.
    let rows: Vec<RecipientRow> = sqlx::query_as(
        "SELECT r.id, r.address, r.state, r.attempts, q.due_at, q.cause, r.waits,
             r.reply_code, r.reply_enhanced, r.reply_text, r.updated_at
         FROM recipients AS r LEFT JOIN queue AS q ON q.recipient = r.id
         WHERE r.message = $1 ORDER BY r.position",
    )
    .bind(message.uuid())
    .fetch_all(&mut *snapshot)
    .await?;
    rows.into_iter().map(StoredRecipient::try_from).collect()
}

impl TryFrom<RecipientRow> for StoredRecipient {
    type Error = Fault;

    fn try_from(row: RecipientRow) -> Result<Self, Fault> {
        let place = Place {
            table: "recipients",
            id: row.id,
        };
        let cause = row.cause.as_deref().map(WaitCause::parse).transpose();
        Ok(Self {
            id: RecipientId::of(row.id),
            address: place.address("address", &row.address)?,
            state: place.cell("state", RecipientState::parse(&row.state))?,
            attempts: place.number("attempts", row.attempts)?,
            due_at: row.due_at.map(Timestamp::from_micros),
            cause: place.cell("cause", cause)?,
            last_reply: place.reply(row.reply)?,
            updated_at: Timestamp::from_micros(row.updated_at),
            waits: place.cell("waits", serde_json::from_str(&row.waits))?,
        })
    }
}

/// The newest event that has a word in the contract's `last_event` (§4.6): the four kinds left
/// out leave it as it was. A message has an `accepted` or `scheduled` from its start.
async fn last_event(snapshot: &mut PgConnection, message: MessageId) -> Result<EventKind, Fault> {
    // Indexes recipients and events (primary keys).
    let kind: Option<String> = sqlx::query_scalar(
        "SELECT e.kind FROM recipients AS r JOIN events AS e ON e.recipient = r.id
         WHERE r.message = $1
             AND e.kind NOT IN ('ambiguous', 'reply_to_replaced', 'duplicate', 'auto_reply')
         ORDER BY e.at DESC, e.seq DESC, r.position DESC LIMIT 1",
    )
    .bind(message.uuid())
    .fetch_optional(&mut *snapshot)
    .await?;
    let place = Place {
        table: "events",
        id: message.uuid(),
    };
    kind.map_or(Ok(EventKind::Accepted), |kind| {
        place.cell("kind", EventKind::parse(&kind))
    })
}
