//! Settlements in one transaction: what became of recipients, many at once.

use std::collections::{HashMap, HashSet};

use postrider_model::{Event, RecipientId, RecipientState};
use postrider_runtime::failpoint;
use postrider_store::{Lease, Outcome, RefusalTexts, Settled, Settlement, Tally};
use sqlx::PgConnection;

use crate::bounces::{self, HardBounce};
use crate::events::{self, EventColumns};
use crate::failures::{self, NewFailure};
use crate::fault::Fault;
use crate::standing::{self, Standing};
use crate::transaction;
use crate::writer::Crew;
use crate::writes::{self, RecipientRow, Rescheduled, Writes};

/// Records settlements, no two of the same recipient.
pub(crate) async fn record(
    connection: &mut PgConnection,
    settlements: &[&Settlement],
    crew: &Crew,
) -> Result<Vec<Settled>, Fault> {
    let transaction = transaction::begin_numbered(connection).await?;
    let keys = settlements.iter().map(|s| (s.message, s.recipient));
    let standing = standing::lock(connection, keys).await?;
    let repeated = repeated(connection, settlements, &standing).await?;
    let mut record = Record {
        writes: Writes::default(),
        events: Vec::with_capacity(settlements.len()),
        bounces: Vec::new(),
        failures: Vec::new(),
        lost: lost_leases(connection, settlements).await?,
        tally: Tally::default(),
        texts: crew.counts.texts(),
    };
    let outcomes = settlements
        .iter()
        .map(|settlement| match standing.get(&settlement.recipient) {
            Some(_) if repeated.contains(&settlement.recipient) => Settled::Recorded,
            Some(before) => record.add(before, settlement),
            None => Settled::Gone,
        })
        .collect();
    let Record {
        writes,
        events,
        bounces,
        failures,
        tally,
        ..
    } = record;
    writes::write(connection, &writes).await?;
    EventColumns::of(&events).insert(connection).await?;
    bounces::record(connection, &bounces).await?;
    failures::record(connection, &failures).await?;
    if settlements.iter().any(|settlement| moves(settlement)) {
        failpoint::reach("store.before_settle");
    }
    let counts = crew.counts.once_committed(transaction, tally);
    transaction::commit(connection).await?;
    counts.heard();
    for settlement in settlements {
        if settlement.outcome != Outcome::Noted {
            crew.fresh.take(settlement.message, settlement.recipient);
        }
    }
    Ok(outcomes)
}

/// Those that stand recorded already: their commit was not heard of, and they are told again. Their
/// counts are those of that commit (`counting`).
async fn repeated(
    connection: &mut PgConnection,
    settlements: &[&Settlement],
    standing: &HashMap<RecipientId, Standing>,
) -> Result<HashSet<RecipientId>, Fault> {
    let mut repeated = HashSet::new();
    for settlement in settlements {
        let before = standing.get(&settlement.recipient);
        if before.is_some_and(|before| before.may_be_of(settlement))
            && events::are_there(connection, &settlement.events).await?
        {
            repeated.insert(settlement.recipient);
        }
    }
    Ok(repeated)
}

fn moves(settlement: &Settlement) -> bool {
    matches!(
        settlement.outcome,
        Outcome::Final { .. } | Outcome::Retry { .. }
    )
}

fn fence(settlement: &Settlement) -> Option<Lease> {
    // Only a retry asks whose the shard is.
    let retry = matches!(settlement.outcome, Outcome::Retry { .. });
    settlement.lease.filter(|_| retry)
}

/// The leases of these settlements' reschedules that are another node's by now.
async fn lost_leases(
    connection: &mut PgConnection,
    settlements: &[&Settlement],
) -> Result<HashSet<Lease>, Fault> {
    let mut lost: HashSet<Lease> = settlements.iter().filter_map(|s| fence(s)).collect();
    if lost.is_empty() {
        return Ok(lost);
    }
    let shards: Vec<i16> = lost.iter().map(|lease| number(*lease)).collect();
    // Index shards (primary key). Who takes a shard raises its epoch.
    let rows: Vec<(i16, i64)> =
        sqlx::query_as("SELECT shard, epoch FROM shards WHERE shard = ANY($1)")
            .bind(shards)
            .fetch_all(connection)
            .await?;
    let epochs: HashMap<i16, i64> = rows.into_iter().collect();
    lost.retain(|lease| epochs.get(&number(*lease)) != Some(&lease.epoch.0));
    Ok(lost)
}

fn number(lease: Lease) -> i16 {
    i16::try_from(lease.shard.number()).unwrap_or(-1)
}

struct Record<'s> {
    writes: Writes<'s>,
    events: Vec<(i64, i64, &'s Event)>,
    bounces: Vec<HardBounce>,
    failures: Vec<NewFailure>,
    lost: HashSet<Lease>,
    tally: Tally,
    texts: &'s RefusalTexts,
}

impl<'s> Record<'s> {
    fn add(&mut self, before: &Standing, settlement: &'s Settlement) -> Settled {
        let settled = self.judge(before, settlement);
        let recorded = settled == Settled::Recorded;
        let mut row = unchanged(before, settlement);
        if recorded && settlement.outcome != Outcome::Noted {
            self.queue(&mut row, before, settlement);
            let waits = row.waits.as_ref().unwrap_or(&before.waits);
            self.tally
                .settle(before.tenant, settlement, waits, self.texts);
        }
        row.reply = settlement.reply.as_ref().filter(|_| recorded);
        let epoch = settlement.lease.map_or(0, |lease| lease.epoch.0);
        for event in &settlement.events {
            row.events += 1;
            self.events.push((row.events, epoch, event));
        }
        self.writes.recipients.push(row);
        settled
    }

    fn judge(&self, before: &Standing, settlement: &Settlement) -> Settled {
        if before.state.is_final() {
            return Settled::TooLate;
        }
        match fence(settlement) {
            Some(lease) if self.lost.contains(&lease) => Settled::NotOwner,
            _ => Settled::Recorded,
        }
    }

    /// What the outcome does to the recipient and its place in the queue.
    fn queue(&mut self, row: &mut RecipientRow<'s>, before: &Standing, settlement: &Settlement) {
        let held = before.state == RecipientState::Held;
        match settlement.outcome {
            // What was stopped while it was attempted stays stopped, and waits as before.
            Outcome::Retry { attempts, .. } if held => {
                row.attempts = attempts.into();
                return;
            }
            Outcome::Retry {
                due_at,
                attempts,
                cause,
            } => {
                self.writes.rescheduled.push(Rescheduled {
                    recipient: settlement.recipient,
                    since: settlement.at,
                    due_at,
                    attempts: attempts.into(),
                    cause,
                });
                (row.state, row.attempts) = (RecipientState::Queued, attempts.into());
            }
            Outcome::Final { state, attempts } => {
                (row.state, row.attempts) = (state, attempts.into());
                self.bounces.extend(HardBounce::of(settlement));
                self.failures.extend(NewFailure::of(settlement));
                self.writes.done.push(settlement.recipient);
            }
            Outcome::Held { attempts } => {
                (row.state, row.attempts) = (RecipientState::Held, attempts.into());
                self.writes.done.push(settlement.recipient);
            }
            Outcome::Noted => return,
        }
        row.updated_at = Some(settlement.at);
        row.waits = Some(if held {
            // Who settles does not know that it was stopped; its ledger was closed then.
            before.waits_until(settlement.at)
        } else {
            let mut waits = before.waits.clone();
            waits.merge(&settlement.waits);
            waits
        });
    }
}

fn unchanged<'s>(before: &Standing, settlement: &Settlement) -> RecipientRow<'s> {
    RecipientRow {
        message: settlement.message,
        id: settlement.recipient,
        state: before.state,
        attempts: before.attempts,
        events: before.events,
        reply: None,
        updated_at: None,
        waits: None,
    }
}
