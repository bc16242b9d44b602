//! Tenants, written inside a verb's transaction.

use postrider_model::{
    Authority, EmailAddress, Language, Licence, Plan, Ramp, Tenant, TenantId, TenantStatus,
};
use postrider_store::{LICENCE, NewTenant, Stands, TenantChange};
use sqlx::PgConnection;

use crate::directory::{found, taken};
use crate::fault::Fault;
use crate::rows::Id as _;
use crate::{credentials, enrolments, generation, reply_addresses, vendors};

pub(crate) async fn is_there(connection: &mut PgConnection, tenant: TenantId) -> Result<(), Fault> {
    // Index tenants (primary key).
    let there: Option<i32> = sqlx::query_scalar("SELECT 1 FROM tenants WHERE id = $1")
        .bind(tenant.uuid())
        .fetch_optional(connection)
        .await?;
    there.map(|_| ()).ok_or(Fault::NotFound("tenant"))
}

/// Against others that count what this tenant has, until the end of the transaction.
pub(crate) async fn lock(connection: &mut PgConnection, tenant: TenantId) -> Result<(), Fault> {
    // Index tenants (primary key).
    let there: Option<i32> =
        sqlx::query_scalar("SELECT 1 FROM tenants WHERE id = $1 FOR NO KEY UPDATE")
            .bind(tenant.uuid())
            .fetch_optional(connection)
            .await?;
    there.map(|_| ()).ok_or(Fault::NotFound("tenant"))
}

pub(crate) async fn add(connection: &mut PgConnection, new: &NewTenant) -> Result<(), Fault> {
    let tenant = &new.tenant;
    vendors::is_there(connection, tenant.vendor).await?;
    take_name(connection, "slug", &tenant.slug, "slug").await?;
    take_name(connection, "from", &tenant.from.folded(), "From address").await?;
    insert(connection, tenant).await?;
    reply_addresses::insert(connection, &new.reply_address).await?;
    for credential in &new.credentials {
        credentials::insert(connection, credential).await?;
    }
    if let Some(enrolment) = &new.enrolment {
        enrolments::remember(connection, tenant.id, enrolment).await?;
    }
    Ok(())
}

/// Writes a name down for good: it outlives its tenant.
async fn take_name(
    connection: &mut PgConnection,
    kind: &'static str,
    name: &str,
    what: &'static str,
) -> Result<(), Fault> {
    sqlx::query("INSERT INTO names (kind, name) VALUES ($1, $2)")
        .bind(kind)
        .bind(name)
        .execute(connection)
        .await
        .map_err(taken(what))?;
    Ok(())
}

async fn insert(connection: &mut PgConnection, tenant: &Tenant) -> Result<(), Fault> {
    sqlx::query(
        "INSERT INTO tenants (id, name, slug, from_address, reply_to, status,
             requests_per_second, per_minute, burst, bulk_per_minute, connections, per_day,
             per_month, language, own_domain, ramp_since, ramp_per_day, ramp_decided, is_house,
             notices, created_at, vendor, licence, plan, next_reply_to)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18,
             $19, $20, $21, $22, $23, $24, $25)",
    )
    .bind(tenant.id.uuid())
    .bind(&tenant.name)
    .bind(&tenant.slug)
    .bind(tenant.from.to_string())
    .bind(tenant.reply_to.to_string())
    .bind(tenant.status.as_str())
    .bind(i64::from(tenant.limits.requests_per_second))
    .bind(i64::from(tenant.limits.per_minute))
    .bind(i64::from(tenant.limits.burst))
    .bind(i64::from(tenant.limits.bulk_per_minute))
    .bind(i64::from(tenant.limits.connections))
    .bind(i64::from(tenant.limits.per_day))
    .bind(i64::from(tenant.limits.per_month))
    .bind(tenant.language.as_str())
    .bind(tenant.own_domain)
    .bind(tenant.ramp.since.as_micros())
    .bind(i64::from(tenant.ramp.per_day))
    .bind(tenant.ramp.decided)
    .bind(tenant.is_house)
    .bind(tenant.notices)
    .bind(tenant.created_at.as_micros())
    .bind(tenant.vendor.uuid())
    .bind(tenant.licence.as_ref().map(Licence::as_str))
    .bind(tenant.plan.as_ref().map(Plan::as_str))
    .bind(tenant.next_reply_to.as_ref().map(EmailAddress::to_string))
    .execute(connection)
    .await
    .map_err(taken_tenant)?;
    Ok(())
}

fn taken_tenant(error: sqlx::Error) -> Fault {
    let is_licence = error
        .as_database_error()
        .is_some_and(|error| error.constraint() == Some("tenants_licence"));
    taken(if is_licence { LICENCE } else { "tenant" })(error)
}

/// Opens or closes the doors and the queue. What the operator closed is not a vendor's to open.
pub(crate) async fn set_status(
    connection: &mut PgConnection,
    tenant: TenantId,
    status: TenantStatus,
    by: Authority,
) -> Result<(), Fault> {
    // Index tenants (primary key).
    let was: Option<(String, Option<String>)> =
        sqlx::query_as("SELECT status, stopped_by FROM tenants WHERE id = $1 FOR NO KEY UPDATE")
            .bind(tenant.uuid())
            .fetch_optional(&mut *connection)
            .await?;
    let (was, stopped_by) = was.ok_or(Fault::NotFound("tenant"))?;
    let is_stopped = was == TenantStatus::Suspended.as_str();
    let stops = status == TenantStatus::Suspended;
    let stands = Stands {
        is_stopped,
        stopped_by,
    };
    let Some(stopped_by) = stands
        .becomes(stops, by, "tenant")
        .map_err(Fault::Rejected)?
    else {
        return Ok(());
    };
    // Index tenants (primary key).
    let changed = sqlx::query("UPDATE tenants SET status = $2, stopped_by = $3 WHERE id = $1")
        .bind(tenant.uuid())
        .bind(status.as_str())
        .bind(stopped_by.map(Authority::as_str))
        .execute(connection)
        .await?;
    found(changed.rows_affected(), "tenant")
}

pub(crate) async fn change(
    connection: &mut PgConnection,
    tenant: TenantId,
    change: TenantChange,
) -> Result<(), Fault> {
    // Index tenants (primary key).
    let changed = sqlx::query(
        "UPDATE tenants SET language = coalesce($2, language),
             own_domain = coalesce($3, own_domain), notices = coalesce($4, notices),
             plan = CASE WHEN $5 THEN NULL ELSE plan END
         WHERE id = $1",
    )
    .bind(tenant.uuid())
    .bind(change.language.map(Language::as_str))
    .bind(change.own_domain)
    .bind(change.notices)
    .bind(change.without_plan)
    .execute(connection)
    .await?;
    found(changed.rows_affected(), "tenant")
}

/// Puts one ramp in the place of another, if it is that.
pub(crate) async fn change_ramp(
    connection: &mut PgConnection,
    tenant: TenantId,
    (was, ramp): (Ramp, Ramp),
) -> Result<bool, Fault> {
    is_there(connection, tenant).await?;
    // Index tenants (primary key).
    let changed = sqlx::query(
        "UPDATE tenants SET ramp_since = $2, ramp_per_day = $3, ramp_decided = $4
         WHERE id = $1 AND ramp_since = $5 AND ramp_per_day = $6 AND ramp_decided = $7",
    )
    .bind(tenant.uuid())
    .bind(ramp.since.as_micros())
    .bind(i64::from(ramp.per_day))
    .bind(ramp.decided)
    .bind(was.since.as_micros())
    .bind(i64::from(was.per_day))
    .bind(was.decided)
    .execute(&mut *connection)
    .await?;
    if changed.rows_affected() == 0 {
        return Ok(false);
    }
    generation::raise(connection, &[tenant]).await?;
    Ok(true)
}
