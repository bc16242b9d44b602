//! The sessions port: what was said at the door.

use async_trait::async_trait;
use postrider_model::{Session, SessionCode, TenantId};
use postrider_store::{Sessions, StoreError};
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};

use crate::SqliteStore;
use crate::fault::Fault;
use crate::intake::chunks;
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

/// Writes sessions; gives the codes that are others'.
async fn keep(
    connection: &mut SqliteConnection,
    sessions: &[Session],
) -> Result<Vec<SessionCode>, Fault> {
    let records = sessions.iter().map(|session| Ok((session, json(session)?)));
    let rows: Vec<(&Session, String)> = records.collect::<Result<_, Fault>>()?;
    let mut kept: Vec<String> = Vec::with_capacity(rows.len());
    // A record is long: as it is, and not within other JSON that would be taken apart again.
    for chunk in chunks(&rows, |(_, record)| record.len()) {
        let mut insert =
            QueryBuilder::<Sqlite>::new("INSERT INTO sessions (code, started_at, tenant, record) ");
        insert.push_values(chunk, |mut row, (session, record)| {
            row.push_bind(session.code.to_string())
                .push_bind(session.started_at.as_micros())
                .push_bind(session.tenant.map(|tenant| tenant.as_bytes().to_vec()))
                .push_bind(record.as_str());
        });
        // Index sessions (primary key).
        insert.push(
            " ON CONFLICT (code) DO UPDATE SET tenant = excluded.tenant, record = excluded.record
             WHERE sessions.started_at = excluded.started_at
             RETURNING code",
        );
        let of_chunk = insert.build_query_scalar();
        kept.extend(of_chunk.fetch_all(&mut *connection).await?);
    }
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
