//! The queue port: what is live, and what became of it.

use async_trait::async_trait;
use bytes::Bytes;
use postrider_model::{MessageId, RecipientId, Timestamp, WaitCause};
use postrider_store::{
    ChangeSeq, OpenMessage, OpenRecipient, Outcome, Queue, QueueRow, Settled, Settlement,
    StoreError,
};
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use crate::SqliteStore;
use crate::fault::Fault;
use crate::rows::{Place, json_ids};

#[async_trait]
impl Queue for SqliteStore {
    async fn load_changed(
        &self,
        since: ChangeSeq,
        limit: u32,
    ) -> Result<Vec<QueueRow>, StoreError> {
        let mut since = since.0;
        loop {
            let rows = self.load(since, limit).await?;
            let sound: Vec<_> = rows.iter().filter_map(queue_row_if_sound).collect();
            let last = rows.last().map(|row| row.try_get(0)).transpose();
            match last.map_err(Fault::from)? {
                // Damaged rows alone: what comes behind them is not kept back.
                Some(last) if sound.is_empty() => since = last,
                _ => return Ok(sound),
            }
        }
    }

    async fn changed(&self, since: ChangeSeq) {
        let mut newest = self.newest();
        // Fails only where the store is closed: then nothing changes any more.
        if newest.wait_for(|seq| *seq > since.0).await.is_err() {
            std::future::pending::<()>().await;
        }
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
    smtputf8: bool,
    accepted_at: i64,
    expires_at: i64,
    bytes: Vec<u8>,
}

impl SqliteStore {
    async fn load(&self, since: i64, limit: u32) -> Result<Vec<SqliteRow>, Fault> {
        // Index queue (primary key): in change order as it lies.
        let rows = sqlx::query(
            "SELECT seq, recipient, message, tenant, domain, accepted_at, due_at, expires_at,
                 attempts, cause
             FROM queue WHERE seq > ?1 ORDER BY seq LIMIT ?2",
        )
        .bind(since)
        .bind(limit)
        .fetch_all(self.readers())
        .await?;
        Ok(rows)
    }

    async fn open_message(
        &self,
        message: MessageId,
        recipients: &[RecipientId],
    ) -> Result<Option<OpenMessage>, Fault> {
        let id = message.as_bytes().as_slice();
        // Indexes messages and bodies (primary keys).
        let found: Option<MessageRow> = sqlx::query_as(
            "SELECT m.tenant, m.smtputf8, m.accepted_at, m.expires_at, b.bytes
             FROM messages AS m JOIN bodies AS b ON b.message = m.id WHERE m.id = ?1",
        )
        .bind(id)
        .fetch_optional(self.readers())
        .await?;
        let Some(row) = found else {
            return Ok(None);
        };
        let place = Place {
            table: "messages",
            id,
        };
        Ok(Some(OpenMessage {
            id: message,
            tenant: place.id("tenant", &row.tenant)?,
            body: Bytes::from(row.bytes),
            smtputf8: row.smtputf8,
            accepted_at: Timestamp::from_micros(row.accepted_at),
            expires_at: Timestamp::from_micros(row.expires_at),
            recipients: self.open_recipients(message, recipients).await?,
        }))
    }

    async fn open_recipients(
        &self,
        message: MessageId,
        recipients: &[RecipientId],
    ) -> Result<Vec<OpenRecipient>, Fault> {
        // Index recipients (primary key).
        let rows: Vec<(Vec<u8>, String, String, i64)> = sqlx::query_as(
            "SELECT r.id, r.address, r.return_path, r.attempts
             FROM json_each(?2) AS k CROSS JOIN recipients AS r
                 ON r.message = ?1 AND r.id = unhex(k.value, '-')
             WHERE r.state IN ('scheduled', 'queued') ORDER BY r.position",
        )
        .bind(message.as_bytes().as_slice())
        .bind(json_ids(recipients))
        .fetch_all(self.readers())
        .await?;
        rows.iter()
            .map(|(id, address, return_path, attempts)| {
                let place = Place {
                    table: "recipients",
                    id,
                };
                Ok(OpenRecipient {
                    id: place.id("id", id)?,
                    address: place.address("address", address)?,
                    return_path: place.address("return_path", return_path)?,
                    attempts: place.number("attempts", *attempts)?,
                })
            })
            .collect()
    }
}

/// One damaged row must not keep all others from being delivered: it stays where it is, and is
/// named each time it is met.
fn queue_row_if_sound(row: &SqliteRow) -> Option<QueueRow> {
    queue_row(row)
        .inspect_err(|fault| tracing::error!(?fault, "a row of the queue cannot be read"))
        .ok()
}

// By hand and borrowing: a start reads a million of these.
fn queue_row(row: &SqliteRow) -> Result<QueueRow, Fault> {
    let recipient: &[u8] = row.try_get(1)?;
    let place = Place {
        table: "queue",
        id: recipient,
    };
    let time = |column: usize| row.try_get(column).map(Timestamp::from_micros);
    Ok(QueueRow {
        seq: ChangeSeq(row.try_get(0)?),
        recipient: place.id("recipient", recipient)?,
        message: place.id("message", row.try_get(2)?)?,
        tenant: place.id("tenant", row.try_get(3)?)?,
        domain: place.domain("domain", row.try_get(4)?)?,
        accepted_at: time(5)?,
        due_at: time(6)?,
        expires_at: time(7)?,
        attempts: place.number("attempts", row.try_get(8)?)?,
        cause: place.cell("cause", WaitCause::parse(row.try_get(9)?))?,
    })
}
