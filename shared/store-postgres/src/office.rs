//! The ports of vendors: who vouches for tenants, who may use the admin API, what was done.

use async_trait::async_trait;
use postrider_model::{
    AdminToken, AdminTokenId, AuditEntry, AuditId, EmailAddress, Licence, MessageId, Tenant,
    TenantId, Timestamp, Vendor, VendorId, VendorKey, VendorStatus,
};
use postrider_store::{Audit, AuditFilter, StoreError, TenantLimits, Vendors};
use uuid::Uuid;

use crate::fault::Fault;
use crate::rows::{Id as _, Place, json};
use crate::snapshot::{TenantRow, all};
use crate::store::bounded;
use crate::{PostgresStore, limits, vendors};

#[async_trait]
impl Vendors for PostgresStore {
    async fn add_vendor(&self, vendor: Vendor) -> Result<(), StoreError> {
        self.change(move |connection| {
            Box::pin(async move { vendors::add(connection, &vendor).await })
        })
        .await
    }

    async fn change_vendor(&self, vendor: Vendor, at: Timestamp) -> Result<(), StoreError> {
        self.change(move |connection| {
            Box::pin(async move { vendors::change(connection, &vendor, at).await })
        })
        .await
    }

    async fn set_vendor_status(
        &self,
        vendor: VendorId,
        status: VendorStatus,
    ) -> Result<(), StoreError> {
        self.change(move |connection| {
            Box::pin(async move { vendors::set_status(connection, vendor, status).await })
        })
        .await
    }

    async fn add_vendor_key(&self, key: VendorKey) -> Result<(), StoreError> {
        self.change(move |connection| {
            Box::pin(async move { vendors::add_key(connection, &key).await })
        })
        .await
    }

    async fn revoke_vendor_key(&self, vendor: VendorId, kid: &str) -> Result<(), StoreError> {
        let kid = kid.to_owned();
        self.change(move |connection| {
            Box::pin(async move { vendors::revoke_key(connection, vendor, &kid).await })
        })
        .await
    }

    async fn add_admin_token(&self, token: AdminToken) -> Result<(), StoreError> {
        self.change(move |connection| {
            Box::pin(async move { vendors::add_token(connection, &token).await })
        })
        .await
    }

    async fn revoke_admin_token(&self, id: AdminTokenId) -> Result<(), StoreError> {
        self.change(move |connection| {
            Box::pin(async move { vendors::revoke_token(connection, id).await })
        })
        .await
    }

    async fn vendor_usage(&self, vendor: VendorId, at: Timestamp) -> Result<u64, StoreError> {
        Ok(bounded(self.read_vendor_usage(vendor, at.day())).await?)
    }

    async fn tenants(
        &self,
        vendor: Option<VendorId>,
        after: Option<TenantId>,
        limit: u32,
    ) -> Result<Vec<Tenant>, StoreError> {
        Ok(bounded(self.read_tenants(vendor, after, limit)).await?)
    }

    async fn licensed(
        &self,
        vendor: VendorId,
        licences: &[Licence],
    ) -> Result<Vec<Tenant>, StoreError> {
        Ok(bounded(self.read_licensed(vendor, licences)).await?)
    }

    async fn limits_of(&self, tenant: TenantId) -> Result<TenantLimits, StoreError> {
        let read = async {
            let mut connection = self.lend().await?;
            let stands = limits::read(&mut connection, tenant).await?;
            connection.back();
            Ok(stands)
        };
        Ok(bounded(read).await?)
    }

    async fn sender_of(&self, message: MessageId) -> Result<Option<TenantId>, StoreError> {
        Ok(bounded(self.read_sender(message)).await?)
    }

    async fn writing_to(
        &self,
        vendor: Option<VendorId>,
        address: &EmailAddress,
    ) -> Result<Vec<TenantId>, StoreError> {
        Ok(bounded(self.read_writing_to(vendor, address)).await?)
    }
}

#[async_trait]
impl Audit for PostgresStore {
    async fn record(&self, entry: AuditEntry) -> Result<(), StoreError> {
        self.alone(move |connection| Box::pin(async move { record(connection, &entry).await }))
            .await
    }

    async fn audit(&self, filter: AuditFilter, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
        Ok(bounded(self.read_audit(filter, limit)).await?)
    }
}

impl PostgresStore {
    /// What was counted; of a vendor without a daily volume, the sum over its tenants.
    async fn read_vendor_usage(&self, vendor: VendorId, day: i64) -> Result<u64, Fault> {
        let mut connection = self.lend().await?;
        // Indexes tenants_vendor and usage (primary key).
        let accepted: i64 = sqlx::query_scalar(
            "SELECT coalesce(sum(u.accepted), 0)::bigint
             FROM tenants AS t JOIN usage AS u ON u.tenant = t.id AND u.day = $2
             WHERE t.vendor = $1",
        )
        .bind(vendor.uuid())
        .bind(day)
        .fetch_one(&mut *connection)
        .await?;
        connection.back();
        let place = Place {
            table: "usage",
            id: vendor.uuid(),
        };
        place.number("accepted", accepted)
    }

    async fn read_tenants(
        &self,
        vendor: Option<VendorId>,
        after: Option<TenantId>,
        limit: u32,
    ) -> Result<Vec<Tenant>, Fault> {
        let after = after.unwrap_or(TenantId::from_bytes([0; 16]));
        // Index tenants_vendor, or tenants (primary key).
        let statement = match vendor {
            Some(_) => {
                "SELECT * FROM tenants WHERE vendor = $1 AND id > $2 AND NOT is_house
                 ORDER BY id LIMIT $3"
            }
            None => {
                "SELECT * FROM tenants WHERE $1::uuid IS NULL AND id > $2 AND NOT is_house
                 ORDER BY id LIMIT $3"
            }
        };
        let mut connection = self.lend().await?;
        let rows: Vec<TenantRow> = sqlx::query_as(statement)
            .bind(vendor.map(VendorId::uuid))
            .bind(after.uuid())
            .bind(i64::from(limit))
            .fetch_all(&mut *connection)
            .await?;
        connection.back();
        all(rows)
    }

    async fn read_licensed(
        &self,
        vendor: VendorId,
        licences: &[Licence],
    ) -> Result<Vec<Tenant>, Fault> {
        let licences: Vec<&str> = licences.iter().map(Licence::as_str).collect();
        let mut connection = self.lend().await?;
        // Index tenants_licence.
        let rows: Vec<TenantRow> =
            sqlx::query_as("SELECT * FROM tenants WHERE vendor = $1 AND licence = ANY($2)")
                .bind(vendor.uuid())
                .bind(licences)
                .fetch_all(&mut *connection)
                .await?;
        connection.back();
        all(rows)
    }

    async fn read_sender(&self, message: MessageId) -> Result<Option<TenantId>, Fault> {
        let mut connection = self.lend().await?;
        // Index messages (primary key).
        let tenant: Option<Uuid> = sqlx::query_scalar("SELECT tenant FROM messages WHERE id = $1")
            .bind(message.uuid())
            .fetch_optional(&mut *connection)
            .await?;
        connection.back();
        Ok(tenant.map(TenantId::of))
    }

    async fn read_writing_to(
        &self,
        vendor: Option<VendorId>,
        address: &EmailAddress,
    ) -> Result<Vec<TenantId>, Fault> {
        let mut connection = self.lend().await?;
        // Indexes recipients_address, in each partition, tenants (primary key).
        let tenants: Vec<Uuid> = sqlx::query_scalar(
            "SELECT DISTINCT r.tenant FROM recipients AS r
             JOIN tenants AS t ON t.id = r.tenant
             WHERE lower(r.address) = $1 AND ($2::uuid IS NULL OR t.vendor = $2) LIMIT 100",
        )
        .bind(address.to_string().to_ascii_lowercase())
        .bind(vendor.map(VendorId::uuid))
        .fetch_all(&mut *connection)
        .await?;
        connection.back();
        Ok(tenants.into_iter().map(TenantId::of).collect())
    }

    async fn read_audit(&self, filter: AuditFilter, limit: u32) -> Result<Vec<AuditEntry>, Fault> {
        let since = filter.since.map_or(i64::MIN, Timestamp::as_micros);
        let before = filter.before.map_or([0xff; 16], |id| *id.as_bytes());
        // Index audit_vendor, or audit (primary key): an id begins with its time.
        let statement = match filter.vendor {
            Some(_) => {
                "SELECT * FROM audit WHERE vendor = $1 AND id < $2 AND at >= $3
                 ORDER BY id DESC LIMIT $4"
            }
            None => {
                "SELECT * FROM audit WHERE $1::uuid IS NULL AND id < $2 AND at >= $3
                 ORDER BY id DESC LIMIT $4"
            }
        };
        let mut connection = self.lend().await?;
        let rows: Vec<AuditRow> = sqlx::query_as(statement)
            .bind(filter.vendor.map(VendorId::uuid))
            .bind(Uuid::from_bytes(before))
            .bind(since)
            .bind(i64::from(limit))
            .fetch_all(&mut *connection)
            .await?;
        connection.back();
        all(rows)
    }
}

async fn record(connection: &mut sqlx::PgConnection, entry: &AuditEntry) -> Result<(), Fault> {
    sqlx::query(
        "INSERT INTO audit (id, at, actor, vendor, verb, subject, detail)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(entry.id.uuid())
    .bind(entry.at.as_micros())
    .bind(&entry.actor)
    .bind(entry.vendor.map(VendorId::uuid))
    .bind(&entry.verb)
    .bind(&entry.subject)
    .bind(json(&entry.detail)?)
    .execute(connection)
    .await?;
    Ok(())
}

#[derive(sqlx::FromRow)]
struct AuditRow {
    id: Uuid,
    at: i64,
    actor: String,
    vendor: Option<Uuid>,
    verb: String,
    subject: String,
    detail: String,
}

impl TryFrom<AuditRow> for AuditEntry {
    type Error = Fault;

    fn try_from(row: AuditRow) -> Result<Self, Fault> {
        let place = Place {
            table: "audit",
            id: row.id,
        };
        Ok(Self {
            id: AuditId::of(row.id),
            at: Timestamp::from_micros(row.at),
            vendor: row.vendor.map(VendorId::of),
            detail: place.json("detail", &row.detail)?,
            actor: row.actor,
            verb: row.verb,
            subject: row.subject,
        })
    }
}
