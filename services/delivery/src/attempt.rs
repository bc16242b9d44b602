//! One attempt: the recipients of one message at one domain, from the route to the last result.
//!
//! Thin: where to go is `route`'s, what a reply means is `outcome`'s, when again is `retry`'s.

mod awaited;
mod hosts;
mod open;
mod resting;
mod suppressed;
mod trouble;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use postrider_model::{Event, EventKind, OwnVerdict, Provider, Timestamp, Waits};
use postrider_store::{Lease, Outcome, Settlement};
use tokio::time::Instant;

pub(crate) use self::awaited::Awaited;
use self::hosts::There;
use self::open::Opened;
use self::resting::{rest, untouched};
use crate::Shared;
use crate::bodies::Content;
use crate::halt::Halt;
use crate::provider;
use crate::route::{self, NoRoute, Route};
use crate::schedule::{Due, Health};
pub(crate) use crate::settle::Left;
use crate::settle::{Fate, Party, Report, settle};
use crate::stages::{Stage, Stages};
use crate::trace;

/// An attempt that lasts longer than this gets an event of its own while it lasts; the others
/// have their result only.
const WORTH_AN_EVENT: Duration = Duration::from_secs(2);

/// What an attempt is about.
pub(crate) struct Order {
    pub(crate) rows: Vec<Due>,
    pub(crate) lease: Lease,
    pub(crate) begun: Timestamp,
    pub(crate) halt: Halt,
}

/// What an attempt came to.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) left: Vec<Left>,
    pub(crate) health: Health,
    /// Where the mail of its domain is taken, if that was found out.
    pub(crate) site: Option<Site>,
    /// Its rows wait for this.
    pub(crate) awaits: Option<Awaited>,
}

impl Ended {
    /// Before any host was asked.
    fn early(left: Vec<Left>) -> Self {
        Self {
            left,
            health: Health::Nothing,
            site: None,
            awaits: None,
        }
    }
}

/// The hosts that take a domain's mail, as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Site {
    /// The names of the best exchangers.
    pub(crate) name: String,
    /// Attempts at once that it may be given.
    pub(crate) cap: usize,
}

/// Runs one attempt and records its results. What it gives back waits again.
pub(crate) async fn run(shared: Arc<Shared>, order: Order) -> Ended {
    let Order {
        rows,
        lease,
        begun,
        halt,
    } = order;
    let opened = tokio::select! {
        biased;
        opened = open::open(&shared, rows.clone(), (lease, begun)) => opened,
        () = halt.begun() => Opened {
            left: untouched(rows.into_iter().map(|due| due.row)),
            ready: None,
            awaits: None,
        },
    };
    let mut left = opened.left;
    let Some((content, parties)) = opened.ready else {
        return Ended {
            awaits: opened.awaits,
            ..Ended::early(left)
        };
    };
    let (ended, parties) = suppressed::without_them(&shared, parties, begun).await;
    left.extend(ended);
    if parties.is_empty() {
        return Ended::early(left);
    }
    let attempt = Attempt {
        shared: &shared,
        content: &content,
        halt: &halt,
        begun,
        lease,
        site: Mutex::default(),
        served: AtomicBool::new(false),
        unreachable: AtomicBool::new(false),
    };
    let followed = shared.config.traces.of(&parties, &shared.clock);
    // On the heap: to hand it on is to move it.
    let work = Box::pin(attempt.with_event(&parties));
    left.extend(trace::within(followed, work).await);
    shared
        .instruments
        .attempt_seconds
        .span(shared.clock.now().since(begun));
    Ended {
        left,
        health: attempt.health(),
        site: attempt.site.into_inner(),
        awaits: None,
    }
}

struct Attempt<'a> {
    shared: &'a Shared,
    content: &'a Content,
    halt: &'a Halt,
    begun: Timestamp,
    lease: Lease,
    site: Mutex<Option<Site>>,
    served: AtomicBool,
    unreachable: AtomicBool,
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
                waits: Waits::default(),
                lease: None,
                suppress_until: None,
                tell_tenant: false,
                provider: party.provider,
                simulated: false,
            };
            // Worth showing, not worth waiting for.
            if let Err(fault) = self.shared.queue.settle(settlement).await {
                tracing::warn!(
                    error = &fault as &dyn std::error::Error,
                    "an event was not recorded"
                );
            }
        }
    }

    async fn work(&self, parties: &[Party]) -> Vec<Left> {
        let (expired, mut live): (Vec<_>, Vec<_>) = parties
            .iter()
            .cloned()
            .partition(|party| party.row.expires_at <= self.begun);
        let note = OwnVerdict::Expired.note();
        let mut left = self
            .settle_all(expired, Fate::Expired, &self.noted(&note))
            .await;
        let Some(first) = live.first() else {
            return left;
        };
        let age = self.begun.since(first.row.accepted_at);
        let asked = Instant::now();
        let route = tokio::select! {
            biased;
            route = route::route(&self.shared.router, &first.row.domain, age) => route,
            () = self.halt.begun() => {
                left.extend(untouched(live.into_iter().map(|party| party.row)));
                return left;
            }
        };
        let mut stages = Stages::default();
        stages.add(Stage::Dns, asked.elapsed());
        self.shared.instruments.took(&stages);
        for party in &mut live {
            party.provider = provider_of(&route);
        }
        let route = self.shared.config.way_out.filtered(route);
        trace::noted(|| route.told());
        match route {
            Route::Never(why) => left.extend(self.no_route(live, Fate::Bounced, &why).await),
            Route::NotNow(why) => left.extend(self.no_route(live, Fate::NoRoute, &why).await),
            Route::Shut(why) => left.extend(self.no_route(live, Fate::Shut, &why).await),
            Route::Hosts(hosts) => {
                let there = There::new(&hosts, self.shared.config.port);
                left.extend(self.at_hosts(&there, live).await);
            }
            Route::Simulated(simulator) => {
                let (hosts, port) = ([simulator.host()], simulator.address.port());
                left.extend(self.at_hosts(&There::new(&hosts, port), live).await);
            }
        }
        left
    }

    async fn no_route(&self, parties: Vec<Party>, fate: Fate, why: &NoRoute) -> Vec<Left> {
        let report = Report {
            never: Some(why.code),
            ..self.noted(&why.note)
        };
        self.settle_all(parties, fate, &report).await
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

    fn health(&self) -> Health {
        if self.served.load(Ordering::Relaxed) {
            Health::Served
        } else if self.unreachable.load(Ordering::Relaxed) {
            Health::Unreachable
        } else {
            Health::Nothing
        }
    }
}

fn provider_of(route: &Route) -> Provider {
    match route {
        Route::Hosts(hosts) => provider::of(hosts),
        Route::Simulated(_) | Route::Never(_) | Route::NotNow(_) | Route::Shut(_) => Provider::None,
    }
}
