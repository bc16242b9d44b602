//! A tenant's limits: read with who gave them, and written inside a verb's transaction.

use postrider_model::{Authority, Tenant, TenantId, Vendor};
use postrider_store::{NewLimits, TenantLimits};
use sqlx::SqliteConnection;

use crate::directory::found;
use crate::fault::Fault;
use crate::rows::{Place, json};
use crate::snapshot::TenantRow;
use crate::vendors::VendorRow;

/// Where they stand.
pub(crate) async fn read(
    connection: &mut SqliteConnection,
    tenant: TenantId,
) -> Result<TenantLimits, Fault> {
    // Index tenants (primary key).
    let row: Option<TenantRow> = sqlx::query_as("SELECT * FROM tenants WHERE id = ?1")
        .bind(tenant.as_bytes().as_slice())
        .fetch_optional(&mut *connection)
        .await?;
    let known = Tenant::try_from(row.ok_or(Fault::NotFound("tenant"))?)?;
    // Index tenants (primary key).
    let operators: Option<String> =
        sqlx::query_scalar("SELECT operators_limits FROM tenants WHERE id = ?1")
            .bind(tenant.as_bytes().as_slice())
            .fetch_one(&mut *connection)
            .await?;
    // Index vendors (primary key).
    let vendor: VendorRow = sqlx::query_as("SELECT * FROM vendors WHERE id = ?1")
        .bind(known.vendor.as_bytes().as_slice())
        .fetch_one(connection)
        .await?;
    let place = Place {
        table: "tenants",
        id: tenant.as_bytes(),
    };
    let operators = operators.map(|text| place.json("operators_limits", &text));
    Ok(TenantLimits {
        now: known.limits,
        operators: operators.transpose()?.unwrap_or_default(),
        vendors: Vendor::try_from(vendor)?.tenant_limits,
    })
}

/// Gives a tenant other limits, as far as who does may.
pub(crate) async fn set(
    connection: &mut SqliteConnection,
    tenant: TenantId,
    wished: NewLimits,
    by: Authority,
) -> Result<(), Fault> {
    let was = read(connection, tenant).await?;
    let stands = was.with(wished, by).map_err(Fault::Rejected)?;
    let TenantLimits { now, operators, .. } = stands;
    let operators = (operators != NewLimits::default())
        .then(|| json(&operators))
        .transpose()?;
    // Index tenants (primary key).
    let changed = sqlx::query(
        "UPDATE tenants SET requests_per_second = ?2, per_minute = ?3, burst = ?4,
             bulk_per_minute = ?5, connections = ?6, per_day = ?7, per_month = ?8,
             operators_limits = ?9
         WHERE id = ?1",
    )
    .bind(tenant.as_bytes().as_slice())
    .bind(now.requests_per_second)
    .bind(now.per_minute)
    .bind(now.burst)
    .bind(now.bulk_per_minute)
    .bind(now.connections)
    .bind(now.per_day)
    .bind(now.per_month)
    .bind(operators)
    .execute(connection)
    .await?;
    found(changed.rows_affected(), "tenant")
}
