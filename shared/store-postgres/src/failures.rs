//! The failures port: what tenants are yet to be told of.

use async_trait::async_trait;
use postrider_model::{MessageId, RecipientId, TenantId, Timestamp};
use postrider_store::{Failure, Failures, Outcome, Settlement, StoreError, Untold};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::PostgresStore;
use crate::fault::Fault;
use crate::rows::Id as _;
use crate::store::bounded;

#[async_trait]
impl Failures for PostgresStore {
    async fn untold(
        &self,
        before: Timestamp,
        told_before: Timestamp,
        limit: u32,
    ) -> Result<Vec<TenantId>, StoreError> {
        Ok(bounded(untold(self, before, told_before, limit)).await?)
    }

    async fn begin_telling(
        &self,
        tenant: TenantId,
        now: Timestamp,
        told_before: Timestamp,
    ) -> Result<bool, StoreError> {
        self.alone(move |connection| {
            Box::pin(async move { begin_telling(connection, tenant, now, told_before).await })
        })
        .await
    }

    async fn failures(
        &self,
        tenant: TenantId,
        turn: Timestamp,
        limit: u32,
    ) -> Result<Untold, StoreError> {
        Ok(bounded(failures(self, tenant, turn, limit)).await?)
    }

    async fn told(&self, tenant: TenantId, turn: Timestamp) -> Result<(), StoreError> {
        self.alone(move |connection| Box::pin(async move { told(connection, tenant, turn).await }))
            .await
    }
}

pub(crate) struct NewFailure {
    recipient: RecipientId,
    message: MessageId,
    at: i64,
}

impl NewFailure {
    /// `None` where nobody is to be told.
    pub(crate) fn of(settlement: &Settlement) -> Option<Self> {
        let is_final = matches!(settlement.outcome, Outcome::Final { .. });
        (is_final && settlement.tell_tenant).then(|| Self {
            recipient: settlement.recipient,
            message: settlement.message,
            at: settlement.at.as_micros(),
        })
    }
}

/// Enters failures; nothing where there are none.
pub(crate) async fn record(connection: &mut PgConnection, new: &[NewFailure]) -> Result<(), Fault> {
    if new.is_empty() {
        return Ok(());
    }
    let recipients: Vec<Uuid> = new.iter().map(|one| one.recipient.uuid()).collect();
    let messages: Vec<Uuid> = new.iter().map(|one| one.message.uuid()).collect();
    let times: Vec<i64> = new.iter().map(|one| one.at).collect();
    // Index messages (primary key).
    sqlx::query(
        "INSERT INTO failures (recipient, message, tenant, at)
         SELECT x.recipient, m.id, m.tenant, x.at
         FROM unnest($1::uuid[], $2::uuid[], $3::bigint[]) AS x (recipient, message, at)
         JOIN messages AS m ON m.id = x.message
         ORDER BY x.recipient
         ON CONFLICT (recipient) DO NOTHING",
    )
    .bind(recipients)
    .bind(messages)
    .bind(times)
    .execute(connection)
    .await?;
    Ok(())
}

async fn untold(
    store: &PostgresStore,
    before: Timestamp,
    told_before: Timestamp,
    limit: u32,
) -> Result<Vec<TenantId>, Fault> {
    let mut connection = store.lend().await?;
    // All of the failures of the last minutes, by index failures_tenant; index told (primary key).
    let tenants: Vec<Uuid> = sqlx::query_scalar(
        "SELECT f.tenant FROM failures AS f LEFT JOIN told AS t ON t.tenant = f.tenant
         GROUP BY f.tenant
         HAVING min(f.at) <= $1 AND coalesce(max(t.at), 0) <= $2
         LIMIT $3",
    )
    .bind(before.as_micros())
    .bind(told_before.as_micros())
    .bind(i64::from(limit))
    .fetch_all(&mut *connection)
    .await?;
    connection.back();
    Ok(tenants.into_iter().map(TenantId::of).collect())
}

async fn begin_telling(
    connection: &mut PgConnection,
    tenant: TenantId,
    now: Timestamp,
    told_before: Timestamp,
) -> Result<bool, Fault> {
    // Index told (primary key).
    let done = sqlx::query(
        "INSERT INTO told (tenant, at) VALUES ($1, $2)
         ON CONFLICT (tenant) DO UPDATE SET at = excluded.at WHERE told.at <= $3",
    )
    .bind(tenant.uuid())
    .bind(now.as_micros())
    .bind(told_before.as_micros())
    .execute(&mut *connection)
    .await?;
    if done.rows_affected() == 0 {
        return Ok(false);
    }
    // Index failures_tenant.
    sqlx::query("UPDATE failures SET turn = $2 WHERE tenant = $1")
        .bind(tenant.uuid())
        .bind(now.as_micros())
        .execute(connection)
        .await?;
    Ok(true)
}

async fn failures(
    store: &PostgresStore,
    tenant: TenantId,
    turn: Timestamp,
    limit: u32,
) -> Result<Untold, Fault> {
    let mut connection = store.lend().await?;
    // Index failures_tenant.
    let rows: Vec<(Uuid, Uuid, i64, i64)> = sqlx::query_as(
        "SELECT recipient, message, at, count(*) OVER () FROM failures
         WHERE tenant = $1 AND turn = $2 ORDER BY at, recipient LIMIT $3",
    )
    .bind(tenant.uuid())
    .bind(turn.as_micros())
    .bind(i64::from(limit))
    .fetch_all(&mut *connection)
    .await?;
    connection.back();
    let total = rows.first().map_or(0, |(.., total)| *total);
    let failures = rows.into_iter().map(|(recipient, message, at, _)| Failure {
        message: MessageId::of(message),
        recipient: RecipientId::of(recipient),
        at: Timestamp::from_micros(at),
    });
    Ok(Untold {
        failures: failures.collect(),
        total: u64::try_from(total).unwrap_or(0),
    })
}

async fn told(
    connection: &mut PgConnection,
    tenant: TenantId,
    turn: Timestamp,
) -> Result<(), Fault> {
    // Index failures_tenant.
    sqlx::query("DELETE FROM failures WHERE tenant = $1 AND turn = $2")
        .bind(tenant.uuid())
        .bind(turn.as_micros())
        .execute(connection)
        .await?;
    Ok(())
}
