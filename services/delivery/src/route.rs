//! From a domain to the hosts that take its mail (RFC 5321 §5.1), or why there are none.
//!
//! `route` asks DNS, `exchangers` and `plan` decide. Nothing is connected to here, and nothing
//! of the envelope is rewritten by an alias.

use std::net::IpAddr;
use std::time::Duration;

use futures_util::future::join_all;
use postrider_dns::{Failure, Mx, MxName, Resolver};
use postrider_model::{Domain, EnhancedCode, OwnVerdict};
use postrider_runtime::Rng;

use crate::Simulated;
use crate::filter::Filter;

/// How many exchangers are looked up: those that do not resolve make room for the next.
const ASKED_MOST: usize = 10;
/// How many exchangers an attempt tries.
const HOSTS_MOST: usize = 5;
/// How many addresses an attempt tries, over all its exchangers.
const ADDRESSES_MOST: usize = 10;
/// How long exchangers that are named but not to be found count as a mistake in the making.
const UNRESOLVED_FOR: Duration = Duration::from_hours(24);

/// What routing knows besides the domain.
#[derive(Clone, Debug)]
pub(crate) struct Router {
    pub(crate) resolver: Resolver,
    pub(crate) filter: Filter,
    pub(crate) own: OwnNames,
    /// The one way that is known without DNS and open without the filter.
    pub(crate) simulator: Option<Simulated>,
    pub(crate) rng: Rng,
}

/// By what this relay knows itself in somebody's MX records.
#[derive(Clone, Debug, Default)]
pub(crate) struct OwnNames {
    /// Host names, lowercase, without a trailing dot.
    pub(crate) hosts: Vec<String>,
    pub(crate) addresses: Vec<IpAddr>,
}

/// Where mail for a domain goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// At least one host, each with at least one address, in the order to try them.
    Hosts(Vec<Host>),
    /// It stays on this machine.
    Simulated(Simulated),
    /// Nowhere, and waiting will not help.
    Never(NoRoute),
    /// Nowhere for now.
    NotNow(NoRoute),
    /// Out of this machine, which nothing may leave now.
    Shut(NoRoute),
}

impl Simulated {
    /// It as the one exchanger of its domain.
    pub(crate) fn host(&self) -> Host {
        Host {
            name: self.domain.to_string(),
            preference: 0,
            addresses: vec![self.address.ip()],
        }
    }
}

/// One exchanger, and where it may be dialled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Host {
    pub(crate) name: String,
    pub(crate) preference: u16,
    /// IPv6 and IPv4 in turn.
    pub(crate) addresses: Vec<IpAddr>,
}

/// Why there is no host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NoRoute {
    pub(crate) code: EnhancedCode,
    /// For people, the code in front.
    pub(crate) note: String,
}

impl Route {
    /// Where it leads, for people.
    pub(crate) fn told(&self) -> String {
        match self {
            Self::Hosts(hosts) => {
                let host = |host: &Host| {
                    let addresses: Vec<_> = host.addresses.iter().map(IpAddr::to_string).collect();
                    format!(
                        "{} {} ({})",
                        host.preference,
                        host.name,
                        addresses.join(", ")
                    )
                };
                let hosts: Vec<_> = hosts.iter().map(host).collect();
                format!("MX: {}", hosts.join("; "))
            }
            Self::Simulated(simulated) => {
                format!("the simulator of this relay, {}", simulated.address)
            }
            Self::Never(why) | Self::NotNow(why) | Self::Shut(why) => {
                format!("no route: {}", why.note)
            }
        }
    }
}

/// An exchanger before its addresses are known.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Candidate {
    name: String,
    preference: u16,
}

/// Where the exchangers come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Named {
    ByMx,
    /// No MX records: the domain itself is its exchanger.
    Implicitly,
}

type Found = Result<Vec<IpAddr>, Failure>;

/// Finds the hosts for a domain. `age` is how long the mail has waited. May be cancelled at any
/// point.
pub(crate) async fn route(router: &Router, domain: &Domain, age: Duration) -> Route {
    let simulator = router.simulator.as_ref();
    if let Some(simulator) = simulator.filter(|one| one.domain == *domain) {
        return Route::Simulated(simulator.clone());
    }
    let resolver = &router.resolver;
    let mut mx = resolver.mx(domain).await;
    // Final on a second question only: one resolver with a bad day must not fail mail.
    if mx == Err(Failure::NoSuchName) {
        mx = resolver.confirm_mx(domain).await;
    }
    let (named, mut candidates) = match exchangers(mx, domain, &router.rng) {
        Ok(exchangers) => exchangers,
        Err(route) => return route,
    };
    if let Err(route) = cut_at_own_name(&mut candidates, &router.own) {
        return route;
    }
    candidates.truncate(ASKED_MOST);
    let questions = candidates
        .into_iter()
        .map(|candidate| async move { (look_up(resolver, named, &candidate).await, candidate) });
    let answers = join_all(questions).await;
    plan(named, answers, router, age)
}

async fn look_up(resolver: &Resolver, named: Named, candidate: &Candidate) -> Found {
    let found = resolver.addresses(&candidate.name).await;
    match (named, &found) {
        (Named::Implicitly, Err(Failure::NoRecords | Failure::NoSuchName)) => {
            resolver.confirm_addresses(&candidate.name).await
        }
        _ => found,
    }
}

/// Who takes mail for the domain, best first; equal preference in random order (RFC 5321 §5.1).
fn exchangers(
    mx: Result<Vec<Mx>, Failure>,
    domain: &Domain,
    rng: &Rng,
) -> Result<(Named, Vec<Candidate>), Route> {
    let records = match mx {
        Ok(records) => records,
        // RFC 5321 §5.1: without MX records, the domain is its own exchanger, preference 0.
        Err(Failure::NoRecords) => {
            let itself = Candidate {
                name: domain.as_str().to_owned(),
                preference: 0,
            };
            return Ok((Named::Implicitly, vec![itself]));
        }
        Err(Failure::NoSuchName) => {
            return Err(never(OwnVerdict::NoDomain));
        }
        // RFC 5321 §5.1: a failing question is a temporary error, never «no MX records».
        Err(Failure::Temporary(why)) => {
            let why = format!("DNS gives no answer for the domain: {}", short(&why));
            return Err(not_now(4, 4, 3, &why));
        }
    };
    // RFC 7505 §3: exactly one record, and that is «.». Its preference is said to be 0, and
    // nothing else can be meant by another.
    if let [only] = records.as_slice()
        && only.host == MxName::Root
    {
        return Err(never(OwnVerdict::NullMx));
    }
    let mut candidates: Vec<_> = records
        .into_iter()
        .filter_map(|mx| match mx.host {
            MxName::Host(name) => Some(Candidate {
                name,
                preference: mx.preference,
            }),
            MxName::Root => None,
        })
        .collect();
    rng.shuffle(&mut candidates);
    candidates.sort_by_key(|candidate| candidate.preference); // stable: equals stay shuffled
    Ok((Named::ByMx, candidates))
}

/// RFC 5321 §5.1: where we are an exchanger ourselves, ours and all of equal or higher preference
/// number are left out, or mail would go in circles.
fn cut_at_own_name(candidates: &mut Vec<Candidate>, own: &OwnNames) -> Result<(), Route> {
    let ours = candidates
        .iter()
        .filter(|candidate| own.hosts.contains(&candidate.name))
        .map(|candidate| candidate.preference)
        .min();
    match ours {
        Some(ours) => {
            candidates.retain(|candidate| candidate.preference < ours);
            if candidates.is_empty() {
                return Err(loops_back());
            }
            Ok(())
        }
        None => Ok(()),
    }
}

/// Decides, with all answers at hand. `answers` are in the order of trying.
fn plan(
    named: Named,
    mut answers: Vec<(Found, Candidate)>,
    router: &Router,
    age: Duration,
) -> Route {
    let is_ours = |found: &Found| {
        let mut addresses = found.iter().flatten();
        addresses.any(|ip| router.own.addresses.contains(&ip.to_canonical()))
    };
    let ours = answers
        .iter()
        .filter(|(found, _)| is_ours(found))
        .map(|(_, candidate)| candidate.preference)
        .min();
    if let Some(ours) = ours {
        answers.retain(|(_, candidate)| candidate.preference < ours);
        if answers.is_empty() {
            return loops_back();
        }
    }
    let hosts = usable(&answers, &router.filter);
    if hosts.is_empty() {
        no_host(named, &answers, (&router.filter, age))
    } else {
        Route::Hosts(share_addresses(hosts))
    }
}

/// The hosts that have an address which may be dialled.
fn usable(answers: &[(Found, Candidate)], filter: &Filter) -> Vec<Host> {
    let host = |(found, candidate): &(Found, Candidate)| {
        let open = found.iter().flatten().copied();
        let addresses = interleave(open.filter(|ip| filter.allows(*ip)).collect());
        (!addresses.is_empty()).then(|| Host {
            name: candidate.name.clone(),
            preference: candidate.preference,
            addresses,
        })
    };
    answers.iter().filter_map(host).take(HOSTS_MOST).collect()
}

/// IPv6 and IPv4 in turn, each in DNS's order: a family that does not work costs one try.
fn interleave(addresses: Vec<IpAddr>) -> Vec<IpAddr> {
    let most = addresses.len();
    let (v6, v4): (Vec<_>, Vec<_>) = addresses.into_iter().partition(IpAddr::is_ipv6);
    let (mut v6, mut v4) = (v6.into_iter(), v4.into_iter());
    let mut mixed = Vec::with_capacity(most);
    while mixed.len() < most {
        mixed.extend(v6.next());
        mixed.extend(v4.next());
    }
    mixed
}

/// Keeps `ADDRESSES_MOST` in all, every host its first ones: a host with many addresses that is
/// down must not keep the next from being tried.
fn share_addresses(mut hosts: Vec<Host>) -> Vec<Host> {
    let mut shares = vec![0_usize; hosts.len()];
    let mut left = ADDRESSES_MOST;
    for round in 0..ADDRESSES_MOST {
        for (host, share) in hosts.iter().zip(&mut shares) {
            if host.addresses.len() > round && left > 0 {
                *share += 1;
                left -= 1;
            }
        }
    }
    for (host, share) in hosts.iter_mut().zip(shares) {
        host.addresses.truncate(share);
    }
    hosts
}

/// Why no host is left.
fn no_host(
    named: Named,
    answers: &[(Found, Candidate)],
    (filter, age): (&Filter, Duration),
) -> Route {
    let unknown = answers.iter().find_map(|(found, candidate)| match found {
        Err(Failure::Temporary(why)) => Some((why, &candidate.name)),
        _ => None,
    });
    if let Some((why, name)) = unknown {
        let why = format!("DNS gives no answer for {name}: {}", short(why));
        return not_now(4, 4, 3, &why);
    }
    let mut all = answers.iter().flat_map(|(found, _)| found.iter().flatten());
    if all.any(|ip| filter.is_of_another_family(*ip)) {
        let why = "the domain's exchangers have no address of a family that this relay sends from";
        return not_now(4, 4, 4, why);
    }
    let resolved = |(found, _): &(Found, Candidate)| found.iter().any(|all| !all.is_empty());
    // Every one is where it says, and none of that is on the internet. Where another name does
    // not resolve, that may still change.
    if !answers.is_empty() && answers.iter().all(resolved) {
        return never(OwnVerdict::PrivateOnly);
    }
    match named {
        Named::Implicitly => never(OwnVerdict::NoServer),
        // RFC 5321 §5.1: with MX records of which none is usable, the domain's own address must
        // not be tried.
        Named::ByMx if age < UNRESOLVED_FOR => {
            not_now(4, 4, 4, "none of the domain's exchangers has an address")
        }
        Named::ByMx => never(OwnVerdict::NoAddress),
    }
}

fn loops_back() -> Route {
    never(OwnVerdict::Loop)
}

fn never(verdict: OwnVerdict) -> Route {
    Route::Never(NoRoute::new(verdict.code(), verdict.words()))
}

fn not_now(class: u8, subject: u16, detail: u16, why: &str) -> Route {
    Route::NotNow(NoRoute::new(EnhancedCode(class, subject, detail), why))
}

impl NoRoute {
    pub(crate) fn new(code: EnhancedCode, why: &str) -> Self {
        Self {
            code,
            note: format!("{code} {why}"),
        }
    }
}

/// A reason from DNS, short enough for an event.
fn short(why: &str) -> String {
    why.chars().filter(|c| !c.is_control()).take(200).collect()
}

#[cfg(test)]
mod tests;
