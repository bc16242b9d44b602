//! Whom a verb is about: found by a reader, a batch at a time; the writer looks again.

use std::collections::{BTreeMap, HashSet};

use postrider_model::{Domain, EmailAddress, MessageId, RecipientId, Stream, TenantId, Timestamp};
use postrider_store::{Control, ControlVerb, HeldMessage, Scope, Shard};

use crate::SqliteStore;
use crate::fault::Fault;
use crate::rows::{Place, json_ids};
use crate::verbs::{Home, Subject};

/// What one batch changes at most, so that the writer is held no longer than about 50 ms.
const BATCH: usize = 500;
/// Held recipients that are read at once.
const HELD_AT_ONCE: u32 = 1_000;

/// How far the search for a verb's recipients has come.
#[derive(Clone, Default)]
pub(crate) struct Progress {
    /// For a vendor or a domain, which have no index in the queue: the change that was looked at last.
    seq: i64,
    /// The held recipient that was looked at last.
    held: Option<(MessageId, RecipientId)>,
}

/// A batch.
#[derive(Default)]
pub(crate) struct Found {
    pub(crate) subjects: Vec<Subject>,
    pub(crate) more: bool,
}

impl SqliteStore {
    /// The next recipients that the verb may apply to.
    pub(crate) async fn subjects(
        &self,
        control: &Control,
        too_late: &[RecipientId],
        now: Timestamp,
        progress: &mut Progress,
    ) -> Result<Found, Fault> {
        let (queue, held) = match control.verb {
            ControlVerb::Suspend => (false, false),
            ControlVerb::Hold | ControlVerb::RetryNow => (true, false),
            ControlVerb::Release => (false, true),
            ControlVerb::Cancel => (true, true),
        };
        let mut found = if queue {
            self.queued(control, too_late, now, progress).await?
        } else {
            Found::default()
        };
        if held && !found.more {
            self.held_of(&control.scope, progress, &mut found).await?;
        }
        Ok(found)
    }

    async fn queued(
        &self,
        control: &Control,
        too_late: &[RecipientId],
        now: Timestamp,
        progress: &mut Progress,
    ) -> Result<Found, Fault> {
        // What is due already waits for its turn, not for another attempt.
        let hurried = control.verb == ControlVerb::RetryNow;
        let due_after = hurried.then_some(now.as_micros());
        // A change that is numbered while this is read is looked at with the next batch.
        let newest = self.ticker().newest();
        let asked = sqlx::query_as(queued_in(&control.scope));
        let asked = match &control.scope {
            Scope::Tenant(tenant) => asked
                .bind(i64::from(Shard::of(*tenant).number()))
                .bind(tenant.as_bytes().as_slice()),
            Scope::Vendor(vendor) => asked.bind(progress.seq).bind(vendor.as_bytes().as_slice()),
            Scope::Domain(domain) => asked.bind(progress.seq).bind(domain.as_str()),
            Scope::Message(message) => asked.bind(0).bind(message.as_bytes().as_slice()),
        };
        let rows: Vec<(Vec<u8>, Vec<u8>, i64)> = asked
            .bind(due_after)
            .bind(json_ids(too_late))
            .bind(i64::try_from(BATCH).unwrap_or(i64::MAX))
            .fetch_all(self.readers())
            .await?;
        let more = rows.len() == BATCH;
        progress.seq = match rows.last() {
            Some((_, _, seq)) if more => *seq,
            _ => newest,
        };
        let subjects: Result<_, Fault> = rows.iter().map(subject).collect();
        Ok(Found {
            subjects: subjects?,
            more,
        })
    }

    async fn held_of(
        &self,
        scope: &Scope,
        progress: &mut Progress,
        found: &mut Found,
    ) -> Result<(), Fault> {
        while found.subjects.len() < BATCH {
            let room = BATCH - found.subjects.len();
            let rows = self
                .held_after(Some(scope), progress.held, HELD_AT_ONCE)
                .await?;
            let all = rows.len() < HELD_AT_ONCE as usize;
            let (mut looked_at, mut taken) = (0, 0);
            for held in &rows {
                if taken == room {
                    break;
                }
                looked_at += 1;
                progress.held = Some((held.message, held.recipient));
                if held.is_in(scope) {
                    taken += 1;
                    found.subjects.push(held.subject());
                }
            }
            found.more = !(all && looked_at == rows.len());
            if !found.more {
                break;
            }
        }
        Ok(())
    }

    /// Messages with a held recipient, behind `after`.
    pub(crate) async fn held_messages(
        &self,
        scope: &Scope,
        after: Option<MessageId>,
        limit: u32,
    ) -> Result<Vec<HeldMessage>, Fault> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut after = after.map(|message| (message, RecipientId::from_bytes([0xff; 16])));
        let mut found: Vec<HeldMessage> = Vec::new();
        loop {
            let rows = self.held_after(Some(scope), after, HELD_AT_ONCE).await?;
            let all = rows.len() < HELD_AT_ONCE as usize;
            for held in rows {
                after = Some((held.message, held.recipient));
                let seen = found.last().is_some_and(|last| last.id == held.message);
                if seen || !held.is_in(scope) {
                    continue;
                }
                if found.len() == limit {
                    return Ok(found);
                }
                found.push(held.sealed());
            }
            if all {
                return Ok(found);
            }
        }
    }

    /// How many were held in this scope, by their tenants, of the first `most` of everybody's; and whether
    /// some was not looked at. `tenants`: whose alone are meant.
    pub(crate) async fn count_held(
        &self,
        scope: Option<&Scope>,
        tenants: Option<&HashSet<TenantId>>,
        most: u32,
    ) -> Result<(BTreeMap<TenantId, u64>, bool), Fault> {
        // What is sought for one of many would be read to its end, whatever the limit.
        let within = scope.filter(|_| tenants.is_none());
        let is_meant = |held: &Held| {
            within.is_none_or(|scope| held.is_in(scope))
                && tenants.is_none_or(|tenants| tenants.contains(&held.home.tenant))
        };
        let mut counts = BTreeMap::new();
        let (mut looked_at, mut after) = (0, None);
        while looked_at < most {
            let limit = HELD_AT_ONCE.min(most - looked_at);
            let rows = self.held_after(within, after, limit).await?;
            for held in &rows {
                looked_at += 1;
                after = Some((held.message, held.recipient));
                if is_meant(held) {
                    *counts.entry(held.home.tenant).or_default() += 1;
                }
            }
            if rows.len() < limit as usize {
                return Ok((counts, false));
            }
        }
        Ok((counts, true))
    }

    /// Held recipients behind one, by message and id. Of any domain: an address is text.
    async fn held_after(
        &self,
        scope: Option<&Scope>,
        after: Option<(MessageId, RecipientId)>,
        limit: u32,
    ) -> Result<Vec<Held>, Fault> {
        let (first, second) = after.unwrap_or((
            MessageId::from_bytes([0; 16]),
            RecipientId::from_bytes([0; 16]),
        ));
        let (mut tenant, mut vendor, mut message) = (None, None, None);
        match scope {
            Some(Scope::Tenant(id)) => tenant = Some(id.as_bytes().as_slice()),
            Some(Scope::Vendor(id)) => vendor = Some(id.as_bytes().as_slice()),
            Some(Scope::Message(id)) => message = Some(id.as_bytes().as_slice()),
            Some(Scope::Domain(_)) | None => {}
        }
        // Index recipients_held, or recipients (primary key) for one message; index messages
        // (primary key).
        let rows: Vec<HeldRow> = sqlx::query_as(if message.is_some() {
            "SELECT r.message, r.id, r.address, m.tenant, m.stream, m.accepted_at, m.expires_at,
                 m.selectors, m.sealed_until, m.summary ->> 'scheduled_at' AS scheduled_at
             FROM recipients AS r CROSS JOIN messages AS m ON m.id = r.message
             WHERE r.message = ?4 AND r.state = 'held' AND (r.message, r.id) > (?1, ?2)
                 AND ?3 IS NULL AND ?6 IS NULL
             ORDER BY r.message, r.id LIMIT ?5"
        } else {
            "SELECT r.message, r.id, r.address, m.tenant, m.stream, m.accepted_at, m.expires_at,
                 m.selectors, m.sealed_until, m.summary ->> 'scheduled_at' AS scheduled_at
             FROM recipients AS r INDEXED BY recipients_held
             CROSS JOIN messages AS m ON m.id = r.message
             WHERE r.state = 'held' AND (r.message, r.id) > (?1, ?2)
                 AND (?3 IS NULL OR m.tenant = ?3) AND ?4 IS NULL
                 AND (?6 IS NULL OR m.tenant IN (SELECT id FROM tenants WHERE vendor = ?6))
             ORDER BY r.message, r.id LIMIT ?5"
        })
        .bind(first.as_bytes().as_slice())
        .bind(second.as_bytes().as_slice())
        .bind(tenant)
        .bind(message)
        .bind(limit)
        .bind(vendor)
        .fetch_all(self.readers())
        .await?;
        rows.into_iter().map(Held::try_from).collect()
    }
}

/// The statement that reads what waits in this scope.
fn queued_in(scope: &Scope) -> &'static str {
    match scope {
        // Index queue_lane.
        Scope::Tenant(_) => {
            "SELECT message, recipient, seq FROM queue
             WHERE shard = ?1 AND tenant = ?2 AND (?3 IS NULL
                 OR due_at > ?3 AND cause <> 'scheduled')
                 AND recipient NOT IN (SELECT unhex(value, '-') FROM json_each(?4)) LIMIT ?5"
        }
        // Indexes queue (primary key) and tenants_vendor.
        Scope::Vendor(_) => {
            "SELECT message, recipient, seq FROM queue
             WHERE seq > ?1 AND tenant IN (SELECT id FROM tenants WHERE vendor = ?2)
                 AND (?3 IS NULL OR due_at > ?3 AND cause <> 'scheduled')
                 AND recipient NOT IN (SELECT unhex(value, '-') FROM json_each(?4))
             ORDER BY seq LIMIT ?5"
        }
        // Index queue (primary key).
        Scope::Domain(_) => {
            "SELECT message, recipient, seq FROM queue
             WHERE seq > ?1 AND domain = ?2 AND (?3 IS NULL
                 OR due_at > ?3 AND cause <> 'scheduled')
                 AND recipient NOT IN (SELECT unhex(value, '-') FROM json_each(?4))
             ORDER BY seq LIMIT ?5"
        }
        // Indexes recipients (primary key) and queue_recipient.
        Scope::Message(_) => {
            "SELECT q.message, q.recipient, q.seq FROM recipients AS r
             CROSS JOIN queue AS q ON q.recipient = r.id
             WHERE ?1 = 0 AND r.message = ?2 AND (?3 IS NULL
                 OR q.due_at > ?3 AND q.cause <> 'scheduled')
                 AND r.id NOT IN (SELECT unhex(value, '-') FROM json_each(?4)) LIMIT ?5"
        }
    }
}

fn subject((message, recipient, _): &(Vec<u8>, Vec<u8>, i64)) -> Result<Subject, Fault> {
    let place = Place {
        table: "queue",
        id: recipient,
    };
    let message = place.id("message", message)?;
    Ok(Subject::of(message, place.id("recipient", recipient)?))
}

#[derive(sqlx::FromRow)]
struct HeldRow {
    message: Vec<u8>,
    id: Vec<u8>,
    address: String,
    tenant: Vec<u8>,
    stream: String,
    accepted_at: i64,
    expires_at: i64,
    selectors: String,
    sealed_until: i64,
    scheduled_at: Option<String>,
}

/// A held recipient with what its message says.
struct Held {
    message: MessageId,
    recipient: RecipientId,
    address: EmailAddress,
    home: Home,
    selectors: Vec<String>,
    sealed_until: Timestamp,
}

impl TryFrom<HeldRow> for Held {
    type Error = Fault;

    fn try_from(row: HeldRow) -> Result<Self, Fault> {
        let place = Place {
            table: "recipients",
            id: &row.id,
        };
        let scheduled_at = row.scheduled_at.as_deref().map(Timestamp::parse);
        let address = place.address("address", &row.address)?;
        let tenant: TenantId = place.id("tenant", &row.tenant)?;
        let domain: Domain = address.domain().clone();
        Ok(Self {
            message: place.id("message", &row.message)?,
            recipient: place.id("id", &row.id)?,
            address,
            home: Home {
                tenant,
                stream: place.cell("stream", Stream::parse(&row.stream))?,
                domain,
                accepted_at: Timestamp::from_micros(row.accepted_at),
                expires_at: Timestamp::from_micros(row.expires_at),
                scheduled_at: place.cell("scheduled_at", scheduled_at.transpose())?,
            },
            selectors: place.cell("selectors", serde_json::from_str(&row.selectors))?,
            sealed_until: Timestamp::from_micros(row.sealed_until),
        })
    }
}

impl Held {
    fn is_in(&self, scope: &Scope) -> bool {
        match scope {
            Scope::Domain(domain) => self.address.domain() == domain,
            Scope::Tenant(_) | Scope::Vendor(_) | Scope::Message(_) => true,
        }
    }

    fn subject(&self) -> Subject {
        Subject {
            message: self.message,
            recipient: self.recipient,
            home: Some(self.home.clone()),
        }
    }

    fn sealed(self) -> HeldMessage {
        HeldMessage {
            id: self.message,
            tenant: self.home.tenant,
            selectors: self.selectors,
            sealed_until: self.sealed_until,
        }
    }
}
