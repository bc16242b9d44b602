//! The upkeep port: retention, erasure, health.
//!
//! What is past its life is looked for first; then only what was found is deleted, a bounded number
//! of rows and bytes at a time. Messages go by whole days, as parts; row by row only what shares its
//! day with a live recipient.

use std::time::Duration;

use async_trait::async_trait;
use postrider_model::{MessageId, TenantId, Timestamp, WaitCause};
use postrider_store::{Removed, StoreError, Upkeep};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::fault::Fault;
use crate::partitions::{self, Day, first_id};
use crate::rows::{Id as _, uuids};
use crate::store::bounded;
use crate::{PostgresStore, generation, past};

/// What one batch removes at most.
const BODIES_MOST: i64 = 200;
const BYTES_MOST: i64 = 16 << 20;
const MESSAGES_MOST: i64 = 100;
const RECIPIENTS_MOST: i64 = 1_000;
const CLAIMS_MOST: i64 = 1_000;

#[async_trait]
impl Upkeep for PostgresStore {
    async fn check(&self) -> Result<(), StoreError> {
        let check = async {
            let mut connection = self.lend().await?;
            let read_only: bool = sqlx::query_scalar(
                "SELECT current_setting('transaction_read_only')::boolean FROM generation",
            )
            .fetch_one(&mut *connection)
            .await?;
            connection.back();
            Ok(read_only)
        };
        if bounded(check).await? {
            return Err(StoreError::Unavailable(Box::from(
                "the server takes no writes",
            )));
        }
        Ok(())
    }

    /// Not known: it is the server's.
    async fn free_space(&self) -> Result<u64, StoreError> {
        Ok(u64::MAX)
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
        bounded(self.make_parts()).await?;
        let parts = bounded(self.drop_parts(now.before(message_life))).await?;
        let bodies = bounded(self.old_bodies(now.before(body_life))).await?;
        let messages = bounded(self.old_messages(&parts.living)).await?;
        let mut removed = self
            .alone(move |connection| {
                Box::pin(async move {
                    Ok(Removed {
                        bodies: remove_bodies(connection, &bodies).await?,
                        messages: remove_messages(connection, &messages).await?,
                        claims: remove_claims(connection, now).await?,
                        ..past::remove(connection, now, now.before(message_life)).await?
                    })
                })
            })
            .await?;
        removed.messages += parts.dropped;
        Ok(removed)
    }

    async fn erase(&self, tenant: TenantId) -> Result<Removed, StoreError> {
        // Nothing of it comes into the counts later, but what other nodes have counted and not written.
        self.write_counts().await?;
        let messages = bounded(self.messages_of(tenant)).await?;
        let removed = self
            .alone(move |connection| {
                Box::pin(async move { erase(connection, tenant, &messages).await })
            })
            .await?;
        self.fresh().clear();
        Ok(removed)
    }

    /// There is no log of ours to copy.
    async fn checkpoint(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

/// What became of the days that are over.
#[derive(Default)]
struct Parts {
    /// Messages that went with their day.
    dropped: u64,
    /// Days that a live recipient keeps.
    living: Vec<Day>,
}

impl PostgresStore {
    async fn make_parts(&self) -> Result<(), Fault> {
        let mut connection = self.lend().await?;
        self.partitions().make_ahead(&mut connection).await?;
        connection.back();
        Ok(())
    }

    /// Drops the oldest day that lies wholly before `until` and in which nobody is alive.
    async fn drop_parts(&self, until: Timestamp) -> Result<Parts, Fault> {
        let mut connection = self.lend().await?;
        let mut parts = Parts::default();
        for day in partitions::list(&mut connection).await? {
            if day >= Day::at(until) || parts.dropped > 0 {
                break;
            }
            if partitions::has_live(&mut connection, day).await? {
                parts.living.push(day);
                continue;
            }
            let dropped = partitions::drop_day(&mut connection, self.partitions(), day).await?;
            if let Some(count) = dropped {
                tracing::info!(day = day.0, messages = count, "a day of mail was dropped");
                parts.dropped += count;
            }
        }
        connection.back();
        Ok(parts)
    }

    /// Messages whose body nobody needs any more. A final state is never older than its message,
    /// so what was accepted after `until` is not looked at.
    async fn old_bodies(&self, until: Timestamp) -> Result<Vec<MessageId>, Fault> {
        let mut connection = self.lend().await?;
        // Indexes bodies, recipients and messages (primary keys).
        let rows: Vec<(Uuid, i64)> = sqlx::query_as(
            "SELECT b.message, m.size FROM bodies AS b JOIN messages AS m ON m.id = b.message
             WHERE b.message < $1 AND NOT EXISTS (
                 SELECT 1 FROM recipients AS r WHERE r.message = b.message
                     AND (r.state IN ('scheduled', 'queued', 'held') OR r.updated_at > $2))
             ORDER BY b.message LIMIT $3",
        )
        .bind(first_id(until))
        .bind(until.as_micros())
        .bind(BODIES_MOST)
        .fetch_all(&mut *connection)
        .await?;
        connection.back();
        Ok(within(&rows, BYTES_MOST))
    }

    /// Messages of days that are over, but for those that somebody in them keeps.
    async fn old_messages(&self, days: &[Day]) -> Result<Vec<MessageId>, Fault> {
        let mut connection = self.lend().await?;
        let mut found = Vec::new();
        for day in days {
            // Indexes messages and recipients (primary keys), in the parts of that day.
            let rows: Vec<(Uuid, i64)> = sqlx::query_as(
                "SELECT m.id, (SELECT count(*) FROM recipients AS r WHERE r.message = m.id)
                 FROM messages AS m
                 WHERE m.id >= $1 AND ($2::uuid IS NULL OR m.id < $2) AND NOT EXISTS (
                     SELECT 1 FROM recipients AS r WHERE r.message = m.id
                         AND r.state IN ('scheduled', 'queued', 'held'))
                 ORDER BY m.id LIMIT $3",
            )
            .bind(day.first_id())
            .bind(day.end())
            .bind(MESSAGES_MOST)
            .fetch_all(&mut *connection)
            .await?;
            if !rows.is_empty() {
                found = within(&rows, RECIPIENTS_MOST);
                break;
            }
        }
        connection.back();
        Ok(found)
    }

    async fn messages_of(&self, tenant: TenantId) -> Result<Vec<MessageId>, Fault> {
        let mut connection = self.lend().await?;
        // Indexes messages_tenant and recipients (primary key).
        let rows: Vec<(Uuid, i64)> = sqlx::query_as(
            "SELECT m.id, (SELECT count(*) FROM recipients AS r WHERE r.message = m.id)
             FROM messages AS m WHERE m.tenant = $1 ORDER BY m.stream, m.id DESC NULLS LAST
             LIMIT $2",
        )
        .bind(tenant.uuid())
        .bind(MESSAGES_MOST)
        .fetch_all(&mut *connection)
        .await?;
        connection.back();
        Ok(within(&rows, RECIPIENTS_MOST))
    }
}

/// The first rows whose weights stay within `most`; at least one.
fn within(rows: &[(Uuid, i64)], most: i64) -> Vec<MessageId> {
    let mut sum = 0_i64;
    rows.iter()
        .take_while(|(_, weight)| {
            let first = sum == 0;
            sum = sum.saturating_add((*weight).max(1));
            first || sum <= most
        })
        .map(|(id, _)| MessageId::of(*id))
        .collect()
}

async fn remove_bodies(
    connection: &mut PgConnection,
    messages: &[MessageId],
) -> Result<u64, Fault> {
    if messages.is_empty() {
        return Ok(0);
    }
    // Index bodies (primary key). Joined, each is looked for in the part of its day; with `= ANY`
    // it would be in all of them. So below, too.
    let removed = sqlx::query(
        "DELETE FROM bodies AS b USING unnest($1::uuid[]) AS x (id) WHERE b.message = x.id",
    )
    .bind(uuids(messages))
    .execute(connection)
    .await?;
    Ok(removed.rows_affected())
}

/// Removes messages with all that hangs on them, whatever their state.
async fn remove_messages(
    connection: &mut PgConnection,
    messages: &[MessageId],
) -> Result<u64, Fault> {
    if messages.is_empty() {
        return Ok(0);
    }
    let ids = uuids(messages);
    // Index recipients (primary key). Locked in the order in which all do: who settles one of them
    // now comes before or after, not between.
    let recipients: Vec<Uuid> = sqlx::query_scalar(
        "SELECT r.id FROM unnest($1::uuid[]) AS x (id) JOIN recipients AS r ON r.message = x.id
         ORDER BY r.message, r.id FOR UPDATE OF r",
    )
    .bind(&ids)
    .fetch_all(&mut *connection)
    .await?;
    // Indexes queue, events, bodies, recipients and messages (primary keys), message_tags_message.
    for (statement, keys) in [
        (
            "DELETE FROM queue AS q USING unnest($1::uuid[]) AS x (id) WHERE q.recipient = x.id",
            &recipients,
        ),
        (
            "DELETE FROM events AS e USING unnest($1::uuid[]) AS x (id) WHERE e.recipient = x.id",
            &recipients,
        ),
        (
            "DELETE FROM bodies AS b USING unnest($1::uuid[]) AS x (id) WHERE b.message = x.id",
            &ids,
        ),
        (
            "DELETE FROM message_tags AS t USING unnest($1::uuid[]) AS x (id)
             WHERE t.message = x.id",
            &ids,
        ),
        (
            "DELETE FROM recipients AS r USING unnest($1::uuid[]) AS x (id) WHERE r.message = x.id",
            &ids,
        ),
    ] {
        sqlx::query(statement)
            .bind(keys)
            .execute(&mut *connection)
            .await?;
    }
    let removed = sqlx::query(
        "DELETE FROM messages AS m USING unnest($1::uuid[]) AS x (id) WHERE m.id = x.id",
    )
    .bind(&ids)
    .execute(connection)
    .await?;
    Ok(removed.rows_affected())
}

async fn remove_claims(connection: &mut PgConnection, now: Timestamp) -> Result<u64, Fault> {
    // Index idempotency_until. Passed over where somebody uses the key anew at this moment.
    let removed = sqlx::query(
        "DELETE FROM idempotency WHERE (tenant, endpoint, key) IN (
             SELECT tenant, endpoint, key FROM idempotency WHERE until <= $1
             ORDER BY until LIMIT $2 FOR UPDATE SKIP LOCKED)",
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
    connection: &mut PgConnection,
    tenant: TenantId,
    messages: &[MessageId],
) -> Result<Removed, Fault> {
    // Index tenants (primary key).
    let closed = sqlx::query(
        "UPDATE tenants SET status = 'suspended', stopped_by = 'operator'
         WHERE id = $1 AND (status <> 'suspended' OR stopped_by = 'vendor')",
    )
    .bind(tenant.uuid())
    .execute(&mut *connection)
    .await?;
    // Index idempotency (primary key).
    let claims = sqlx::query(
        "DELETE FROM idempotency WHERE (tenant, endpoint, key) IN (
             SELECT tenant, endpoint, key FROM idempotency WHERE tenant = $1 LIMIT $2)",
    )
    .bind(tenant.uuid())
    .bind(CLAIMS_MOST)
    .execute(&mut *connection)
    .await?;
    let removed = Removed {
        messages: remove_messages(connection, messages).await?,
        claims: claims.rows_affected(),
        ..past::remove_of(connection, tenant).await?
    };
    let mut changed = closed.rows_affected();
    if removed.is_nothing() {
        changed += erase_directory(connection, tenant).await?;
    }
    // Last, after its addresses: whoever breaks a mailbox comes to them first.
    if changed > 0 {
        generation::raise(connection, &[tenant]).await?;
    }
    Ok(removed)
}

/// How many tenants are gone: one, or none where it was gone before.
async fn erase_directory(connection: &mut PgConnection, tenant: TenantId) -> Result<u64, Fault> {
    // Indexes usage, key_usage, newcomers, bucket_levels and told (primary keys), credentials_tenant,
    // failures_tenant, reply_addresses_tenant,
    // tenants (primary key); all of the few controls. `names` stays. First the tenant, as wherever it
    // and its addresses are written.
    for statement in [
        "SELECT 1 FROM tenants WHERE id = $1 FOR UPDATE",
        "DELETE FROM usage WHERE tenant = $1",
        "DELETE FROM key_usage WHERE tenant = $1",
        "DELETE FROM newcomers WHERE tenant = $1",
        "DELETE FROM bucket_levels WHERE tenant = $1",
        "DELETE FROM controls WHERE tenant = $1",
        "DELETE FROM failures WHERE tenant = $1",
        "DELETE FROM enrolments WHERE tenant = $1",
        "DELETE FROM told WHERE tenant = $1",
        "DELETE FROM credentials WHERE tenant = $1",
        "DELETE FROM reply_addresses WHERE tenant = $1",
    ] {
        sqlx::query(statement)
            .bind(tenant.uuid())
            .execute(&mut *connection)
            .await?;
    }
    let gone = sqlx::query("DELETE FROM tenants WHERE id = $1")
        .bind(tenant.uuid())
        .execute(connection)
        .await?;
    Ok(gone.rows_affected())
}
