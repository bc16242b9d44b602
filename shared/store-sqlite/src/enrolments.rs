//! The port of enrolment.

use async_trait::async_trait;
use postrider_model::{EmailAddress, TenantId, Timestamp};
use postrider_store::{
    Enrolment, Enrolments, Letters, StoreError, TenantChange, TokenStands, UsedToken,
};
use sqlx::SqliteConnection;

use crate::SqliteStore;
use crate::fault::Fault;
use crate::{generation, tenants, updates};

#[async_trait]
impl Enrolments for SqliteStore {
    async fn use_token(&self, used: UsedToken) -> Result<TokenStands, StoreError> {
        self.writer()
            .alone(move |connection| Box::pin(async move { use_token(connection, &used).await }))
            .await
    }

    async fn last_token(&self, tenant: TenantId) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.read_last_token(tenant).await?)
    }

    async fn letters_to(&self, address: &EmailAddress) -> Result<Option<Letters>, StoreError> {
        Ok(self.read_letters(&address.folded()).await?)
    }
}

impl SqliteStore {
    async fn read_last_token(&self, tenant: TenantId) -> Result<Option<Timestamp>, Fault> {
        // Index enrolments (primary key).
        let at: Option<i64> =
            sqlx::query_scalar("SELECT issued_at FROM enrolments WHERE tenant = ?1")
                .bind(tenant.as_bytes().as_slice())
                .fetch_optional(self.readers())
                .await?;
        Ok(at.map(Timestamp::from_micros))
    }

    async fn read_letters(&self, folded: &str) -> Result<Option<Letters>, Fault> {
        // Index asked (primary key).
        let row: Option<(i64, i32, i32)> =
            sqlx::query_as("SELECT at, letters, in_a_row FROM asked WHERE address = ?1")
                .bind(folded)
                .fetch_optional(self.readers())
                .await?;
        Ok(row.map(|(at, letters, in_a_row)| Letters {
            last_at: Timestamp::from_micros(at),
            that_day: letters.unsigned_abs(),
            in_a_row: in_a_row.unsigned_abs(),
        }))
    }
}

async fn use_token(
    connection: &mut SqliteConnection,
    used: &UsedToken,
) -> Result<TokenStands, Fault> {
    let (tenant, enrolment) = (used.tenant, &used.enrolment);
    match tenants::is_there(connection, tenant).await {
        Err(Fault::NotFound(_)) => return Ok(TokenStands::Older),
        there => there?,
    }
    // Index enrolments (primary key).
    let last: Option<(i64, String)> =
        sqlx::query_as("SELECT issued_at, reply_to FROM enrolments WHERE tenant = ?1")
            .bind(tenant.as_bytes().as_slice())
            .fetch_optional(&mut *connection)
            .await?;
    let last = last.as_ref();
    let last = last.map(|(at, to)| (Timestamp::from_micros(*at), to.as_str()));
    let stands = enrolment.stands(last);
    if stands != TokenStands::Newer {
        return Ok(stands);
    }
    remember(connection, tenant, enrolment).await?;
    if let Some(update) = &used.update {
        updates::update_tenant(connection, update).await?;
    }
    let is_changed = used.change != TenantChange::default();
    if is_changed {
        tenants::change(connection, tenant, used.change).await?;
    }
    if is_changed || used.update.is_some() {
        generation::raise(connection, &[tenant]).await?;
    }
    Ok(stands)
}

/// Writes down which token a tenant was enrolled with, in the place of the last one.
pub(crate) async fn remember(
    connection: &mut SqliteConnection,
    tenant: TenantId,
    enrolment: &Enrolment,
) -> Result<(), Fault> {
    // Index enrolments (primary key).
    sqlx::query(
        "INSERT INTO enrolments (tenant, issued_at, reply_to) VALUES (?1, ?2, ?3)
         ON CONFLICT (tenant) DO UPDATE
         SET issued_at = excluded.issued_at, reply_to = excluded.reply_to",
    )
    .bind(tenant.as_bytes().as_slice())
    .bind(enrolment.issued_at.as_micros())
    .bind(enrolment.reply_to.folded())
    .execute(connection)
    .await?;
    Ok(())
}
