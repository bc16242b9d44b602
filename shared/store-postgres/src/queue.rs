//! The queue port: what is live, and what became of it.

use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use postrider_model::{CredentialId, MessageId, RecipientId, Timestamp};
use postrider_store::{
    Changes, Cursor, LaneKey, LanePage, News, OpenMessage, OpenRecipient, Outcome, Place as Spot,
    Queue, QueueRow, Settled, Settlement, Shard, StoreError,
};
use sqlx::PgConnection;
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::PostgresStore;
use crate::fault::Fault;
use crate::rows::{Id as _, Place, uuids};
use crate::store::bounded;

#[async_trait]
impl Queue for PostgresStore {
    async fn load_changed(
        &self,
        shards: &[Shard],
        since: &Cursor,
        limit: u32,
    ) -> Result<Changes, StoreError> {
        Ok(bounded(self.changes(shards, since, limit)).await?)
    }

    async fn cursor(&self) -> Result<Cursor, StoreError> {
        Ok(bounded(self.newest()).await?)
    }

    async fn news(&self) -> News {
        self.board().next().await
    }

    async fn load_shards(
        &self,
        shards: &[Shard],
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<LanePage>, StoreError> {
        Ok(self.lanes(shards, until, limit).await?)
    }

    async fn load_lane(
        &self,
        lane: LaneKey,
        after: Spot,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<QueueRow>, StoreError> {
        Ok(bounded(self.lane(lane, after, until, limit)).await?)
    }

    async fn load_due(
        &self,
        shards: &[Shard],
        span: Range<Timestamp>,
        after: Option<Spot>,
        limit: u32,
    ) -> Result<Vec<QueueRow>, StoreError> {
        Ok(bounded(self.due(shards, span, after, limit)).await?)
    }

    async fn start_scheduled(
        &self,
        messages: &[MessageId],
        now: Timestamp,
    ) -> Result<Vec<MessageId>, StoreError> {
        if messages.is_empty() {
            return Ok(Vec::new());
        }
        let ids = uuids(messages);
        self.alone(move |connection| {
            Box::pin(async move { start_scheduled(connection, ids, now).await })
        })
        .await
    }

    async fn open(
        &self,
        message: MessageId,
        recipients: &[RecipientId],
    ) -> Result<Option<OpenMessage>, StoreError> {
        if let Some(fresh) = self.fresh().open(message, recipients) {
            return Ok(Some(fresh));
        }
        Ok(bounded(self.open_message(message, recipients)).await?)
    }

    async fn large_body(&self, message: MessageId) -> Result<Option<Bytes>, StoreError> {
        let _alone = LARGE.acquire().await;
        Ok(bounded(self.body_of(message)).await?)
    }

    async fn settle(&self, settlement: Settlement) -> Result<Settled, StoreError> {
        check(&settlement)?;
        self.writer().settle(settlement).await
    }
}

/// What no batch can mend.
fn check(settlement: &Settlement) -> Result<(), Fault> {
    let refuse = |reason: &str| Err(Fault::Rejected(reason.to_owned()));
    match settlement.outcome {
        Outcome::Final { state, .. } if !state.is_final() => {
            return refuse("an end in a state that is none");
        }
        _ => {}
    }
    if settlement
        .events
        .iter()
        .any(|event| event.recipient != settlement.recipient)
    {
        return refuse("an event about another recipient");
    }
    Ok(())
}

#[derive(sqlx::FromRow)]
struct MessageRow {
    tenant: Uuid,
    credential: Option<Uuid>,
    smtputf8: bool,
    accepted_at: i64,
    expires_at: i64,
    selectors: String,
    sealed_until: i64,
    size: i64,
    bytes: Option<Vec<u8>>,
}

/// Large bodies are read one at a time.
static LARGE: Semaphore = Semaphore::const_new(1);

impl PostgresStore {
    async fn open_message(
        &self,
        message: MessageId,
        recipients: &[RecipientId],
    ) -> Result<Option<OpenMessage>, Fault> {
        let mut connection = self.lend().await?;
        // Indexes messages and bodies (primary keys), in the part of its day.
        let found: Option<MessageRow> = sqlx::query_as(
            "SELECT m.tenant, m.credential, m.smtputf8, m.accepted_at, m.expires_at, m.selectors, m.sealed_until,
                 m.size, CASE WHEN m.size <= $2 THEN b.bytes END AS bytes
             FROM messages AS m JOIN bodies AS b ON b.message = m.id
             WHERE m.id = $1 AND b.message = $1",
        )
        .bind(message.uuid())
        .bind(OpenMessage::SMALL_MOST.cast_signed())
        .fetch_optional(&mut *connection)
        .await?;
        let Some(row) = found else {
            connection.back();
            return Ok(None);
        };
        let recipients = open_recipients(&mut connection, message, recipients).await?;
        connection.back();
        let place = Place {
            table: "messages",
            id: message.uuid(),
        };
        Ok(Some(OpenMessage {
            id: message,
            tenant: postrider_model::TenantId::of(row.tenant),
            credential: row.credential.map(CredentialId::of),
            size: place.number("size", row.size)?,
            body: row.bytes.map(Bytes::from),
            smtputf8: row.smtputf8,
            accepted_at: Timestamp::from_micros(row.accepted_at),
            expires_at: Timestamp::from_micros(row.expires_at),
            selectors: place.json("selectors", &row.selectors)?,
            sealed_until: Timestamp::from_micros(row.sealed_until),
            recipients,
        }))
    }

    async fn body_of(&self, message: MessageId) -> Result<Option<Bytes>, Fault> {
        let mut connection = self.lend().await?;
        // Index bodies (primary key), in the part of its day.
        let bytes: Option<Vec<u8>> =
            sqlx::query_scalar("SELECT bytes FROM bodies WHERE message = $1")
                .bind(message.uuid())
                .fetch_optional(&mut *connection)
                .await?;
        connection.back();
        Ok(bytes.map(Bytes::from))
    }
}

async fn open_recipients(
    connection: &mut PgConnection,
    message: MessageId,
    recipients: &[RecipientId],
) -> Result<Vec<OpenRecipient>, Fault> {
    // Index recipients (primary key), in the part of the message's day.
    let rows: Vec<(Uuid, String, String, i64, String)> = sqlx::query_as(
        "SELECT id, address, return_path, attempts, waits FROM recipients
         WHERE message = $1 AND id = ANY($2) AND state IN ('scheduled', 'queued')
         ORDER BY position",
    )
    .bind(message.uuid())
    .bind(uuids(recipients))
    .fetch_all(connection)
    .await?;
    rows.iter()
        .map(|(id, address, return_path, attempts, waits)| {
            let place = Place {
                table: "recipients",
                id: *id,
            };
            Ok(OpenRecipient {
                id: RecipientId::of(*id),
                address: place.address("address", address)?,
                return_path: place.address("return_path", return_path)?,
                attempts: place.number("attempts", *attempts)?,
                waits: place.json("waits", waits)?,
            })
        })
        .collect()
}

/// The queue's side of the race with `Mail::cancel`: both lock the messages' recipients first, and
/// look then.
async fn start_scheduled(
    connection: &mut PgConnection,
    messages: Vec<Uuid>,
    now: Timestamp,
) -> Result<Vec<MessageId>, Fault> {
    // Index recipients (primary key), in the part of each message's day.
    sqlx::query(
        "SELECT 1 FROM unnest($1::uuid[]) AS x (message)
         JOIN recipients AS r ON r.message = x.message
         ORDER BY r.message, r.id FOR NO KEY UPDATE OF r",
    )
    .bind(&messages)
    .execute(&mut *connection)
    .await?;
    // Index queue (primary key) too. The queue row stays: what it has waited for is counted when
    // it is settled.
    sqlx::query(
        "UPDATE recipients AS r SET state = 'queued' FROM unnest($1::uuid[]) AS x (message)
         WHERE r.message = x.message AND r.state = 'scheduled' AND EXISTS (
             SELECT 1 FROM queue AS q WHERE q.recipient = r.id AND q.due_at <= $2)",
    )
    .bind(&messages)
    .bind(now.as_micros())
    .execute(&mut *connection)
    .await?;
    let started: Vec<Uuid> = sqlx::query_scalar(
        "SELECT x.message FROM unnest($1::uuid[]) AS x (message)
         WHERE EXISTS (SELECT 1 FROM recipients AS r JOIN queue AS q ON q.recipient = r.id
             WHERE r.message = x.message AND r.state = 'queued' AND q.due_at <= $2)",
    )
    .bind(&messages)
    .bind(now.as_micros())
    .fetch_all(connection)
    .await?;
    Ok(started.into_iter().map(MessageId::of).collect())
}
