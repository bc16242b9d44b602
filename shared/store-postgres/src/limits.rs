//! A tenant's limits: read with who gave them, and written inside a verb's transaction.

use postrider_model::{Authority, Tenant, TenantId, Vendor};
use postrider_store::{NewLimits, TenantLimits};
use sqlx::PgConnection;

use crate::directory::found;
use crate::fault::Fault;
use crate::rows::{Id, Place, json};
use crate::snapshot::TenantRow;
use crate::tenants;
use crate::vendors::VendorRow;

/// Where they stand.
pub(crate) async fn read(
    connection: &mut PgConnection,
    tenant: TenantId,
) -> Result<TenantLimits, Fault> {
    // Index tenants (primary key).
    let row: Option<TenantRow> = sqlx::query_as("SELECT * FROM tenants WHERE id = $1")
        .bind(tenant.uuid())
        .fetch_optional(&mut *connection)
        .await?;
    let known = Tenant::try_from(row.ok_or(Fault::NotFound("tenant"))?)?;
    // Index tenants (primary key).
    let operators: Option<Option<String>> =
        sqlx::query_scalar("SELECT operators_limits FROM tenants WHERE id = $1")
            .bind(tenant.uuid())
            .fetch_optional(&mut *connection)
            .await?;
    // Index vendors (primary key).
    let vendor: VendorRow = sqlx::query_as("SELECT * FROM vendors WHERE id = $1")
        .bind(known.vendor.uuid())
        .fetch_one(connection)
        .await?;
    let place = Place {
        table: "tenants",
        id: tenant.uuid(),
    };
    let operators = operators.ok_or(Fault::NotFound("tenant"))?;
    let operators = operators.map(|text| place.json("operators_limits", &text));
    Ok(TenantLimits {
        now: known.limits,
        operators: operators.transpose()?.unwrap_or_default(),
        vendors: Vendor::try_from(vendor)?.tenant_limits,
    })
}

/// Gives a tenant other limits, as far as who does may.
pub(crate) async fn set(
    connection: &mut PgConnection,
    tenant: TenantId,
    wished: NewLimits,
    by: Authority,
) -> Result<(), Fault> {
    // Against another who gives it limits at the same time.
    tenants::lock(connection, tenant).await?;
    let was = read(connection, tenant).await?;
    let stands = was.with(wished, by).map_err(Fault::Rejected)?;
    let TenantLimits { now, operators, .. } = stands;
    let operators = (operators != NewLimits::default())
        .then(|| json(&operators))
        .transpose()?;
    // Index tenants (primary key).
    let changed = sqlx::query(
        "UPDATE tenants SET requests_per_second = $2, per_minute = $3, burst = $4,
             bulk_per_minute = $5, connections = $6, per_day = $7, per_month = $8,
             operators_limits = $9
         WHERE id = $1",
    )
    .bind(tenant.uuid())
    .bind(i64::from(now.requests_per_second))
    .bind(i64::from(now.per_minute))
    .bind(i64::from(now.burst))
    .bind(i64::from(now.bulk_per_minute))
    .bind(i64::from(now.connections))
    .bind(i64::from(now.per_day))
    .bind(i64::from(now.per_month))
    .bind(operators)
    .execute(connection)
    .await?;
    found(changed.rows_affected(), "tenant")
}
