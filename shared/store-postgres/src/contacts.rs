//! Whom a tenant has written to: noted and counted for those that may write to few strangers. Their
//! tenants are locked: what is read here stands until it is written.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use postrider_model::Timestamp;
use postrider_store::{NewMessage, OverQuota, Period};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::fault::Fault;
use crate::rows::{Id as _, Place};

/// Over which strangers are counted.
pub(crate) const HOUR: Duration = Duration::from_hours(1);

/// Who is known to the tenants of a batch, and how many got to know each of them in the last hour.
#[derive(Default)]
pub(crate) struct Contacts {
    known: HashSet<(Uuid, String)>,
    tenants: HashMap<Uuid, Counted>,
}

#[derive(Clone, Copy, Default)]
struct Counted {
    before: u64,
    now: u64,
}

impl Contacts {
    /// Counts the strangers among a message's recipients, unless they are too many.
    pub(crate) fn count(&mut self, message: &NewMessage) -> Result<(), OverQuota> {
        let limit = message.quota.new_per_hour;
        if limit == 0 {
            return Ok(());
        }
        let written_to = written_to(message);
        let strangers: HashSet<_> = written_to.filter(|row| !self.known.contains(row)).collect();
        let counted = self.tenants.entry(message.tenant.uuid()).or_default();
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
fn written_to(message: &NewMessage) -> impl Iterator<Item = (Uuid, String)> {
    let counts = message.quota.new_per_hour > 0;
    let live = message.recipients.iter();
    live.filter(move |recipient| counts && !recipient.suppressed && !recipient.simulated)
        .map(|recipient| (message.tenant.uuid(), recipient.address.folded()))
}

/// Who is written to by these messages, each once, when first; a column each, sorted: so all batches
/// lock them in one order.
#[derive(Default)]
struct Columns {
    tenant: Vec<Uuid>,
    address: Vec<String>,
    at: Vec<i64>,
}

impl Columns {
    fn of(messages: &[&NewMessage]) -> Self {
        let mut first: BTreeMap<(Uuid, String), i64> = BTreeMap::new();
        for message in messages {
            let at = message.accepted_at.as_micros();
            for row in written_to(message) {
                let first = first.entry(row).or_insert(at);
                *first = at.min(*first);
            }
        }
        let mut columns = Self::default();
        for ((tenant, address), at) in first {
            columns.tenant.push(tenant);
            columns.address.push(address);
            columns.at.push(at);
        }
        columns
    }
}

/// Of all tenants among `messages` that have such a quota.
pub(crate) async fn read(
    connection: &mut PgConnection,
    messages: &[&NewMessage],
) -> Result<Contacts, Fault> {
    let columns = Columns::of(messages);
    let Some(first) = columns.at.iter().min() else {
        return Ok(Contacts::default());
    };
    let since = Timestamp::from_micros(*first).before(HOUR).as_micros();
    let tenants: HashSet<Uuid> = columns.tenant.iter().copied().collect();
    let tenants: Vec<Uuid> = tenants.into_iter().collect();
    // Index contacts (primary key).
    let known: Vec<(Uuid, String)> = sqlx::query_as(
        "SELECT c.tenant, c.address FROM unnest($1::uuid[], $2::text[]) AS x (tenant, address)
         JOIN contacts AS c ON c.tenant = x.tenant AND c.address = x.address",
    )
    .bind(columns.tenant)
    .bind(columns.address)
    .fetch_all(&mut *connection)
    .await?;
    // Index contacts_tenant_at.
    let counted: Vec<(Uuid, i64)> = sqlx::query_as(
        "SELECT x.tenant, (SELECT count(*) FROM contacts AS c
             WHERE c.tenant = x.tenant AND c.at > $2)
         FROM unnest($1::uuid[]) AS x (tenant)",
    )
    .bind(tenants)
    .bind(since)
    .fetch_all(connection)
    .await?;
    let mut contacts = Contacts {
        known: known.into_iter().collect(),
        tenants: HashMap::with_capacity(counted.len()),
    };
    for (tenant, count) in counted {
        let place = Place {
            table: "contacts",
            id: tenant,
        };
        let before = place.number("at", count)?;
        let now = before;
        contacts.tenants.insert(tenant, Counted { before, now });
    }
    Ok(contacts)
}

/// Writes down whom new messages were written to.
pub(crate) async fn note(
    connection: &mut PgConnection,
    messages: &[&NewMessage],
) -> Result<(), Fault> {
    let columns = Columns::of(messages);
    if columns.at.is_empty() {
        return Ok(());
    }
    // Index contacts (primary key): the first time stands.
    sqlx::query(
        "INSERT INTO contacts (tenant, address, at)
         SELECT x.tenant, x.address, x.at
         FROM unnest($1::uuid[], $2::text[], $3::bigint[]) AS x (tenant, address, at)
         ORDER BY x.tenant, x.address
         ON CONFLICT DO NOTHING",
    )
    .bind(columns.tenant)
    .bind(columns.address)
    .bind(columns.at)
    .execute(connection)
    .await?;
    Ok(())
}
