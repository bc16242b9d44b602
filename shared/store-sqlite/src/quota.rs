//! Quotas: recipients accepted per tenant, UTC day and month; per key and day; and those that a
//! tenant had not written to before, in an hour.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};

use postrider_model::{CredentialId, TenantId, Timestamp};
use postrider_store::{NewMessage, OverQuota, Period, Usage};
use serde::Serialize;
use sqlx::{SqliteConnection, SqlitePool};

use crate::contacts::{self, Contacts};
use crate::fault::Fault;
use crate::newcomers;
use crate::rows::{Place, json};
use crate::volumes::{self, Volumes};

/// What tenants have used as a batch is taken in, message by message: by (tenant, day), by (tenant,
/// first day of the month), by key and day, and whom they had written to. Only of those that have
/// such a quota.
#[derive(Default)]
pub(crate) struct Meter {
    days: HashMap<(TenantId, i64), Day>,
    months: HashMap<(TenantId, i64), u64>,
    keys: HashMap<KeyDay, u64>,
    volumes: Volumes,
    contacts: Contacts,
    /// Messages, not recipients.
    newcomers: HashMap<TenantId, u64>,
}

/// Recipients of a day.
#[derive(Clone, Copy, Default)]
struct Day {
    all: u64,
    /// Without the simulator's.
    real: u64,
}

/// A key of a tenant on a day.
type KeyDay = (TenantId, CredentialId, i64);

#[derive(Serialize)]
struct Key {
    tenant: TenantId,
    day: i64,
    month: i64,
    next_month: i64,
}

impl Key {
    fn of(tenant: TenantId, at: Timestamp) -> Self {
        Self {
            tenant,
            day: at.day(),
            month: at.month_begin(),
            next_month: at.next_month().day(),
        }
    }
}

impl Meter {
    /// Of all tenants among `messages` that have a quota.
    pub(crate) async fn read(
        connection: &mut SqliteConnection,
        messages: &[&NewMessage],
    ) -> Result<Self, Fault> {
        let mut meter = Self::default();
        let mut keys: Vec<Key> = Vec::new();
        for message in messages.iter().filter(|m| has_quota(m)) {
            let key = Key::of(message.tenant, message.accepted_at);
            meter.months.entry((key.tenant, key.month)).or_default();
            let day = meter.days.entry((key.tenant, key.day));
            if let Entry::Vacant(day) = day {
                day.insert(Day::default());
                keys.push(key);
            }
        }
        meter.keys = keys_used(connection, messages).await?;
        meter.volumes = Volumes::read(connection, messages).await?;
        meter.contacts = contacts::read(connection, messages).await?;
        meter.newcomers = newcomers::read(connection, messages).await?;
        if keys.is_empty() {
            return Ok(meter);
        }
        // Index usage (primary key).
        let rows: Vec<(i64, i64, i64, i64)> = sqlx::query_as(
            "SELECT k.key, coalesce(sum(u.accepted) FILTER (WHERE u.day = k.value ->> 'day'), 0),
                 coalesce(sum(u.simulated) FILTER (WHERE u.day = k.value ->> 'day'), 0),
                 coalesce(sum(u.accepted), 0)
             FROM json_each(?1) AS k CROSS JOIN usage AS u
                 ON u.tenant = unhex(k.value ->> 'tenant', '-')
                 AND u.day >= k.value ->> 'month' AND u.day < k.value ->> 'next_month'
             GROUP BY k.key",
        )
        .bind(json(&keys)?)
        .fetch_all(connection)
        .await?;
        for (at, day, simulated, month) in rows {
            if let Some(key) = usize::try_from(at).ok().and_then(|at| keys.get(at)) {
                let used = counted(key.tenant, (day, simulated), month)?;
                let (all, real) = (used.day, used.real());
                meter.days.insert((key.tenant, key.day), Day { all, real });
                meter.months.insert((key.tenant, key.month), used.month);
            }
        }
        Ok(meter)
    }

    /// Counts a message, unless its tenant's quota does not allow it: then it is not counted.
    pub(crate) fn count(&mut self, message: &NewMessage) -> Result<(), OverQuota> {
        let (tenant, at, quota) = (message.tenant, message.accepted_at, message.quota);
        let day = self.days.get_mut(&(tenant, at.day()));
        let month = self.months.get_mut(&(tenant, at.month_begin()));
        let key = key_day(message).and_then(|key| self.keys.get_mut(&key));
        let more = message.recipients.len() as u64;
        let real = message.real() as u64;
        if let Some(used) = &day {
            within(Period::Day, quota.per_day, used.all, more)?;
            within(Period::RampDay, quota.ramp, used.real, real)?;
        }
        if let Some(used) = &month {
            within(Period::Month, quota.per_month, **used, more)?;
        }
        if let Some(used) = &key {
            within(Period::KeyDay, quota.key_per_day, **used, more)?;
        }
        let newcomer = self
            .newcomers
            .get_mut(&tenant)
            .filter(|_| quota.unconfirmed > 0);
        if let Some(used) = &newcomer {
            within(Period::Unconfirmed, quota.unconfirmed, **used, 1)?;
        }
        self.volumes.allow(message)?;
        // The last to be asked: it counts at once.
        self.contacts.count(message)?;
        self.volumes.count(message);
        if let Some(used) = newcomer {
            *used += 1;
        }
        if let Some(used) = day {
            used.all += more;
            used.real += real;
        }
        for used in [month, key].into_iter().flatten() {
            *used += more;
        }
        Ok(())
    }
}

/// What is counted of a key with a quota.
fn key_day(message: &NewMessage) -> Option<KeyDay> {
    let credential = message
        .credential
        .filter(|_| message.quota.key_per_day > 0)?;
    Some((message.tenant, credential, message.accepted_at.day()))
}

#[derive(Serialize)]
struct KeyRow {
    tenant: TenantId,
    credential: CredentialId,
    day: i64,
    accepted: usize,
}

async fn keys_used(
    connection: &mut SqliteConnection,
    messages: &[&NewMessage],
) -> Result<HashMap<KeyDay, u64>, Fault> {
    let keys = keys(messages);
    let mut used = HashMap::with_capacity(keys.len());
    if keys.is_empty() {
        return Ok(used);
    }
    // Index key_usage (primary key).
    let rows: Vec<(i64, i64)> = sqlx::query_as(
        "SELECT k.key, coalesce(u.accepted, 0) FROM json_each(?1) AS k LEFT JOIN key_usage AS u
             ON u.tenant = unhex(k.value ->> 'tenant', '-')
             AND u.credential = unhex(k.value ->> 'credential', '-')
             AND u.day = k.value ->> 'day'",
    )
    .bind(json(&keys)?)
    .fetch_all(connection)
    .await?;
    for (at, accepted) in rows {
        if let Some(key) = usize::try_from(at).ok().and_then(|at| keys.get(at)) {
            let place = Place {
                table: "key_usage",
                id: key.credential.as_bytes(),
            };
            let accepted = place.number("accepted", accepted)?;
            used.insert((key.tenant, key.credential, key.day), accepted);
        }
    }
    Ok(used)
}

/// One row per key with a quota and day, however many messages.
fn keys(messages: &[&NewMessage]) -> Vec<KeyRow> {
    let mut sums: BTreeMap<KeyDay, usize> = BTreeMap::new();
    for message in messages {
        if let Some(key) = key_day(message) {
            *sums.entry(key).or_default() += message.recipients.len();
        }
    }
    let rows = sums.into_iter();
    rows.map(|((tenant, credential, day), accepted)| KeyRow {
        tenant,
        credential,
        day,
        accepted,
    })
    .collect()
}

/// Writes down what new messages used beside their tenants' days; nothing, as a rule.
pub(crate) async fn note(
    connection: &mut SqliteConnection,
    messages: &[&NewMessage],
) -> Result<(), Fault> {
    contacts::note(connection, messages).await?;
    newcomers::note(connection, messages).await?;
    volumes::note(connection, messages).await?;
    let keys = keys(messages);
    if keys.is_empty() {
        return Ok(());
    }
    // Index key_usage (primary key). «WHERE true»: else ON would be read as a join's.
    sqlx::query(
        "INSERT INTO key_usage (tenant, credential, day, accepted)
         SELECT unhex(value ->> 'tenant', '-'), unhex(value ->> 'credential', '-'),
             value ->> 'day', value ->> 'accepted'
         FROM json_each(?1) WHERE true
         ON CONFLICT (tenant, credential, day) DO UPDATE SET accepted = accepted + excluded.accepted",
    )
    .bind(json(&keys)?)
    .execute(connection)
    .await?;
    Ok(())
}

fn has_quota(message: &NewMessage) -> bool {
    let quota = message.quota;
    quota.per_day > 0 || quota.per_month > 0 || quota.ramp > 0
}

pub(crate) fn within(period: Period, limit: u32, used: u64, more: u64) -> Result<(), OverQuota> {
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

/// Of a day and its month; the rest is asked for where it is shown.
fn counted(tenant: TenantId, (day, simulated): (i64, i64), month: i64) -> Result<Usage, Fault> {
    let place = Place {
        table: "usage",
        id: tenant.as_bytes(),
    };
    Ok(Usage {
        day: place.number("accepted", day)?,
        simulated: place.number("simulated", simulated)?,
        month: place.number("accepted", month)?,
        ..Usage::default()
    })
}

/// Of one tenant, as the database adds them up.
type Sums = (i64, i64, i64, i64, i64, i64, i64);

/// What was counted on the day of `at`, in its month and in the hour before it.
pub(crate) async fn usage(
    readers: &SqlitePool,
    tenant: TenantId,
    at: Timestamp,
) -> Result<Usage, Fault> {
    let key = Key::of(tenant, at);
    // Indexes usage and newcomers (primary keys) and contacts_tenant_at.
    let (day, simulated, month, hard_bounces, complaints, new, unconfirmed): Sums = sqlx::query_as(
        "SELECT coalesce(sum(accepted) FILTER (WHERE day = ?2), 0),
             coalesce(sum(simulated) FILTER (WHERE day = ?2), 0), coalesce(sum(accepted), 0),
             coalesce(sum(hard_bounces) FILTER (WHERE day = ?2), 0),
             coalesce(sum(complaints) FILTER (WHERE day = ?2), 0),
             (SELECT count(*) FROM contacts WHERE tenant = ?1 AND at > ?5 AND at <= ?6),
             coalesce((SELECT messages FROM newcomers WHERE tenant = ?1), 0)
         FROM usage WHERE tenant = ?1 AND day >= ?3 AND day < ?4",
    )
    .bind(tenant.as_bytes().as_slice())
    .bind(key.day)
    .bind(key.month)
    .bind(key.next_month)
    .bind(at.before(contacts::HOUR).as_micros())
    .bind(at.as_micros())
    .fetch_one(readers)
    .await?;
    let place = Place {
        table: "usage",
        id: tenant.as_bytes(),
    };
    Ok(Usage {
        hard_bounces: place.number("hard_bounces", hard_bounces)?,
        complaints: place.number("complaints", complaints)?,
        new_in_hour: place.number("new_in_hour", new)?,
        unconfirmed: place.number("messages", unconfirmed)?,
        ..counted(tenant, (day, simulated), month)?
    })
}

/// Recipients accepted under a key on the day of `at`.
pub(crate) async fn key_usage(
    readers: &SqlitePool,
    (tenant, credential): (TenantId, CredentialId),
    at: Timestamp,
) -> Result<u64, Fault> {
    // Index key_usage (primary key).
    let accepted: Option<i64> = sqlx::query_scalar(
        "SELECT accepted FROM key_usage WHERE tenant = ?1 AND credential = ?2 AND day = ?3",
    )
    .bind(tenant.as_bytes().as_slice())
    .bind(credential.as_bytes().as_slice())
    .bind(at.day())
    .fetch_optional(readers)
    .await?;
    let place = Place {
        table: "key_usage",
        id: credential.as_bytes(),
    };
    place.number("accepted", accepted.unwrap_or(0))
}

/// Counts complaints against a tenant, each on the day on which it came.
pub(crate) async fn count_complaints(
    connection: &mut SqliteConnection,
    tenant: TenantId,
    at: &[Timestamp],
) -> Result<(), Fault> {
    let days: Vec<i64> = at.iter().map(|at| at.day()).collect();
    // Index usage (primary key).
    sqlx::query(
        "INSERT INTO usage (tenant, day, accepted, complaints)
         SELECT ?1, value, 0, count(*) FROM json_each(?2) WHERE true GROUP BY value
         ON CONFLICT (tenant, day) DO UPDATE SET complaints = complaints + excluded.complaints",
    )
    .bind(tenant.as_bytes().as_slice())
    .bind(json(&days)?)
    .execute(connection)
    .await?;
    Ok(())
}
