//! From the hosts of a domain to the last result: one address after the other, as far as warm-up
//! allows, and what becomes of who is left.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::Ordering;
use std::time::Duration;

use postrider_model::WaitCause;

use super::resting::{rest, untouched};
use super::trouble::Trouble;
use super::{Attempt, Left, Site};
use crate::route::Host;
use crate::settle::{Fate, Party, Report, settle};
use crate::visit::{Seen, Stop, Visit, Visited, Waiting};
use crate::warmup::{Grant, Wish};

/// How long rows rest when their exchangers have all the connections from us that we allow.
const CAP_REST: Duration = Duration::from_millis(200);
/// How long they rest when the database cannot tell what today's allowance leaves.
const DATABASE_REST: Duration = Duration::from_secs(1);
/// How long they rest when others hold what is left of today's allowance, and may give it back; by
/// how much more or less, so that they do not come together.
const HELD_REST: Duration = Duration::from_secs(30);
const HELD_JITTER_PERCENT: u32 = 50;
/// Sessions in one attempt that may get as far as a greeting.
const SESSIONS_MOST: u32 = 3;

/// Hosts, and all their addresses in the order to try them.
pub(super) struct There<'h> {
    hosts: &'h [Host],
    addresses: Vec<(&'h Host, SocketAddr)>,
}

impl<'h> There<'h> {
    pub(super) fn new(hosts: &'h [Host], port: u16) -> Self {
        let each = |host| std::iter::repeat(host);
        let addresses = hosts.iter().flat_map(|host| {
            let all = host.addresses.iter();
            each(host).zip(all.map(|ip: &IpAddr| SocketAddr::new(*ip, port)))
        });
        Self {
            hosts,
            addresses: addresses.collect(),
        }
    }

    fn stop(&self, place: usize) -> Option<Stop<'h>> {
        let (host, address) = *self.addresses.get(place)?;
        let rest = self.addresses.get(place + 1..).unwrap_or_default();
        let other_family = rest
            .iter()
            .any(|(other, there)| other.name == host.name && there.is_ipv4() != address.is_ipv4());
        Some(Stop {
            host,
            address,
            others: rest.len(),
            other_family,
        })
    }
}

impl Attempt<'_> {
    /// Everybody, in as many transactions as there are return paths.
    pub(super) async fn at_hosts(&self, there: &There<'_>, parties: Vec<Party>) -> Vec<Left> {
        *self.site.lock() = Some(self.site_of(there.hosts));
        let mut left = Vec::new();
        for together in by_return_path(parties) {
            left.extend(self.deliver(there, together).await);
        }
        left
    }

    /// Parties that share a return path, at these hosts, one after the other.
    async fn deliver(&self, there: &There<'_>, parties: Vec<Party>) -> Vec<Left> {
        let mut waiting = parties;
        let mut left = Vec::new();
        let mut trouble = Trouble::default();
        let stops = (0..there.addresses.len()).filter_map(|place| there.stop(place));
        for stop in stops {
            if waiting.is_empty() || trouble.sessions >= SESSIONS_MOST {
                break;
            }
            if self.is_stopped() {
                trouble.stopped = true;
                break;
            }
            if self.is_past(&waiting) {
                trouble.untried = true;
                break;
            }
            let (seen, held_back) = self.visit(stop, waiting, &mut trouble).await;
            self.note_health(&seen.waiting, seen.served);
            left.extend(seen.left);
            waiting = trouble.note(stop.host, seen.waiting);
            waiting.extend(held_back);
        }
        left.extend(self.give_up(there.hosts, waiting, &trouble).await);
        left
    }

    /// One address, for as many as may be sent to from ours today; the others as well.
    async fn visit(
        &self,
        stop: Stop<'_>,
        mut parties: Vec<Party>,
        trouble: &mut Trouble,
    ) -> (Seen, Vec<Party>) {
        let granted = self.granted(stop, &parties, trouble).await;
        let count = match &granted {
            Some(Grant::Warm) => parties.len(),
            Some(Grant::Some(part, _)) => part.recipients.min(parties.len()),
            None => 0,
        };
        let held_back = parties.split_off(count);
        for party in &parties {
            trouble.is_admitted(party.row.recipient);
        }
        if let Some(Grant::Some(_, shortage)) = &granted {
            for party in &held_back {
                trouble.hold_back(party.row.recipient, shortage);
            }
        }
        if parties.is_empty() {
            return (Seen::nobody(), held_back);
        }
        let visit = Visit {
            shared: self.shared,
            content: self.content,
            halt: self.halt,
            begun: self.begun,
            lease: self.lease,
        };
        let seen = visit.one(stop, parties).await;
        if let (Some(Grant::Some(part, _)), Some(warmup), false) =
            (granted, &self.shared.warmup, seen.served)
        {
            // Not for those who had it before the connection was lost.
            let unused = part.recipients.min(seen.waiting.len());
            warmup.give_back(stop.address.ip(), part, unused).await;
        }
        (seen, held_back)
    }

    /// `None`: nobody knows, and nobody is sent to.
    async fn granted(
        &self,
        stop: Stop<'_>,
        parties: &[Party],
        trouble: &mut Trouble,
    ) -> Option<Grant> {
        let (Some(warmup), Some(first)) = (&self.shared.warmup, parties.first()) else {
            return Some(Grant::Warm);
        };
        if self.shared.config.is_simulated(&first.row.domain) {
            return Some(Grant::Warm);
        }
        let wish = Wish {
            to: stop.address.ip(),
            provider: first.provider,
            stream: first.row.stream,
            recipients: parties.len(),
            now: self.shared.clock.now(),
        };
        match warmup.take(&wish).await {
            Ok(granted) => Some(granted),
            Err(fault) => {
                tracing::error!(
                    error = &fault as &dyn std::error::Error,
                    "what an address may send today cannot be read"
                );
                trouble.unknown = true;
                None
            }
        }
    }

    // Where no dot may be sent, no host is worth a visit.
    fn is_stopped(&self) -> bool {
        self.halt.has_begun() || !self.shared.standing.may_dot(self.lease)
    }

    // No try is begun past its end, at the next host neither.
    fn is_past(&self, waiting: &[Party]) -> bool {
        let now = self.shared.clock.now();
        waiting.iter().any(|party| party.row.expires_at <= now)
    }

    async fn give_up(&self, hosts: &[Host], waiting: Vec<Party>, trouble: &Trouble) -> Vec<Left> {
        // Not all were asked that could have been, and that is nobody's fault: another attempt
        // begins anew. Whoever called this one has been told that nothing more is recorded.
        if trouble.stopped || self.halt.was_called() {
            return untouched(waiting.into_iter().map(|party| party.row));
        }
        let (mut unasked, mut soon) = (Vec::new(), Vec::new());
        let mut settled = Vec::new();
        for party in &waiting {
            let recipient = party.row.recipient;
            match trouble.fate(recipient, hosts) {
                Some((fate, report)) => settled.push(settle(self.shared, party, fate, report)),
                None if trouble.may_be_admitted_soon(recipient) => soon.push(party.row.clone()),
                None if trouble.is_held_back(recipient) => {
                    let report = Report {
                        note: Some(WARMING.to_owned()),
                        ..Report::default()
                    };
                    settled.push(settle(self.shared, party, Fate::Warming, report));
                }
                None => unasked.push(party.row.clone()),
            }
        }
        let mut left = futures_util::future::join_all(settled).await;
        let now = self.shared.clock.now();
        for row in soon {
            let due_at = now.after(
                self.shared
                    .router
                    .rng
                    .jitter(HELD_REST, HELD_JITTER_PERCENT),
            );
            left.extend(rest([row], due_at, Some(WaitCause::WarmUp)));
        }
        left.extend(if trouble.unknown {
            rest(unasked, now.after(DATABASE_REST), None)
        } else if trouble.capped {
            let due_at = now.after(CAP_REST);
            rest(unasked, due_at, Some(WaitCause::DestinationCap))
        } else {
            untouched(unasked)
        });
        left
    }

    fn site_of(&self, hosts: &[Host]) -> Site {
        let best = hosts.iter().map(|host| host.preference).min();
        let best = hosts.iter().filter(|host| Some(host.preference) == best);
        let addresses: usize = best.clone().map(|host| host.addresses.len()).sum();
        let mut names: Vec<_> = best.map(|host| host.name.as_str()).collect();
        names.sort_unstable();
        let config = &self.shared.config;
        let each = config
            .site_connections
            .clamp(1, config.pool.per_address.max(1));
        Site {
            name: names.join(" "),
            cap: each.saturating_mul(addresses.max(1)),
        }
    }

    fn note_health(&self, waiting: &[Waiting], served: bool) {
        let unreachable = |why: Visited| matches!(why, Visited::Unreachable | Visited::NotServed);
        if served {
            self.served.store(true, Ordering::Relaxed);
        } else if waiting.iter().any(|waiting| unreachable(waiting.why.0)) {
            self.unreachable.store(true, Ordering::Relaxed);
        }
    }
}

const WARMING: &str = "the address that mail leaves from is new, and has sent to as many recipients of this provider as it may today; it goes on tomorrow (UTC)";

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
