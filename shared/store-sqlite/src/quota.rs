//! Quotas: recipients accepted per tenant, UTC day and month.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use postrider_model::{TenantId, Timestamp};
use postrider_store::{NewMessage, OverQuota, Period, Usage};
use serde::Serialize;
use sqlx::{SqliteConnection, SqlitePool};

use crate::fault::Fault;
use crate::rows::{Place, json};

/// What tenants have used as a batch is taken in, message by message: by (tenant, day) and by
/// (tenant, first day of the month). Only of those that have a quota.
#[derive(Default)]
pub(crate) struct Meter {
    days: HashMap<(TenantId, i64), u64>,
    months: HashMap<(TenantId, i64), u64>,
}

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
                day.insert(0);
                keys.push(key);
            }
        }
        if keys.is_empty() {
            return Ok(meter);
        }
        // Index usage (primary key).
        let rows: Vec<(i64, i64, i64)> = sqlx::query_as(
            "SELECT k.key, coalesce(sum(u.accepted) FILTER (WHERE u.day = k.value ->> 'day'), 0),
                 coalesce(sum(u.accepted), 0)
             FROM json_each(?1) AS k CROSS JOIN usage AS u
                 ON u.tenant = unhex(k.value ->> 'tenant', '-')
                 AND u.day >= k.value ->> 'month' AND u.day < k.value ->> 'next_month'
             GROUP BY k.key",
        )
        .bind(json(&keys)?)
        .fetch_all(connection)
        .await?;
        for (at, day, month) in rows {
            if let Some(key) = usize::try_from(at).ok().and_then(|at| keys.get(at)) {
                let used = counted(key.tenant, day, month)?;
                meter.days.insert((key.tenant, key.day), used.day);
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
        let more = message.recipients.len() as u64;
        if let Some(used) = &day {
            within(Period::Day, quota.per_day, **used, more)?;
        }
        if let Some(used) = &month {
            within(Period::Month, quota.per_month, **used, more)?;
        }
        for used in [day, month].into_iter().flatten() {
            *used += more;
        }
        Ok(())
    }
}

fn has_quota(message: &NewMessage) -> bool {
    message.quota.per_day > 0 || message.quota.per_month > 0
}

fn within(period: Period, limit: u32, used: u64, more: u64) -> Result<(), OverQuota> {
    if limit > 0 && used.saturating_add(more) > u64::from(limit) {
        return Err(OverQuota {
            period,
            limit,
            used,
        });
    }
    Ok(())
}

fn counted(tenant: TenantId, day: i64, month: i64) -> Result<Usage, Fault> {
    let place = Place {
        table: "usage",
        id: tenant.as_bytes(),
    };
    Ok(Usage {
        day: place.number("accepted", day)?,
        month: place.number("accepted", month)?,
    })
}

/// Recipients accepted on the day of `at` and in its month.
pub(crate) async fn usage(
    readers: &SqlitePool,
    tenant: TenantId,
    at: Timestamp,
) -> Result<Usage, Fault> {
    let key = Key::of(tenant, at);
    // Index usage (primary key).
    let (day, month): (i64, i64) = sqlx::query_as(
        "SELECT coalesce(sum(accepted) FILTER (WHERE day = ?2), 0), coalesce(sum(accepted), 0)
         FROM usage WHERE tenant = ?1 AND day >= ?3 AND day < ?4",
    )
    .bind(tenant.as_bytes().as_slice())
    .bind(key.day)
    .bind(key.month)
    .bind(key.next_month)
    .fetch_one(readers)
    .await?;
    counted(tenant, day, month)
}
