//! One attempt: the recipients of one message at one domain, from the route to the last result.
//!
//! Thin: where to go is `route`'s, what a reply means is `outcome`'s, when again is `retry`'s.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use postrider_model::{Event, EventKind, RecipientId, Timestamp, WaitCause};
use postrider_runtime::Shutdown;
use postrider_store::{OpenMessage, Outcome, QueueRow, Settlement, StoreError};

use crate::Shared;
use crate::route::{self, Host, NoRoute, Route};
pub(crate) use crate::settle::Left;
use crate::settle::{Fate, Party, Report, settle};
use crate::visit::{Stop, Visit, Visited, Waiting};

/// An attempt that lasts longer than this gets an event of its own while it lasts; the others
/// have their result only.
const WORTH_AN_EVENT: Duration = Duration::from_secs(2);
/// How long rows rest when the database cannot open their message.
const DATABASE_REST: Duration = Duration::from_secs(1);
/// The same where that is no passing trouble.
const DAMAGE_REST: Duration = Duration::from_mins(5);
/// How long rows rest when their exchangers have all the connections from us that we allow.
const CAP_REST: Duration = Duration::from_millis(200);
/// Sessions in one attempt that may get as far as a greeting.
const SESSIONS_MOST: u32 = 3;

/// Runs one attempt and records its results. What it gives back waits again.
pub(crate) async fn run(shared: Arc<Shared>, rows: Vec<QueueRow>, shutdown: Shutdown) -> Vec<Left> {
    let begun = shared.clock.now();
    let Some(first) = rows.first() else {
        return Vec::new();
    };
    let ids: Vec<RecipientId> = rows.iter().map(|row| row.recipient).collect();
    let message = match shared.queue.open(first.message, &ids).await {
        Ok(Some(message)) => message,
        // Erased, or past retention: there is nothing to send.
        Ok(None) => {
            tracing::info!(message.id = %first.message, "a message is not there any more");
            return Vec::new();
        }
        Err(fault @ StoreError::Corrupt { .. }) => {
            tracing::error!(%fault, message.id = %first.message, "a message cannot be read");
            return rest(rows, begun.after(DAMAGE_REST), None);
        }
        Err(fault) => {
            tracing::error!(%fault, message.id = %first.message, "a message cannot be opened");
            return rest(rows, begun.after(DATABASE_REST), None);
        }
    };
    let parties = parties(rows, &message);
    let attempt = Attempt {
        shared: &shared,
        message: &message,
        shutdown: &shutdown,
        begun,
    };
    let left = attempt.with_event(&parties).await;
    shared
        .instruments
        .attempt_seconds
        .observe(shared.clock.now().since(begun).as_secs_f64());
    left
}

fn rest(rows: Vec<QueueRow>, due_at: Timestamp, cause: Option<WaitCause>) -> Vec<Left> {
    let again = |row: QueueRow| {
        let cause = cause.unwrap_or(row.cause);
        Left::Again(Box::new(QueueRow {
            due_at,
            cause,
            ..row
        }))
    };
    rows.into_iter().map(again).collect()
}

// Rows whose recipient is not live any more fall away here.
fn parties(rows: Vec<QueueRow>, message: &OpenMessage) -> Vec<Party> {
    let mut rows: HashMap<_, _> = rows.into_iter().map(|row| (row.recipient, row)).collect();
    let live = message.recipients.iter();
    live.filter_map(|recipient| {
        Some(Party {
            row: rows.remove(&recipient.id)?,
            recipient: recipient.clone(),
        })
    })
    .collect()
}

struct Attempt<'a> {
    shared: &'a Shared,
    message: &'a OpenMessage,
    shutdown: &'a Shutdown,
    begun: Timestamp,
}

impl Attempt<'_> {
    async fn with_event(&self, parties: &[Party]) -> Vec<Left> {
        let mut work = std::pin::pin!(self.work(parties));
        tokio::select! {
            biased;
            left = &mut work => left,
            () = tokio::time::sleep(WORTH_AN_EVENT) => {
                let (left, ()) = tokio::join!(work, self.say_attempted(parties));
                left
            }
        }
    }

    async fn say_attempted(&self, parties: &[Party]) {
        for party in parties {
            let event = Event {
                attempt: party.recipient.attempts + 1,
                ..Event::new(party.row.recipient, self.begun, EventKind::Attempted)
            };
            let settlement = Settlement {
                message: party.row.message,
                recipient: party.row.recipient,
                at: self.begun,
                outcome: Outcome::Noted,
                reply: None,
                events: vec![event],
            };
            // Worth showing, not worth waiting for.
            if let Err(fault) = self.shared.queue.settle(settlement).await {
                tracing::warn!(%fault, "an event was not recorded");
            }
        }
    }

    async fn work(&self, parties: &[Party]) -> Vec<Left> {
        let (expired, live): (Vec<_>, Vec<_>) = parties
            .iter()
            .cloned()
            .partition(|party| party.row.expires_at <= self.begun);
        let note = "4.4.7 the time in which it was to be delivered has passed";
        let mut left = self
            .settle_all(expired, Fate::Expired, &self.noted(note))
            .await;
        let Some(first) = live.first() else {
            return left;
        };
        let age = self.begun.since(first.row.accepted_at);
        match route::route(&self.shared.router, &first.row.domain, age).await {
            Route::Never(why) => left.extend(self.no_route(live, Fate::Bounced, &why).await),
            Route::NotNow(why) => left.extend(self.no_route(live, Fate::NoRoute, &why).await),
            Route::Hosts(hosts) => {
                for together in by_return_path(live) {
                    left.extend(self.deliver(&hosts, together).await);
                }
            }
        }
        left
    }

    async fn no_route(&self, parties: Vec<Party>, fate: Fate, why: &NoRoute) -> Vec<Left> {
        self.settle_all(parties, fate, &self.noted(&why.note)).await
    }

    /// Parties that share a return path, at these hosts, one after the other.
    async fn deliver(&self, hosts: &[Host], parties: Vec<Party>) -> Vec<Left> {
        let visit = Visit {
            shared: self.shared,
            message: self.message,
            shutdown: self.shutdown,
            begun: self.begun,
        };
        let mut waiting = parties;
        let mut left = Vec::new();
        let mut trouble = Trouble::default();
        let addresses = addresses(hosts, self.shared.config.port);
        for (place, (host, address)) in addresses.iter().enumerate() {
            if waiting.is_empty() || trouble.sessions >= SESSIONS_MOST {
                break;
            }
            if self.shutdown.has_begun() || self.is_past(&waiting) {
                trouble.untried = true;
                break;
            }
            let rest = addresses.get(place + 1..).unwrap_or_default();
            let other_family = rest.iter().any(|(other, there)| {
                other.name == host.name && there.is_ipv4() != address.is_ipv4()
            });
            let stop = Stop {
                host,
                address: *address,
                others: rest.len(),
                other_family,
            };
            let seen = visit.one(stop, waiting).await;
            left.extend(seen.left);
            waiting = trouble.note(host, seen.waiting);
        }
        left.extend(self.give_up(hosts, waiting, &trouble).await);
        left
    }

    // No try is begun past its end, at the next host neither.
    fn is_past(&self, waiting: &[Party]) -> bool {
        let now = self.shared.clock.now();
        waiting.iter().any(|party| party.row.expires_at <= now)
    }

    async fn give_up(&self, hosts: &[Host], waiting: Vec<Party>, trouble: &Trouble) -> Vec<Left> {
        let mut untouched = Vec::new();
        let mut settled = Vec::new();
        for party in &waiting {
            match trouble.fate(party.row.recipient, hosts) {
                Some((fate, report)) => settled.push(settle(self.shared, party, fate, report)),
                None => untouched.push(party.row.clone()),
            }
        }
        let mut left = futures_util::future::join_all(settled).await;
        left.extend(if trouble.capped {
            let due_at = self.shared.clock.now().after(CAP_REST);
            rest(untouched, due_at, Some(WaitCause::DestinationCap))
        } else {
            // Stopped before anything was learned: the rows are due as they were.
            rest(untouched, self.begun, None)
        });
        left
    }

    async fn settle_all(&self, parties: Vec<Party>, fate: Fate, report: &Report) -> Vec<Left> {
        let settled = parties
            .iter()
            .map(|party| settle(self.shared, party, fate, report.clone()));
        futures_util::future::join_all(settled).await
    }

    fn noted(&self, note: &str) -> Report {
        let took = Some(self.shared.clock.now().since(self.begun));
        Report {
            note: Some(note.to_owned()),
            took,
            ..Report::default()
        }
    }
}

/// What went wrong on the way to the hosts.
#[derive(Default)]
struct Trouble {
    /// For each recipient what it met last.
    last: HashMap<RecipientId, (Visited, Report)>,
    /// Hosts that cannot take a message like this one (its size, SMTPUTF8), and what was seen of
    /// the last of them.
    cannot: Vec<String>,
    cannot_report: Option<Report>,
    sessions: u32,
    capped: bool,
    /// Not every address was asked that could have been.
    untried: bool,
}

impl Trouble {
    /// Notes what a visit met; gives back who still waits.
    fn note(&mut self, host: &Host, seen: Vec<Waiting>) -> Vec<Party> {
        let greeted = |waiting: &Waiting| match waiting.why.0 {
            Visited::AtCap | Visited::Stopped | Visited::Unreachable => false,
            Visited::NotServed | Visited::RefusedForGood | Visited::CannotTake => true,
        };
        self.sessions += u32::from(seen.iter().any(greeted));
        let mut parties = Vec::with_capacity(seen.len());
        for Waiting { party, why } in seen {
            match why.0 {
                Visited::AtCap => self.capped = true,
                Visited::Stopped => self.untried = true,
                Visited::CannotTake => {
                    self.cannot.push(host.name.clone());
                    self.cannot_report = Some(why.1.clone());
                    self.last.insert(party.row.recipient, why);
                }
                Visited::RefusedForGood | Visited::NotServed | Visited::Unreachable => {
                    self.last.insert(party.row.recipient, why);
                }
            }
            parties.push(party);
        }
        parties
    }

    /// What becomes of a recipient that no host took; `None` where none was asked about it.
    fn fate(&self, recipient: RecipientId, hosts: &[Host]) -> Option<(Fate, Report)> {
        let (visited, report) = self.last.get(&recipient)?;
        if let Some(cannot) = self.cannot_report.as_ref()
            && self.best_all_cannot(hosts)
        {
            return Some((Fate::Bounced, cannot.clone()));
        }
        let fate = match visited {
            Visited::RefusedForGood if !self.capped && !self.untried => Fate::Bounced,
            _ => Fate::Unreachable,
        };
        Some((fate, report.clone()))
    }

    /// RFC 1870 §6.1, RFC 6531 §3.4: limits differ between hosts, so one of them does not decide.
    fn best_all_cannot(&self, hosts: &[Host]) -> bool {
        let best = hosts.iter().map(|host| host.preference).min();
        let mut best_hosts = hosts.iter().filter(|host| Some(host.preference) == best);
        best_hosts.all(|host| self.cannot.contains(&host.name))
    }
}

fn addresses(hosts: &[Host], port: u16) -> Vec<(&Host, SocketAddr)> {
    let each = |host| std::iter::repeat(host);
    hosts
        .iter()
        .flat_map(|host| {
            each(host).zip(
                host.addresses
                    .iter()
                    .map(|ip: &IpAddr| SocketAddr::new(*ip, port)),
            )
        })
        .collect()
}

// Only recipients of the same scope share a transaction: the return path says which.
fn by_return_path(parties: Vec<Party>) -> Vec<Vec<Party>> {
    let mut groups: Vec<Vec<Party>> = Vec::new();
    for party in parties {
        let path = &party.recipient.return_path;
        let same = groups.iter_mut().find(|group| {
            group
                .first()
                .is_some_and(|first| first.recipient.return_path == *path)
        });
        match same {
            Some(group) => group.push(party),
            None => groups.push(vec![party]),
        }
    }
    groups
}
