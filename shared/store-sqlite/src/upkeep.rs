//! The upkeep port: retention, erasure, health, space.
//!
//! What is past its life is looked for by a reader; the writer only deletes what was found, a
//! bounded number of rows and bytes at a time.

use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt as _;
use postrider_model::{MessageId, TenantId, Timestamp, WaitCause};
use postrider_store::{Removed, StoreError, Upkeep};
use sqlx::SqliteConnection;

use crate::fault::Fault;
use crate::rows::{Place, json_ids};
use crate::{SqliteStore, generation, past, recent, spooled};

/// What one batch removes at most, so that the writer is held no longer than about 50 ms.
const BODIES_MOST: u32 = 200;
const BYTES_MOST: i64 = 16 << 20;
const MESSAGES_MOST: u32 = 100;
const RECIPIENTS_MOST: i64 = 1_000;
const CLAIMS_MOST: u32 = 1_000;

#[async_trait]
impl Upkeep for SqliteStore {
    async fn check(&self) -> Result<(), StoreError> {
        sqlx::query("SELECT 1 FROM generation")
            .execute(self.readers())
            .await
            .map_err(Fault::from)?;
        // BEGIN IMMEDIATE takes the write lock; with nothing in it, COMMIT writes nothing.
        self.writer().alone(|_| async { Ok(()) }.boxed()).await
    }

    async fn free_space(&self) -> Result<u64, StoreError> {
        let there = rustix::fs::statvfs(self.folder())
            .map_err(|error| StoreError::Unavailable(Box::new(error)))?;
        Ok(there.f_bavail.saturating_mul(there.f_frsize))
    }

    async fn waiting(&self) -> Result<Vec<(WaitCause, u64)>, StoreError> {
        Ok(self.count_waiting().await?)
    }

    async fn retain(
        &self,
        now: Timestamp,
        body_life: Duration,
        message_life: Duration,
    ) -> Result<Removed, StoreError> {
        let bodies = self.old_bodies(now.before(body_life)).await?;
        let messages = self.old_messages(now.before(message_life)).await?;
        let (removed, freed) = self
            .writer()
            .alone(move |connection| {
                Box::pin(async move {
                    let all = [bodies.as_slice(), &messages].concat();
                    let freed = spooled::extents(connection, &all).await?;
                    let removed = Removed {
                        bodies: remove_bodies(connection, &bodies).await?,
                        messages: remove_messages(connection, &messages).await?,
                        claims: remove_claims(connection, now).await?
                            + recent::remove(connection, now).await?,
                        ..past::remove(connection, now, now.before(message_life)).await?
                    };
                    Ok((removed, freed))
                })
            })
            .await?;
        self.give_back(freed).await;
        Ok(removed)
    }

    async fn erase(&self, tenant: TenantId) -> Result<Removed, StoreError> {
        // Nothing of it comes into the counts later.
        self.write_counts().await?;
        let messages = self.messages_of(tenant).await?;
        let (removed, freed) = self
            .writer()
            .alone(move |connection| {
                Box::pin(async move {
                    let freed = spooled::extents(connection, &messages).await?;
                    Ok((erase(connection, tenant, &messages).await?, freed))
                })
            })
            .await?;
        self.fresh().clear();
        self.give_back(freed).await;
        Ok(removed)
    }

    async fn checkpoint(&self) -> Result<(), StoreError> {
        self.writer().checkpoint().await
    }
}

/// The smallest id of a message made at `time` or later (RFC 9562 §5.7: an id begins with its
/// milliseconds). Whatever was accepted before `time` lies below.
fn first_id(time: Timestamp) -> [u8; 16] {
    let mut id = [0; 16];
    let millis = u64::try_from(time.as_micros() / 1_000).unwrap_or(0);
    let bytes = millis.to_be_bytes();
    // The low 48 bits.
    for (to, from) in id.iter_mut().zip(bytes.into_iter().skip(2)) {
        *to = from;
    }
    id
}

impl SqliteStore {
    /// Messages whose body nobody needs any more. A final state is never older than its message,
    /// so what was accepted after `until` is not looked at.
    async fn old_bodies(&self, until: Timestamp) -> Result<Vec<MessageId>, Fault> {
        // Indexes bodies, recipients and messages (primary keys).
        let rows: Vec<(Vec<u8>, i64)> = sqlx::query_as(
            "SELECT b.message, m.size FROM bodies AS b JOIN messages AS m ON m.id = b.message
             WHERE b.message < ?1 AND NOT EXISTS (
                 SELECT 1 FROM recipients AS r WHERE r.message = b.message
                     AND (r.state IN ('scheduled', 'queued', 'held') OR r.updated_at > ?2))
             ORDER BY b.message LIMIT ?3",
        )
        .bind(first_id(until).as_slice())
        .bind(until.as_micros())
        .bind(BODIES_MOST)
        .fetch_all(self.readers())
        .await?;
        within(&rows, BYTES_MOST)
    }

    async fn old_messages(&self, until: Timestamp) -> Result<Vec<MessageId>, Fault> {
        // Indexes messages and recipients (primary keys).
        let rows: Vec<(Vec<u8>, i64)> = sqlx::query_as(
            "SELECT m.id, (SELECT count(*) FROM recipients AS r WHERE r.message = m.id)
             FROM messages AS m
             WHERE m.id < ?1 AND m.accepted_at <= ?2 AND NOT EXISTS (
                 SELECT 1 FROM recipients AS r WHERE r.message = m.id
                     AND r.state IN ('scheduled', 'queued', 'held'))
             ORDER BY m.id LIMIT ?3",
        )
        .bind(first_id(until).as_slice())
        .bind(until.as_micros())
        .bind(MESSAGES_MOST)
        .fetch_all(self.readers())
        .await?;
        within(&rows, RECIPIENTS_MOST)
    }

    async fn messages_of(&self, tenant: TenantId) -> Result<Vec<MessageId>, Fault> {
        // Indexes messages_tenant and recipients (primary key).
        let rows: Vec<(Vec<u8>, i64)> = sqlx::query_as(
            "SELECT m.id, (SELECT count(*) FROM recipients AS r WHERE r.message = m.id)
             FROM messages AS m WHERE m.tenant = ?1 ORDER BY m.stream, m.id LIMIT ?2",
        )
        .bind(tenant.as_bytes().as_slice())
        .bind(MESSAGES_MOST)
        .fetch_all(self.readers())
        .await?;
        within(&rows, RECIPIENTS_MOST)
    }
}

/// The first rows whose weights stay within `most`; at least one.
fn within(rows: &[(Vec<u8>, i64)], most: i64) -> Result<Vec<MessageId>, Fault> {
    let mut sum = 0_i64;
    rows.iter()
        .take_while(|(_, weight)| {
            let first = sum == 0;
            sum = sum.saturating_add((*weight).max(1));
            first || sum <= most
        })
        .map(|(id, _)| {
            let place = Place {
                table: "messages",
                id,
            };
            place.id("id", id)
        })
        .collect()
}

async fn remove_bodies(
    connection: &mut SqliteConnection,
    messages: &[MessageId],
) -> Result<u64, Fault> {
    if messages.is_empty() {
        return Ok(0);
    }
    // Index bodies (primary key).
    let removed = sqlx::query(
        "DELETE FROM bodies WHERE message IN (SELECT unhex(value, '-') FROM json_each(?1))",
    )
    .bind(json_ids(messages))
    .execute(connection)
    .await?;
    Ok(removed.rows_affected())
}

/// Removes messages with all that hangs on them, whatever their state.
async fn remove_messages(
    connection: &mut SqliteConnection,
    messages: &[MessageId],
) -> Result<u64, Fault> {
    if messages.is_empty() {
        return Ok(0);
    }
    let ids = json_ids(messages);
    // Indexes queue_recipient, message_tags_message, and the primary keys of events, bodies,
    // recipients and messages: children before their parents.
    for statement in [
        "DELETE FROM queue WHERE recipient IN (SELECT r.id FROM json_each(?1) AS k
             CROSS JOIN recipients AS r ON r.message = unhex(k.value, '-'))",
        "DELETE FROM events WHERE recipient IN (SELECT r.id FROM json_each(?1) AS k
             CROSS JOIN recipients AS r ON r.message = unhex(k.value, '-'))",
        "DELETE FROM bodies WHERE message IN (SELECT unhex(value, '-') FROM json_each(?1))",
        "DELETE FROM message_tags WHERE message IN (SELECT unhex(value, '-') FROM json_each(?1))",
        "DELETE FROM recipients WHERE message IN (SELECT unhex(value, '-') FROM json_each(?1))",
    ] {
        sqlx::query(statement)
            .bind(&ids)
            .execute(&mut *connection)
            .await?;
    }
    let removed = sqlx::query(
        "DELETE FROM messages WHERE id IN (SELECT unhex(value, '-') FROM json_each(?1))",
    )
    .bind(&ids)
    .execute(connection)
    .await?;
    Ok(removed.rows_affected())
}

async fn remove_claims(connection: &mut SqliteConnection, now: Timestamp) -> Result<u64, Fault> {
    // Index idempotency_until.
    let removed = sqlx::query(
        "DELETE FROM idempotency WHERE (tenant, endpoint, key) IN (
             SELECT tenant, endpoint, key FROM idempotency WHERE until <= ?1
             ORDER BY until LIMIT ?2)",
    )
    .bind(now.as_micros())
    .bind(CLAIMS_MOST)
    .execute(connection)
    .await?;
    Ok(removed.rows_affected())
}

/// One step of an erasure: the doors close at the first, the tenant itself goes at the last,
/// which removes nothing else.
async fn erase(
    connection: &mut SqliteConnection,
    tenant: TenantId,
    messages: &[MessageId],
) -> Result<Removed, Fault> {
    let id = tenant.as_bytes().as_slice();
    // Index tenants (primary key).
    let closed = sqlx::query(
        "UPDATE tenants SET status = 'suspended', stopped_by = 'operator'
         WHERE id = ?1 AND (status <> 'suspended' OR stopped_by = 'vendor')",
    )
    .bind(id)
    .execute(&mut *connection)
    .await?;
    if closed.rows_affected() > 0 {
        generation::raise(connection, &[tenant]).await?;
    }
    // Index idempotency (primary key).
    let claims = sqlx::query(
        "DELETE FROM idempotency WHERE (tenant, endpoint, key) IN (
             SELECT tenant, endpoint, key FROM idempotency WHERE tenant = ?1 LIMIT ?2)",
    )
    .bind(id)
    .bind(CLAIMS_MOST)
    .execute(&mut *connection)
    .await?;
    let removed = Removed {
        messages: remove_messages(connection, messages).await?,
        claims: claims.rows_affected() + recent::remove_of(connection, tenant).await?,
        ..past::remove_of(connection, tenant).await?
    };
    if removed.is_nothing() {
        erase_directory(connection, tenant).await?;
    }
    Ok(removed)
}

async fn erase_directory(connection: &mut SqliteConnection, tenant: TenantId) -> Result<(), Fault> {
    let id = tenant.as_bytes().as_slice();
    // Indexes usage, key_usage, newcomers, bucket_levels and told (primary keys), credentials_tenant,
    // failures_tenant, reply_addresses_tenant,
    // tenants (primary key); all of the few controls. `names` stays.
    for statement in [
        "DELETE FROM usage WHERE tenant = ?1",
        "DELETE FROM key_usage WHERE tenant = ?1",
        "DELETE FROM newcomers WHERE tenant = ?1",
        "DELETE FROM bucket_levels WHERE tenant = ?1",
        "DELETE FROM controls WHERE tenant = ?1",
        "DELETE FROM failures WHERE tenant = ?1",
        "DELETE FROM enrolments WHERE tenant = ?1",
        "DELETE FROM told WHERE tenant = ?1",
        "DELETE FROM credentials WHERE tenant = ?1",
        "DELETE FROM reply_addresses WHERE tenant = ?1",
    ] {
        sqlx::query(statement)
            .bind(id)
            .execute(&mut *connection)
            .await?;
    }
    let gone = sqlx::query("DELETE FROM tenants WHERE id = ?1")
        .bind(id)
        .execute(&mut *connection)
        .await?;
    if gone.rows_affected() > 0 {
        generation::raise(connection, &[tenant]).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_earlier_messages_lie_below_the_bound() {
        let at = Timestamp::from_micros(1_700_000_000_000_000);
        let (before, after) = (
            at.before(Duration::from_millis(1)),
            at.after(Duration::from_millis(1)),
        );
        assert!(MessageId::new(before, [0xff; 10]).as_bytes() < &first_id(at));
        assert!(MessageId::new(after, [0; 10]).as_bytes() > &first_id(at));
    }
}
