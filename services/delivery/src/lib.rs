//! From the queue to the remote mail exchanger.
//!
//! ```text
//! ownership   which shards are this node's: heartbeat, leases; `standing` is what it may do now
//! runner      the owner's loop: rows in, attempts out
//!   loader    which rows come into memory, and from where
//!   controls  an operator's verbs, obeyed and acknowledged
//!   schedule  who is next: in turn over tenants, at their pace, sites at their cap (pure)
//!   attempt   the recipients of one message at one domain
//!     route   domain → exchangers and addresses that passed the filter
//!     warmup  how many a new address of ours may send to at a provider today
//!     visit   one address: connection, transactions, what each reply comes to
//!       pool, session   one SMTP session; decides nothing
//!       outcome         phase and reply → verdict                               (pure)
//!     settle  what became of a recipient → state, event; when again by `retry`   (pure)
//! provider    whose exchangers it was, `refusal` what kind of «no», `stages` where the time went:
//!             for metrics and logs (infra/metrics.md); nothing is decided by them    (pure)
//! trace       the dialogues of messages that an operator follows
//! journal     who is between the final dot and its record
//! recover     what the last process left there
//! ```
//!
//! No keys, no policy about who may send, no byte of a message changed but for dot-stuffing.

mod attempt;
mod bodies;
mod controls;
mod dial;
mod families;
mod filter;
mod flights;
mod halt;
mod identity;
mod instruments;
mod journal;
mod kept;
mod loader;
mod mask;
mod outcome;
mod ownership;
mod pool;
mod probe;
mod provider;
mod recover;
mod refusal;
mod reply;
mod reseal;
mod retry;
mod route;
mod runner;
mod schedule;
mod session;
mod settle;
mod shards;
mod stages;
mod standing;
mod trace;
mod visit;
mod warmup;
mod way_out;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use postrider_dns::Resolver;
use postrider_model::Domain;
use postrider_runtime::{Clock, Rng, Shutdown};
use postrider_store::{Controls, Nodes, Queue, Roster, Suppressions, Warmups};
use postrider_telemetry::Registry;
use tokio::task::JoinSet;

pub use dial::Dialer;
pub use families::Families;
pub use filter::{Network, NetworkError, is_public};
pub use journal::JournalError;
pub use ownership::Heartbeat;
pub use pool::PoolLimits;
pub use probe::{Probe, probe};
pub use reseal::{Reseal, ResealFault};
pub use session::Timeouts;
pub use trace::{TraceLine, TraceWay, Traces};
pub use warmup::{Egress, WarmupClass, WarmupConfig, WarmupTable, WarmupTableError};
pub use way_out::{Barrier, WayOut};

use crate::bodies::Bodies;
use crate::filter::Filter;
use crate::identity::{Identity, IdentityError};
use crate::instruments::Instruments;
use crate::journal::{Journal, OpenEntry};
use crate::ownership::{Enrolment, Ownership, Strings};
use crate::pool::{Opener, PlaintextMemory, Pool};
use crate::retry::RetryPolicy;
use crate::route::{OwnNames, Router};
use crate::runner::Runner;
use crate::standing::Standing;
use crate::warmup::Warmup;

/// What delivery works with.
pub struct Ports {
    pub queue: Arc<dyn Queue>,
    pub nodes: Arc<dyn Nodes>,
    pub controls: Arc<dyn Controls>,
    /// Asked of mail that has waited.
    pub suppressions: Arc<dyn Suppressions>,
    pub warmups: Arc<dyn Warmups>,
    /// Seals what has waited for long; keys are not delivery's.
    pub seals: Arc<dyn Reseal>,
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
    /// What operators call this node. No two that live may have the same name.
    pub node: String,
    /// Addresses that are ours, so that mail is never sent back to us.
    pub own_addresses: Vec<IpAddr>,
    /// 25, but for tests and closed networks.
    pub port: u16,
    /// Networks that are dialled although no public exchanger lives there.
    pub allow_destinations: Vec<Network>,
    /// By which families of addresses mail leaves.
    pub families: Families,
    /// The one domain whose mail stays on this machine.
    pub simulator: Option<Simulated>,
    /// How addresses that nobody knows yet grow; `None`: they do not.
    pub warmup: Option<WarmupConfig>,
    /// Attempts under way at once.
    pub in_flight: usize,
    /// About how many recipients may wait in memory; more stay in the database until their turn
    /// comes.
    pub rows_in_memory: usize,
    /// Attempts at once at one site, for each address of its best exchangers.
    pub site_connections: usize,
    pub heartbeat: Heartbeat,
    /// A node whose clock differs from the database's by more owns nothing.
    pub clock_offset_most: Duration,
    /// Divides the waits between attempts.
    pub retry_divisor: u32,
    /// How long mail has waited before a host whose TLS fails may get it in plain text; divided
    /// by `retry_divisor`.
    pub plaintext_after: Duration,
    pub timeouts: Timeouts,
    pub pool: PoolLimits,
    /// The in-flight journal's file. Beside it, as `.node`, is the file that keeps this node's
    /// key and says that no other process uses the journal.
    pub journal: PathBuf,
    /// Whether mail may leave this machine.
    pub way_out: WayOut,
    /// Whose dialogues are kept for an operator.
    pub traces: Traces,
}

/// A domain whose mail goes to one address of this machine: no DNS is asked, the filter is not
/// either, and what becomes of it counts in nobody's reputation: no suppression, no hard bounce,
/// no metric of results, no warm-up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Simulated {
    pub domain: Domain,
    pub address: SocketAddr,
}

impl Config {
    /// Whether mail to this domain stays on this machine.
    pub(crate) fn is_simulated(&self, domain: &Domain) -> bool {
        self.simulator
            .as_ref()
            .is_some_and(|one| one.domain == *domain)
    }

    /// The settings of a relay that calls itself `hello` and keeps its journal there.
    pub fn new(hello: String, journal: PathBuf) -> Self {
        Self {
            node: hello.clone(),
            hello,
            own_addresses: Vec::new(),
            port: 25,
            allow_destinations: Vec::new(),
            families: Families::BOTH,
            simulator: None,
            warmup: None,
            in_flight: 200,
            rows_in_memory: 300_000,
            site_connections: 10,
            heartbeat: Heartbeat::default(),
            clock_offset_most: Duration::from_millis(500),
            retry_divisor: 1,
            plaintext_after: Duration::from_mins(5),
            timeouts: Timeouts::default(),
            pool: PoolLimits::default(),
            journal,
            way_out: WayOut::open(),
            traces: Traces::default(),
        }
    }
}

/// Why delivery did not start.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// Two processes with one journal would undo each other's.
    #[error("another process delivers with the journal {path}")]
    JournalInUse { path: PathBuf },
    #[error("cannot keep this node's key beside the journal {path}")]
    Key {
        path: PathBuf,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Its shards would be taken from it by the other.
    #[error(
        "another node with the name {name} is alive: each needs a name of its own (delivery.node)"
    )]
    NameTaken { name: String },
}

/// What all attempts share.
pub(crate) struct Shared {
    queue: Arc<dyn Queue>,
    nodes: Arc<dyn Nodes>,
    controls: Arc<dyn Controls>,
    suppressions: Arc<dyn Suppressions>,
    seals: Arc<dyn Reseal>,
    roster: Roster,
    router: Router,
    warmup: Option<Warmup>,
    dialer: Dialer,
    pool: Pool,
    bodies: Bodies,
    plaintext: PlaintextMemory,
    journal: Journal,
    standing: Standing,
    /// Results that wait for the database.
    unsettled: AtomicUsize,
    retry: RetryPolicy,
    clock: Clock,
    instruments: Instruments,
    config: Config,
}

/// Delivers until shutdown begins; returns when its tasks are gone.
pub async fn run(ports: Ports, config: Config, shutdown: Shutdown) -> Result<(), RunError> {
    let identity = Identity::open(&config.journal, &ports.rng).map_err(|error| {
        let path = config.journal.clone();
        match error {
            IdentityError::InUse(_) => RunError::JournalInUse { path },
            IdentityError::Io { .. } => RunError::Key {
                path,
                source: Box::new(error),
            },
        }
    })?;
    let (journal, open) = Journal::open(&config.journal)?;
    let enrolment = Enrolment {
        nodes: Arc::clone(&ports.nodes),
        clock: ports.clock.clone(),
        rng: ports.rng.clone(),
        name: config.node.clone(),
        key: identity.key,
        heartbeat: config.heartbeat,
        clock_offset_most: config.clock_offset_most,
    };
    let Some((ownership, strings)) = ownership::join(enrolment, &shutdown).await? else {
        return Ok(());
    };
    let standing = Standing::new(strings.state.clone(), config.heartbeat.fresh);
    let shared = Arc::new(Shared::new(ports, config, journal, standing));
    deliver(shared, ownership, strings, open, shutdown).await;
    // Until here: no other process may use the journal.
    drop(identity);
    Ok(())
}

async fn deliver(
    shared: Arc<Shared>,
    ownership: Ownership,
    strings: Strings,
    open: Vec<OpenEntry>,
    shutdown: Shutdown,
) {
    // Before a shard is taken: what the last process left open must not be sent again unsaid.
    recover::settle_open_entries(&shared, open, &shutdown).await;
    let mut owner = JoinSet::new();
    owner.spawn(ownership.run(shutdown.clone()));
    // It lets go of all shards at its end; then their owner leaves.
    Runner::new(shared, strings, shutdown).run().await;
    while let Some(ended) = owner.join_next().await {
        if let Err(fault) = ended {
            tracing::error!(%fault, "the heartbeat ended in a panic");
        }
    }
}

impl Shared {
    fn new(ports: Ports, config: Config, journal: Journal, standing: Standing) -> Self {
        config.traces.serve();
        let own = OwnNames {
            hosts: vec![config.hello.to_ascii_lowercase()],
            addresses: config.own_addresses.clone(),
        };
        let opener = Opener {
            hello: config.hello.clone(),
            timeouts: config.timeouts.clone(),
            connector: postrider_tls::opportunistic(),
        };
        let filter = Filter::new(
            config.allow_destinations.clone(),
            config.own_addresses.clone(),
        );
        let filter = filter.within(config.families);
        Self {
            queue: ports.queue,
            nodes: ports.nodes,
            controls: ports.controls,
            suppressions: ports.suppressions,
            seals: ports.seals,
            roster: ports.roster,
            router: Router {
                resolver: ports.resolver,
                filter,
                own,
                simulator: config.simulator.clone(),
                rng: ports.rng,
            },
            warmup: config
                .warmup
                .clone()
                .map(|warmup| Warmup::new(ports.warmups, warmup)),
            dialer: ports.dialer,
            pool: Pool::new(opener, config.pool.clone()),
            bodies: Bodies::new(),
            plaintext: PlaintextMemory::default(),
            journal,
            standing,
            unsettled: AtomicUsize::new(0),
            retry: RetryPolicy {
                divisor: config.retry_divisor,
            },
            clock: ports.clock,
            instruments: Instruments::new(&ports.metrics),
            config,
        }
    }
}
