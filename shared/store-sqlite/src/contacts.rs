//! Whom a tenant has written to: noted and counted for those that may write to few strangers.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use postrider_model::{TenantId, Timestamp};
use postrider_store::{NewMessage, OverQuota, Period};
use serde::Serialize;
use sqlx::SqliteConnection;

use crate::fault::Fault;
use crate::rows::{Place, json};

/// Over which strangers are counted.
pub(crate) const HOUR: Duration = Duration::from_hours(1);

/// Who is known to the tenants of a batch, and how many got to know each of them in the last hour.
#[derive(Default)]
pub(crate) struct Contacts {
    known: HashSet<(TenantId, String)>,
    tenants: HashMap<TenantId, Counted>,
}

#[derive(Clone, Copy, Default)]
struct Counted {
    before: u64,
    now: u64,
}

#[derive(Serialize)]
struct Row {
    tenant: TenantId,
    address: String,
    at: i64,
}

impl Contacts {
    /// Counts the strangers among a message's recipients, unless they are too many.
    pub(crate) fn count(&mut self, message: &NewMessage) -> Result<(), OverQuota> {
        let limit = message.quota.new_per_hour;
        if limit == 0 {
            return Ok(());
        }
        let rows = rows(message).map(|row| (row.tenant, row.address));
        let strangers: HashSet<_> = rows.filter(|row| !self.known.contains(row)).collect();
        let counted = self.tenants.entry(message.tenant).or_default();
        let now = counted.now.saturating_add(strangers.len() as u64);
        if !strangers.is_empty() && now > u64::from(limit) {
            return Err(OverQuota {
                period: Period::NewHour,
                limit,
                used: counted.before,
                more: strangers.len() as u64,
            });
        }
        counted.now = now;
        self.known.extend(strangers);
        Ok(())
    }
}

/// Who of its recipients is written to, where that counts.
fn rows(message: &NewMessage) -> impl Iterator<Item = Row> {
    let counts = message.quota.new_per_hour > 0;
    let written_to = message
        .recipients
        .iter()
        .filter(move |r| counts && !r.suppressed && !r.simulated);
    written_to.map(|recipient| Row {
        tenant: message.tenant,
        address: recipient.address.folded(),
        at: message.accepted_at.as_micros(),
    })
}

/// Of all tenants among `messages` that have such a quota.
pub(crate) async fn read(
    connection: &mut SqliteConnection,
    messages: &[&NewMessage],
) -> Result<Contacts, Fault> {
    let mut contacts = Contacts::default();
    let rows: Vec<Row> = messages.iter().flat_map(|message| rows(message)).collect();
    let Some(first) = rows.iter().map(|row| row.at).min() else {
        return Ok(contacts);
    };
    // Index contacts (primary key).
    let known: Vec<(i64,)> = sqlx::query_as(
        "SELECT k.key FROM json_each(?1) AS k CROSS JOIN contacts AS c
             ON c.tenant = unhex(k.value ->> 'tenant', '-') AND c.address = k.value ->> 'address'",
    )
    .bind(json(&rows)?)
    .fetch_all(&mut *connection)
    .await?;
    for (at,) in known {
        if let Some(row) = usize::try_from(at).ok().and_then(|at| rows.get(at)) {
            contacts.known.insert((row.tenant, row.address.clone()));
        }
    }
    let tenants: HashSet<TenantId> = rows.iter().map(|row| row.tenant).collect();
    let tenants: Vec<TenantId> = tenants.into_iter().collect();
    // Index contacts_tenant_at.
    let counted: Vec<(i64, i64)> = sqlx::query_as(
        "SELECT k.key, (SELECT count(*) FROM contacts AS c
             WHERE c.tenant = unhex(k.value, '-') AND c.at > ?2)
         FROM json_each(?1) AS k",
    )
    .bind(json(&tenants)?)
    .bind(Timestamp::from_micros(first).before(HOUR).as_micros())
    .fetch_all(connection)
    .await?;
    for (at, count) in counted {
        if let Some(tenant) = usize::try_from(at).ok().and_then(|at| tenants.get(at)) {
            let place = Place {
                table: "contacts",
                id: tenant.as_bytes(),
            };
            let before = place.number("at", count)?;
            let now = before;
            contacts.tenants.insert(*tenant, Counted { before, now });
        }
    }
    Ok(contacts)
}

/// Writes down whom new messages were written to.
pub(crate) async fn note(
    connection: &mut SqliteConnection,
    messages: &[&NewMessage],
) -> Result<(), Fault> {
    let rows: Vec<Row> = messages.iter().flat_map(|message| rows(message)).collect();
    if rows.is_empty() {
        return Ok(());
    }
    // Index contacts (primary key): the first time stands.
    sqlx::query(
        "INSERT INTO contacts (tenant, address, at)
         SELECT unhex(value ->> 'tenant', '-'), value ->> 'address', value ->> 'at'
         FROM json_each(?1) WHERE true ORDER BY value ->> 'at'
         ON CONFLICT DO NOTHING",
    )
    .bind(json(&rows)?)
    .execute(connection)
    .await?;
    Ok(())
}
