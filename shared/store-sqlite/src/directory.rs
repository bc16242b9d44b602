//! The directory port: tenants, keys, reply addresses, DKIM keys.

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use postrider_model::{
    Authority, Credential, CredentialId, CredentialStatus, DkimKey, DkimKeyId, EmailAddress, Ramp,
    ReplyAddress, ReplyStatus, TenantId, TenantStatus, Timestamp,
};
use postrider_store::{
    AskCaps, Directory, DirectoryChanges, DirectorySnapshot, Imported, NewLimits, NewTenant,
    Observed, StoreError, TenantChange, TenantImport, TenantUpdate,
};
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};

use crate::fault::Fault;
use crate::{
    SqliteStore, credentials, generation, limits, reply_addresses, snapshot, tenants, updates,
};

#[async_trait]
impl Directory for SqliteStore {
    async fn generation(&self) -> Result<u64, StoreError> {
        let mut connection = self.readers().acquire().await.map_err(Fault::from)?;
        Ok(generation::read(&mut connection).await?)
    }

    async fn snapshot(&self) -> Result<DirectorySnapshot, StoreError> {
        Ok(snapshot::read(self.readers()).await?)
    }

    async fn changed_since(&self, known: u64) -> Result<DirectoryChanges, StoreError> {
        Ok(snapshot::read_since(self.readers(), known).await?)
    }

    async fn add_tenant(&self, new: NewTenant) -> Result<(), StoreError> {
        self.change_of(new.tenant.id, move |connection| {
            Box::pin(async move { tenants::add(connection, &new).await })
        })
        .await
    }

    async fn import(&self, tenants: Vec<TenantImport>) -> Result<Vec<Imported>, StoreError> {
        self.writer()
            .alone(move |connection| {
                Box::pin(async move { updates::import(connection, &tenants).await })
            })
            .await
    }

    async fn update_tenant(&self, update: TenantUpdate) -> Result<(), StoreError> {
        self.change_of(update.tenant, move |connection| {
            Box::pin(async move { updates::update_tenant(connection, &update).await })
        })
        .await
    }

    async fn set_status(
        &self,
        tenant: TenantId,
        status: TenantStatus,
        by: Authority,
    ) -> Result<(), StoreError> {
        self.change_of(tenant, move |connection| {
            Box::pin(async move { tenants::set_status(connection, tenant, status, by).await })
        })
        .await
    }

    async fn set_limits(
        &self,
        tenant: TenantId,
        wished: NewLimits,
        by: Authority,
    ) -> Result<(), StoreError> {
        self.change_of(tenant, move |connection| {
            Box::pin(async move { limits::set(connection, tenant, wished, by).await })
        })
        .await
    }

    async fn change_tenant(
        &self,
        tenant: TenantId,
        change: TenantChange,
    ) -> Result<(), StoreError> {
        self.change_of(tenant, move |connection| {
            Box::pin(async move { tenants::change(connection, tenant, change).await })
        })
        .await
    }

    async fn change_ramp(
        &self,
        tenant: TenantId,
        was: Ramp,
        ramp: Ramp,
    ) -> Result<bool, StoreError> {
        self.writer()
            .alone(move |connection| {
                Box::pin(async move { tenants::change_ramp(connection, tenant, (was, ramp)).await })
            })
            .await
    }

    async fn add_reply_address(&self, address: ReplyAddress) -> Result<(), StoreError> {
        self.change_of(address.tenant, move |connection| {
            Box::pin(async move {
                tenants::is_there(connection, address.tenant).await?;
                reply_addresses::insert(connection, &address).await
            })
        })
        .await
    }

    async fn observe_reply_address(
        &self,
        seen: ReplyAddress,
        caps: AskCaps,
    ) -> Result<Observed, StoreError> {
        self.writer()
            .alone(move |connection| {
                Box::pin(async move { reply_addresses::observe(connection, seen, caps).await })
            })
            .await
    }

    async fn take_back_asking(
        &self,
        address: &EmailAddress,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let folded = address.folded();
        self.writer()
            .alone(move |connection| {
                Box::pin(
                    async move { reply_addresses::take_back_asking(connection, &folded, at).await },
                )
            })
            .await
    }

    async fn set_reply_status(
        &self,
        tenant: TenantId,
        address: &EmailAddress,
        status: ReplyStatus,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let folded = address.folded();
        self.change_of(tenant, move |connection| {
            Box::pin(async move {
                reply_addresses::set_status(connection, (tenant, &folded), status, at).await
            })
        })
        .await
    }

    async fn answer_reply_address(
        &self,
        tenant: TenantId,
        address: &EmailAddress,
        status: ReplyStatus,
        at: Timestamp,
    ) -> Result<ReplyStatus, StoreError> {
        let folded = address.folded();
        self.writer()
            .alone(move |connection| {
                Box::pin(async move {
                    reply_addresses::answer(connection, (tenant, &folded), status, at).await
                })
            })
            .await
    }

    async fn break_reply_address(
        &self,
        address: &EmailAddress,
    ) -> Result<Vec<TenantId>, StoreError> {
        let folded = address.folded();
        self.writer()
            .alone(move |connection| {
                Box::pin(async move { reply_addresses::break_all(connection, &folded).await })
            })
            .await
    }

    async fn remove_reply_address(
        &self,
        tenant: TenantId,
        address: &EmailAddress,
    ) -> Result<(), StoreError> {
        let folded = address.folded();
        self.change_of(tenant, move |connection| {
            Box::pin(async move { reply_addresses::remove(connection, tenant, &folded).await })
        })
        .await
    }

    async fn attest_reply_address(
        &self,
        tenant: TenantId,
        address: &EmailAddress,
        by: &str,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let (folded, by) = (address.folded(), by.to_owned());
        self.change_of(tenant, move |connection| {
            Box::pin(async move { updates::attest(connection, (tenant, &folded), &by, at).await })
        })
        .await
    }

    async fn add_credential(&self, credential: Credential) -> Result<(), StoreError> {
        self.change_of(credential.tenant, move |connection| {
            Box::pin(async move {
                tenants::is_there(connection, credential.tenant).await?;
                credentials::insert(connection, &credential).await
            })
        })
        .await
    }

    async fn change_credential(&self, credential: Credential) -> Result<(), StoreError> {
        self.change_of(credential.tenant, move |connection| {
            Box::pin(async move { credentials::change(connection, &credential).await })
        })
        .await
    }

    async fn set_credential_status(
        &self,
        tenant: TenantId,
        id: CredentialId,
        status: CredentialStatus,
        by: Authority,
    ) -> Result<(), StoreError> {
        self.change_of(tenant, move |connection| {
            Box::pin(
                async move { credentials::set_status(connection, (tenant, id), status, by).await },
            )
        })
        .await
    }

    async fn revoke_credential(
        &self,
        tenant: TenantId,
        id: CredentialId,
    ) -> Result<(), StoreError> {
        self.change_of(tenant, move |connection| {
            Box::pin(async move {
                // Index credentials (primary key).
                let changed = sqlx::query(
                    "UPDATE credentials SET status = 'revoked' WHERE tenant = ?1 AND id = ?2",
                )
                .bind(tenant.as_bytes().as_slice())
                .bind(id.as_bytes().as_slice())
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
                let changed = sqlx::query("UPDATE dkim_keys SET status = 'revoked' WHERE id = ?1")
                    .bind(id.as_bytes().as_slice())
                    .execute(connection)
                    .await?;
                found(changed.rows_affected(), "DKIM key")
            })
        })
        .await
    }
}

impl SqliteStore {
    /// Runs a verb and raises the generation, both or none.
    pub(crate) async fn change<F>(&self, verb: F) -> Result<(), StoreError>
    where
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<(), Fault>>
            + Send
            + 'static,
    {
        self.writer()
            .alone(move |connection| {
                Box::pin(async move {
                    verb(&mut *connection).await?;
                    generation::raise_for_all(connection).await
                })
            })
            .await
    }

    /// The same, of a verb that changes nothing but this tenant, its keys or reply addresses.
    async fn change_of<F>(&self, tenant: TenantId, verb: F) -> Result<(), StoreError>
    where
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<(), Fault>>
            + Send
            + 'static,
    {
        self.writer()
            .alone(move |connection| {
                Box::pin(async move {
                    verb(&mut *connection).await?;
                    generation::raise(connection, &[tenant]).await
                })
            })
            .await
    }
}

pub(crate) fn found(changed: u64, what: &'static str) -> Result<(), Fault> {
    if changed == 0 {
        Err(Fault::NotFound(what))
    } else {
        Ok(())
    }
}

/// Says what is there already, where an INSERT met a unique index.
pub(crate) fn taken(what: &'static str) -> impl FnOnce(sqlx::Error) -> Fault {
    move |error| {
        let fault = Fault::from(error);
        if fault.is_taken() {
            Fault::Taken(what)
        } else {
            fault
        }
    }
}

async fn add_dkim_keys(connection: &mut SqliteConnection, keys: &[DkimKey]) -> Result<(), Fault> {
    // A handful at a time: one statement, whatever its size.
    let mut insert = QueryBuilder::<Sqlite>::new(
        "INSERT INTO dkim_keys (id, domain, selector, algorithm, record, sealed_private_key,
             status, created_at) ",
    );
    insert.push_values(keys, |mut row, key| {
        row.push_bind(key.id.as_bytes().as_slice())
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
