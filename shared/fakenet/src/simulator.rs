//! The simulator: one exchanger on this machine whose answers are chosen by the recipient's local
//! part. What it accepts is read and thrown away. For a relay that serves: mail to it tries the
//! whole line and goes nowhere.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use postrider_runtime::Clock;

use crate::authority::{Authority, AuthorityError};
use crate::exchanger::{Counts, Exchanger, Ground};
use crate::habits;
use crate::mailbox::Mailbox;
use crate::script::Script;

/// How long `greylisted@` is turned away after its first try.
const GREYLIST: Duration = Duration::from_mins(1);

/// Why it does not start.
#[derive(Debug, thiserror::Error)]
pub enum SimulatorError {
    #[error("the simulator has no certificate")]
    Authority(#[source] AuthorityError),
    #[error("the simulator cannot listen on 127.0.0.1")]
    Listen(#[source] io::Error),
}

/// A running simulator; it ends when it is dropped.
pub struct Simulator {
    ground: Arc<Ground>,
    exchanger: Exchanger,
}

impl Simulator {
    /// Starts it on a free port of 127.0.0.1 under this host name; it accepts connections when
    /// this returns. Messages up to `size` bytes are taken. Must be called in a tokio runtime.
    pub fn start(host: &str, size: usize, clock: Clock) -> Result<Self, SimulatorError> {
        let authority = Authority::fresh().map_err(SimulatorError::Authority)?;
        let ground = Arc::new(Ground::new(clock, authority, GREYLIST, Mailbox::none()));
        let open = || {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
            Exchanger::open(host, listener, Script::simulator().size(size), &ground)
        };
        let exchanger = open().map_err(SimulatorError::Listen)?;
        Ok(Self { ground, exchanger })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.exchanger.address()
    }

    /// What it has seen so far.
    pub fn counts(&self) -> Counts {
        self.exchanger.counts()
    }

    /// The local parts that it knows, in the order in which people are told of them.
    pub fn words() -> impl Iterator<Item = &'static str> {
        habits::WORDS.iter().copied()
    }

    /// Breaks off all connections and returns when nothing of it runs any more.
    pub async fn shutdown(&self) {
        self.stop();
        self.ground.tasks.wait().await;
    }

    fn stop(&self) {
        self.ground.stop.cancel();
        self.ground.tasks.close();
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.stop();
    }
}

impl std::fmt::Debug for Simulator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Simulator")
            .field("address", &self.address())
            .finish_non_exhaustive()
    }
}
