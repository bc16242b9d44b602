//! One visit to one address of one exchanger: a connection, as many transactions as it takes, and
//! what each recipient's reply comes to.

mod connect;
mod told;

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use postrider_model::{EmailAddress, RecipientId, Reply, Timestamp};
use postrider_store as store;

use crate::Shared;
use crate::bodies::Content;
use crate::halt::Halt;
use crate::outcome::{Context, Hint, OtherFamily, Phase, Verdict, WithoutOther, closes, judge};
use crate::pool::Lease;
use crate::route::Host;
use crate::session::{Answer, End, Mail, Transaction};
use crate::settle::{Fate, Left, Party, Report, settle};
use crate::stages::Stages;

/// Recipients of one transaction.
const RECIPIENTS_MOST: usize = 50;
/// How often a kept connection that turns out to be dead is replaced in one visit.
const STALE_MOST: u32 = 3;

/// What a visit is about.
pub(crate) struct Visit<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) content: &'a Content,
    pub(crate) halt: &'a Halt,
    /// When the attempt began, and under which lease.
    pub(crate) begun: Timestamp,
    pub(crate) lease: store::Lease,
}

/// Where a visit goes, and what could come after it.
#[derive(Clone, Copy)]
pub(crate) struct Stop<'a> {
    pub(crate) host: &'a Host,
    pub(crate) address: SocketAddr,
    /// Addresses that are left after this one.
    pub(crate) others: usize,
    /// Whether one of them is this host's, in the other family.
    pub(crate) other_family: bool,
}

/// What a visit came to.
pub(crate) struct Seen {
    /// Recipients that are done with.
    pub(crate) left: Vec<Left>,
    /// Recipients for whom the next address may be tried.
    pub(crate) waiting: Vec<Waiting>,
    /// Whether the host talked to us.
    pub(crate) served: bool,
}

/// A recipient that is not done with, and why: each has its own answer.
pub(crate) struct Waiting {
    pub(crate) party: Party,
    pub(crate) why: Trouble,
}

type Trouble = (Visited, Report);

/// Why a visit left recipients waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Visited {
    /// All connections to this address that we allow ourselves are in use.
    AtCap,
    /// We are stopping; nothing was learned.
    Stopped,
    /// Nobody greeted us.
    Unreachable,
    /// The host does not serve us, or the line broke before the final dot.
    NotServed,
    /// As `NotServed`, and no other host being left it is for good.
    RefusedForGood,
    /// The host takes no message like this one: its size, SMTPUTF8.
    CannotTake,
}

/// What becomes of a recipient after a transaction.
enum Next {
    Settle(Fate),
    /// In another transaction on the same connection.
    Again,
    Wait(Visited),
}

impl Visit<'_> {
    /// Visits one address for these recipients. `Err` in none: what went wrong is in `Seen`.
    pub(crate) async fn one(&self, stop: Stop<'_>, waiting: Vec<Party>) -> Seen {
        let mut seen = Seen::nobody();
        let mut batch = waiting;
        let mut stale = 0;
        while !batch.is_empty() {
            let mut lease = match self.connect(stop, &batch).await {
                Ok(lease) => lease,
                Err(trouble) => {
                    seen.wait(batch, &trouble);
                    break;
                }
            };
            let was_kept = lease.connection.facts().opening.0.is_empty();
            let rest = self.all_over(&mut lease, stop, batch, &mut seen).await;
            seen.served |= !was_kept || matches!(rest, Rest::Nobody);
            self.shared.pool.give_back(lease);
            batch = match rest {
                // A kept connection had died: nothing was heard on it, so this says nothing.
                Rest::Unheard(parties, _) if was_kept && stale < STALE_MOST => parties,
                Rest::Unheard(parties, trouble) => {
                    seen.wait(parties, &trouble);
                    break;
                }
                Rest::Nobody => break,
            };
            stale += 1;
        }
        seen
    }

    /// Sends over one connection until nobody is left who can be sent to over it.
    async fn all_over(
        &self,
        lease: &mut Lease,
        stop: Stop<'_>,
        mut parties: Vec<Party>,
        seen: &mut Seen,
    ) -> Rest {
        let most = lease
            .connection
            .capabilities()
            .recipients_most
            .unwrap_or(RECIPIENTS_MOST);
        let most = most.clamp(1, RECIPIENTS_MOST);
        while !parties.is_empty() {
            let later = parties.split_off(most.min(parties.len()));
            let Some(transaction) = self.send(lease, &parties).await else {
                parties.extend(later);
                return Rest::Unheard(parties, Box::new((Visited::Stopped, Report::default())));
            };
            let report = told::of_transaction(lease, &transaction);
            if is_unheard(&transaction) {
                parties.extend(later);
                return Rest::Unheard(parties, Box::new((Visited::NotServed, report)));
            }
            if let Some(reply) = farewell(lease, &transaction) {
                parties.extend(later);
                let report = told::with_reply(report, (Phase::MailFrom, reply));
                return Rest::Unheard(parties, Box::new((Visited::NotServed, report)));
            }
            let ends_all = Self::ends_all(&transaction.end).map(|why| (why, report.clone()));
            parties = self.sort(transaction, stop, (parties, report), seen).await;
            parties.extend(later);
            if let Some(trouble) = ends_all {
                seen.wait(parties, &trouble);
                return Rest::Nobody;
            }
        }
        Rest::Nobody
    }

    /// One transaction; `None` where we are stopping and nothing is beyond its dot.
    async fn send(&self, lease: &mut Lease, parties: &[Party]) -> Option<Transaction> {
        let first = parties.first()?;
        let recipients: Vec<EmailAddress> = parties
            .iter()
            .map(|party| party.recipient.address.clone())
            .collect();
        let mail = Mail {
            return_path: &first.recipient.return_path,
            recipients: &recipients,
            body: &self.content.bytes,
            smtputf8: self.content.smtputf8,
        };
        let dotted = AtomicBool::new(false);
        let mut before_dot = |accepted: &[usize]| self.pass_dot(parties, accepted, &dotted);
        let stopped = async {
            self.halt.begun().await;
            // Past its dot a transaction is not broken off: its reply is worth the wait.
            if dotted.load(Ordering::Relaxed) {
                std::future::pending::<()>().await;
            }
        };
        let transaction = tokio::select! {
            biased;
            transaction = lease.connection.transaction(&mail, &mut before_dot) => transaction,
            () = stopped => return None,
        };
        let instruments = &self.shared.instruments;
        instruments.took(&Stages::of(&transaction.spent));
        if !matches!(transaction.end, End::Answered | End::Ambiguous { .. }) {
            self.take_back(parties);
        }
        Some(transaction)
    }

    /// Whether the final dot may follow now, for those that the host accepted; notes them in the
    /// journal then. Tells `dotted` as soon as no verb can stop the transaction any more.
    fn pass_dot(
        &self,
        parties: &[Party],
        accepted: &[usize],
        dotted: &AtomicBool,
    ) -> io::Result<()> {
        if self.halt.has_begun() {
            return Err(stopped("the attempt was stopped"));
        }
        if !self.shared.standing.may_dot(self.lease) {
            return Err(stopped("it may be another node's by now"));
        }
        // A host that was slow until now does not make it any less late.
        let late = |first: &Party| self.shared.clock.now() >= first.row.expires_at;
        if parties.first().is_some_and(late) {
            return Err(io::Error::other("its time has passed"));
        }
        // All of them are settled by this transaction's end, the refused as well.
        if !self.halt.pass(ids(parties)) {
            return Err(stopped("the attempt was stopped"));
        }
        dotted.store(true, Ordering::Relaxed);
        let chosen = accepted.iter().filter_map(|place| parties.get(*place));
        let mut begun = chosen.map(|party| {
            let (row, attempt) = (&party.row, party.recipient.attempts + 1);
            let journal = &self.shared.journal;
            journal.begin(row.recipient, row.message, attempt)
        });
        begun.try_for_each(|begun| begun.map_err(io::Error::other))
    }

    /// Takes out of the journal what was noted before a dot that never left.
    fn take_back(&self, parties: &[Party]) {
        for party in parties {
            if let Err(fault) = self.shared.journal.close(party.row.recipient) {
                tracing::error!(
                    error = &fault as &dyn std::error::Error,
                    "the journal cannot be written"
                );
            }
        }
        self.halt.is_known(ids(parties));
    }

    /// Settles who has an answer; gives back who is to be sent to again over this connection.
    async fn sort(
        &self,
        transaction: Transaction,
        stop: Stop<'_>,
        (parties, report): (Vec<Party>, Report),
        seen: &mut Seen,
    ) -> Vec<Party> {
        let all: Vec<_> = ids(&parties).collect();
        let mut again = Vec::new();
        let mut settled = Vec::new();
        for (party, answer) in parties.into_iter().zip(&transaction.answers) {
            let mut mine = report.clone();
            let next = match answer {
                Some(answer) => {
                    mine = told::with_reply(mine, (answer.phase, &answer.reply));
                    mine.note = None;
                    self.judged(&party, answer, stop)
                }
                None => Self::unanswered(&transaction.end),
            };
            match next {
                Next::Settle(fate) => settled.push((party, fate, mine)),
                Next::Again => again.push(party),
                Next::Wait(visited) => {
                    let why = (visited, mine);
                    seen.waiting.push(Waiting { party, why });
                }
            }
        }
        let work = settled
            .iter()
            .map(|(party, fate, mine)| settle(self.shared, party, *fate, mine.clone()));
        seen.left.extend(futures_util::future::join_all(work).await);
        self.halt.is_known(all.into_iter());
        again
    }

    fn judged(&self, party: &Party, answer: &Answer, stop: Stop<'_>) -> Next {
        let first = party.recipient.attempts == 0;
        let context = Context {
            age: self.age(party),
            accepted: answer.accepted,
            other_family: if first && stop.other_family {
                OtherFamily::Untried
            } else {
                OtherFamily::None
            },
        };
        match judge(answer.phase, &answer.reply, &context) {
            Verdict::Delivered => Next::Settle(Fate::Delivered),
            Verdict::Fail => Next::Settle(Fate::Bounced),
            Verdict::Retry(hint) => Next::Settle(Fate::Deferred(hint)),
            Verdict::Resend => Next::Again,
            Verdict::OtherFamily => Next::Wait(Visited::RefusedForGood),
            Verdict::NextHost(WithoutOther::Fail) => Next::Wait(Visited::RefusedForGood),
            Verdict::NextHost(WithoutOther::Retry) => Next::Wait(Visited::NotServed),
            // No answer ends with these; whoever sees one is tried again.
            Verdict::Proceed | Verdict::SayHelo => Next::Settle(Fate::Deferred(Hint::Usual)),
        }
    }

    fn unanswered(end: &End) -> Next {
        match end {
            End::Ambiguous { .. } => Next::Settle(Fate::Ambiguous),
            End::TooLarge { .. } | End::NeedsSmtpUtf8 => Next::Wait(Visited::CannotTake),
            // By now it may be ours again: a heartbeat that was late has come.
            End::NotJournaled(why) if why.kind() == io::ErrorKind::Interrupted => {
                Next::Wait(Visited::Stopped)
            }
            // Before the dot nothing is the remote's: the next host may be asked.
            End::NotJournaled(_) | End::Broken { .. } | End::Answered => {
                Next::Wait(Visited::NotServed)
            }
        }
    }

    /// Why nobody else can be sent to after a transaction that ended so.
    fn ends_all(end: &End) -> Option<Visited> {
        match (end, Self::unanswered(end)) {
            (End::Answered, _) => None,
            (_, Next::Wait(visited)) => Some(visited),
            (_, Next::Settle(_) | Next::Again) => None,
        }
    }

    fn age(&self, party: &Party) -> Duration {
        self.begun.since(party.row.accepted_at)
    }
}

impl Seen {
    /// Of a visit that was not made.
    pub(crate) fn nobody() -> Self {
        Self {
            left: Vec::new(),
            waiting: Vec::new(),
            served: false,
        }
    }

    fn wait(&mut self, parties: Vec<Party>, why: &Trouble) {
        let waiting = parties.into_iter().map(|party| Waiting {
            party,
            why: why.clone(),
        });
        self.waiting.extend(waiting);
    }
}

/// Why no dot was sent, where that is nobody's fault: it is tried again as if nothing had been.
fn stopped(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::Interrupted, why)
}

fn ids(parties: &[Party]) -> impl Iterator<Item = RecipientId> {
    parties.iter().map(|party| party.row.recipient)
}

fn is_unheard(transaction: &Transaction) -> bool {
    transaction.answers.iter().all(Option::is_none) && matches!(transaction.end, End::Broken { .. })
}

/// The 421 with which a kept connection is closed (RFC 5321 §3.8) although its host takes mail:
/// it was idle for too long, or had its share of messages.
fn farewell<'t>(lease: &Lease, transaction: &'t Transaction) -> Option<&'t Reply> {
    let was_kept = lease.connection.facts().opening.0.is_empty();
    let first = transaction.answers.first()?.as_ref()?;
    let at_once = first.phase == Phase::MailFrom && closes(first.reply.code);
    (was_kept && at_once).then_some(&first.reply)
}

/// Who is left when a connection has served.
enum Rest {
    Nobody,
    /// Nothing was heard for these, so that they are as they were.
    Unheard(Vec<Party>, Box<Trouble>),
}
