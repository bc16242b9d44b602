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
use sqlx::{AssertSqlSafe, PgConnection};
use uuid::Uuid;

use crate::directory::taken;
use crate::fault::Fault;
use crate::rows::{Id as _, Place, text};
use crate::store::bounded;
use crate::{PostgresStore, looks, quota, tenants, transaction};

/// Suppressions on a page, and in one verb, at most.
const PAGE_MOST: u8 = 100;
const VERB_MOST: usize = 1_000;
/// The word for all mail of a tenant.
const ALL: &str = "all";

#[async_trait]
impl Suppressions for PostgresStore {
    async fn among(
        &self,
        tenant: TenantId,
        stream: Stream,
        addresses: &[EmailAddress],
        now: Timestamp,
    ) -> Result<Vec<EmailAddress>, StoreError> {
        Ok(bounded(among(self, (tenant, stream), addresses, now)).await?)
    }

    async fn suppress(
        &self,
        tenant: TenantId,
        new: Vec<Suppression>,
    ) -> Result<Vec<Suppression>, StoreError> {
        self.alone(move |connection| {
            Box::pin(async move { suppress(connection, tenant, &new).await })
        })
        .await
    }

    async fn lift(
        &self,
        tenant: TenantId,
        which: &[Suppressed],
    ) -> Result<Vec<Suppression>, StoreError> {
        let which = which.to_vec();
        self.alone(move |connection| {
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
        Ok(bounded(find(self, tenant, which, now)).await?)
    }

    async fn suppressions(
        &self,
        tenant: TenantId,
        filter: SuppressionFilter,
        page: SuppressionPage,
        now: Timestamp,
    ) -> Result<Option<SuppressionList>, StoreError> {
        Ok(bounded(list(self, (tenant, filter), page, now)).await?)
    }
}

fn word(stream: Option<Stream>) -> &'static str {
    stream.map_or(ALL, Stream::as_str)
}

async fn among(
    store: &PostgresStore,
    (tenant, stream): (TenantId, Stream),
    addresses: &[EmailAddress],
    now: Timestamp,
) -> Result<Vec<EmailAddress>, Fault> {
    if addresses.is_empty() {
        return Ok(Vec::new());
    }
    let mut found = looks::suppressed(store, (tenant, stream), addresses, now).await?;
    // Taken out: each once.
    let among = addresses.iter().filter(|a| found.remove(&a.folded()));
    Ok(among.cloned().collect())
}

/// Suppressions, a column each.
#[derive(Default)]
struct Columns {
    id: Vec<Uuid>,
    tenant: Vec<Uuid>,
    address: Vec<String>,
    folded: Vec<String>,
    stream: Vec<&'static str>,
    reason: Vec<&'static str>,
    source: Vec<String>,
    since: Vec<i64>,
    until: Vec<Option<i64>>,
}

impl Columns {
    fn of(new: &[Suppression]) -> Self {
        let mut columns = Self::default();
        for new in new {
            columns.id.push(new.id.uuid());
            columns.tenant.push(new.tenant.uuid());
            columns.address.push(new.address.to_string());
            columns.folded.push(new.address.folded());
            columns.stream.push(word(new.stream));
            columns.reason.push(new.reason.as_str());
            columns.source.push(text(&new.source).into_owned());
            columns.since.push(new.since.as_micros());
            columns.until.push(new.until.map(Timestamp::as_micros));
        }
        columns
    }
}

async fn suppress(
    connection: &mut PgConnection,
    tenant: TenantId,
    new: &[Suppression],
) -> Result<Vec<Suppression>, Fault> {
    check(tenant, new)?;
    tenants::is_there(connection, tenant).await?;
    let came = upsert(connection, new).await?;
    let complaints = came
        .into_iter()
        .filter(|(reason, _)| *reason == SuppressionReason::Complaint);
    let complaints: Vec<Timestamp> = complaints.map(|(_, since)| since).collect();
    if !complaints.is_empty() {
        quota::count_complaints(connection, tenant, &complaints).await?;
    }
    let columns = Columns::of(new);
    // Index suppressions_address.
    let stand: Vec<SuppressionRow> = sqlx::query_as(
        "SELECT s.* FROM unnest($2::text[], $3::text[]) WITH ORDINALITY AS x (folded, stream, at)
         JOIN suppressions AS s
             ON s.tenant = $1 AND s.folded = x.folded AND s.stream = x.stream
         ORDER BY x.at",
    )
    .bind(tenant.uuid())
    .bind(columns.folded)
    .bind(columns.stream)
    .fetch_all(connection)
    .await?;
    stand.into_iter().map(Suppression::try_from).collect()
}

/// Writes suppressions, no two of one tenant, address and stream. Gives the reason and beginning of
/// those that came about: what stands, and lasts as long, stays as it is.
pub(crate) async fn upsert(
    connection: &mut PgConnection,
    new: &[Suppression],
) -> Result<Vec<(SuppressionReason, Timestamp)>, Fault> {
    let columns = Columns::of(new);
    // Index suppressions_address. In one order for all: so nobody waits in a circle.
    let came: Vec<(Uuid, String, i64)> = sqlx::query_as(
        "INSERT INTO suppressions (id, tenant, address, folded, stream, reason, source, since, until)
         SELECT x.* FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[],
             $6::text[], $7::text[], $8::bigint[], $9::bigint[]) AS x (id, tenant, address, folded,
             stream, reason, source, since, until)
         ORDER BY x.tenant, x.folded COLLATE \"C\", x.stream COLLATE \"C\"
         ON CONFLICT (tenant, folded, stream) DO UPDATE SET address = excluded.address,
             reason = excluded.reason, source = excluded.source, since = excluded.since,
             until = excluded.until
         WHERE suppressions.until <= excluded.since
             OR suppressions.until < coalesce(excluded.until, 9223372036854775807)
         RETURNING id, reason, since",
    )
    .bind(columns.id)
    .bind(columns.tenant)
    .bind(columns.address)
    .bind(columns.folded)
    .bind(columns.stream)
    .bind(columns.reason)
    .bind(columns.source)
    .bind(columns.since)
    .bind(columns.until)
    .fetch_all(connection)
    .await
    .map_err(taken("suppression id"))?;
    let came = came.into_iter().map(|(id, reason, since)| {
        let place = Place {
            table: "suppressions",
            id,
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
    connection: &mut PgConnection,
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
            Suppressed::Id(id) => ids.push(id.uuid()),
            Suppressed::Address(address) => addresses.push(address.folded()),
        }
    }
    // Indexes suppressions (primary key) and suppressions_address.
    let rows: Vec<SuppressionRow> = sqlx::query_as(
        "DELETE FROM suppressions
         WHERE tenant = $1 AND (id = ANY($2) OR folded = ANY($3)) RETURNING *",
    )
    .bind(tenant.uuid())
    .bind(ids)
    .bind(addresses)
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(Suppression::try_from).collect()
}

async fn find(
    store: &PostgresStore,
    tenant: TenantId,
    which: &Suppressed,
    now: Timestamp,
) -> Result<Vec<Suppression>, Fault> {
    let statement = match which {
        // Index suppressions (primary key).
        Suppressed::Id(_) => {
            "SELECT * FROM suppressions
             WHERE tenant = $1 AND id = $2 AND (until IS NULL OR until > $3)"
        }
        // Index suppressions_address.
        Suppressed::Address(_) => {
            "SELECT * FROM suppressions
             WHERE tenant = $1 AND folded = $2 AND (until IS NULL OR until > $3) ORDER BY id DESC"
        }
    };
    let asked = sqlx::query_as(statement).bind(tenant.uuid());
    let asked = match which {
        Suppressed::Id(id) => asked.bind(id.uuid()),
        Suppressed::Address(address) => asked.bind(address.folded()),
    };
    let mut connection = store.lend().await?;
    let asked = asked.bind(now.as_micros());
    let rows: Vec<SuppressionRow> = asked.fetch_all(&mut *connection).await?;
    connection.back();
    rows.into_iter().map(Suppression::try_from).collect()
}

async fn list(
    store: &PostgresStore,
    (tenant, filter): (TenantId, SuppressionFilter),
    page: SuppressionPage,
    now: Timestamp,
) -> Result<Option<SuppressionList>, Fault> {
    let mut snapshot = store.lend().await?;
    transaction::begin_reading(&mut snapshot).await?;
    let bound = match page.start {
        SuppressionStart::Newest => Uuid::max(),
        SuppressionStart::After(id) | SuppressionStart::Before(id) => {
            // Index suppressions (primary key).
            let there: Option<i32> =
                sqlx::query_scalar("SELECT 1 FROM suppressions WHERE tenant = $1 AND id = $2")
                    .bind(tenant.uuid())
                    .bind(id.uuid())
                    .fetch_optional(&mut *snapshot)
                    .await?;
            if there.is_none() {
                transaction::commit(&mut snapshot).await?;
                snapshot.back();
                return Ok(None);
            }
            id.uuid()
        }
    };
    let backward = matches!(page.start, SuppressionStart::Before(_));
    let (beyond, order) = if backward { (">", "") } else { ("<", "DESC") };
    let limit = page.limit.clamp(1, PAGE_MOST);
    // Index suppressions_tenant.
    let statement = format!(
        "SELECT * FROM suppressions WHERE tenant = $1 AND id {beyond} $2
             AND (until IS NULL OR until > $3) AND ($4::text IS NULL OR stream IN ($4, 'all'))
         ORDER BY id {order} LIMIT $5"
    );
    let mut rows: Vec<SuppressionRow> = sqlx::query_as(AssertSqlSafe(statement))
        .bind(tenant.uuid())
        .bind(bound)
        .bind(now.as_micros())
        .bind(filter.stream.map(Stream::as_str))
        // One more tells whether there is more.
        .bind(i64::from(limit) + 1)
        .fetch_all(&mut *snapshot)
        .await?;
    transaction::commit(&mut snapshot).await?;
    snapshot.back();
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
    id: Uuid,
    tenant: Uuid,
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
            id: row.id,
        };
        let stream = match row.stream.as_str() {
            ALL => None,
            word => Some(place.cell("stream", Stream::parse(word))?),
        };
        Ok(Self {
            id: SuppressionId::of(row.id),
            tenant: TenantId::of(row.tenant),
            address: place.address("address", &row.address)?,
            stream,
            reason: place.cell("reason", SuppressionReason::parse(&row.reason))?,
            source: row.source,
            since: Timestamp::from_micros(row.since),
            until: row.until.map(Timestamp::from_micros),
        })
    }
}
