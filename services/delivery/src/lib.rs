//! From the queue to the remote mail exchanger.
//!
//! ```text
//! runner      loads what is live in change order, keeps it in memory, starts attempts
//!   schedule  who is next: round robin over tenants, a token bucket each         (pure)
//!   attempt   the recipients of one message at one domain
//!     route   domain → exchangers and addresses that passed the filter
//!     visit   one address: connection, transactions, what each reply comes to
//!       pool, session   one SMTP session; decides nothing
//!       outcome         phase and reply → verdict                               (pure)
//!     settle  what became of a recipient → state, event; when again by `retry`   (pure)
//! journal     who is between the final dot and its record
//! recover     what the last process left there
//! ```
//!
//! No keys, no policy about who may send, no byte of a message changed but for dot-stuffing.

mod attempt;
mod dial;
mod filter;
mod instruments;
mod journal;
mod kept;
mod outcome;
mod pool;
mod recover;
mod reply;
mod retry;
mod route;
mod runner;
mod schedule;
mod session;
mod settle;
mod visit;

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use postrider_dns::Resolver;
use postrider_runtime::{Clock, Rng, Shutdown};
use postrider_store::{Queue, Roster};
use postrider_telemetry::Registry;

pub use dial::Dialer;
pub use filter::{Network, NetworkError};
pub use journal::JournalError;
pub use pool::PoolLimits;
pub use session::Timeouts;

use crate::filter::Filter;
use crate::instruments::Instruments;
use crate::journal::Journal;
use crate::pool::{Opener, PlaintextMemory, Pool};
use crate::retry::RetryPolicy;
use crate::route::{OwnNames, Router};
use crate::runner::Runner;

/// What delivery works with.
pub struct Ports {
    pub queue: Arc<dyn Queue>,
    /// Kept fresh by somebody else.
    pub roster: Roster,
    pub resolver: Resolver,
    pub dialer: Dialer,
    pub clock: Clock,
    pub rng: Rng,
    pub metrics: Registry,
}

/// Delivery's settings.
#[derive(Clone, Debug)]
pub struct Config {
    /// What we greet with, and by what we know ourselves in MX records.
    pub hello: String,
    /// Addresses that are ours, so that mail is never sent back to us.
    pub own_addresses: Vec<IpAddr>,
    /// 25, but for tests and closed networks.
    pub port: u16,
    /// Networks that are dialled although no public exchanger lives there.
    pub allow_destinations: Vec<Network>,
    /// Attempts under way at once.
    pub in_flight: usize,
    /// Divides the waits between attempts.
    pub retry_divisor: u32,
    /// How long mail has waited before a host whose TLS fails may get it in plain text; divided
    /// by `retry_divisor`.
    pub plaintext_after: Duration,
    pub timeouts: Timeouts,
    pub pool: PoolLimits,
    /// The in-flight journal's file.
    pub journal: PathBuf,
}

impl Config {
    /// The settings of a relay that calls itself `hello` and keeps its journal there.
    pub fn new(hello: String, journal: PathBuf) -> Self {
        Self {
            hello,
            own_addresses: Vec::new(),
            port: 25,
            allow_destinations: Vec::new(),
            in_flight: 200,
            retry_divisor: 1,
            plaintext_after: Duration::from_mins(5),
            timeouts: Timeouts::default(),
            pool: PoolLimits::default(),
            journal,
        }
    }
}

/// What all attempts share.
pub(crate) struct Shared {
    queue: Arc<dyn Queue>,
    roster: Roster,
    router: Router,
    dialer: Dialer,
    pool: Pool,
    plaintext: PlaintextMemory,
    journal: Journal,
    retry: RetryPolicy,
    clock: Clock,
    instruments: Instruments,
    config: Config,
}

/// Delivers until shutdown begins; returns when its tasks are gone.
pub async fn run(ports: Ports, config: Config, shutdown: Shutdown) -> Result<(), JournalError> {
    for network in &config.allow_destinations {
        tracing::warn!(%network, "delivery.allow_destinations: this network is dialled although it is not public");
    }
    let (journal, open) = Journal::open(&config.journal)?;
    let own = OwnNames {
        hosts: vec![config.hello.to_ascii_lowercase()],
        addresses: config.own_addresses.clone(),
    };
    let opener = Opener {
        hello: config.hello.clone(),
        timeouts: config.timeouts.clone(),
        connector: postrider_tls::opportunistic(),
    };
    let shared = Arc::new(Shared {
        queue: ports.queue,
        roster: ports.roster,
        router: Router {
            resolver: ports.resolver,
            filter: Filter::new(
                config.allow_destinations.clone(),
                config.own_addresses.clone(),
            ),
            own,
            rng: ports.rng,
        },
        dialer: ports.dialer,
        pool: Pool::new(opener, config.pool.clone()),
        plaintext: PlaintextMemory::default(),
        journal,
        retry: RetryPolicy {
            divisor: config.retry_divisor,
        },
        clock: ports.clock,
        instruments: Instruments::new(&ports.metrics),
        config,
    });
    Runner::new(shared).run(open, shutdown).await;
    Ok(())
}
