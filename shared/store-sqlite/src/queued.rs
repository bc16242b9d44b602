//! What waits, counted: as far as it is looked at, each row once.

use std::collections::HashSet;

use postrider_model::{Domain, TenantId, VendorId, WaitCause};
use postrider_store::{Queued, QueuedCount, QueuedQuery, Scope, Shard};
use sqlx::{AssertSqlSafe, FromRow};

use crate::SqliteStore;
use crate::fault::Fault;
use crate::rows::{Place, json, json_ids};

#[derive(FromRow)]
struct QueuedRow {
    tenant: Vec<u8>,
    cause: String,
    is_due: bool,
    message: Option<Vec<u8>>,
    domain: Option<String>,
    credential: Option<Vec<u8>>,
    recipients: i64,
}

/// ?1 how many; ?2 now; ?3 messages, ?4 domains, ?5 tenants that are told apart; ?6 the scope.
const COUNT: &str = "
SELECT tenant, cause, due_at <= ?2 AS is_due,
    CASE WHEN message IN (SELECT unhex(value, '-') FROM json_each(?3)) THEN message END AS message,
    CASE WHEN domain IN (SELECT value FROM json_each(?4)) THEN domain END AS domain,
    CASE WHEN tenant IN (SELECT unhex(value, '-') FROM json_each(?5))
        THEN (SELECT m.credential FROM messages AS m WHERE m.id = looked.message) END AS credential,
    count(*) AS recipients
FROM (";
const BY_ALL: &str = " LIMIT ?1) AS looked GROUP BY 1, 2, 3, 4, 5, 6";

impl SqliteStore {
    pub(crate) async fn count_queued(&self, query: &QueuedQuery) -> Result<QueuedCount, Fault> {
        let apart = &query.apart;
        let within = query.within.as_ref();
        let tenants = self.tenants_in(within).await?;
        let (some, scope) = some_of(within, tenants.as_ref())?;
        let domains: Vec<_> = apart.domains.iter().map(Domain::as_str).collect();
        let statement = AssertSqlSafe(format!("{COUNT}{some}{BY_ALL}"));
        let rows: Vec<QueuedRow> = sqlx::query_as(statement)
            .bind(query.most)
            .bind(query.now.as_micros())
            .bind(json_ids(&apart.messages))
            .bind(json(&domains)?)
            .bind(json_ids(&apart.keys_of))
            .bind(scope)
            .fetch_all(self.readers())
            .await?;
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
        let statement = "SELECT count(*) FROM (SELECT 1 FROM queue LIMIT ?1)";
        let rows: i64 = sqlx::query_scalar(statement)
            .bind(most)
            .fetch_one(self.readers())
            .await?;
        Ok(u64::try_from(rows).unwrap_or_default())
    }

    async fn all_of_vendor(&self, vendor: VendorId) -> Result<HashSet<TenantId>, Fault> {
        // Index tenants_vendor.
        let ids: Vec<Vec<u8>> = sqlx::query_scalar("SELECT id FROM tenants WHERE vendor = ?1")
            .bind(vendor.as_bytes().as_slice())
            .fetch_all(self.readers())
            .await?;
        let ids = ids.iter().map(|id| {
            let place = Place {
                table: "tenants",
                id,
            };
            place.id("id", id)
        });
        ids.collect()
    }
}

/// The statement that reads the rows in this scope, and its ?6.
fn some_of(
    within: Option<&Scope>,
    tenants: Option<&HashSet<TenantId>>,
) -> Result<(&'static str, String), Fault> {
    if let Some(tenants) = tenants {
        return Ok((OF_LANES, lanes(tenants)?));
    }
    Ok(match within {
        Some(Scope::Domain(domain)) => (OF_DOMAIN, domain.as_str().to_owned()),
        Some(Scope::Message(message)) => (OF_MESSAGE, message.to_string()),
        _ => (ALL, String::new()),
    })
}

// No index: in the order in which they lie.
const ALL: &str = "SELECT tenant, cause, due_at, message, domain FROM queue WHERE ?6 = ''";
// No index here either: sought among as many as are looked at.
const OF_DOMAIN: &str = "SELECT tenant, cause, due_at, message, domain
 FROM (SELECT tenant, cause, due_at, message, domain FROM queue LIMIT ?1) WHERE domain = ?6";
// Indexes recipients (primary key) and queue_recipient.
const OF_MESSAGE: &str =
    "SELECT q.tenant, q.cause, q.due_at, q.message, q.domain FROM recipients AS r
 CROSS JOIN queue AS q ON q.recipient = r.id WHERE r.message = unhex(?6, '-')";
// Index queue_lane.
const OF_LANES: &str = "SELECT q.tenant, q.cause, q.due_at, q.message, q.domain
 FROM json_each(?6) AS x CROSS JOIN queue AS q
     ON q.shard = x.value ->> 0 AND q.tenant = unhex(x.value ->> 1, '-')";

/// Where the rows of these tenants lie: JSON, `[[shard, tenant], …]`.
fn lanes(tenants: &HashSet<TenantId>) -> Result<String, Fault> {
    let lanes = tenants
        .iter()
        .map(|tenant| (Shard::of(*tenant).number(), tenant.to_string()));
    json(&lanes.collect::<Vec<_>>())
}

impl TryFrom<QueuedRow> for Queued {
    type Error = Fault;

    fn try_from(row: QueuedRow) -> Result<Self, Fault> {
        let place = Place {
            table: "queue",
            id: &row.tenant,
        };
        let message = row.message.as_deref();
        let credential = row.credential.as_deref();
        Ok(Self {
            tenant: place.id("tenant", &row.tenant)?,
            cause: place.cell("cause", WaitCause::parse(&row.cause))?,
            is_due: row.is_due,
            message: message.map(|id| place.id("message", id)).transpose()?,
            domain: match &row.domain {
                Some(domain) => Some(place.domain("domain", domain)?),
                None => None,
            },
            credential: credential
                .map(|id| place.id("credential", id))
                .transpose()?,
            recipients: place.number("count", row.recipients)?,
        })
    }
}
