//! What a verb does to recipients, in one transaction.

use postrider_model::{
    Domain, Event, MessageId, RecipientId, RecipientState, Stream, TenantId, Timestamp, WaitCause,
};
use postrider_store::ControlVerb;
use sqlx::PgConnection;

use crate::arrival::shard;
use crate::events::EventColumns;
use crate::fault::Fault;
use crate::rows::Id as _;
use crate::standing::{self, Standing};
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
struct Returned<'s> {
    subject: &'s Subject,
    home: &'s Home,
    since: Timestamp,
    due_at: Timestamp,
    attempts: i64,
    cause: WaitCause,
}

struct Doing<'s> {
    deed: &'s Deed,
    writes: Writes<'s>,
    returned: Vec<Returned<'s>>,
    events: Vec<(i64, Event)>,
    changed: u64,
}

/// Does a verb to those it still applies to; returns how many.
pub(crate) async fn enact(
    connection: &mut PgConnection,
    subjects: &[Subject],
    deed: &Deed,
) -> Result<u64, Fault> {
    if subjects.is_empty() {
        return Ok(0);
    }
    let keys = subjects.iter().map(|s| (s.message, s.recipient));
    let mut standing = standing::lock(connection, keys).await?;
    standing::read_queued(connection, &mut standing).await?;
    let mut doing = Doing {
        deed,
        writes: Writes::default(),
        returned: Vec::new(),
        events: Vec::new(),
        changed: 0,
    };
    for subject in subjects {
        // Once each: who was stopped between two looks was found waiting, and held.
        if let Some(before) = standing.remove(&subject.recipient) {
            doing.add(subject, &before);
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
    let events: Vec<_> = events.iter().map(|(seq, event)| (*seq, 0, event)).collect();
    EventColumns::of(&events).insert(connection).await?;
    Ok(changed)
}

impl<'s> Doing<'s> {
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
        self.returned.push(Returned {
            subject,
            home,
            since: at,
            due_at: later.unwrap_or(at),
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
        self.changed += 1;
        self.writes.rescheduled.push(Rescheduled {
            recipient: subject.recipient,
            since: row.since,
            due_at: self.deed.at,
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
            event.attempt = u32::try_from(before.attempts).unwrap_or(u32::MAX);
            event.note.clone_from(&deed.note);
            self.events.push((events, event));
        }
        self.writes.recipients.push(RecipientRow {
            message: subject.message,
            id: subject.recipient,
            state,
            attempts: before.attempts,
            events,
            reply: None,
            updated_at: Some(deed.at),
            waits: Some(before.waits_until(deed.at)),
        });
    }
}

fn column<T>(rows: &[Returned<'_>], of: impl Fn(&Returned<'_>) -> T) -> Vec<T> {
    rows.iter().map(of).collect()
}

async fn bring_back(connection: &mut PgConnection, rows: &[Returned<'_>]) -> Result<(), Fault> {
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO queue (recipient, message, tenant, shard, stream, domain, accepted_at, since,
             due_at, expires_at, attempts, cause)
         SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::smallint[], $5::text[],
             $6::text[], $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[],
             $12::text[])",
    )
    .bind(column(rows, |row| row.subject.recipient.uuid()))
    .bind(column(rows, |row| row.subject.message.uuid()))
    .bind(column(rows, |row| row.home.tenant.uuid()))
    .bind(column(rows, |row| shard(row.home.tenant)))
    .bind(column(rows, |row| row.home.stream.as_str()))
    .bind(column(rows, |row| row.home.domain.as_str().to_owned()))
    .bind(column(rows, |row| row.home.accepted_at.as_micros()))
    .bind(column(rows, |row| row.since.as_micros()))
    .bind(column(rows, |row| row.due_at.as_micros()))
    .bind(column(rows, |row| row.home.expires_at.as_micros()))
    .bind(column(rows, |row| row.attempts))
    .bind(column(rows, |row| row.cause.as_str()))
    .execute(connection)
    .await?;
    Ok(())
}
