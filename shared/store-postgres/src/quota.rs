//! Quotas inside the commit, exact over all nodes: the row of each tenant that has one is locked
//! until the commit, in one order for all.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use postrider_model::{TenantId, Timestamp};
use postrider_store::{NewMessage, OverQuota, Period, Usage};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::fault::Fault;
use crate::rows::{Id as _, Place};

/// A tenant's day.
type TenantDay = (Uuid, i64);

/// Locks the tenants that have a quota, in one order for all. Before it is known which messages are
/// there already: what a lock waited for is seen by the next statement only.
pub(crate) async fn lock(
    connection: &mut PgConnection,
    messages: &[&NewMessage],
) -> Result<(), Fault> {
    let limited = messages.iter().filter(|message| has_quota(message));
    let ids: BTreeSet<Uuid> = limited.map(|message| message.tenant.uuid()).collect();
    if ids.is_empty() {
        return Ok(());
    }
    // Index tenants (primary key). Against other commits of these tenants, not against readers.
    sqlx::query("SELECT 1 FROM tenants WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE")
        .bind(ids.into_iter().collect::<Vec<_>>())
        .execute(connection)
        .await?;
    Ok(())
}

/// Of the messages at these places, those that their tenant's quota does not allow.
pub(crate) async fn check(
    connection: &mut PgConnection,
    messages: &[&NewMessage],
    open: &[usize],
) -> Result<HashMap<usize, OverQuota>, Fault> {
    let open: Vec<(usize, &NewMessage)> = open
        .iter()
        .filter_map(|at| Some((*at, *messages.get(*at)?)))
        .collect();
    let limited: BTreeSet<TenantDay> = open
        .iter()
        .filter(|(_, message)| has_quota(message))
        .map(|(_, message)| (message.tenant.uuid(), message.accepted_at.month_begin()))
        .collect();
    if limited.is_empty() {
        return Ok(HashMap::new());
    }
    let mut used = used(connection, &limited).await?;
    let mut over = HashMap::new();
    for (at, message) in open {
        let count = message.recipients.len() as u64;
        if let Some(found) = exceeded(message, count, &used) {
            over.insert(at, found);
        } else {
            let day = (message.tenant.uuid(), message.accepted_at.day());
            *used.entry(day).or_default() += count;
        }
    }
    Ok(over)
}

fn has_quota(message: &NewMessage) -> bool {
    message.quota.per_day > 0 || message.quota.per_month > 0
}

fn exceeded(
    message: &NewMessage,
    count: u64,
    used: &BTreeMap<TenantDay, u64>,
) -> Option<OverQuota> {
    let (tenant, at) = (message.tenant.uuid(), message.accepted_at);
    let today = used.get(&(tenant, at.day())).copied().unwrap_or(0);
    let month = (tenant, at.month_begin())..(tenant, at.next_month().day());
    let month: u64 = used.range(month).map(|(_, accepted)| accepted).sum();
    let periods = [
        (Period::Day, message.quota.per_day, today),
        (Period::Month, message.quota.per_month, month),
    ];
    periods
        .into_iter()
        .find(|(_, limit, used)| *limit > 0 && used + count > u64::from(*limit))
        .map(|(period, limit, used)| OverQuota {
            period,
            limit,
            used,
        })
}

/// What was accepted so far in these months.
async fn used(
    connection: &mut PgConnection,
    months: &BTreeSet<TenantDay>,
) -> Result<BTreeMap<TenantDay, u64>, Fault> {
    let (tenants, begins): (Vec<Uuid>, Vec<i64>) = months.iter().copied().unzip();
    // Index usage (primary key).
    let rows: Vec<(Uuid, i64, i64)> = sqlx::query_as(
        "SELECT u.tenant, u.day, u.accepted
         FROM unnest($1::uuid[], $2::bigint[]) AS x (tenant, begins)
         JOIN usage AS u ON u.tenant = x.tenant AND u.day >= x.begins AND u.day < x.begins + 31",
    )
    .bind(tenants)
    .bind(begins)
    .fetch_all(connection)
    .await?;
    let rows = rows.into_iter();
    Ok(rows
        .map(|(tenant, day, accepted)| ((tenant, day), u64::try_from(accepted).unwrap_or(0)))
        .collect())
}

/// Recipients accepted on the day of `at` and in its month.
pub(crate) async fn usage(
    connection: &mut PgConnection,
    tenant: TenantId,
    at: Timestamp,
) -> Result<Usage, Fault> {
    // Index usage (primary key).
    let (day, month): (i64, i64) = sqlx::query_as(
        "SELECT coalesce(sum(accepted) FILTER (WHERE day = $2), 0)::bigint,
             coalesce(sum(accepted), 0)::bigint
         FROM usage WHERE tenant = $1 AND day >= $3 AND day < $4",
    )
    .bind(tenant.uuid())
    .bind(at.day())
    .bind(at.month_begin())
    .bind(at.next_month().day())
    .fetch_one(connection)
    .await?;
    let place = Place {
        table: "usage",
        id: tenant.uuid(),
    };
    Ok(Usage {
        day: place.number("accepted", day)?,
        month: place.number("accepted", month)?,
    })
}
