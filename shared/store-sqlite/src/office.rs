//! The ports of vendors: who vouches for tenants, who may use the admin API, what was done.

use async_trait::async_trait;
use postrider_model::{
    AdminToken, AdminTokenId, AuditEntry, EmailAddress, Licence, MessageId, Tenant, TenantId,
    Timestamp, Vendor, VendorId, VendorKey, VendorStatus,
};
use postrider_store::{Audit, AuditFilter, StoreError, TenantLimits, Vendors};

use crate::fault::Fault;
use crate::rows::{Place, json};
use crate::snapshot::{TenantRow, all};

use crate::{SqliteStore, limits, vendors};

#[async_trait]
impl Vendors for SqliteStore {
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
        Ok(self.read_vendor_usage(vendor, at.day()).await?)
    }

    async fn tenants(
        &self,
        vendor: Option<VendorId>,
        after: Option<TenantId>,
        limit: u32,
    ) -> Result<Vec<Tenant>, StoreError> {
        Ok(self.read_tenants(vendor, after, limit).await?)
    }

    async fn licensed(
        &self,
        vendor: VendorId,
        licences: &[Licence],
    ) -> Result<Vec<Tenant>, StoreError> {
        Ok(self.read_licensed(vendor, licences).await?)
    }

    async fn limits_of(&self, tenant: TenantId) -> Result<TenantLimits, StoreError> {
        let mut connection = self.readers().begin().await.map_err(Fault::from)?;
        Ok(limits::read(&mut connection, tenant).await?)
    }

    async fn sender_of(&self, message: MessageId) -> Result<Option<TenantId>, StoreError> {
        Ok(self.read_sender(message).await?)
    }

    async fn writing_to(
        &self,
        vendor: Option<VendorId>,
        address: &EmailAddress,
    ) -> Result<Vec<TenantId>, StoreError> {
        Ok(self.read_writing_to(vendor, address).await?)
    }
}

#[async_trait]
impl Audit for SqliteStore {
    async fn record(&self, entry: AuditEntry) -> Result<(), StoreError> {
        self.writer()
            .alone(move |connection| Box::pin(async move { record(connection, &entry).await }))
            .await
    }

    async fn audit(&self, filter: AuditFilter, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
        Ok(self.read_audit(filter, limit).await?)
    }
}

impl SqliteStore {
    /// What was counted; of a vendor without a daily volume, the sum over its tenants.
    async fn read_vendor_usage(&self, vendor: VendorId, day: i64) -> Result<u64, Fault> {
        // Indexes tenants_vendor and usage (primary key).
        let accepted: i64 = sqlx::query_scalar(
            "SELECT coalesce(sum(u.accepted), 0)
             FROM tenants AS t CROSS JOIN usage AS u ON u.tenant = t.id AND u.day = ?2
             WHERE t.vendor = ?1",
        )
        .bind(vendor.as_bytes().as_slice())
        .bind(day)
        .fetch_one(self.readers())
        .await?;

        let place = Place {
            table: "usage",
            id: vendor.as_bytes(),
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
                "SELECT * FROM tenants WHERE vendor = ?1 AND id > ?2 AND NOT is_house
                 ORDER BY id LIMIT ?3"
            }
            None => {
                "SELECT * FROM tenants WHERE ?1 IS NULL AND id > ?2 AND NOT is_house
                 ORDER BY id LIMIT ?3"
            }
        };

        let rows: Vec<TenantRow> = sqlx::query_as(statement)
            .bind(vendor.as_ref().map(|vendor| vendor.as_bytes().as_slice()))
            .bind(after.as_bytes().as_slice())
            .bind(limit)
            .fetch_all(self.readers())
            .await?;

        all(rows)
    }

    async fn read_licensed(
        &self,
        vendor: VendorId,
        licences: &[Licence],
    ) -> Result<Vec<Tenant>, Fault> {
        // Index tenants_licence.
        let rows: Vec<TenantRow> = sqlx::query_as(
            "SELECT t.* FROM json_each(?2) AS j
             CROSS JOIN tenants AS t ON t.vendor = ?1 AND t.licence = j.value",
        )
        .bind(vendor.as_bytes().as_slice())
        .bind(json(licences)?)
        .fetch_all(self.readers())
        .await?;

        all(rows)
    }

    async fn read_sender(&self, message: MessageId) -> Result<Option<TenantId>, Fault> {
        // Index messages (primary key).
        let tenant: Option<Vec<u8>> =
            sqlx::query_scalar("SELECT tenant FROM messages WHERE id = ?1")
                .bind(message.as_bytes().as_slice())
                .fetch_optional(self.readers())
                .await?;
        let place = Place {
            table: "messages",
            id: message.as_bytes(),
        };
        tenant.map(|id| place.id("tenant", &id)).transpose()
    }

    async fn read_writing_to(
        &self,
        vendor: Option<VendorId>,
        address: &EmailAddress,
    ) -> Result<Vec<TenantId>, Fault> {
        // Indexes recipients_address, tenants (primary key).
        let tenants: Vec<Vec<u8>> = sqlx::query_scalar(
            "SELECT DISTINCT r.tenant FROM recipients AS r
             JOIN tenants AS t ON t.id = r.tenant
             WHERE lower(r.address) = ?1 AND (?2 IS NULL OR t.vendor = ?2) LIMIT 100",
        )
        .bind(address.to_string().to_ascii_lowercase())
        .bind(vendor.as_ref().map(|vendor| vendor.as_bytes().as_slice()))
        .fetch_all(self.readers())
        .await?;
        let place = |id| Place {
            table: "recipients",
            id,
        };
        let ids = tenants.iter();
        ids.map(|id| place(id).id("tenant", id)).collect()
    }

    async fn read_audit(&self, filter: AuditFilter, limit: u32) -> Result<Vec<AuditEntry>, Fault> {
        let since = filter.since.map_or(i64::MIN, Timestamp::as_micros);
        let before = filter.before.map_or([0xff; 16], |id| *id.as_bytes());
        // Index audit_vendor, or audit (primary key): an id begins with its time.
        let statement = match filter.vendor {
            Some(_) => {
                "SELECT * FROM audit WHERE vendor = ?1 AND id < ?2 AND at >= ?3
                 ORDER BY id DESC LIMIT ?4"
            }
            None => {
                "SELECT * FROM audit WHERE ?1 IS NULL AND id < ?2 AND at >= ?3
                 ORDER BY id DESC LIMIT ?4"
            }
        };

        let rows: Vec<AuditRow> = sqlx::query_as(statement)
            .bind(
                filter
                    .vendor
                    .as_ref()
                    .map(|vendor| vendor.as_bytes().as_slice()),
            )
            .bind(before.as_slice())
            .bind(since)
            .bind(limit)
            .fetch_all(self.readers())
            .await?;

        all(rows)
    }
}

async fn record(connection: &mut sqlx::SqliteConnection, entry: &AuditEntry) -> Result<(), Fault> {
    sqlx::query(
        "INSERT INTO audit (id, at, actor, vendor, verb, subject, detail)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )
    .bind(entry.id.as_bytes().as_slice())
    .bind(entry.at.as_micros())
    .bind(&entry.actor)
    .bind(
        entry
            .vendor
            .as_ref()
            .map(|vendor| vendor.as_bytes().as_slice()),
    )
    .bind(&entry.verb)
    .bind(&entry.subject)
    .bind(json(&entry.detail)?)
    .execute(connection)
    .await?;
    Ok(())
}

#[derive(sqlx::FromRow)]
struct AuditRow {
    id: Vec<u8>,
    at: i64,
    actor: String,
    vendor: Option<Vec<u8>>,
    verb: String,
    subject: String,
    detail: String,
}

impl TryFrom<AuditRow> for AuditEntry {
    type Error = Fault;

    fn try_from(row: AuditRow) -> Result<Self, Fault> {
        let place = Place {
            table: "audit",
            id: &row.id,
        };
        Ok(Self {
            id: place.id("id", &row.id)?,
            at: Timestamp::from_micros(row.at),
            vendor: row
                .vendor
                .as_deref()
                .map(|id| place.id("vendor", id))
                .transpose()?,
            detail: place.json("detail", &row.detail)?,
            actor: row.actor,
            verb: row.verb,
            subject: row.subject,
        })
    }
}
