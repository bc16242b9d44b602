//! The rows of new messages: messages, tags, bodies, recipients, queue, first events, usage; in one
//! statement.

use std::collections::{BTreeMap, HashMap};

use postrider_model::{Event, RecipientId, RecipientState, TenantId, Timestamp, WaitCause};
use postrider_store::{NewMessage, QueueRow, Shard};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::events::EventColumns;
use crate::fault::Fault;
use crate::rows::{Id, Place, json};

/// Messages, a column each.
#[derive(Default)]
struct Messages {
    id: Vec<Uuid>,
    tenant: Vec<Uuid>,
    accepted_at: Vec<i64>,
    expires_at: Vec<i64>,
    size: Vec<i64>,
    stream: Vec<&'static str>,
    smtputf8: Vec<bool>,
    selectors: Vec<String>,
    summary: Vec<String>,
    sealed_until: Vec<i64>,
    credential: Vec<Option<Uuid>>,
}

/// Bodies, a column each.
#[derive(Default)]
struct Bodies<'m> {
    message: Vec<Uuid>,
    bytes: Vec<&'m [u8]>,
}

/// Bytes of bodies in one statement, unless it is one body or the statement is the whole
/// transaction: they are copied twice on their way.
const BYTES_MOST: usize = 8 << 20;

/// Recipients with their queue rows, a column each.
#[derive(Default)]
struct Recipients<'m> {
    message: Vec<Uuid>,
    id: Vec<Uuid>,
    position: Vec<i32>,
    address: Vec<String>,
    return_path: Vec<String>,
    state: Vec<&'static str>,
    events: Vec<i64>,
    accepted_at: Vec<i64>,
    tenant: Vec<Uuid>,
    shard: Vec<i16>,
    stream: Vec<&'static str>,
    domain: Vec<&'m str>,
    due_at: Vec<i64>,
    expires_at: Vec<i64>,
    cause: Vec<&'static str>,
}

/// Recipients accepted, one row per tenant and day, sorted: so all batches lock them in one order.
#[derive(Default)]
struct Usage {
    tenant: Vec<Uuid>,
    day: Vec<i64>,
    accepted: Vec<i64>,
    simulated: Vec<i64>,
}

/// Tags, a column each.
#[derive(Default)]
struct Tags<'m> {
    tenant: Vec<Uuid>,
    name: Vec<&'m str>,
    value: Vec<&'m str>,
    stream: Vec<&'static str>,
    message: Vec<Uuid>,
}

/// Writes messages with all that hangs on them. Returns the database's time: what is due at once is
/// due then at the latest. A message that is there already makes it fail as taken.
pub(crate) async fn insert(
    connection: &mut PgConnection,
    messages: &[&NewMessage],
) -> Result<Timestamp, Fault> {
    insert_with(connection, messages, messages).await
}

/// The same inside a transaction, in as many statements as it takes to have not all of a large
/// group's bodies in memory twice more.
pub(crate) async fn insert_in_parts(
    connection: &mut PgConnection,
    messages: &[&NewMessage],
) -> Result<Timestamp, Fault> {
    let (first, mut rest) = with_bodies(messages);
    let now = insert_with(connection, messages, first).await?;
    while !rest.is_empty() {
        let (part, behind) = with_bodies(rest);
        let bodies = Bodies::of(part);
        sqlx::query(
            "INSERT INTO bodies (message, bytes) SELECT * FROM unnest($1::uuid[], $2::bytea[])",
        )
        .bind(bodies.message)
        .bind(bodies.bytes)
        .execute(&mut *connection)
        .await?;
        rest = behind;
    }
    Ok(now)
}

/// Those whose bodies go together, at least one, and the rest.
fn with_bodies<'s, 'm>(
    messages: &'s [&'m NewMessage],
) -> (&'s [&'m NewMessage], &'s [&'m NewMessage]) {
    let mut bytes = 0;
    let fit = messages.iter().take_while(|message| {
        bytes += message.body.len();
        bytes <= BYTES_MOST
    });
    let count = fit.count().max(1).min(messages.len());
    messages.split_at(count)
}

async fn insert_with(
    connection: &mut PgConnection,
    messages: &[&NewMessage],
    with_bodies: &[&NewMessage],
) -> Result<Timestamp, Fault> {
    if messages.is_empty() {
        return Ok(Timestamp::from_micros(0));
    }
    let (m, r, tags) = columns(messages)?;
    let bodies = Bodies::of(with_bodies);
    let e = EventColumns::of(&events(messages));
    let u = usage(messages);
    // `usage` has a foreign key to `tenants`: mail of nobody is refused by it. `changed` is left to
    // its default.
    let now: i64 = sqlx::query_scalar(INSERT)
        .bind(m.id)
        .bind(m.tenant)
        .bind(m.accepted_at)
        .bind(m.expires_at)
        .bind(m.size)
        .bind(m.stream)
        .bind(m.smtputf8)
        .bind(m.selectors)
        .bind(m.summary)
        .bind(m.sealed_until)
        .bind(bodies.bytes)
        .bind(r.message)
        .bind(r.id)
        .bind(r.position)
        .bind(r.address)
        .bind(r.return_path)
        .bind(r.state)
        .bind(r.events)
        .bind(r.accepted_at)
        .bind(r.tenant)
        .bind(r.shard)
        .bind(r.stream)
        .bind(r.domain)
        .bind(r.due_at)
        .bind(r.expires_at)
        .bind(r.cause)
        .bind(e.recipient)
        .bind(e.seq)
        .bind(e.at)
        .bind(e.kind)
        .bind(e.attempt)
        .bind(e.cause)
        .bind(e.note)
        .bind(u.tenant)
        .bind(u.day)
        .bind(u.accepted)
        .bind(u.simulated)
        .bind(tags.tenant)
        .bind(tags.name)
        .bind(tags.value)
        .bind(tags.stream)
        .bind(tags.message)
        .bind(bodies.message)
        .bind(m.credential)
        .fetch_one(connection)
        .await?;
    Ok(Timestamp::from_micros(now))
}

fn columns<'m>(messages: &[&'m NewMessage]) -> Result<(Messages, Recipients<'m>, Tags<'m>), Fault> {
    let mut m = Messages::default();
    let mut r = Recipients::default();
    let mut tags = Tags::default();
    for message in messages {
        m.push(message)?;
        r.push(message);
        tags.push(message);
    }
    Ok((m, r, tags))
}

/// What an event of the acceptance has is its kind, at most a cause and a note.
const INSERT: &str = "
WITH t AS MATERIALIZED (
    SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now),
u AS (
    INSERT INTO usage (tenant, day, accepted, simulated)
    SELECT x.tenant, x.day, x.accepted, x.simulated
    FROM unnest($34::uuid[], $35::bigint[], $36::bigint[], $37::bigint[])
        AS x (tenant, day, accepted, simulated)
    ORDER BY x.tenant, x.day
    ON CONFLICT (tenant, day) DO UPDATE SET accepted = usage.accepted + excluded.accepted,
        simulated = usage.simulated + excluded.simulated),
m AS (
    INSERT INTO messages (id, tenant, accepted_at, expires_at, size, stream, smtputf8, selectors,
        summary, sealed_until, credential)
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::bigint[], $5::bigint[],
        $6::text[], $7::boolean[], $8::text[], $9::text[], $10::bigint[], $44::uuid[])),
g AS (
    INSERT INTO message_tags (tenant, name, value, stream, message)
    SELECT * FROM unnest($38::uuid[], $39::text[], $40::text[], $41::text[], $42::uuid[])
    ON CONFLICT DO NOTHING),
b AS (
    INSERT INTO bodies (message, bytes) SELECT * FROM unnest($43::uuid[], $11::bytea[])),
r AS (
    INSERT INTO recipients (message, id, position, address, return_path, state, attempts, events,
        updated_at, tenant)
    SELECT x.message, x.id, x.position, x.address, x.return_path, x.state, 0, x.events,
        x.updated_at, x.tenant
    FROM unnest($12::uuid[], $13::uuid[], $14::integer[], $15::text[], $16::text[], $17::text[],
        $18::bigint[], $19::bigint[], $20::uuid[]) AS x (message, id, position, address,
        return_path, state, events, updated_at, tenant)),
q AS (
    INSERT INTO queue (recipient, message, tenant, shard, stream, domain, accepted_at, since,
        due_at, expires_at, attempts, cause)
    SELECT x.recipient, x.message, x.tenant, x.shard, x.stream, x.domain, x.accepted_at,
        x.accepted_at, CASE x.cause WHEN 'turn' THEN least(x.due_at, t.now) ELSE x.due_at END,
        x.expires_at, 0, x.cause
    FROM t, unnest($13::uuid[], $12::uuid[], $20::uuid[], $21::smallint[], $22::text[],
        $23::text[], $19::bigint[], $24::bigint[], $25::bigint[], $26::text[], $17::text[]) AS x
        (recipient, message, tenant, shard, stream, domain, accepted_at, due_at, expires_at, cause,
        state)
    WHERE x.state IN ('queued', 'scheduled')),
e AS (
    INSERT INTO events (recipient, seq, epoch, at, kind, attempt, cause, note)
    SELECT x.recipient, x.seq, 0, x.at, x.kind, x.attempt, x.cause, x.note
    FROM unnest($27::uuid[], $28::bigint[], $29::bigint[], $30::text[], $31::bigint[],
        $32::text[], $33::text[]) AS x (recipient, seq, at, kind, attempt, cause, note))
SELECT now FROM t";

impl<'m> Bodies<'m> {
    fn of(messages: &[&'m NewMessage]) -> Self {
        Self {
            message: messages.iter().map(|message| message.id.uuid()).collect(),
            bytes: messages.iter().map(|message| &message.body[..]).collect(),
        }
    }
}

impl Messages {
    fn push(&mut self, message: &NewMessage) -> Result<(), Fault> {
        let place = Place {
            table: "messages",
            id: message.id.uuid(),
        };
        self.id.push(message.id.uuid());
        self.tenant.push(message.tenant.uuid());
        self.accepted_at.push(message.accepted_at.as_micros());
        self.expires_at.push(message.expires_at.as_micros());
        let size = i64::try_from(message.body.len());
        self.size.push(place.cell("size", size)?);
        self.stream.push(message.summary.stream.as_str());
        self.smtputf8.push(message.smtputf8);
        self.selectors.push(json(&message.selectors)?);
        self.summary.push(json(&message.summary)?);
        self.sealed_until.push(message.sealed_until.as_micros());
        self.credential.push(message.credential.map(Id::uuid));
        Ok(())
    }
}

impl<'m> Recipients<'m> {
    fn push(&mut self, message: &'m NewMessage) {
        let mut events: HashMap<RecipientId, i64> = HashMap::new();
        for event in &message.events {
            *events.entry(event.recipient).or_default() += 1;
        }
        let (state, cause) = standing(message);
        let shard = shard(message.tenant);
        for (position, recipient) in (0..).zip(&message.recipients) {
            self.message.push(message.id.uuid());
            self.id.push(recipient.id.uuid());
            self.position.push(position);
            self.address.push(recipient.address.to_string());
            self.return_path.push(recipient.return_path.to_string());
            let state = if recipient.suppressed {
                RecipientState::Suppressed
            } else {
                state
            };
            self.state.push(state.as_str());
            let events = events.get(&recipient.id).copied();
            self.events.push(events.unwrap_or(0));
            self.accepted_at.push(message.accepted_at.as_micros());
            self.tenant.push(message.tenant.uuid());
            self.shard.push(shard);
            self.stream.push(message.summary.stream.as_str());
            self.domain.push(recipient.address.domain().as_str());
            self.due_at.push(message.due_at.as_micros());
            self.expires_at.push(message.expires_at.as_micros());
            self.cause.push(cause.as_str());
        }
    }
}

impl<'m> Tags<'m> {
    fn push(&mut self, message: &'m NewMessage) {
        for tag in &message.summary.tags {
            self.tenant.push(message.tenant.uuid());
            self.name.push(&tag.name);
            self.value.push(&tag.value);
            self.stream.push(message.summary.stream.as_str());
            self.message.push(message.id.uuid());
        }
    }
}

fn standing(message: &NewMessage) -> (RecipientState, WaitCause) {
    if message.held {
        (RecipientState::Held, WaitCause::Held)
    } else if message.due_at > message.accepted_at {
        (RecipientState::Scheduled, WaitCause::Scheduled)
    } else {
        (RecipientState::Queued, WaitCause::Turn)
    }
}

/// A tenant's shard as it is stored: 0 to 1,023.
pub(crate) fn shard(tenant: TenantId) -> i16 {
    i16::try_from(Shard::of(tenant).number()).unwrap_or(0)
}

/// Its queue rows as `insert` wrote them at `now`.
pub(crate) fn queue_rows(message: &NewMessage, now: Timestamp) -> impl Iterator<Item = QueueRow> {
    let (_, cause) = standing(message);
    let due_at = match cause {
        WaitCause::Turn => message.due_at.min(now),
        _ => message.due_at,
    };
    message.live().map(move |recipient| QueueRow {
        recipient: recipient.id,
        message: message.id,
        tenant: message.tenant,
        stream: message.summary.stream,
        domain: recipient.address.domain().clone(),
        accepted_at: message.accepted_at,
        since: message.accepted_at,
        due_at,
        expires_at: message.expires_at,
        attempts: 0,
        cause,
    })
}

fn usage(messages: &[&NewMessage]) -> Usage {
    let mut sums: BTreeMap<(Uuid, i64), (i64, i64)> = BTreeMap::new();
    for message in messages {
        let day = (message.tenant.uuid(), message.accepted_at.day());
        let all = message.recipients.len();
        let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let (accepted, simulated) = sums.entry(day).or_default();
        *accepted += count(all);
        *simulated += count(all - message.real());
    }
    let mut usage = Usage::default();
    for ((tenant, day), (accepted, simulated)) in sums {
        usage.tenant.push(tenant);
        usage.day.push(day);
        usage.accepted.push(accepted);
        usage.simulated.push(simulated);
    }
    usage
}

/// The first events of messages with their numbers.
fn events<'m>(messages: &[&'m NewMessage]) -> Vec<(i64, i64, &'m Event)> {
    let mut numbers: HashMap<RecipientId, i64> = HashMap::new();
    messages
        .iter()
        .flat_map(|message| &message.events)
        .map(|event| {
            let number = numbers.entry(event.recipient).or_default();
            *number += 1;
            (*number, 0, event)
        })
        .collect()
}
