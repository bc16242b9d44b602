//! Settlements inside the committer's transaction: what became of recipients, many at once.

use std::collections::{HashMap, HashSet};

use postrider_model::{Event, RecipientId, RecipientState};
use postrider_store::{Outcome, RefusalTexts, Settled, Settlement, Tally};
use sqlx::SqliteConnection;

use crate::bounces::{self, HardBounce};
use crate::events;
use crate::failures::{self, NewFailure};
use crate::fault::Fault;
use crate::standing::{self, Key, Standing};
use crate::suspects::Suspects;
use crate::writes::{self, RecipientRow, Rescheduled, Writes};

/// What came of recording some settlements.
#[derive(Default)]
pub(crate) struct Recorded<'s> {
    /// In the order given.
    pub(crate) outcomes: Vec<Settled>,
    /// Their events, numbered, yet to be written.
    pub(crate) events: Vec<(i64, &'s Event)>,
}

/// Records settlements, no two of the same recipient; all but their events.
pub(crate) async fn record<'s>(
    connection: &mut SqliteConnection,
    settlements: &[&'s Settlement],
    seq: &mut i64,
    ledger: Ledger<'_>,
) -> Result<Recorded<'s>, Fault> {
    if settlements.is_empty() {
        return Ok(Recorded::default());
    }
    let keys: Vec<Key> = settlements.iter().map(|s| key(s)).collect();
    let standing = standing::read(connection, &keys).await?;
    let repeated = repeated(connection, settlements, &standing).await?;
    let mut record = Record {
        writes: Writes::default(),
        events: Vec::with_capacity(settlements.len()),
        bounces: Vec::new(),
        failures: Vec::new(),
        seq,
        ledger,
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
        ledger,
        ..
    } = record;
    writes::write(connection, &writes).await?;
    bounces::record(connection, &bounces, ledger.suspects).await?;
    failures::record(connection, &failures).await?;
    Ok(Recorded { outcomes, events })
}

/// Those that stand recorded already: the process died before it heard of their commit, and they are
/// told again from the journal. Its counts died with it (ADR 0022). A living process hears of each
/// commit here: the database is in it, and an error of its disk ends the store.
async fn repeated(
    connection: &mut SqliteConnection,
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

fn key(settlement: &Settlement) -> Key {
    // Only a retry asks whose the shard is.
    let retry = matches!(settlement.outcome, Outcome::Retry { .. });
    let lease = settlement.lease.filter(|_| retry);
    Key::of(settlement.message, settlement.recipient).with_shard(lease.map(|lease| lease.shard))
}

/// What settlements are noted in beside their recipients.
pub(crate) struct Ledger<'t> {
    pub(crate) suspects: &'t Suspects,
    pub(crate) texts: &'t RefusalTexts,
    pub(crate) tally: &'t mut Tally,
}

struct Record<'s, 'n> {
    writes: Writes<'s>,
    events: Vec<(i64, &'s Event)>,
    bounces: Vec<HardBounce>,
    failures: Vec<NewFailure>,
    seq: &'n mut i64,
    ledger: Ledger<'n>,
}

impl<'s> Record<'s, '_> {
    fn add(&mut self, before: &Standing, settlement: &'s Settlement) -> Settled {
        let settled = judge(before, settlement);
        let stands = settled != Settled::Recorded || settlement.outcome == Outcome::Noted;
        let mut row = unchanged(before, settlement);
        if !stands {
            self.queue(&mut row, before, settlement);
            let waits = row.waits.as_ref().unwrap_or(&before.waits);
            let Ledger { tally, texts, .. } = &mut self.ledger;
            tally.settle(before.tenant, settlement, waits, texts);
        }
        if settled == Settled::Recorded
            && let Some(reply) = &settlement.reply
        {
            row.reply_code = Some(reply.code);
            row.reply_enhanced = reply.enhanced.map(|code| code.to_string());
            row.reply_text = Some(&reply.text);
        }
        for event in &settlement.events {
            row.events += 1;
            self.events.push((row.events, event));
        }
        self.writes.recipients.push(row);
        settled
    }

    /// What the outcome does to the recipient and its place in the queue.
    fn queue(&mut self, row: &mut RecipientRow<'s>, before: &Standing, settlement: &Settlement) {
        let held = before.state == RecipientState::Held;
        let at = settlement.at;
        match settlement.outcome {
            // What was stopped while it was attempted stays stopped, and waits as before.
            Outcome::Retry { attempts, .. } if held => {
                row.attempts = attempts;
                return;
            }
            Outcome::Retry {
                due_at,
                attempts,
                cause,
            } => {
                *self.seq += 1;
                self.writes.rescheduled.push(Rescheduled {
                    recipient: settlement.recipient,
                    seq: *self.seq,
                    since: at.as_micros(),
                    due_at: due_at.as_micros(),
                    attempts,
                    cause,
                });
                (row.state, row.attempts) = (RecipientState::Queued, attempts);
            }
            Outcome::Final { state, attempts } => {
                (row.state, row.attempts) = (state, attempts);
                self.leave(before, settlement);
                self.bounces.extend(HardBounce::of(settlement));
                self.failures.extend(NewFailure::of(settlement));
            }
            Outcome::Held { attempts } => {
                (row.state, row.attempts) = (RecipientState::Held, attempts);
                self.leave(before, settlement);
            }
            Outcome::Noted => return,
        }
        row.updated_at = Some(at.as_micros());
        row.waits = Some(if held {
            // Who settles does not know that it was stopped; its ledger was closed then.
            before.waits_until(at)
        } else {
            let mut waits = before.waits.clone();
            waits.merge(&settlement.waits);
            waits
        });
    }

    fn leave(&mut self, before: &Standing, settlement: &Settlement) {
        if before.queued.is_some() {
            self.writes.done.push(settlement.recipient);
        }
    }
}

fn judge(before: &Standing, settlement: &Settlement) -> Settled {
    if before.state.is_final() {
        return Settled::TooLate;
    }
    let retry = matches!(settlement.outcome, Outcome::Retry { .. });
    match settlement.lease {
        Some(lease) if retry && before.epoch != Some(lease.epoch) => Settled::NotOwner,
        _ => Settled::Recorded,
    }
}

fn unchanged<'s>(before: &Standing, settlement: &Settlement) -> RecipientRow<'s> {
    RecipientRow {
        message: settlement.message,
        id: settlement.recipient,
        state: before.state,
        attempts: before.attempts,
        events: before.events,
        reply_code: None,
        reply_enhanced: None,
        reply_text: None,
        updated_at: None,
        waits: None,
    }
}
