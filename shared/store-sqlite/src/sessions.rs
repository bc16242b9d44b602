//! The sessions port: what was said at the door.

use async_trait::async_trait;
use postrider_model::{Session, SessionCode, TenantId};
use postrider_store::{Sessions, StoreError};
use serde::Serialize;
use sqlx::SqliteConnection;

use crate::SqliteStore;
use crate::fault::Fault;
use crate::rows::{Place, json};

#[async_trait]
impl Sessions for SqliteStore {
    async fn keep(&self, sessions: Vec<Session>) -> Result<Vec<SessionCode>, StoreError> {
        self.writer()
            .alone(move |connection| Box::pin(async move { keep(connection, &sessions).await }))
            .await
    }

    async fn session(
        &self,
        tenant: TenantId,
        code: SessionCode,
    ) -> Result<Option<Session>, StoreError> {
        Ok(find(self, code, Whose::Tenant(tenant)).await?)
    }

    async fn strangers_session(&self, code: SessionCode) -> Result<Option<Session>, StoreError> {
        Ok(find(self, code, Whose::Strangers).await?)
    }

    async fn any_session(&self, code: SessionCode) -> Result<Option<Session>, StoreError> {
        Ok(find(self, code, Whose::Anybody).await?)
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

#[derive(Serialize)]
struct Row<'s> {
    code: SessionCode,
    started_at: i64,
    tenant: Option<TenantId>,
    record: &'s Session,
}

/// Writes sessions; gives the codes that are others'.
async fn keep(
    connection: &mut SqliteConnection,
    sessions: &[Session],
) -> Result<Vec<SessionCode>, Fault> {
    let rows: Vec<Row<'_>> = sessions
        .iter()
        .map(|session| Row {
            code: session.code,
            started_at: session.started_at.as_micros(),
            tenant: session.tenant,
            record: session,
        })
        .collect();
    // Index sessions (primary key).
    let kept: Vec<String> = sqlx::query_scalar(
        "INSERT INTO sessions (code, started_at, tenant, record)
         WITH x AS MATERIALIZED (SELECT value FROM json_each(?1))
         SELECT value ->> 'code', value ->> 'started_at', unhex(value ->> 'tenant', '-'),
             value -> 'record'
         FROM x WHERE true
         ON CONFLICT (code) DO UPDATE SET tenant = excluded.tenant, record = excluded.record
         WHERE sessions.started_at = excluded.started_at
         RETURNING code",
    )
    .bind(json(&rows)?)
    .fetch_all(connection)
    .await?;
    let codes = sessions.iter().map(|session| session.code);
    Ok(codes
        .filter(|code| !kept.contains(&code.to_string()))
        .collect())
}

async fn find(
    store: &SqliteStore,
    code: SessionCode,
    whose: Whose,
) -> Result<Option<Session>, Fault> {
    let code = code.to_string();
    // Index sessions (primary key).
    let query = match whose {
        Whose::Tenant(tenant) => {
            sqlx::query_scalar("SELECT record FROM sessions WHERE code = ?1 AND tenant = ?2")
                .bind(&code)
                .bind(tenant.as_bytes().to_vec())
        }
        Whose::Strangers => {
            sqlx::query_scalar("SELECT record FROM sessions WHERE code = ?1 AND tenant IS NULL")
                .bind(&code)
        }
        Whose::Anybody => {
            sqlx::query_scalar("SELECT record FROM sessions WHERE code = ?1").bind(&code)
        }
    };
    let record: Option<String> = query.fetch_optional(store.readers()).await?;
    let place = Place {
        table: "sessions",
        id: code.as_bytes(),
    };
    record
        .map(|record| place.json("record", &record))
        .transpose()
}
