//! A scripted mail exchanger: its listener, and what a test can ask it afterwards.

mod command;
mod play;
mod session;
mod stream;
mod transcript;
mod wire;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use postrider_runtime::Clock;
use postrider_tls::Acceptor;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::authority::Authority;
use crate::habits::Habits;
use crate::mailbox::{Mailbox, Received};
use crate::script::{Certificate, Script};
use session::Session;
use transcript::Transcript;

/// Connections to all exchangers together; more wait in the kernel.
const MOST_CONNECTIONS: usize = 10_000;

/// How long a listener rests after the machine could not give it a connection.
const REST: Duration = Duration::from_millis(100);

/// What all exchangers of one internet share.
pub(crate) struct Ground {
    pub(crate) clock: Clock,
    pub(crate) authority: Authority,
    pub(crate) habits: Habits,
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) stop: CancellationToken,
    pub(crate) tasks: TaskTracker,
    connections: Arc<Semaphore>,
}

impl Ground {
    pub(crate) fn new(
        clock: Clock,
        authority: Authority,
        greylist: Duration,
        mailbox: Mailbox,
    ) -> Self {
        Self {
            clock,
            authority,
            habits: Habits::new(greylist),
            mailbox: Arc::new(mailbox),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
            connections: Arc::new(Semaphore::new(MOST_CONNECTIONS)),
        }
    }
}

/// What an exchanger has seen so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Connections that were accepted.
    pub connections: usize,
    /// Those of them that are open now.
    pub open: usize,
    /// Messages that were recorded.
    pub received: usize,
}

/// A handle on one exchanger. Clones are the same exchanger.
#[derive(Clone)]
pub struct Exchanger(Arc<House>);

struct House {
    host: Arc<str>,
    address: SocketAddr,
    script: Mutex<Script>,
    acceptor: Mutex<Option<(Certificate, Acceptor)>>,
    transcript: Mutex<Transcript>,
    counts: watch::Sender<Counts>,
    mailbox: Arc<Mailbox>,
}

impl Exchanger {
    /// An exchanger behind a listener that is bound already.
    pub(crate) fn open(
        host: &str,
        listener: std::net::TcpListener,
        script: Script,
        ground: &Arc<Ground>,
    ) -> std::io::Result<Self> {
        listener.set_nonblocking(true)?;
        let house = House {
            host: host.into(),
            address: listener.local_addr()?,
            transcript: Mutex::new(Transcript::of(script.base())),
            script: Mutex::new(script),
            acceptor: Mutex::new(None),
            counts: watch::Sender::new(Counts::default()),
            mailbox: Arc::clone(&ground.mailbox),
        };
        let exchanger = Self(Arc::new(house));
        let listener = TcpListener::from_std(listener)?;
        let listening = listen(listener, exchanger.clone(), Arc::clone(ground));
        ground.tasks.spawn(listening);
        Ok(exchanger)
    }

    /// Its name: `mx.example.org`.
    pub fn host(&self) -> &str {
        &self.0.host
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.0.address
    }

    /// From the next command on, this script.
    pub fn set_script(&self, script: Script) {
        *self.0.script.lock() = script;
    }

    /// What it received and what the mailbox still holds, the oldest first.
    pub fn received(&self) -> Vec<Received> {
        self.0.mailbox.of_host(&self.0.host)
    }

    /// The last lines of all sessions, both ways: `C: …`, `S: …`, `-- …` for what is no line.
    pub fn transcript(&self) -> Vec<String> {
        self.0.transcript.lock().lines()
    }

    /// Connections that it accepted so far.
    pub fn connections(&self) -> usize {
        self.counts().connections
    }

    pub fn counts(&self) -> Counts {
        *self.0.counts.borrow()
    }

    /// Returns once it has recorded `count` messages in all. May be cancelled at any point.
    pub async fn wait_for(&self, count: usize) {
        self.wait_until(|seen| seen.received >= count).await;
    }

    /// Returns once this holds. May be cancelled at any point.
    pub async fn wait_until(&self, mut holds: impl FnMut(&Counts) -> bool) {
        // The sender lives in `self`, so this only ends by the condition being met.
        let mut seen = self.0.counts.subscribe();
        let _met = seen.wait_for(|seen| holds(seen)).await;
    }

    fn note(&self, line: String) {
        self.0.transcript.lock().note(line);
    }

    fn count(&self, change: impl FnOnce(&mut Counts)) {
        self.0.counts.send_modify(change);
    }

    fn with_script<T>(&self, ask: impl FnOnce(&mut Script) -> T) -> T {
        ask(&mut self.0.script.lock())
    }

    // Made at the first handshake, and anew when the script shows another certificate.
    fn acceptor(&self, authority: &Authority) -> Option<Acceptor> {
        let wanted = self.with_script(|script| script.shown_certificate());
        let mut kept = self.0.acceptor.lock();
        if let Some((shown, acceptor)) = &*kept
            && *shown == wanted
        {
            return Some(acceptor.clone());
        }
        let issued = authority.issue(&self.0.host, wanted);
        let issued = issued
            .inspect_err(|error| tracing::error!(%error, "no certificate"))
            .ok()?;
        let (chain, key) = (issued.certificate_pem.as_bytes(), issued.key_pem.as_bytes());
        let acceptor = Acceptor::from_pem(chain, key);
        let acceptor = acceptor
            .inspect_err(|error| tracing::error!(%error, "no TLS"))
            .ok()?;
        *kept = Some((wanted, acceptor.clone()));
        Some(acceptor)
    }
}

impl std::fmt::Debug for Exchanger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Exchanger")
            .field("host", &self.0.host)
            .field("address", &self.0.address)
            .finish_non_exhaustive()
    }
}

async fn listen(listener: TcpListener, exchanger: Exchanger, ground: Arc<Ground>) {
    let connections = Arc::clone(&ground.connections);
    loop {
        let Ok(place) = Arc::clone(&connections).acquire_owned().await else {
            return;
        };
        let accepted = tokio::select! {
            biased;
            () = ground.stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((tcp, peer)) => {
                let talk = talk(tcp, peer, exchanger.clone(), Arc::clone(&ground));
                ground.tasks.spawn(async move {
                    talk.await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, host = exchanger.host(), "no connection to be had");
                tokio::time::sleep(REST).await;
            }
        }
    }
}

async fn talk(tcp: TcpStream, peer: SocketAddr, exchanger: Exchanger, ground: Arc<Ground>) {
    if let Err(error) = tcp.set_nodelay(true) {
        tracing::debug!(%error, "replies may be late");
    }
    exchanger.count(|counts| {
        counts.connections += 1;
        counts.open += 1;
    });
    exchanger.note(format!("-- connection from {peer}"));
    let session = Session::new(tcp, peer, exchanger.clone(), Arc::clone(&ground));
    // At shutdown connections break off: a whole internet goes down.
    tokio::select! {
        biased;
        () = ground.stop.cancelled() => {}
        () = session.run() => {}
    }
    exchanger.note("-- the connection is over".to_owned());
    exchanger.count(|counts| counts.open -= 1);
}
