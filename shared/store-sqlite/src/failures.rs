//! The failures port: what tenants are yet to be told of.

use async_trait::async_trait;
use postrider_model::{MessageId, RecipientId, TenantId, Timestamp};
use postrider_store::{Failure, Failures, Outcome, Settlement, StoreError, Untold};
use serde::Serialize;
use sqlx::SqliteConnection;

use crate::SqliteStore;
use crate::fault::Fault;
use crate::rows::{Place, json};

#[async_trait]
impl Failures for SqliteStore {
    async fn untold(
        &self,
        before: Timestamp,
        told_before: Timestamp,
        limit: u32,
    ) -> Result<Vec<TenantId>, StoreError> {
        Ok(untold(self, before, told_before, limit).await?)
    }

    async fn begin_telling(
        &self,
        tenant: TenantId,
        now: Timestamp,
        told_before: Timestamp,
    ) -> Result<bool, StoreError> {
        self.writer()
            .alone(move |connection| {
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
        Ok(failures(self, tenant, turn, limit).await?)
    }

    async fn told(&self, tenant: TenantId, turn: Timestamp) -> Result<(), StoreError> {
        self.writer()
            .alone(move |connection| Box::pin(async move { told(connection, tenant, turn).await }))
            .await
    }
}

#[derive(Serialize)]
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
pub(crate) async fn record(
    connection: &mut SqliteConnection,
    new: &[NewFailure],
) -> Result<(), Fault> {
    if new.is_empty() {
        return Ok(());
    }
    // Index messages (primary key).
    sqlx::query(
        "INSERT INTO failures (recipient, message, tenant, at)
         SELECT unhex(k.value ->> 'recipient', '-'), m.id, m.tenant, k.value ->> 'at'
         FROM json_each(?1) AS k
         CROSS JOIN messages AS m ON m.id = unhex(k.value ->> 'message', '-')
         WHERE true
         ON CONFLICT (recipient) DO NOTHING",
    )
    .bind(json(new)?)
    .execute(connection)
    .await?;
    Ok(())
}

async fn untold(
    store: &SqliteStore,
    before: Timestamp,
    told_before: Timestamp,
    limit: u32,
) -> Result<Vec<TenantId>, Fault> {
    // All of the failures of the last minutes, by index failures_tenant; index told (primary key).
    let tenants: Vec<Vec<u8>> = sqlx::query_scalar(
        "SELECT f.tenant FROM failures AS f LEFT JOIN told AS t ON t.tenant = f.tenant
         GROUP BY f.tenant
         HAVING min(f.at) <= ?1 AND coalesce(max(t.at), 0) <= ?2
         LIMIT ?3",
    )
    .bind(before.as_micros())
    .bind(told_before.as_micros())
    .bind(limit)
    .fetch_all(store.readers())
    .await?;
    let id = |tenant: &Vec<u8>| {
        let place = Place {
            table: "failures",
            id: tenant,
        };
        place.id("tenant", tenant)
    };
    tenants.iter().map(id).collect()
}

async fn begin_telling(
    connection: &mut SqliteConnection,
    tenant: TenantId,
    now: Timestamp,
    told_before: Timestamp,
) -> Result<bool, Fault> {
    // Index told (primary key).
    let done = sqlx::query(
        "INSERT INTO told (tenant, at) VALUES (?1, ?2)
         ON CONFLICT (tenant) DO UPDATE SET at = excluded.at WHERE at <= ?3",
    )
    .bind(tenant.as_bytes().as_slice())
    .bind(now.as_micros())
    .bind(told_before.as_micros())
    .execute(&mut *connection)
    .await?;
    if done.rows_affected() == 0 {
        return Ok(false);
    }
    // Index failures_tenant.
    sqlx::query("UPDATE failures SET turn = ?2 WHERE tenant = ?1")
        .bind(tenant.as_bytes().as_slice())
        .bind(now.as_micros())
        .execute(connection)
        .await?;
    Ok(true)
}

async fn failures(
    store: &SqliteStore,
    tenant: TenantId,
    turn: Timestamp,
    limit: u32,
) -> Result<Untold, Fault> {
    // Index failures_tenant.
    let rows: Vec<(Vec<u8>, Vec<u8>, i64, i64)> = sqlx::query_as(
        "SELECT recipient, message, at, count(*) OVER () FROM failures
         WHERE tenant = ?1 AND turn = ?2 ORDER BY at, recipient LIMIT ?3",
    )
    .bind(tenant.as_bytes().as_slice())
    .bind(turn.as_micros())
    .bind(limit)
    .fetch_all(store.readers())
    .await?;
    let total = rows.first().map_or(0, |(.., total)| *total);
    let failure = |(recipient, message, at, _): &(Vec<u8>, Vec<u8>, i64, i64)| {
        let place = Place {
            table: "failures",
            id: recipient,
        };
        Ok(Failure {
            message: place.id("message", message)?,
            recipient: place.id("recipient", recipient)?,
            at: Timestamp::from_micros(*at),
        })
    };
    Ok(Untold {
        failures: rows.iter().map(failure).collect::<Result<_, Fault>>()?,
        total: u64::try_from(total).unwrap_or(0),
    })
}

async fn told(
    connection: &mut SqliteConnection,
    tenant: TenantId,
    turn: Timestamp,
) -> Result<(), Fault> {
    // Index failures_tenant.
    sqlx::query("DELETE FROM failures WHERE tenant = ?1 AND turn = ?2")
        .bind(tenant.as_bytes().as_slice())
        .bind(turn.as_micros())
        .execute(connection)
        .await?;
    Ok(())
}
