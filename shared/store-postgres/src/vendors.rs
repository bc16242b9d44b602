//! Vendors, their keys and the tokens of the admin API, written inside a verb's transaction and
//! read.

use postrider_model::{
    AdminRole, AdminToken, AdminTokenId, EmailAddress, KeyStatus, Limits, Timestamp, Vendor,
    VendorId, VendorKey, VendorStatus,
};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::directory::{found, taken};
use crate::fault::Fault;
use crate::rows::{Id as _, Place, json};

pub(crate) async fn is_there(connection: &mut PgConnection, vendor: VendorId) -> Result<(), Fault> {
    // Index vendors (primary key).
    let there: Option<i32> = sqlx::query_scalar("SELECT 1 FROM vendors WHERE id = $1")
        .bind(vendor.uuid())
        .fetch_optional(connection)
        .await?;
    there.map(|_| ()).ok_or(Fault::NotFound("vendor"))
}

pub(crate) async fn add(connection: &mut PgConnection, vendor: &Vendor) -> Result<(), Fault> {
    sqlx::query(
        "INSERT INTO vendors (id, slug, name, contact, status, per_day, requests_per_second,
             per_minute, burst, bulk_per_minute, connections, tenant_per_day, per_month,
             languages, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
    )
    .bind(vendor.id.uuid())
    .bind(&vendor.slug)
    .bind(&vendor.name)
    .bind(vendor.contact.as_ref().map(EmailAddress::to_string))
    .bind(vendor.status.as_str())
    .bind(i64::from(vendor.per_day))
    .bind(i64::from(vendor.tenant_limits.requests_per_second))
    .bind(i64::from(vendor.tenant_limits.per_minute))
    .bind(i64::from(vendor.tenant_limits.burst))
    .bind(i64::from(vendor.tenant_limits.bulk_per_minute))
    .bind(i64::from(vendor.tenant_limits.connections))
    .bind(i64::from(vendor.tenant_limits.per_day))
    .bind(i64::from(vendor.tenant_limits.per_month))
    .bind(json(&vendor.languages)?)
    .bind(vendor.created_at.as_micros())
    .execute(connection)
    .await
    .map_err(taken("vendor"))?;
    Ok(())
}

/// What may be changed of a vendor. Where a daily volume begins today, what its tenants have used
/// of the day counts.
pub(crate) async fn change(
    connection: &mut PgConnection,
    vendor: &Vendor,
    at: Timestamp,
) -> Result<(), Fault> {
    let limits = vendor.tenant_limits;
    // Index vendors (primary key).
    let changed = sqlx::query(
        "UPDATE vendors SET name = $2, contact = $3, per_day = $4, requests_per_second = $5,
             per_minute = $6, burst = $7, bulk_per_minute = $8, connections = $9,
             tenant_per_day = $10, per_month = $11, languages = $12
         WHERE id = $1",
    )
    .bind(vendor.id.uuid())
    .bind(&vendor.name)
    .bind(vendor.contact.as_ref().map(EmailAddress::to_string))
    .bind(i64::from(vendor.per_day))
    .bind(i64::from(limits.requests_per_second))
    .bind(i64::from(limits.per_minute))
    .bind(i64::from(limits.burst))
    .bind(i64::from(limits.bulk_per_minute))
    .bind(i64::from(limits.connections))
    .bind(i64::from(limits.per_day))
    .bind(i64::from(limits.per_month))
    .bind(json(&vendor.languages)?)
    .execute(&mut *connection)
    .await?;
    found(changed.rows_affected(), "vendor")?;
    if vendor.per_day > 0 {
        count_day(connection, vendor.id, at.day()).await?;
    }
    Ok(())
}

async fn count_day(connection: &mut PgConnection, vendor: VendorId, day: i64) -> Result<(), Fault> {
    // Indexes tenants_vendor, usage and vendor_usage (primary keys).
    sqlx::query(
        "INSERT INTO vendor_usage (vendor, day, accepted)
         SELECT $1, $2, coalesce(sum(u.accepted), 0)::bigint
         FROM tenants AS t JOIN usage AS u ON u.tenant = t.id AND u.day = $2
         WHERE t.vendor = $1
         ON CONFLICT (vendor, day) DO UPDATE SET accepted = excluded.accepted",
    )
    .bind(vendor.uuid())
    .bind(day)
    .execute(connection)
    .await?;
    Ok(())
}

pub(crate) async fn set_status(
    connection: &mut PgConnection,
    vendor: VendorId,
    status: VendorStatus,
) -> Result<(), Fault> {
    // Index vendors (primary key).
    let changed = sqlx::query("UPDATE vendors SET status = $2 WHERE id = $1")
        .bind(vendor.uuid())
        .bind(status.as_str())
        .execute(connection)
        .await?;
    found(changed.rows_affected(), "vendor")
}

pub(crate) async fn add_key(connection: &mut PgConnection, key: &VendorKey) -> Result<(), Fault> {
    is_there(connection, key.vendor).await?;
    sqlx::query(
        "INSERT INTO vendor_keys (kid, vendor, public_key, status, created_at)
         VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(&key.kid)
    .bind(key.vendor.uuid())
    .bind(key.public_key.as_slice())
    .bind(key.status.as_str())
    .bind(key.created_at.as_micros())
    .execute(connection)
    .await
    .map_err(taken("key"))?;
    Ok(())
}

pub(crate) async fn revoke_key(
    connection: &mut PgConnection,
    vendor: VendorId,
    kid: &str,
) -> Result<(), Fault> {
    // Index vendor_keys (primary key).
    let changed =
        sqlx::query("UPDATE vendor_keys SET status = 'revoked' WHERE vendor = $1 AND kid = $2")
            .bind(vendor.uuid())
            .bind(kid)
            .execute(connection)
            .await?;
    found(changed.rows_affected(), "key")
}

pub(crate) async fn add_token(
    connection: &mut PgConnection,
    token: &AdminToken,
) -> Result<(), Fault> {
    if let Some(vendor) = token.vendor {
        is_there(connection, vendor).await?;
    }
    sqlx::query(
        "INSERT INTO admin_tokens (id, hash, role, vendor, note, status, created_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(token.id.uuid())
    .bind(token.hash.as_slice())
    .bind(token.role.as_str())
    .bind(token.vendor.map(VendorId::uuid))
    .bind(&token.note)
    .bind(token.status.as_str())
    .bind(token.created_at.as_micros())
    .bind(token.expires_at.map(Timestamp::as_micros))
    .execute(connection)
    .await
    .map_err(taken("token"))?;
    Ok(())
}

pub(crate) async fn revoke_token(
    connection: &mut PgConnection,
    token: AdminTokenId,
) -> Result<(), Fault> {
    // Index admin_tokens (primary key).
    let changed = sqlx::query("UPDATE admin_tokens SET status = 'revoked' WHERE id = $1")
        .bind(token.uuid())
        .execute(connection)
        .await?;
    found(changed.rows_affected(), "token")
}

#[derive(sqlx::FromRow)]
pub(crate) struct VendorRow {
    id: Uuid,
    slug: String,
    name: String,
    contact: Option<String>,
    status: String,
    per_day: i64,
    requests_per_second: i64,
    per_minute: i64,
    burst: i64,
    bulk_per_minute: i64,
    connections: i64,
    tenant_per_day: i64,
    per_month: i64,
    languages: String,
    created_at: i64,
}

impl TryFrom<VendorRow> for Vendor {
    type Error = Fault;

    fn try_from(row: VendorRow) -> Result<Self, Fault> {
        let place = Place {
            table: "vendors",
            id: row.id,
        };
        Ok(Self {
            id: VendorId::of(row.id),
            slug: row.slug,
            name: row.name,
            contact: place.given("contact", row.contact.as_deref(), EmailAddress::parse)?,
            status: place.cell("status", VendorStatus::parse(&row.status))?,
            per_day: place.number("per_day", row.per_day)?,
            tenant_limits: Limits {
                requests_per_second: place
                    .number("requests_per_second", row.requests_per_second)?,
                per_minute: place.number("per_minute", row.per_minute)?,
                burst: place.number("burst", row.burst)?,
                bulk_per_minute: place.number("bulk_per_minute", row.bulk_per_minute)?,
                connections: place.number("connections", row.connections)?,
                per_day: place.number("tenant_per_day", row.tenant_per_day)?,
                per_month: place.number("per_month", row.per_month)?,
            },
            languages: place.json("languages", &row.languages)?,
            created_at: Timestamp::from_micros(row.created_at),
        })
    }
}

#[derive(sqlx::FromRow)]
pub(crate) struct VendorKeyRow {
    kid: String,
    vendor: Uuid,
    public_key: Vec<u8>,
    status: String,
    created_at: i64,
}

impl TryFrom<VendorKeyRow> for VendorKey {
    type Error = Fault;

    fn try_from(row: VendorKeyRow) -> Result<Self, Fault> {
        let place = Place {
            table: "vendor_keys",
            id: row.vendor,
        };
        Ok(Self {
            vendor: VendorId::of(row.vendor),
            public_key: place.hash("public_key", &row.public_key)?,
            status: place.cell("status", KeyStatus::parse(&row.status))?,
            created_at: Timestamp::from_micros(row.created_at),
            kid: row.kid,
        })
    }
}

#[derive(sqlx::FromRow)]
pub(crate) struct AdminTokenRow {
    id: Uuid,
    hash: Vec<u8>,
    role: String,
    vendor: Option<Uuid>,
    note: String,
    status: String,
    created_at: i64,
    expires_at: Option<i64>,
}

impl TryFrom<AdminTokenRow> for AdminToken {
    type Error = Fault;

    fn try_from(row: AdminTokenRow) -> Result<Self, Fault> {
        let place = Place {
            table: "admin_tokens",
            id: row.id,
        };
        Ok(Self {
            id: AdminTokenId::of(row.id),
            hash: place.hash("hash", &row.hash)?,
            role: place.cell("role", AdminRole::parse(&row.role))?,
            vendor: row.vendor.map(VendorId::of),
            note: row.note,
            status: place.cell("status", KeyStatus::parse(&row.status))?,
            created_at: Timestamp::from_micros(row.created_at),
            expires_at: row.expires_at.map(Timestamp::from_micros),
        })
    }
}
