//! The queue port: what is live, and what became of it.

use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use postrider_model::{MessageId, RecipientId, Timestamp};
use postrider_store::{
    Changes, Cursor, LaneKey, LanePage, News, OpenMessage, OpenRecipient, Outcome, Place as Spot,
    Queue, QueueRow, Settled, Settlement, Shard, StoreError,
};
use sqlx::SqliteConnection;
use tokio::sync::Semaphore;

use crate::fault::Fault;
use crate::rows::{Place, json_ids};
use crate::spooled::BodyRow;
use crate::{SqliteStore, pages};

#[async_trait]
impl Queue for SqliteStore {
    async fn load_changed(
        &self,
        shards: &[Shard],
        since: &Cursor,
        limit: u32,
    ) -> Result<Changes, StoreError> {
        Ok(self.changes(shards, since, limit).await?)
    }

    async fn cursor(&self) -> Result<Cursor, StoreError> {
        Ok(pages::cursor(self.ticker().newest()))
    }

    async fn news(&self) -> News {
        self.ticker().next().await
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
        Ok(self.lane(lane, after, until, limit).await?)
    }

    async fn load_due(
        &self,
        shards: &[Shard],
        span: Range<Timestamp>,
        after: Option<Spot>,
        limit: u32,
    ) -> Result<Vec<QueueRow>, StoreError> {
        Ok(self.due(shards, span, after, limit).await?)
    }

    async fn start_scheduled(
        &self,
        messages: &[MessageId],
        now: Timestamp,
    ) -> Result<Vec<MessageId>, StoreError> {
        if messages.is_empty() {
            return Ok(Vec::new());
        }
        let ids = json_ids(messages);
        self.writer()
            .alone(move |connection| {
                Box::pin(async move { start_scheduled(connection, &ids, now).await })
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
        Ok(self.open_message(message, recipients).await?)
    }

    async fn large_body(&self, message: MessageId) -> Result<Option<Bytes>, StoreError> {
        let _alone = LARGE.acquire().await;
        Ok(self.body_of(message).await?)
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
    tenant: Vec<u8>,
    credential: Option<Vec<u8>>,
    smtputf8: bool,
    accepted_at: i64,
    expires_at: i64,
    selectors: String,
    sealed_until: i64,
    size: i64,
    #[sqlx(flatten)]
    body: BodyRow,
}

/// Large bodies are read one at a time.
static LARGE: Semaphore = Semaphore::const_new(1);

impl SqliteStore {
    async fn open_message(
        &self,
        message: MessageId,
        recipients: &[RecipientId],
    ) -> Result<Option<OpenMessage>, Fault> {
        let id = message.as_bytes().as_slice();
        // Indexes messages and bodies (primary keys).
        let found: Option<MessageRow> = sqlx::query_as(
            "SELECT m.tenant, m.credential, m.smtputf8, m.accepted_at, m.expires_at, m.selectors, m.sealed_until,
                 m.size, CASE WHEN m.size <= ?2 THEN b.bytes ELSE x'' END AS bytes,
                 b.segment, b.start, b.length
             FROM messages AS m JOIN bodies AS b ON b.message = m.id WHERE m.id = ?1",
        )
        .bind(id)
        .bind(OpenMessage::SMALL_MOST.cast_signed())
        .fetch_optional(self.readers())
        .await?;
        let Some(row) = found else {
            return Ok(None);
        };
        let place = Place {
            table: "messages",
            id,
        };
        let size: u64 = place.number("size", row.size)?;
        let credential = row.credential.as_deref();
        let credential = credential.map(|id| place.id("credential", id));
        let body = if size <= OpenMessage::SMALL_MOST {
            let Some(body) = self.resolve(message, row.body).await? else {
                return Ok(None);
            };
            Some(body)
        } else {
            None
        };
        Ok(Some(OpenMessage {
            id: message,
            tenant: place.id("tenant", &row.tenant)?,
            credential: credential.transpose()?,
            size,
            body,
            smtputf8: row.smtputf8,
            accepted_at: Timestamp::from_micros(row.accepted_at),
            expires_at: Timestamp::from_micros(row.expires_at),
            selectors: place.cell("selectors", serde_json::from_str(&row.selectors))?,
            sealed_until: Timestamp::from_micros(row.sealed_until),
            recipients: self.open_recipients(message, recipients).await?,
        }))
    }

    async fn body_of(&self, message: MessageId) -> Result<Option<Bytes>, Fault> {
        // Index bodies (primary key).
        match self.body_row(message).await? {
            Some(row) => self.resolve(message, row).await,
            None => Ok(None),
        }
    }

    async fn open_recipients(
        &self,
        message: MessageId,
        recipients: &[RecipientId],
    ) -> Result<Vec<OpenRecipient>, Fault> {
        // Index recipients (primary key).
        let rows: Vec<(Vec<u8>, String, String, i64, String)> = sqlx::query_as(
            "SELECT r.id, r.address, r.return_path, r.attempts, r.waits
             FROM json_each(?2) AS k CROSS JOIN recipients AS r
                 ON r.message = ?1 AND r.id = unhex(k.value, '-')
             WHERE r.state IN ('scheduled', 'queued') ORDER BY r.position",
        )
        .bind(message.as_bytes().as_slice())
        .bind(json_ids(recipients))
        .fetch_all(self.readers())
        .await?;
        rows.iter()
            .map(|(id, address, return_path, attempts, waits)| {
                let place = Place {
                    table: "recipients",
                    id,
                };
                Ok(OpenRecipient {
                    id: place.id("id", id)?,
                    address: place.address("address", address)?,
                    return_path: place.address("return_path", return_path)?,
                    attempts: place.number("attempts", *attempts)?,
                    waits: place.cell("waits", serde_json::from_str(waits))?,
                })
            })
            .collect()
    }
}

/// The queue's side of the race with `Mail::cancel`: with one writer, one of the two comes first.
async fn start_scheduled(
    connection: &mut SqliteConnection,
    ids: &str,
    now: Timestamp,
) -> Result<Vec<MessageId>, Fault> {
    // Indexes recipients (primary key) and queue_recipient. The queue row stays: what it has
    // waited for is counted when it is settled.
    sqlx::query(
        "UPDATE recipients AS r SET state = 'queued'
         WHERE r.message IN (SELECT unhex(value, '-') FROM json_each(?1))
             AND r.state = 'scheduled' AND EXISTS (
                 SELECT 1 FROM queue AS q WHERE q.recipient = r.id AND q.due_at <= ?2)",
    )
    .bind(ids)
    .bind(now.as_micros())
    .execute(&mut *connection)
    .await?;
    let started: String = sqlx::query_scalar(
        "SELECT json_group_array(k.value) FROM json_each(?1) AS k
         WHERE EXISTS (SELECT 1 FROM recipients AS r JOIN queue AS q ON q.recipient = r.id
             WHERE r.message = unhex(k.value, '-') AND r.state = 'queued' AND q.due_at <= ?2)",
    )
    .bind(ids)
    .bind(now.as_micros())
    .fetch_one(connection)
    .await?;
    let all = Place {
        table: "messages",
        id: &[],
    };
    all.cell("id", serde_json::from_str(&started))
}
