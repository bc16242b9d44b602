//! Connections that are kept for the next message, and how many there are to each address.
//!
//! A connection is kept for its address and for what came of TLS on it, never for a tenant.
//! Whether a host is tried at all, and with which TLS mode, is decided elsewhere.

mod connection;
mod plaintext_memory;

use std::collections::HashMap;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

pub(crate) use self::connection::{Connection, Opener, TlsMode};
pub(crate) use self::plaintext_memory::PlaintextMemory;
use crate::outcome::Phase;
use crate::session::{Fault, OpenFailure, Peer, Spent};
use crate::trace;

/// How long connections are kept and how many.
#[derive(Clone, Debug)]
pub struct PoolLimits {
    /// Messages over one connection.
    pub messages: u32,
    /// From its opening.
    pub age: Duration,
    /// Without a message.
    pub idle: Duration,
    /// Connections to one address, idle ones among them.
    pub per_address: usize,
    /// Idle connections to all addresses together; more are closed at once.
    pub idle_most: usize,
}

impl Default for PoolLimits {
    fn default() -> Self {
        Self {
            messages: 100,
            age: Duration::from_mins(5),
            idle: Duration::from_secs(5),
            per_address: 10,
            idle_most: 512,
        }
    }
}

/// Opens connections and keeps them. Cheap to clone; clones share everything.
#[derive(Clone)]
pub(crate) struct Pool(Arc<Shared>);

struct Shared {
    opener: Opener,
    limits: PoolLimits,
    state: Mutex<State>,
    /// Idle connections' clocks and the goodbyes that are being said.
    tasks: TaskTracker,
}

#[derive(Default)]
struct State {
    addresses: HashMap<SocketAddr, Address>,
    idle: usize,
    /// The number of the idle connection that was kept last.
    last: u64,
    closed: bool,
}

#[derive(Default)]
struct Address {
    in_use: usize,
    idle: Vec<Idle>,
}

struct Idle {
    number: u64,
    connection: Connection,
    clock: AbortHandle,
}

/// The right to one connection to one exchanger. Given up when dropped.
pub(crate) struct Slot {
    shared: Arc<Shared>,
    peer: Peer,
}

/// An open connection and its slot. Give it back to the pool when the result is kept; dropped,
/// it is closed without a word.
pub(crate) struct Lease {
    pub(crate) connection: Connection,
    slot: Slot,
}

impl Pool {
    pub(crate) fn new(opener: Opener, limits: PoolLimits) -> Self {
        Self(Arc::new(Shared {
            opener,
            limits,
            state: Mutex::default(),
            tasks: TaskTracker::new(),
        }))
    }

    /// A place among the connections to this address; `None` where all are in use, so that
    /// the recipient waits with the cause `destination_cap`.
    pub(crate) fn try_reserve(&self, peer: Peer) -> Option<Slot> {
        let mut state = self.0.state.lock();
        let address = state.addresses.entry(peer.address).or_default();
        if address.in_use >= self.0.limits.per_address {
            return None;
        }
        address.in_use += 1;
        let shared = Arc::clone(&self.0);
        Some(Slot { shared, peer })
    }

    /// An idle connection that still stands, or a new one over what `dial` connects; it is
    /// polled only then.
    pub(crate) async fn connect<E>(
        &self,
        slot: Slot,
        mode: TlsMode,
        dial: impl Future<Output = Result<TcpStream, E>>,
    ) -> Result<Lease, OpenFailure>
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        // Who follows a message is shown all of its dialogue.
        while !trace::is_on()
            && let Some(mut connection) = self.0.take_idle(slot.peer.address, mode)
        {
            if connection.freshen().await {
                connection.reused_as(&slot.peer);
                return Ok(Lease { connection, slot });
            }
        }
        self.0.make_room(slot.peer.address);
        let start = Instant::now();
        trace::noted(|| format!("connecting to {} at {}", slot.peer.host, slot.peer.address));
        let dialled = dial.await;
        if let Err(fault) = &dialled {
            trace::noted(|| fault.to_string());
        }
        let dialling = start.elapsed();
        let opened = match dialled {
            Ok(tcp) => self.0.opener.open(tcp, slot.peer.clone(), mode).await,
            Err(error) => Err(OpenFailure {
                peer: slot.peer.clone(),
                phase: Phase::Connect,
                reply: None,
                cause: Fault::Dial(Box::new(error)),
                spent: Spent::default(),
            }),
        };
        match opened {
            Ok(connection) => Ok(Lease {
                connection: connection.dialled_in(dialling),
                slot,
            }),
            Err(failure) => Err(OpenFailure {
                spent: failure.spent.after(Phase::Connect, dialling),
                ..failure
            }),
        }
    }

    /// Takes a connection back: keeps it while it may serve again, else says QUIT in the
    /// background. Call it once the result is kept (RFC 5321 §4.1.1.10: QUIT changes nothing).
    pub(crate) fn give_back(&self, lease: Lease) {
        let Lease { connection, slot } = lease;
        let address = slot.peer.address;
        let refused = if connection.may_serve(&self.0.limits) {
            self.0.keep(address, connection)
        } else {
            Some(connection)
        };
        if let Some(connection) = refused {
            // The slot goes with it: the connection counts until it is closed.
            self.0.tasks.spawn(async move {
                connection.quit().await;
                drop(slot);
            });
        }
    }

    /// How many connections are in use, and how many are idle.
    pub(crate) fn open(&self) -> (usize, usize) {
        let state = self.0.state.lock();
        let in_use = state.addresses.values().map(|address| address.in_use);
        (in_use.sum(), state.idle)
    }

    /// Closes what is idle, keeps nothing from here on, and returns when all goodbyes are
    /// said or their time is over.
    pub(crate) async fn close_all(&self) {
        let idle: Vec<Idle> = {
            let mut state = self.0.state.lock();
            state.closed = true;
            state.idle = 0;
            let known = state.addresses.values_mut();
            let idle = known.flat_map(|known| known.idle.drain(..)).collect();
            state.addresses.retain(|_, known| known.in_use > 0);
            idle
        };
        for Idle {
            connection, clock, ..
        } in idle
        {
            clock.abort();
            self.0.tasks.spawn(connection.quit());
        }
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }
}

impl Shared {
    /// The idle connection that was used last, of those that this mode may use.
    fn take_idle(&self, address: SocketAddr, mode: TlsMode) -> Option<Connection> {
        let mut state = self.state.lock();
        let idle = &mut state.addresses.get_mut(&address)?.idle;
        let at = idle.iter().rposition(|idle| {
            idle.connection.suits(mode) && idle.connection.may_serve(&self.limits)
        })?;
        let found = idle.remove(at);
        state.idle -= 1;
        found.clock.abort();
        Some(found.connection)
    }

    /// Closes an idle connection where one more would be too many.
    fn make_room(&self, address: SocketAddr) {
        let mut state = self.state.lock();
        let Some(known) = state.addresses.get_mut(&address) else {
            return;
        };
        if known.in_use + known.idle.len() > self.limits.per_address && !known.idle.is_empty() {
            let oldest = known.idle.remove(0);
            state.idle -= 1;
            drop(state);
            oldest.clock.abort();
            self.tasks.spawn(oldest.connection.quit());
        }
    }

    /// Keeps a connection for as long as it may be idle; gives it back where it may not.
    fn keep(self: &Arc<Self>, address: SocketAddr, connection: Connection) -> Option<Connection> {
        let mut state = self.state.lock();
        if state.closed || state.idle >= self.limits.idle_most {
            return Some(connection);
        }
        state.idle += 1;
        state.last += 1;
        let number = state.last;
        let shared = Arc::clone(self);
        let clock = self.tasks.spawn(async move {
            tokio::time::sleep(shared.limits.idle).await;
            if let Some(connection) = shared.expire(address, number) {
                connection.quit().await;
            }
        });
        state.addresses.entry(address).or_default().idle.push(Idle {
            number,
            connection,
            clock: clock.abort_handle(),
        });
        None
    }

    fn expire(&self, address: SocketAddr, number: u64) -> Option<Connection> {
        let mut state = self.state.lock();
        let known = state.addresses.get_mut(&address)?;
        let at = known.idle.iter().position(|idle| idle.number == number)?;
        let idle = known.idle.remove(at);
        state.idle -= 1;
        state.forget_if_unused(address);
        Some(idle.connection)
    }
}

impl State {
    fn forget_if_unused(&mut self, address: SocketAddr) {
        let unused = |known: &Address| known.in_use == 0 && known.idle.is_empty();
        if self.addresses.get(&address).is_some_and(unused) {
            self.addresses.remove(&address);
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut state = self.shared.state.lock();
        if let Some(known) = state.addresses.get_mut(&self.peer.address) {
            known.in_use = known.in_use.saturating_sub(1);
        }
        state.forget_if_unused(self.peer.address);
    }
}

#[cfg(test)]
mod tests;
