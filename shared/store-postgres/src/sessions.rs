//! The sessions port: what was said at the door.

use async_trait::async_trait;
use postrider_model::{Session, SessionCode, TenantId};
use postrider_store::{Sessions, StoreError};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::PostgresStore;
use crate::fault::Fault;
use crate::rows::{Id as _, Place, json};
use crate::store::bounded;

#[async_trait]
impl Sessions for PostgresStore {
    async fn keep(&self, sessions: Vec<Session>) -> Result<Vec<SessionCode>, StoreError> {
        self.alone(move |connection| Box::pin(async move { keep(connection, &sessions).await }))
            .await
    }

    async fn session(
        &self,
        tenant: TenantId,
        code: SessionCode,
    ) -> Result<Option<Session>, StoreError> {
        Ok(bounded(find(self, code, Whose::Tenant(tenant))).await?)
    }

    async fn strangers_session(&self, code: SessionCode) -> Result<Option<Session>, StoreError> {
        Ok(bounded(find(self, code, Whose::Strangers)).await?)
    }

    async fn any_session(&self, code: SessionCode) -> Result<Option<Session>, StoreError> {
        Ok(bounded(find(self, code, Whose::Anybody)).await?)
    }
}

/// Who may have signed in.
#[derive(Clone, Copy)]
enum Whose {
    Tenant(TenantId),
    /// Nobody did.
    Strangers,
    Anybody,
}

/// Writes sessions; gives the codes that are others'.
async fn keep(
    connection: &mut PgConnection,
    sessions: &[Session],
) -> Result<Vec<SessionCode>, Fault> {
    let codes: Vec<String> = sessions.iter().map(|s| s.code.to_string()).collect();
    let began: Vec<i64> = sessions.iter().map(|s| s.started_at.as_micros()).collect();
    let tenants: Vec<Option<Uuid>> = sessions
        .iter()
        .map(|session| session.tenant.map(TenantId::uuid))
        .collect();
    let records: Vec<String> = sessions.iter().map(json).collect::<Result<_, Fault>>()?;
    // Index sessions (primary key). In one order for all: so nobody waits in a circle.
    let kept: Vec<String> = sqlx::query_scalar(
        "INSERT INTO sessions (code, started_at, tenant, record)
         SELECT x.code, x.started_at, x.tenant, x.record
         FROM unnest($1::text[], $2::bigint[], $3::uuid[], $4::text[])
             AS x (code, started_at, tenant, record)
         ORDER BY x.code COLLATE \"C\"
         ON CONFLICT (code) DO UPDATE SET tenant = excluded.tenant, record = excluded.record
         WHERE sessions.started_at = excluded.started_at
         RETURNING code",
    )
    .bind(codes)
    .bind(began)
    .bind(tenants)
    .bind(records)
    .fetch_all(connection)
    .await?;
    let codes = sessions.iter().map(|session| session.code);
    Ok(codes
        .filter(|code| !kept.contains(&code.to_string()))
        .collect())
}

async fn find(
    store: &PostgresStore,
    code: SessionCode,
    whose: Whose,
) -> Result<Option<Session>, Fault> {
    let mut connection = store.lend().await?;
    // Index sessions (primary key).
    let query = match whose {
        Whose::Tenant(tenant) => {
            sqlx::query_scalar("SELECT record FROM sessions WHERE code = $1 AND tenant = $2")
                .bind(code.to_string())
                .bind(tenant.uuid())
        }
        Whose::Strangers => {
            sqlx::query_scalar("SELECT record FROM sessions WHERE code = $1 AND tenant IS NULL")
                .bind(code.to_string())
        }
        Whose::Anybody => {
            sqlx::query_scalar("SELECT record FROM sessions WHERE code = $1").bind(code.to_string())
        }
    };
    let record: Option<String> = query.fetch_optional(&mut *connection).await?;
    connection.back();
    let place = Place {
        table: "sessions",
        id: Uuid::nil(),
    };
    record
        .map(|record| place.json("record", &record))
        .transpose()
}
