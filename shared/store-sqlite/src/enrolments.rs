//! The port of enrolment.

use async_trait::async_trait;
use postrider_model::{EmailAddress, TenantId, Timestamp};
use postrider_store::{Enrolments, StoreError};
use sqlx::SqliteConnection;

use crate::SqliteStore;
use crate::fault::Fault;

#[async_trait]
impl Enrolments for SqliteStore {
    async fn use_token(
        &self,
        tenant: TenantId,
        issued_at: Timestamp,
        reply_to: &EmailAddress,
    ) -> Result<bool, StoreError> {
        let folded = reply_to.folded();
        self.writer()
            .alone(move |connection| {
                Box::pin(async move { used(connection, tenant, issued_at, &folded).await })
            })
            .await
    }
}

async fn used(
    connection: &mut SqliteConnection,
    tenant: TenantId,
    issued_at: Timestamp,
    folded: &str,
) -> Result<bool, Fault> {
    // Index enrolments (primary key). No tenant, no row.
    let written = sqlx::query(
        "INSERT INTO enrolments AS e (tenant, issued_at, reply_to)
         SELECT id, ?2, ?3 FROM tenants WHERE id = ?1
         ON CONFLICT (tenant) DO UPDATE
         SET issued_at = excluded.issued_at, reply_to = excluded.reply_to
         WHERE excluded.issued_at > e.issued_at
            OR (excluded.issued_at = e.issued_at AND excluded.reply_to = e.reply_to)",
    )
    .bind(tenant.as_bytes().as_slice())
    .bind(issued_at.as_micros())
    .bind(folded)
    .execute(connection)
    .await?;
    Ok(written.rows_affected() == 1)
}
