//! What waits, counted: as far as it is looked at, each row once.

use std::collections::HashSet;

use postrider_model::{CredentialId, Domain, MessageId, TenantId, VendorId, WaitCause};
use postrider_store::{Queued, QueuedCount, QueuedQuery, Scope};
use sqlx::{AssertSqlSafe, FromRow};
use uuid::Uuid;

use crate::PostgresStore;
use crate::arrival::shard;
use crate::fault::Fault;
use crate::rows::{Id as _, Place, uuids};

#[derive(FromRow)]
struct QueuedRow {
    tenant: Uuid,
    cause: String,
    is_due: bool,
    message: Option<Uuid>,
    domain: Option<String>,
    credential: Option<Uuid>,
    recipients: i64,
}

/// $1 how many; $2 now; $3 messages, $4 domains, $5 tenants that are told apart; $6, $7 and $8 the scope.
const COUNT: &str = "
SELECT looked.tenant, looked.cause, looked.due_at <= $2 AS is_due,
    CASE WHEN looked.message = ANY ($3::uuid[]) THEN looked.message END AS message,
    CASE WHEN looked.domain = ANY ($4::text[]) THEN looked.domain END AS domain,
    CASE WHEN looked.tenant = ANY ($5::uuid[])
        THEN (SELECT m.credential FROM messages AS m WHERE m.id = looked.message) END AS credential,
    count(*) AS recipients
FROM (";
const BY_ALL: &str = " LIMIT $1) AS looked GROUP BY 1, 2, 3, 4, 5, 6";

/// Whose or which rows are meant: $6 shards and $7 tenants beside them, or one message; $8 a domain.
#[derive(Default)]
struct Meant {
    shards: Vec<i16>,
    ids: Vec<Uuid>,
    domain: String,
}

impl PostgresStore {
    pub(crate) async fn count_queued(&self, query: &QueuedQuery) -> Result<QueuedCount, Fault> {
        let apart = &query.apart;
        let within = query.within.as_ref();
        let tenants = self.tenants_in(within).await?;
        let (some, meant) = some_of(within, tenants.as_ref());
        let domains: Vec<_> = apart.domains.iter().map(Domain::as_str).collect();
        let statement = AssertSqlSafe(format!("{COUNT}{some}{BY_ALL}"));
        let mut connection = self.lend().await?;
        let rows: Vec<QueuedRow> = sqlx::query_as(statement)
            .bind(i64::from(query.most))
            .bind(query.now.as_micros())
            .bind(uuids(&apart.messages))
            .bind(&domains)
            .bind(uuids(&apart.keys_of))
            .bind(&meant.shards)
            .bind(&meant.ids)
            .bind(&meant.domain)
            .fetch_all(&mut *connection)
            .await?;
        connection.back();
        let lines = rows.into_iter().map(Queued::try_from);
        let mut lines = lines.collect::<Result<Vec<_>, Fault>>()?;
        let looked_at = match within {
            Some(Scope::Domain(_)) => self.looked_at(query.most).await?,
            _ => lines.iter().map(|line| line.recipients).sum(),
        };
        let (held, more_held) = self
            .count_held(within, tenants.as_ref(), query.most)
            .await?;
        lines.extend(held.into_iter().map(Queued::held));
        Ok(QueuedCount {
            lines,
            more: more_held || looked_at >= u64::from(query.most),
        })
    }

    /// Whose rows alone are meant, where a scope is tenants.
    async fn tenants_in(&self, within: Option<&Scope>) -> Result<Option<HashSet<TenantId>>, Fault> {
        Ok(match within {
            Some(Scope::Tenant(tenant)) => Some(HashSet::from([*tenant])),
            Some(Scope::Vendor(vendor)) => Some(self.all_of_vendor(*vendor).await?),
            Some(Scope::Domain(_) | Scope::Message(_)) | None => None,
        })
    }

    /// How many rows there are, of the first `most`.
    async fn looked_at(&self, most: u32) -> Result<u64, Fault> {
        let mut connection = self.lend().await?;
        let statement = "SELECT count(*) FROM (SELECT 1 FROM queue LIMIT $1) AS looked";
        let rows: i64 = sqlx::query_scalar(statement)
            .bind(i64::from(most))
            .fetch_one(&mut *connection)
            .await?;
        connection.back();
        Ok(u64::try_from(rows).unwrap_or_default())
    }

    async fn all_of_vendor(&self, vendor: VendorId) -> Result<HashSet<TenantId>, Fault> {
        let mut connection = self.lend().await?;
        // Index tenants_vendor.
        let ids: Vec<Uuid> = sqlx::query_scalar("SELECT id FROM tenants WHERE vendor = $1")
            .bind(vendor.uuid())
            .fetch_all(&mut *connection)
            .await?;
        connection.back();
        Ok(ids.into_iter().map(TenantId::of).collect())
    }
}

/// The statement that reads the rows in this scope, and what it is about.
fn some_of(within: Option<&Scope>, tenants: Option<&HashSet<TenantId>>) -> (&'static str, Meant) {
    if let Some(tenants) = tenants {
        let (shards, ids) = lanes(tenants);
        let meant = Meant {
            shards,
            ids,
            ..Meant::default()
        };
        return (OF_LANES, meant);
    }
    let mut meant = Meant::default();
    match within {
        Some(Scope::Domain(domain)) => {
            domain.as_str().clone_into(&mut meant.domain);
            (OF_DOMAIN, meant)
        }
        Some(Scope::Message(message)) => {
            meant.ids = vec![message.uuid()];
            (OF_MESSAGE, meant)
        }
        _ => (ALL, meant),
    }
}

// Each names all three of its scope's parameters, so that the server knows their types.
const ALL: &str = "SELECT q.tenant, q.cause, q.due_at, q.message, q.domain FROM queue AS q
 WHERE cardinality($6::smallint[]) + cardinality($7::uuid[]) = 0 AND $8::text = ''";
// No index: sought among as many as are looked at.
const OF_DOMAIN: &str = "SELECT q.tenant, q.cause, q.due_at, q.message, q.domain
 FROM (SELECT tenant, cause, due_at, message, domain FROM queue LIMIT $1) AS q
 WHERE cardinality($6::smallint[]) + cardinality($7::uuid[]) = 0 AND q.domain = $8::text";
// Indexes recipients and queue (primary keys).
const OF_MESSAGE: &str = "SELECT q.tenant, q.cause, q.due_at, q.message, q.domain
 FROM recipients AS r JOIN queue AS q ON q.recipient = r.id
 WHERE r.message = ANY ($7::uuid[]) AND cardinality($6::smallint[]) = 0 AND $8::text = ''";
// Index queue_lane.
const OF_LANES: &str = "SELECT q.tenant, q.cause, q.due_at, q.message, q.domain
 FROM unnest($6::smallint[], $7::uuid[]) AS x (shard, tenant)
 JOIN queue AS q ON q.shard = x.shard AND q.tenant = x.tenant WHERE $8::text = ''";

/// Where the rows of these tenants lie.
fn lanes(tenants: &HashSet<TenantId>) -> (Vec<i16>, Vec<Uuid>) {
    let lane = |tenant: &TenantId| (shard(*tenant), tenant.uuid());
    tenants.iter().map(lane).unzip()
}

impl TryFrom<QueuedRow> for Queued {
    type Error = Fault;

    fn try_from(row: QueuedRow) -> Result<Self, Fault> {
        let place = Place {
            table: "queue",
            id: row.tenant,
        };
        Ok(Self {
            tenant: TenantId::of(row.tenant),
            cause: place.cell("cause", WaitCause::parse(&row.cause))?,
            is_due: row.is_due,
            message: row.message.map(MessageId::of),
            domain: match &row.domain {
                Some(domain) => Some(place.domain("domain", domain)?),
                None => None,
            },
            credential: row.credential.map(CredentialId::of),
            recipients: place.number("count", row.recipients)?,
        })
    }
}
