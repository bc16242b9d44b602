//! The whole directory as of one moment, read.

use postrider_model::{
    Authority, Credential, CredentialStatus, DkimAlgorithm, DkimKey, EmailAddress, KeyKind,
    KeyStatus, Language, Licence, Limits, Plan, Ramp, ReplyAddress, ReplySource, ReplyStatus,
    Tenant, TenantId, TenantStatus, Timestamp, UnknownReplyTo,
};
use postrider_store::{DirectoryChanges, DirectorySnapshot};
use sqlx::{SqliteConnection, SqlitePool};

use crate::fault::Fault;
use crate::generation;
use crate::rows::{Place, json_ids};
use crate::vendors::{AdminTokenRow, VendorKeyRow, VendorRow};

pub(crate) async fn read(readers: &SqlitePool) -> Result<DirectorySnapshot, Fault> {
    let mut snapshot = readers.begin().await?;
    let generation = generation::read(&mut snapshot).await?;
    read_all(&mut snapshot, generation).await
}

/// What changed since generation `known`, in one snapshot.
pub(crate) async fn read_since(
    readers: &SqlitePool,
    known: u64,
) -> Result<DirectoryChanges, Fault> {
    let mut snapshot = readers.begin().await?;
    let generation = generation::read(&mut snapshot).await?;
    let Some(tenants) = generation::changed_since(&mut snapshot, known, generation).await? else {
        let all = read_all(&mut snapshot, generation).await?;
        return Ok(DirectoryChanges::All(all));
    };
    let now = read_of(&mut snapshot, &tenants, generation).await?;
    Ok(DirectoryChanges::Of { tenants, now })
}

async fn read_all(
    snapshot: &mut SqliteConnection,
    generation: u64,
) -> Result<DirectorySnapshot, Fault> {
    // All of each table, by their primary keys.
    let tenants: Vec<TenantRow> = sqlx::query_as("SELECT * FROM tenants ORDER BY id")
        .fetch_all(&mut *snapshot)
        .await?;
    let addresses: Vec<ReplyAddressRow> =
        sqlx::query_as("SELECT * FROM reply_addresses ORDER BY id")
            .fetch_all(&mut *snapshot)
            .await?;
    let credentials: Vec<CredentialRow> = sqlx::query_as("SELECT * FROM credentials ORDER BY id")
        .fetch_all(&mut *snapshot)
        .await?;
    let keys: Vec<DkimKeyRow> = sqlx::query_as("SELECT * FROM dkim_keys ORDER BY id")
        .fetch_all(&mut *snapshot)
        .await?;
    let vendors: Vec<VendorRow> = sqlx::query_as("SELECT * FROM vendors ORDER BY id")
        .fetch_all(&mut *snapshot)
        .await?;
    let vendor_keys: Vec<VendorKeyRow> = sqlx::query_as("SELECT * FROM vendor_keys ORDER BY kid")
        .fetch_all(&mut *snapshot)
        .await?;
    let tokens: Vec<AdminTokenRow> = sqlx::query_as("SELECT * FROM admin_tokens ORDER BY id")
        .fetch_all(&mut *snapshot)
        .await?;
    Ok(DirectorySnapshot {
        generation,
        vendors: all(vendors)?,
        vendor_keys: all(vendor_keys)?,
        admin_tokens: all(tokens)?,
        tenants: all(tenants)?,
        reply_addresses: all(addresses)?,
        credentials: all(credentials)?,
        dkim_keys: all(keys)?,
    })
}

/// What is of these tenants.
async fn read_of(
    snapshot: &mut SqliteConnection,
    of: &[TenantId],
    generation: u64,
) -> Result<DirectorySnapshot, Fault> {
    let ids = json_ids(of);
    // Indexes tenants (primary key), reply_addresses_tenant, credentials_tenant.
    let tenants: Vec<TenantRow> = sqlx::query_as(
        "SELECT * FROM tenants WHERE id IN (SELECT unhex(value, '-') FROM json_each(?1))",
    )
    .bind(&ids)
    .fetch_all(&mut *snapshot)
    .await?;
    let addresses: Vec<ReplyAddressRow> = sqlx::query_as(
        "SELECT * FROM reply_addresses
         WHERE tenant IN (SELECT unhex(value, '-') FROM json_each(?1))",
    )
    .bind(&ids)
    .fetch_all(&mut *snapshot)
    .await?;
    let credentials: Vec<CredentialRow> = sqlx::query_as(
        "SELECT * FROM credentials WHERE tenant IN (SELECT unhex(value, '-') FROM json_each(?1))",
    )
    .bind(&ids)
    .fetch_all(&mut *snapshot)
    .await?;
    Ok(DirectorySnapshot {
        generation,
        tenants: all(tenants)?,
        reply_addresses: all(addresses)?,
        credentials: all(credentials)?,
        ..DirectorySnapshot::default()
    })
}

pub(crate) fn all<R, T: TryFrom<R, Error = Fault>>(rows: Vec<R>) -> Result<Vec<T>, Fault> {
    rows.into_iter().map(T::try_from).collect()
}

#[derive(sqlx::FromRow)]
pub(crate) struct TenantRow {
    id: Vec<u8>,
    name: String,
    slug: String,
    from_address: String,
    reply_to: String,
    status: String,
    stopped_by: Option<String>,
    requests_per_second: i64,
    per_minute: i64,
    burst: i64,
    bulk_per_minute: i64,
    connections: i64,
    per_day: i64,
    per_month: i64,
    language: String,
    own_domain: bool,
    notices: bool,
    ramp_since: i64,
    ramp_per_day: i64,
    ramp_decided: i64,
    is_house: bool,
    vendor: Vec<u8>,
    licence: Option<String>,
    plan: Option<String>,
    next_reply_to: Option<String>,
    created_at: i64,
}

impl TryFrom<TenantRow> for Tenant {
    type Error = Fault;

    fn try_from(row: TenantRow) -> Result<Self, Fault> {
        let place = Place {
            table: "tenants",
            id: &row.id,
        };
        Ok(Self {
            id: place.id("id", &row.id)?,
            name: row.name,
            slug: row.slug,
            from: place.address("from_address", &row.from_address)?,
            reply_to: place.address("reply_to", &row.reply_to)?,
            next_reply_to: place.given(
                "next_reply_to",
                row.next_reply_to.as_deref(),
                EmailAddress::parse,
            )?,
            status: place.cell("status", TenantStatus::parse(&row.status))?,
            stopped_by: place.given("stopped_by", row.stopped_by.as_deref(), Authority::parse)?,
            limits: Limits {
                requests_per_second: place
                    .number("requests_per_second", row.requests_per_second)?,
                per_minute: place.number("per_minute", row.per_minute)?,
                burst: place.number("burst", row.burst)?,
                bulk_per_minute: place.number("bulk_per_minute", row.bulk_per_minute)?,
                connections: place.number("connections", row.connections)?,
                per_day: place.number("per_day", row.per_day)?,
                per_month: place.number("per_month", row.per_month)?,
            },
            language: place.cell("language", Language::parse(&row.language))?,
            own_domain: row.own_domain,
            notices: row.notices,
            ramp: Ramp {
                since: Timestamp::from_micros(row.ramp_since),
                per_day: place.number("ramp_per_day", row.ramp_per_day)?,
                decided: row.ramp_decided,
            },
            is_house: row.is_house,
            vendor: place.id("vendor", &row.vendor)?,
            licence: place.given("licence", row.licence.as_deref(), Licence::parse)?,
            plan: place.given("plan", row.plan.as_deref(), Plan::parse)?,
            created_at: Timestamp::from_micros(row.created_at),
        })
    }
}

#[derive(sqlx::FromRow)]
pub(crate) struct ReplyAddressRow {
    id: Vec<u8>,
    tenant: Vec<u8>,
    address: String,
    status: String,
    source: String,
    confirmed_at: Option<i64>,
    asked_at: Option<i64>,
    told_at: Option<i64>,
    refused_at: Option<i64>,
    attested_by: Option<String>,
    created_at: i64,
}

impl TryFrom<ReplyAddressRow> for ReplyAddress {
    type Error = Fault;

    fn try_from(row: ReplyAddressRow) -> Result<Self, Fault> {
        let place = Place {
            table: "reply_addresses",
            id: &row.id,
        };
        Ok(Self {
            id: place.id("id", &row.id)?,
            tenant: place.id("tenant", &row.tenant)?,
            address: place.address("address", &row.address)?,
            status: place.cell("status", ReplyStatus::parse(&row.status))?,
            source: place.cell("source", ReplySource::parse(&row.source))?,
            confirmed_at: row.confirmed_at.map(Timestamp::from_micros),
            asked_at: row.asked_at.map(Timestamp::from_micros),
            told_at: row.told_at.map(Timestamp::from_micros),
            refused_at: row.refused_at.map(Timestamp::from_micros),
            attested_by: row.attested_by,
            created_at: Timestamp::from_micros(row.created_at),
        })
    }
}

#[derive(sqlx::FromRow)]
struct CredentialRow {
    id: Vec<u8>,
    tenant: Vec<u8>,
    kind: String,
    user_name: Option<String>,
    prefix: String,
    hash: Vec<u8>,
    note: String,
    status: String,
    networks: String,
    per_day: i64,
    expires_at: Option<i64>,
    defaults: String,
    unknown_reply_to: String,
    skips_duplicates: bool,
    is_test: bool,
    is_enrolled: bool,
    created_at: i64,
}

impl TryFrom<CredentialRow> for Credential {
    type Error = Fault;

    fn try_from(row: CredentialRow) -> Result<Self, Fault> {
        let place = Place {
            table: "credentials",
            id: &row.id,
        };
        Ok(Self {
            id: place.id("id", &row.id)?,
            tenant: place.id("tenant", &row.tenant)?,
            kind: place.cell("kind", KeyKind::parse(&row.kind))?,
            user: row.user_name,
            prefix: row.prefix,
            hash: place.hash("hash", &row.hash)?,
            note: row.note,
            status: place.cell("status", CredentialStatus::parse(&row.status))?,
            networks: place.json("networks", &row.networks)?,
            per_day: place.number("per_day", row.per_day)?,
            expires_at: row.expires_at.map(Timestamp::from_micros),
            defaults: place.json("defaults", &row.defaults)?,
            unknown_reply_to: place.cell(
                "unknown_reply_to",
                UnknownReplyTo::parse(&row.unknown_reply_to),
            )?,
            skips_duplicates: row.skips_duplicates,
            is_test: row.is_test,
            is_enrolled: row.is_enrolled,
            created_at: Timestamp::from_micros(row.created_at),
        })
    }
}

#[derive(sqlx::FromRow)]
struct DkimKeyRow {
    id: Vec<u8>,
    domain: String,
    selector: String,
    algorithm: String,
    record: String,
    sealed_private_key: Vec<u8>,
    status: String,
    created_at: i64,
}

impl TryFrom<DkimKeyRow> for DkimKey {
    type Error = Fault;

    fn try_from(row: DkimKeyRow) -> Result<Self, Fault> {
        let place = Place {
            table: "dkim_keys",
            id: &row.id,
        };
        Ok(Self {
            id: place.id("id", &row.id)?,
            domain: place.domain("domain", &row.domain)?,
            selector: row.selector,
            algorithm: place.cell("algorithm", DkimAlgorithm::parse(&row.algorithm))?,
            record: row.record,
            sealed_private_key: row.sealed_private_key,
            status: place.cell("status", KeyStatus::parse(&row.status))?,
            created_at: Timestamp::from_micros(row.created_at),
        })
    }
}
