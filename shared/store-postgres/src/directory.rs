//! The directory port: tenants, keys, reply addresses, DKIM keys.

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use postrider_model::{
    Credential, CredentialId, DkimKey, DkimKeyId, EmailAddress, Limits, ReplyAddress, Tenant,
    TenantId, TenantStatus,
};
use postrider_store::{Directory, DirectorySnapshot, NewTenant, StoreError};
use sqlx::{PgConnection, Postgres, QueryBuilder};

use crate::PostgresStore;
use crate::fault::Fault;
use crate::rows::{Id as _, Place};
use crate::store::bounded;
use uuid::Uuid;

#[async_trait]
impl Directory for PostgresStore {
    async fn generation(&self) -> Result<u64, StoreError> {
        // Index generation (primary key).
        let read = async {
            let mut connection = self.lend().await?;
            let value = sqlx::query_scalar("SELECT value FROM generation WHERE one = 1")
                .fetch_one(&mut *connection)
                .await?;
            connection.back();
            generation(value)
        };
        Ok(bounded(read).await?)
    }

    async fn snapshot(&self) -> Result<DirectorySnapshot, StoreError> {
        Ok(bounded(self.read_directory()).await?)
    }

    async fn add_tenant(&self, new: NewTenant) -> Result<(), StoreError> {
        self.change(move |connection| Box::pin(async move { add_tenant(connection, &new).await }))
            .await
    }

    async fn set_status(&self, tenant: TenantId, status: TenantStatus) -> Result<(), StoreError> {
        self.change(move |connection| {
            Box::pin(async move {
                // Index tenants (primary key).
                let changed = sqlx::query("UPDATE tenants SET status = $2 WHERE id = $1")
                    .bind(tenant.uuid())
                    .bind(status.as_str())
                    .execute(connection)
                    .await?;
                found(changed.rows_affected(), "tenant")
            })
        })
        .await
    }

    async fn set_limits(&self, tenant: TenantId, limits: Limits) -> Result<(), StoreError> {
        self.change(move |connection| {
            Box::pin(async move { set_limits(connection, tenant, limits).await })
        })
        .await
    }

    async fn add_reply_address(&self, address: ReplyAddress) -> Result<(), StoreError> {
        self.change(move |connection| {
            Box::pin(async move {
                tenant_is_there(connection, address.tenant).await?;
                add_reply_address(connection, &address).await
            })
        })
        .await
    }

    async fn confirm_reply_address(
        &self,
        tenant: TenantId,
        address: &EmailAddress,
    ) -> Result<(), StoreError> {
        let folded = address.folded();
        self.change(move |connection| {
            Box::pin(async move {
                // Index reply_addresses_tenant.
                let changed = sqlx::query(
                    "UPDATE reply_addresses SET status = 'confirmed'
                     WHERE tenant = $1 AND folded = $2",
                )
                .bind(tenant.uuid())
                .bind(folded)
                .execute(connection)
                .await?;
                found(changed.rows_affected(), "reply address")
            })
        })
        .await
    }

    async fn remove_reply_address(
        &self,
        tenant: TenantId,
        address: &EmailAddress,
    ) -> Result<(), StoreError> {
        let folded = address.folded();
        self.change(move |connection| {
            Box::pin(async move { remove_reply_address(connection, tenant, &folded).await })
        })
        .await
    }

    async fn add_credential(&self, credential: Credential) -> Result<(), StoreError> {
        self.change(move |connection| {
            Box::pin(async move {
                tenant_is_there(connection, credential.tenant).await?;
                add_credential(connection, &credential).await
            })
        })
        .await
    }

    async fn revoke_credential(
        &self,
        tenant: TenantId,
        id: CredentialId,
    ) -> Result<(), StoreError> {
        self.change(move |connection| {
            Box::pin(async move {
                // Index credentials (primary key).
                let changed = sqlx::query(
                    "UPDATE credentials SET status = 'revoked' WHERE tenant = $1 AND id = $2",
                )
                .bind(tenant.uuid())
                .bind(id.uuid())
                .execute(connection)
                .await?;
                found(changed.rows_affected(), "key")
            })
        })
        .await
    }

    async fn add_dkim_keys(&self, keys: Vec<DkimKey>) -> Result<(), StoreError> {
        if keys.is_empty() {
            return Ok(());
        }
        self.change(move |connection| {
            Box::pin(async move { add_dkim_keys(connection, &keys).await })
        })
        .await
    }

    async fn revoke_dkim_key(&self, id: DkimKeyId) -> Result<(), StoreError> {
        self.change(move |connection| {
            Box::pin(async move {
                // Index dkim_keys (primary key).
                let changed = sqlx::query("UPDATE dkim_keys SET status = 'revoked' WHERE id = $1")
                    .bind(id.uuid())
                    .execute(connection)
                    .await?;
                found(changed.rows_affected(), "DKIM key")
            })
        })
        .await
    }
}

impl PostgresStore {
    /// Runs a verb and raises the generation, both or none.
    async fn change<F>(&self, verb: F) -> Result<(), StoreError>
    where
        F: for<'c> FnOnce(&'c mut PgConnection) -> BoxFuture<'c, Result<(), Fault>>
            + Send
            + 'static,
    {
        self.alone(move |connection| {
            Box::pin(async move {
                verb(&mut *connection).await?;
                raise_generation(connection).await
            })
        })
        .await
    }
}

pub(crate) fn generation(value: i64) -> Result<u64, Fault> {
    let place = Place {
        table: "generation",
        id: Uuid::nil(),
    };
    place.number("value", value)
}

pub(crate) async fn raise_generation(connection: &mut PgConnection) -> Result<(), Fault> {
    // Index generation (primary key).
    let changed = sqlx::query("UPDATE generation SET value = value + 1 WHERE one = 1")
        .execute(connection)
        .await?;
    found(changed.rows_affected(), "generation")
}

fn found(changed: u64, what: &'static str) -> Result<(), Fault> {
    if changed == 0 {
        Err(Fault::NotFound(what))
    } else {
        Ok(())
    }
}

/// Says what is there already, where an INSERT met a unique index.
fn taken(what: &'static str) -> impl FnOnce(sqlx::Error) -> Fault {
    move |error| {
        let fault = Fault::from(error);
        if fault.is_taken() {
            Fault::Taken(what)
        } else {
            fault
        }
    }
}

async fn tenant_is_there(connection: &mut PgConnection, tenant: TenantId) -> Result<(), Fault> {
    // Index tenants (primary key).
    let there: Option<i32> = sqlx::query_scalar("SELECT 1 FROM tenants WHERE id = $1")
        .bind(tenant.uuid())
        .fetch_optional(connection)
        .await?;
    there.map(|_| ()).ok_or(Fault::NotFound("tenant"))
}

async fn add_tenant(connection: &mut PgConnection, new: &NewTenant) -> Result<(), Fault> {
    let tenant = &new.tenant;
    take_name(connection, "slug", &tenant.slug, "slug").await?;
    take_name(connection, "from", &tenant.from.folded(), "From address").await?;
    insert_tenant(connection, tenant).await?;
    add_reply_address(connection, &new.reply_address).await?;
    add_credential(connection, &new.credential).await
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

async fn insert_tenant(connection: &mut PgConnection, tenant: &Tenant) -> Result<(), Fault> {
    sqlx::query(
        "INSERT INTO tenants (id, name, slug, from_address, reply_to, status,
             requests_per_second, per_minute, burst, bulk_per_minute, connections, per_day,
             per_month, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
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
    .bind(tenant.created_at.as_micros())
    .execute(connection)
    .await
    .map_err(taken("tenant"))?;
    Ok(())
}

async fn set_limits(
    connection: &mut PgConnection,
    tenant: TenantId,
    limits: Limits,
) -> Result<(), Fault> {
    // Index tenants (primary key).
    let changed = sqlx::query(
        "UPDATE tenants SET requests_per_second = $2, per_minute = $3, burst = $4,
             bulk_per_minute = $5, connections = $6, per_day = $7, per_month = $8
         WHERE id = $1",
    )
    .bind(tenant.uuid())
    .bind(i64::from(limits.requests_per_second))
    .bind(i64::from(limits.per_minute))
    .bind(i64::from(limits.burst))
    .bind(i64::from(limits.bulk_per_minute))
    .bind(i64::from(limits.connections))
    .bind(i64::from(limits.per_day))
    .bind(i64::from(limits.per_month))
    .execute(connection)
    .await?;
    found(changed.rows_affected(), "tenant")
}

async fn add_reply_address(
    connection: &mut PgConnection,
    address: &ReplyAddress,
) -> Result<(), Fault> {
    sqlx::query(
        "INSERT INTO reply_addresses (id, tenant, address, folded, status, created_at)
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(address.id.uuid())
    .bind(address.tenant.uuid())
    .bind(address.address.to_string())
    .bind(address.address.folded())
    .bind(address.status.as_str())
    .bind(address.created_at.as_micros())
    .execute(connection)
    .await
    .map_err(taken("reply address"))?;
    Ok(())
}

async fn remove_reply_address(
    connection: &mut PgConnection,
    tenant: TenantId,
    folded: &str,
) -> Result<(), Fault> {
    // Index tenants (primary key).
    let default: Option<String> = sqlx::query_scalar("SELECT reply_to FROM tenants WHERE id = $1")
        .bind(tenant.uuid())
        .fetch_optional(&mut *connection)
        .await?;
    let place = Place {
        table: "tenants",
        id: tenant.uuid(),
    };
    if let Some(default) = default
        && place.address("reply_to", &default)?.folded() == folded
    {
        return Err(Fault::Rejected(
            "it is the tenant's default reply address".to_owned(),
        ));
    }
    // Index reply_addresses_tenant.
    let changed = sqlx::query("DELETE FROM reply_addresses WHERE tenant = $1 AND folded = $2")
        .bind(tenant.uuid())
        .bind(folded)
        .execute(connection)
        .await?;
    found(changed.rows_affected(), "reply address")
}

async fn add_credential(
    connection: &mut PgConnection,
    credential: &Credential,
) -> Result<(), Fault> {
    sqlx::query(
        "INSERT INTO credentials (id, tenant, prefix, hash, note, status, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(credential.id.uuid())
    .bind(credential.tenant.uuid())
    .bind(&credential.prefix)
    .bind(credential.hash.as_slice())
    .bind(&credential.note)
    .bind(credential.status.as_str())
    .bind(credential.created_at.as_micros())
    .execute(connection)
    .await
    .map_err(taken("key"))?;
    Ok(())
}

async fn add_dkim_keys(connection: &mut PgConnection, keys: &[DkimKey]) -> Result<(), Fault> {
    // A handful at a time: one statement, whatever its size.
    let mut insert = QueryBuilder::<Postgres>::new(
        "INSERT INTO dkim_keys (id, domain, selector, algorithm, record, sealed_private_key,
             status, created_at) ",
    );
    insert.push_values(keys, |mut row, key| {
        row.push_bind(key.id.uuid())
            .push_bind(key.domain.as_str())
            .push_bind(key.selector.as_str())
            .push_bind(key.algorithm.as_str())
            .push_bind(key.record.as_str())
            .push_bind(key.sealed_private_key.as_slice())
            .push_bind(key.status.as_str())
            .push_bind(key.created_at.as_micros());
    });
    insert
        .build()
        .persistent(false)
        .execute(connection)
        .await
        .map_err(taken("DKIM selector"))?;
    Ok(())
}
