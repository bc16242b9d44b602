//! What a verb does to recipients, inside the committer's transaction.

use postrider_model::{
    Domain, Event, MessageId, RecipientId, RecipientState, Stream, TenantId, Timestamp, WaitCause,
};
use postrider_store::{ControlVerb, Shard};
use serde::Serialize;
use sqlx::SqliteConnection;

use crate::events;
use crate::fault::Fault;
use crate::rows::json;
use crate::standing::{self, Key, Standing};
use crate::writes::{self, RecipientRow, Rescheduled, Writes};

/// A verb to do.
pub(crate) struct Deed {
    pub(crate) verb: ControlVerb,
    pub(crate) at: Timestamp,
    pub(crate) note: Option<String>,
}

/// A recipient that a verb is about.
#[derive(Clone)]
pub(crate) struct Subject {
    pub(crate) message: MessageId,
    pub(crate) recipient: RecipientId,
    /// What its queue row is made of anew, where it has none.
    pub(crate) home: Option<Home>,
}

/// What of a recipient never changes.
#[derive(Clone)]
pub(crate) struct Home {
    pub(crate) tenant: TenantId,
    pub(crate) stream: Stream,
    pub(crate) domain: Domain,
    pub(crate) accepted_at: Timestamp,
    pub(crate) expires_at: Timestamp,
    /// When its client wants it to leave.
    pub(crate) scheduled_at: Option<Timestamp>,
}

impl Subject {
    pub(crate) fn of(message: MessageId, recipient: RecipientId) -> Self {
        Self {
            message,
            recipient,
            home: None,
        }
    }
}

/// A queue row that comes back.
#[derive(Serialize)]
struct Returned<'s> {
    seq: i64,
    recipient: RecipientId,
    message: MessageId,
    tenant: TenantId,
    shard: u16,
    stream: &'static str,
    domain: &'s str,
    accepted_at: i64,
    since: i64,
    due_at: i64,
    expires_at: i64,
    attempts: u32,
    cause: WaitCause,
}

struct Doing<'s, 'n> {
    deed: &'s Deed,
    seq: &'n mut i64,
    writes: Writes<'s>,
    returned: Vec<Returned<'s>>,
    events: Vec<(i64, Event)>,
    changed: u64,
}

/// Does a verb to those it still applies to; returns how many.
pub(crate) async fn enact(
    connection: &mut SqliteConnection,
    seq: &mut i64,
    subjects: &[Subject],
    deed: &Deed,
) -> Result<u64, Fault> {
    if subjects.is_empty() {
        return Ok(0);
    }
    let keys: Vec<Key> = subjects
        .iter()
        .map(|subject| Key::of(subject.message, subject.recipient))
        .collect();
    let standing = standing::read(connection, &keys).await?;
    let mut doing = Doing {
        deed,
        seq,
        writes: Writes::default(),
        returned: Vec::new(),
        events: Vec::new(),
        changed: 0,
    };
    for subject in subjects {
        if let Some(before) = standing.get(&subject.recipient) {
            doing.add(subject, before);
        }
    }
    let Doing {
        writes,
        returned,
        events,
        changed,
        ..
    } = doing;
    writes::write(connection, &writes).await?;
    bring_back(connection, &returned).await?;
    let events: Vec<_> = events.iter().map(|(seq, event)| (*seq, event)).collect();
    events::insert(connection, &events).await?;
    Ok(changed)
}

impl<'s> Doing<'s, '_> {
    fn add(&mut self, subject: &'s Subject, before: &Standing) {
        let held = before.state == RecipientState::Held;
        match self.deed.verb {
            ControlVerb::Hold if before.queued.is_some() => {
                self.leave(subject, before, RecipientState::Held);
            }
            ControlVerb::Cancel if before.queued.is_some() || held => {
                self.leave(subject, before, RecipientState::Cancelled);
            }
            ControlVerb::Release if held => self.release(subject, before),
            ControlVerb::RetryNow => self.hurry(subject, before),
            _ => {}
        }
    }

    fn leave(&mut self, subject: &Subject, before: &Standing, state: RecipientState) {
        if before.queued.is_some() {
            self.writes.done.push(subject.recipient);
        }
        self.become_of(subject, before, state);
    }

    fn release(&mut self, subject: &'s Subject, before: &Standing) {
        let Some(home) = &subject.home else { return };
        let at = self.deed.at;
        // Its client's wish stands where it was stopped before its time.
        let later = home
            .scheduled_at
            .filter(|later| before.attempts == 0 && *later > at);
        let (state, cause) = match later {
            Some(_) => (RecipientState::Scheduled, WaitCause::Scheduled),
            None => (RecipientState::Queued, WaitCause::Turn),
        };
        *self.seq += 1;
        self.returned.push(Returned {
            seq: *self.seq,
            recipient: subject.recipient,
            message: subject.message,
            tenant: home.tenant,
            shard: Shard::of(home.tenant).number(),
            stream: home.stream.as_str(),
            domain: home.domain.as_str(),
            accepted_at: home.accepted_at.as_micros(),
            since: at.as_micros(),
            due_at: later.unwrap_or(at).as_micros(),
            expires_at: home.expires_at.as_micros(),
            attempts: before.attempts,
            cause,
        });
        self.become_of(subject, before, state);
    }

    /// Due now, and what it has waited for stays as it is.
    fn hurry(&mut self, subject: &Subject, before: &Standing) {
        let Some(row) = before.queued else { return };
        if row.cause == WaitCause::Scheduled || row.due_at <= self.deed.at {
            return;
        }
        *self.seq += 1;
        self.changed += 1;
        self.writes.rescheduled.push(Rescheduled {
            recipient: subject.recipient,
            seq: *self.seq,
            since: row.since.as_micros(),
            due_at: self.deed.at.as_micros(),
            attempts: before.attempts,
            cause: row.cause,
        });
    }

    fn become_of(&mut self, subject: &Subject, before: &Standing, state: RecipientState) {
        let (deed, mut events) = (self.deed, before.events);
        self.changed += 1;
        if let Some(kind) = deed.verb.event() {
            events += 1;
            let mut event = Event::new(subject.recipient, deed.at, kind);
            event.attempt = before.attempts;
            event.note.clone_from(&deed.note);
            self.events.push((events, event));
        }
        self.writes.recipients.push(RecipientRow {
            message: subject.message,
            id: subject.recipient,
            state,
            attempts: before.attempts,
            events,
            reply_code: None,
            reply_enhanced: None,
            reply_text: None,
            updated_at: Some(deed.at.as_micros()),
            waits: Some(before.waits_until(deed.at)),
        });
    }
}

async fn bring_back(connection: &mut SqliteConnection, rows: &[Returned<'_>]) -> Result<(), Fault> {
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO queue (seq, recipient, message, tenant, shard, stream, domain, accepted_at,
             since, due_at, expires_at, attempts, cause)
         WITH x AS MATERIALIZED (SELECT value FROM jsonb_each(?1))
         SELECT value ->> 'seq', unhex(value ->> 'recipient', '-'),
             unhex(value ->> 'message', '-'), unhex(value ->> 'tenant', '-'), value ->> 'shard',
             value ->> 'stream', value ->> 'domain', value ->> 'accepted_at', value ->> 'since',
             value ->> 'due_at', value ->> 'expires_at', value ->> 'attempts', value ->> 'cause'
         FROM x",
    )
    .bind(json(rows)?)
    .execute(connection)
    .await?;
    Ok(())
}
