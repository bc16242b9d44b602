//! Keys, written inside a verb's transaction.

use postrider_model::{Authority, Credential, CredentialId, CredentialStatus, TenantId, Timestamp};
use postrider_store::Stands;
use sqlx::SqliteConnection;

use crate::directory::{found, taken};
use crate::fault::Fault;
use crate::rows::json;

pub(crate) async fn insert(
    connection: &mut SqliteConnection,
    credential: &Credential,
) -> Result<(), Fault> {
    sqlx::query(
        "INSERT INTO credentials (id, tenant, kind, user_name, prefix, hash, note, status,
             networks, per_day, expires_at, defaults, unknown_reply_to, skips_duplicates,
             is_test, is_enrolled, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)",
    )
    .bind(credential.id.as_bytes().as_slice())
    .bind(credential.tenant.as_bytes().as_slice())
    .bind(credential.kind.as_str())
    .bind(&credential.user)
    .bind(&credential.prefix)
    .bind(credential.hash.as_slice())
    .bind(&credential.note)
    .bind(credential.status.as_str())
    .bind(json(&credential.networks)?)
    .bind(credential.per_day)
    .bind(credential.expires_at.map(Timestamp::as_micros))
    .bind(json(&credential.defaults)?)
    .bind(credential.unknown_reply_to.as_str())
    .bind(credential.skips_duplicates)
    .bind(credential.is_test)
    .bind(credential.is_enrolled)
    .bind(credential.created_at.as_micros())
    .execute(connection)
    .await
    .map_err(taken("key"))?;
    Ok(())
}

/// What may be changed of a key once it is handed out.
pub(crate) async fn change(
    connection: &mut SqliteConnection,
    credential: &Credential,
) -> Result<(), Fault> {
    // Index credentials (primary key).
    let changed = sqlx::query(
        "UPDATE credentials SET note = ?3, networks = ?4, per_day = ?5, expires_at = ?6,
             defaults = ?7, unknown_reply_to = ?8, skips_duplicates = ?9
         WHERE tenant = ?1 AND id = ?2",
    )
    .bind(credential.tenant.as_bytes().as_slice())
    .bind(credential.id.as_bytes().as_slice())
    .bind(&credential.note)
    .bind(json(&credential.networks)?)
    .bind(credential.per_day)
    .bind(credential.expires_at.map(Timestamp::as_micros))
    .bind(json(&credential.defaults)?)
    .bind(credential.unknown_reply_to.as_str())
    .bind(credential.skips_duplicates)
    .execute(connection)
    .await?;
    found(changed.rows_affected(), "key")
}

/// Closes a key for a while, or opens it again; a revoked one stays closed, and what the operator
/// closed is not a vendor's to open.
pub(crate) async fn set_status(
    connection: &mut SqliteConnection,
    (tenant, id): (TenantId, CredentialId),
    status: CredentialStatus,
    by: Authority,
) -> Result<(), Fault> {
    // Index credentials (primary key).
    let was: Option<(String, Option<String>)> =
        sqlx::query_as("SELECT status, stopped_by FROM credentials WHERE tenant = ?1 AND id = ?2")
            .bind(tenant.as_bytes().as_slice())
            .bind(id.as_bytes().as_slice())
            .fetch_optional(&mut *connection)
            .await?;
    let (was, stopped_by) = was.ok_or(Fault::NotFound("key"))?;
    if was == CredentialStatus::Revoked.as_str() {
        return Err(Fault::Rejected("the key is revoked, for good".to_owned()));
    }
    let is_stopped = was == CredentialStatus::Suspended.as_str();
    let stops = status == CredentialStatus::Suspended;
    let stands = Stands {
        is_stopped,
        stopped_by,
    };
    let Some(stopped_by) = stands.becomes(stops, by, "key").map_err(Fault::Rejected)? else {
        return Ok(());
    };
    // Index credentials (primary key).
    let changed = sqlx::query(
        "UPDATE credentials SET status = ?3, stopped_by = ?4
         WHERE tenant = ?1 AND id = ?2 AND status <> 'revoked'",
    )
    .bind(tenant.as_bytes().as_slice())
    .bind(id.as_bytes().as_slice())
    .bind(status.as_str())
    .bind(stopped_by.map(Authority::as_str))
    .execute(connection)
    .await?;
    found(changed.rows_affected(), "key")
}
