//! The suppressions port: where a tenant's mail does not go. The tenant is in every WHERE.

use std::collections::HashSet;

use async_trait::async_trait;
use postrider_model::{
    EmailAddress, Stream, Suppression, SuppressionId, SuppressionReason, TenantId, Timestamp,
};
use postrider_store::{
    StoreError, Suppressed, SuppressionFilter, SuppressionList, SuppressionPage, SuppressionStart,
    Suppressions,
};
use serde::Serialize;
use sqlx::{AssertSqlSafe, SqliteConnection};

use crate::directory::taken;
use crate::fault::Fault;
use crate::rows::{Place, json};
use crate::suspects::Suspects;
use crate::writer::Desk;
use crate::{SqliteStore, quota, tenants};

/// Suppressions on a page, and in one verb, at most.
const PAGE_MOST: u8 = 100;
const VERB_MOST: usize = 1_000;
/// No id is larger.
const LARGEST: [u8; 16] = [0xff; 16];
/// The word for all mail of a tenant.
const ALL: &str = "all";

#[async_trait]
impl Suppressions for SqliteStore {
    async fn among(
        &self,
        tenant: TenantId,
        stream: Stream,
        addresses: &[EmailAddress],
        now: Timestamp,
    ) -> Result<Vec<EmailAddress>, StoreError> {
        Ok(among(self, (tenant, stream), addresses, now).await?)
    }

    async fn suppress(
        &self,
        tenant: TenantId,
        new: Vec<Suppression>,
    ) -> Result<Vec<Suppression>, StoreError> {
        self.writer()
            .numbering(move |desk| Box::pin(async move { suppress(desk, tenant, &new).await }))
            .await
    }

    async fn lift(
        &self,
        tenant: TenantId,
        which: &[Suppressed],
    ) -> Result<Vec<Suppression>, StoreError> {
        let which = which.to_vec();
        self.writer()
            .alone(move |connection| {
                Box::pin(async move { lift(connection, tenant, &which).await })
            })
            .await
    }

    async fn suppression(
        &self,
        tenant: TenantId,
        which: &Suppressed,
        now: Timestamp,
    ) -> Result<Vec<Suppression>, StoreError> {
        Ok(find(self, tenant, which, now).await?)
    }

    async fn suppressions(
        &self,
        tenant: TenantId,
        filter: SuppressionFilter,
        page: SuppressionPage,
        now: Timestamp,
    ) -> Result<Option<SuppressionList>, StoreError> {
        Ok(list(self, (tenant, filter), page, now).await?)
    }
}

fn word(stream: Option<Stream>) -> &'static str {
    stream.map_or(ALL, Stream::as_str)
}

async fn among(
    store: &SqliteStore,
    (tenant, stream): (TenantId, Stream),
    addresses: &[EmailAddress],
    now: Timestamp,
) -> Result<Vec<EmailAddress>, Fault> {
    let folded = store.suspects().of(tenant, addresses);
    if folded.is_empty() {
        return Ok(Vec::new());
    }
    // Index suppressions_address.
    let found: Vec<String> = sqlx::query_scalar(
        "SELECT s.folded FROM json_each(?3) AS k CROSS JOIN suppressions AS s
             ON s.tenant = ?1 AND s.folded = k.value AND s.stream IN (?2, 'all')
         WHERE s.until IS NULL OR s.until > ?4",
    )
    .bind(tenant.as_bytes().as_slice())
    .bind(stream.as_str())
    .bind(json(&folded)?)
    .bind(now.as_micros())
    .fetch_all(store.readers())
    .await?;
    let mut found: HashSet<String> = found.into_iter().collect();
    // Taken out: each once.
    let among = addresses.iter().filter(|a| found.remove(&a.folded()));
    Ok(among.cloned().collect())
}

#[derive(Serialize)]
struct NewRow<'s> {
    id: SuppressionId,
    tenant: TenantId,
    address: String,
    folded: String,
    stream: &'static str,
    reason: SuppressionReason,
    source: &'s str,
    since: i64,
    until: Option<i64>,
}

impl<'s> NewRow<'s> {
    fn of(new: &'s Suppression) -> Self {
        Self {
            id: new.id,
            tenant: new.tenant,
            address: new.address.to_string(),
            folded: new.address.folded(),
            stream: word(new.stream),
            reason: new.reason,
            source: &new.source,
            since: new.since.as_micros(),
            until: new.until.map(Timestamp::as_micros),
        }
    }
}

async fn suppress(
    desk: &mut Desk,
    tenant: TenantId,
    new: &[Suppression],
) -> Result<Vec<Suppression>, Fault> {
    let connection = &mut desk.connection;
    check(tenant, new)?;
    tenants::is_there(connection, tenant).await?;
    let came = upsert(connection, new, &desk.suspects).await?;
    let complaints = came
        .into_iter()
        .filter(|(reason, _)| *reason == SuppressionReason::Complaint);
    let complaints: Vec<Timestamp> = complaints.map(|(_, since)| since).collect();
    if !complaints.is_empty() {
        quota::count_complaints(connection, tenant, &complaints).await?;
    }
    let rows: Vec<NewRow<'_>> = new.iter().map(NewRow::of).collect();
    // Index suppressions_address.
    let stand: Vec<SuppressionRow> = sqlx::query_as(
        "SELECT s.* FROM json_each(?2) AS k CROSS JOIN suppressions AS s
             ON s.tenant = ?1 AND s.folded = k.value ->> 'folded'
             AND s.stream = k.value ->> 'stream'
         ORDER BY k.key",
    )
    .bind(tenant.as_bytes().as_slice())
    .bind(json(&rows)?)
    .fetch_all(connection)
    .await?;
    stand.into_iter().map(Suppression::try_from).collect()
}

/// Writes suppressions, no two of one tenant, address and stream. Gives the reason and beginning of
/// those that came about: what stands, and lasts as long, stays as it is.
pub(crate) async fn upsert(
    connection: &mut SqliteConnection,
    new: &[Suppression],
    suspects: &Suspects,
) -> Result<Vec<(SuppressionReason, Timestamp)>, Fault> {
    suspects.add(new.iter().map(|new| (new.tenant, &new.address)));
    let rows: Vec<NewRow<'_>> = new.iter().map(NewRow::of).collect();
    // Index suppressions_address.
    let came: Vec<(Vec<u8>, String, i64)> = sqlx::query_as(
        "INSERT INTO suppressions (id, tenant, address, folded, stream, reason, source, since, until)
         SELECT unhex(value ->> 'id', '-'), unhex(value ->> 'tenant', '-'), value ->> 'address',
             value ->> 'folded', value ->> 'stream', value ->> 'reason', value ->> 'source',
             value ->> 'since', value ->> 'until'
         FROM json_each(?1) WHERE true
         ON CONFLICT (tenant, folded, stream) DO UPDATE SET address = excluded.address,
             reason = excluded.reason, source = excluded.source, since = excluded.since,
             until = excluded.until
         WHERE suppressions.until <= excluded.since
             OR suppressions.until < coalesce(excluded.until, 9223372036854775807)
         RETURNING id, reason, since",
    )
    .bind(json(&rows)?)
    .fetch_all(connection)
    .await
    .map_err(taken("suppression id"))?;
    let came = came.into_iter().map(|(id, reason, since)| {
        let place = Place {
            table: "suppressions",
            id: &id,
        };
        let reason = place.cell("reason", SuppressionReason::parse(&reason))?;
        Ok((reason, Timestamp::from_micros(since)))
    });
    came.collect()
}

/// What no transaction can mend.
fn check(tenant: TenantId, new: &[Suppression]) -> Result<(), Fault> {
    let refuse = |reason: &str| Err(Fault::Rejected(reason.to_owned()));
    let keys: HashSet<_> = new.iter().map(|n| (n.address.folded(), n.stream)).collect();
    if new.len() > VERB_MOST {
        return refuse("more suppressions than one verb takes");
    }
    if keys.len() < new.len() {
        return refuse("two suppressions of one address and stream");
    }
    if new.iter().any(|new| new.tenant != tenant) {
        return refuse("a suppression of another tenant");
    }
    Ok(())
}

async fn lift(
    connection: &mut SqliteConnection,
    tenant: TenantId,
    which: &[Suppressed],
) -> Result<Vec<Suppression>, Fault> {
    if which.len() > VERB_MOST {
        return Err(Fault::Rejected("more than one verb takes".to_owned()));
    }
    let mut ids = Vec::new();
    let mut addresses = Vec::new();
    for one in which {
        match one {
            Suppressed::Id(id) => ids.push(*id),
            Suppressed::Address(address) => addresses.push(address.folded()),
        }
    }
    // Indexes suppressions (primary key) and suppressions_address.
    let rows: Vec<SuppressionRow> = sqlx::query_as(
        "DELETE FROM suppressions WHERE tenant = ?1 AND id IN (
             SELECT unhex(value, '-') FROM json_each(?2)
             UNION SELECT s.id FROM json_each(?3) AS k CROSS JOIN suppressions AS s
                 ON s.tenant = ?1 AND s.folded = k.value)
         RETURNING *",
    )
    .bind(tenant.as_bytes().as_slice())
    .bind(json(&ids)?)
    .bind(json(&addresses)?)
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(Suppression::try_from).collect()
}

async fn find(
    store: &SqliteStore,
    tenant: TenantId,
    which: &Suppressed,
    now: Timestamp,
) -> Result<Vec<Suppression>, Fault> {
    let statement = match which {
        // Index suppressions (primary key).
        Suppressed::Id(_) => {
            "SELECT * FROM suppressions
             WHERE tenant = ?1 AND id = ?2 AND (until IS NULL OR until > ?3)"
        }
        // Index suppressions_address.
        Suppressed::Address(_) => {
            "SELECT * FROM suppressions
             WHERE tenant = ?1 AND folded = ?2 AND (until IS NULL OR until > ?3) ORDER BY id DESC"
        }
    };
    let asked = sqlx::query_as(statement).bind(tenant.as_bytes().as_slice());
    let asked = match which {
        Suppressed::Id(id) => asked.bind(id.as_bytes().to_vec()),
        Suppressed::Address(address) => asked.bind(address.folded()),
    };
    let rows: Vec<SuppressionRow> = asked
        .bind(now.as_micros())
        .fetch_all(store.readers())
        .await?;
    rows.into_iter().map(Suppression::try_from).collect()
}

async fn list(
    store: &SqliteStore,
    (tenant, filter): (TenantId, SuppressionFilter),
    page: SuppressionPage,
    now: Timestamp,
) -> Result<Option<SuppressionList>, Fault> {
    let mut snapshot = store.readers().begin().await?;
    let bound = match page.start {
        SuppressionStart::Newest => LARGEST,
        SuppressionStart::After(id) | SuppressionStart::Before(id) => {
            // Index suppressions (primary key).
            let there: Option<i64> =
                sqlx::query_scalar("SELECT 1 FROM suppressions WHERE tenant = ?1 AND id = ?2")
                    .bind(tenant.as_bytes().as_slice())
                    .bind(id.as_bytes().as_slice())
                    .fetch_optional(&mut *snapshot)
                    .await?;
            if there.is_none() {
                return Ok(None);
            }
            *id.as_bytes()
        }
    };
    let backward = matches!(page.start, SuppressionStart::Before(_));
    let (beyond, order) = if backward { (">", "") } else { ("<", "DESC") };
    let limit = page.limit.clamp(1, PAGE_MOST);
    // Index suppressions_tenant.
    let statement = format!(
        "SELECT * FROM suppressions WHERE tenant = ?1 AND id {beyond} ?2
             AND (until IS NULL OR until > ?3) AND (?4 IS NULL OR stream IN (?4, 'all'))
         ORDER BY id {order} LIMIT ?5"
    );
    let mut rows: Vec<SuppressionRow> = sqlx::query_as(AssertSqlSafe(statement))
        .bind(tenant.as_bytes().as_slice())
        .bind(bound.as_slice())
        .bind(now.as_micros())
        .bind(filter.stream.map(Stream::as_str))
        // One more tells whether there is more.
        .bind(i64::from(limit) + 1)
        .fetch_all(&mut *snapshot)
        .await?;
    let more = rows.len() > usize::from(limit);
    rows.truncate(limit.into());
    if backward {
        rows.reverse();
    }
    let suppressions: Result<_, Fault> = rows.into_iter().map(Suppression::try_from).collect();
    Ok(Some(SuppressionList {
        suppressions: suppressions?,
        more,
    }))
}

#[derive(sqlx::FromRow)]
pub(crate) struct SuppressionRow {
    id: Vec<u8>,
    tenant: Vec<u8>,
    address: String,
    stream: String,
    reason: String,
    source: String,
    since: i64,
    until: Option<i64>,
}

impl TryFrom<SuppressionRow> for Suppression {
    type Error = Fault;

    fn try_from(row: SuppressionRow) -> Result<Self, Fault> {
        let place = Place {
            table: "suppressions",
            id: &row.id,
        };
        let stream = match row.stream.as_str() {
            ALL => None,
            word => Some(place.cell("stream", Stream::parse(word))?),
        };
        Ok(Self {
            id: place.id("id", &row.id)?,
            tenant: place.id("tenant", &row.tenant)?,
            address: place.address("address", &row.address)?,
            stream,
            reason: place.cell("reason", SuppressionReason::parse(&row.reason))?,
            source: row.source,
            since: Timestamp::from_micros(row.since),
            until: row.until.map(Timestamp::from_micros),
        })
    }
}
