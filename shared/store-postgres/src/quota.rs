//! Quotas inside the commit, exact over all nodes: the row of each tenant that has one is locked
//! until the commit, in one order for all.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use postrider_model::{CredentialId, TenantId, Timestamp};
use postrider_store::{NewMessage, OverQuota, Period, Quota, Usage};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::fault::Fault;
use crate::rows::{Id as _, Place};
use crate::volumes::{self, Volumes};
use crate::{contacts, newcomers};

/// A tenant's day.
type TenantDay = (Uuid, i64);

/// Recipients accepted on a day.
#[derive(Clone, Copy, Default)]
struct Day {
    all: u64,
    /// Without the simulator's.
    real: u64,
}

/// A key of a tenant on a day.
type KeyDay = (Uuid, Uuid, i64);

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
        .execute(&mut *connection)
        .await?;
    volumes::lock(connection, messages).await
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
    let asked: Vec<&NewMessage> = open.iter().map(|(_, message)| *message).collect();
    let mut used = used(connection, &limited).await?;
    let mut keys = keys_used(connection, &asked).await?;
    let mut volumes = Volumes::read(connection, &asked).await?;
    let mut contacts = contacts::read(connection, &asked).await?;
    let mut newcomers = newcomers::read(connection, &asked).await?;
    let mut over = HashMap::new();
    for (at, message) in open {
        let count = message.recipients.len() as u64;
        let real = message.real() as u64;
        let found = exceeded(message, &used)
            .or_else(|| key_exceeded(message, count, &keys))
            .or_else(|| newcomer_exceeded(message, &newcomers))
            .or_else(|| volumes.exceeded(message, count))
            // The last to be asked: it counts at once.
            .or_else(|| contacts.count(message).err());
        if let Some(found) = found {
            over.insert(at, found);
            continue;
        }
        if message.quota.unconfirmed > 0 {
            *newcomers.entry(message.tenant.uuid()).or_default() += 1;
        }
        volumes.count(message, count);
        let day = (message.tenant.uuid(), message.accepted_at.day());
        let used = used.entry(day).or_default();
        used.all += count;
        used.real += real;
        if let Some(key) = key_day(message) {
            *keys.entry(key).or_default() += count;
        }
    }
    Ok(over)
}

/// What is counted of a key with a quota.
fn key_day(message: &NewMessage) -> Option<KeyDay> {
    let credential = message
        .credential
        .filter(|_| message.quota.key_per_day > 0)?;
    let day = message.accepted_at.day();
    Some((message.tenant.uuid(), credential.uuid(), day))
}

fn key_exceeded(
    message: &NewMessage,
    count: u64,
    keys: &BTreeMap<KeyDay, u64>,
) -> Option<OverQuota> {
    let used = keys.get(&key_day(message)?).copied().unwrap_or(0);
    within(Period::KeyDay, message.quota.key_per_day, used, count).err()
}

/// Messages, not recipients.
fn newcomer_exceeded(message: &NewMessage, newcomers: &BTreeMap<Uuid, u64>) -> Option<OverQuota> {
    let used = newcomers.get(&message.tenant.uuid()).copied();
    let limit = message.quota.unconfirmed;
    within(Period::Unconfirmed, limit, used.unwrap_or(0), 1).err()
}

fn within(period: Period, limit: u32, used: u64, more: u64) -> Result<(), OverQuota> {
    if more > 0 && limit > 0 && used.saturating_add(more) > u64::from(limit) {
        return Err(OverQuota {
            period,
            limit,
            used,
            more,
        });
    }
    Ok(())
}

/// Keys with a quota and their days, a column each, sorted: so all batches lock them in one order.
#[derive(Default)]
struct KeyColumns {
    tenant: Vec<Uuid>,
    credential: Vec<Uuid>,
    day: Vec<i64>,
    accepted: Vec<i64>,
}

impl KeyColumns {
    fn of(messages: &[&NewMessage]) -> Self {
        let mut sums: BTreeMap<KeyDay, i64> = BTreeMap::new();
        for message in messages {
            if let Some(key) = key_day(message) {
                let count = i64::try_from(message.recipients.len()).unwrap_or(i64::MAX);
                *sums.entry(key).or_default() += count;
            }
        }
        let mut columns = Self::default();
        for ((tenant, credential, day), accepted) in sums {
            columns.tenant.push(tenant);
            columns.credential.push(credential);
            columns.day.push(day);
            columns.accepted.push(accepted);
        }
        columns
    }
}

async fn keys_used(
    connection: &mut PgConnection,
    messages: &[&NewMessage],
) -> Result<BTreeMap<KeyDay, u64>, Fault> {
    let keys = KeyColumns::of(messages);
    if keys.day.is_empty() {
        return Ok(BTreeMap::new());
    }
    // Index key_usage (primary key).
    let rows: Vec<(Uuid, Uuid, i64, i64)> = sqlx::query_as(
        "SELECT u.tenant, u.credential, u.day, u.accepted
         FROM unnest($1::uuid[], $2::uuid[], $3::bigint[]) AS x (tenant, credential, day)
         JOIN key_usage AS u USING (tenant, credential, day)",
    )
    .bind(keys.tenant)
    .bind(keys.credential)
    .bind(keys.day)
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|(tenant, credential, day, accepted)| {
            let place = Place {
                table: "key_usage",
                id: credential,
            };
            let accepted = place.number("accepted", accepted)?;
            Ok(((tenant, credential, day), accepted))
        })
        .collect()
}

/// Writes down what new messages used beside their tenants' days; nothing, as a rule.
pub(crate) async fn note(
    connection: &mut PgConnection,
    messages: &[&NewMessage],
) -> Result<(), Fault> {
    contacts::note(connection, messages).await?;
    newcomers::note(connection, messages).await?;
    volumes::note(connection, messages).await?;
    let keys = KeyColumns::of(messages);
    if keys.day.is_empty() {
        return Ok(());
    }
    // Index key_usage (primary key).
    sqlx::query(
        "INSERT INTO key_usage (tenant, credential, day, accepted)
         SELECT x.tenant, x.credential, x.day, x.accepted
         FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::bigint[])
             AS x (tenant, credential, day, accepted)
         ORDER BY x.tenant, x.credential, x.day
         ON CONFLICT (tenant, credential, day)
             DO UPDATE SET accepted = key_usage.accepted + excluded.accepted",
    )
    .bind(keys.tenant)
    .bind(keys.credential)
    .bind(keys.day)
    .bind(keys.accepted)
    .execute(connection)
    .await?;
    Ok(())
}

/// Whether anything has to be counted before it may be stored.
pub(crate) fn has_quota(message: &NewMessage) -> bool {
    message.quota != Quota::default()
}

fn exceeded(message: &NewMessage, used: &BTreeMap<TenantDay, Day>) -> Option<OverQuota> {
    let (tenant, at, quota) = (message.tenant.uuid(), message.accepted_at, message.quota);
    let today = used.get(&(tenant, at.day())).copied().unwrap_or_default();
    let month = (tenant, at.month_begin())..(tenant, at.next_month().day());
    let month: u64 = used.range(month).map(|(_, day)| day.all).sum();
    let (all, real) = (message.recipients.len() as u64, message.real() as u64);
    let periods = [
        (Period::Day, quota.per_day, today.all, all),
        (Period::RampDay, quota.ramp, today.real, real),
        (Period::Month, quota.per_month, month, all),
    ];
    periods
        .into_iter()
        .find_map(|(period, limit, used, more)| within(period, limit, used, more).err())
}

/// What was accepted so far in these months.
async fn used(
    connection: &mut PgConnection,
    months: &BTreeSet<TenantDay>,
) -> Result<BTreeMap<TenantDay, Day>, Fault> {
    let (tenants, begins): (Vec<Uuid>, Vec<i64>) = months.iter().copied().unzip();
    // Index usage (primary key).
    let rows: Vec<(Uuid, i64, i64, i64)> = sqlx::query_as(
        "SELECT u.tenant, u.day, u.accepted, u.simulated
         FROM unnest($1::uuid[], $2::bigint[]) AS x (tenant, begins)
         JOIN usage AS u ON u.tenant = x.tenant AND u.day >= x.begins AND u.day < x.begins + 31",
    )
    .bind(tenants)
    .bind(begins)
    .fetch_all(connection)
    .await?;
    let number = |value: i64| u64::try_from(value).unwrap_or(0);
    let rows = rows.into_iter();
    Ok(rows
        .map(|(tenant, day, accepted, simulated)| {
            let real = number(accepted - simulated);
            let all = number(accepted);
            ((tenant, day), Day { all, real })
        })
        .collect())
}

/// Of one tenant, as the database adds them up.
type Sums = (i64, i64, i64, i64, i64, i64, i64);

/// What was counted on the day of `at`, in its month and in the hour before it.
pub(crate) async fn usage(
    connection: &mut PgConnection,
    tenant: TenantId,
    at: Timestamp,
) -> Result<Usage, Fault> {
    // Indexes usage and newcomers (primary keys) and contacts_tenant_at.
    let (day, simulated, month, hard_bounces, complaints, new, unconfirmed): Sums = sqlx::query_as(
        "SELECT coalesce(sum(accepted) FILTER (WHERE day = $2), 0)::bigint,
             coalesce(sum(simulated) FILTER (WHERE day = $2), 0)::bigint,
             coalesce(sum(accepted), 0)::bigint,
             coalesce(sum(hard_bounces) FILTER (WHERE day = $2), 0)::bigint,
             coalesce(sum(complaints) FILTER (WHERE day = $2), 0)::bigint,
             (SELECT count(*) FROM contacts AS c WHERE c.tenant = $1 AND c.at > $5 AND c.at <= $6),
             coalesce((SELECT n.messages FROM newcomers AS n WHERE n.tenant = $1), 0)
         FROM usage WHERE tenant = $1 AND day >= $3 AND day < $4",
    )
    .bind(tenant.uuid())
    .bind(at.day())
    .bind(at.month_begin())
    .bind(at.next_month().day())
    .bind(at.before(contacts::HOUR).as_micros())
    .bind(at.as_micros())
    .fetch_one(connection)
    .await?;
    let place = Place {
        table: "usage",
        id: tenant.uuid(),
    };
    Ok(Usage {
        day: place.number("accepted", day)?,
        simulated: place.number("simulated", simulated)?,
        month: place.number("accepted", month)?,
        hard_bounces: place.number("hard_bounces", hard_bounces)?,
        complaints: place.number("complaints", complaints)?,
        new_in_hour: place.number("new_in_hour", new)?,
        unconfirmed: place.number("messages", unconfirmed)?,
    })
}

/// Recipients accepted under a key on the day of `at`.
pub(crate) async fn key_usage(
    connection: &mut PgConnection,
    (tenant, credential): (TenantId, CredentialId),
    at: Timestamp,
) -> Result<u64, Fault> {
    // Index key_usage (primary key).
    let accepted: Option<i64> = sqlx::query_scalar(
        "SELECT accepted FROM key_usage WHERE tenant = $1 AND credential = $2 AND day = $3",
    )
    .bind(tenant.uuid())
    .bind(credential.uuid())
    .bind(at.day())
    .fetch_optional(connection)
    .await?;
    let place = Place {
        table: "key_usage",
        id: credential.uuid(),
    };
    place.number("accepted", accepted.unwrap_or(0))
}

/// Counts complaints against a tenant, each on the day on which it came.
pub(crate) async fn count_complaints(
    connection: &mut PgConnection,
    tenant: TenantId,
    at: &[Timestamp],
) -> Result<(), Fault> {
    let days: Vec<i64> = at.iter().map(|at| at.day()).collect();
    // Index usage (primary key).
    sqlx::query(
        "INSERT INTO usage (tenant, day, accepted, complaints)
         SELECT $1, x.day, 0, count(*) FROM unnest($2::bigint[]) AS x (day)
         GROUP BY x.day ORDER BY x.day
         ON CONFLICT (tenant, day)
             DO UPDATE SET complaints = usage.complaints + excluded.complaints",
    )
    .bind(tenant.uuid())
    .bind(days)
    .execute(connection)
    .await?;
    Ok(())
}
