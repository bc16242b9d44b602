//! The SMTP door: submission on any port, in any mode of TLS (RFC 6409).
//!
//! ```text
//! submission    listening; who may connect; the end of all sessions at shutdown
//! visit         one client, from its first byte to its last: what its first bytes are, TLS,
//!               and the conversation, which `postrider_smtp` leads and which is answered here
//! sign_in       a password → a caller; wrong ones wait
//! handing_over  sender, recipients, content → the gate's promise
//! replies       each «no» → the catalogue's entry, as a reply with the session's code
//! patience      how long is waited for what
//! wire          sockets and TLS
//! record        the black box of one session; `verdict` says in a sentence what came of it
//! crowd         how many may be connected, in all and from one address
//! tarpit        how long a wrong password waits for its answer
//! latecomers    programs that are slow to start TLS get more time the next time
//! keeper        keeps black boxes, beside the mail and never in its way
//! ```
//!
//! No grammar of SMTP (`postrider_smtp`), no policy (the gate).

mod config;
mod crowd;
mod handing_over;
mod keeper;
mod latecomers;
mod patience;
mod record;
mod replies;
mod sign_in;
mod tarpit;
mod verdict;
mod visit;
mod wire;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use postrider_runtime::Shutdown;
use postrider_smtp::StartTls;
use postrider_tls::Acceptor;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinError, JoinSet};
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use crate::Ports;
use crate::instruments::{Connection, SmtpInstruments};
use crowd::{Crowd, Full, Seat};
use keeper::Keeper;
use latecomers::Latecomers;
use tarpit::Tarpit;

pub use config::SmtpConfig;

/// A socket that is bound already, for submission.
pub struct SmtpListener {
    pub tcp: TcpListener,
    /// Served with implicit TLS and by STARTTLS alike; without one nobody can sign in.
    pub tls: Option<Acceptor>,
    /// How long the client may speak first (implicit TLS) before it is greeted.
    pub banner_after: Duration,
}

/// What all sessions share.
pub(crate) struct SmtpDoor {
    pub(crate) ports: Ports,
    pub(crate) config: SmtpConfig,
    pub(crate) talk: Arc<postrider_smtp::Config>,
    pub(crate) talk_without_tls: Arc<postrider_smtp::Config>,
    pub(crate) tarpit: Tarpit,
    pub(crate) latecomers: Latecomers,
    pub(crate) keeper: Keeper,
    pub(crate) shutdown: Shutdown,
    pub(crate) instruments: SmtpInstruments,
    crowd: Arc<Crowd>,
    /// The gate's work, which outlives a client that hangs up.
    pub(crate) tasks: TaskTracker,
}

/// What is special about one port.
pub(crate) struct Port {
    pub(crate) number: u16,
    pub(crate) tls: Option<Acceptor>,
    pub(crate) banner_after: Duration,
}

/// Who came to which port.
#[derive(Clone)]
pub(crate) struct Guest {
    pub(crate) peer: SocketAddr,
    pub(crate) port: Arc<Port>,
}

// The system has no file descriptor or buffer for us: another moment may be better.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

const HELP: &str = "Sign in under TLS with any user name and your key as password";

/// How long the gate has for messages whose session was cut off.
const FINISHING: Duration = Duration::from_secs(5);

/// How long black boxes have to be written, after everything else.
const KEEPING: Duration = Duration::from_secs(2);

/// Takes mail on these listeners until shutdown begins; returns when its tasks are gone.
pub(crate) async fn run(
    ports: Ports,
    config: SmtpConfig,
    listeners: Vec<SmtpListener>,
    shutdown: Shutdown,
) {
    // Shown from the start, with 0, also where this door stays shut.
    let instruments = SmtpInstruments::new(&ports.metrics);
    if listeners.is_empty() {
        return;
    }
    let (keeper, keeping) = keeper::keeper(Arc::clone(&ports.sessions), instruments.lost.clone());
    let mut kept = JoinSet::new();
    kept.spawn(keeping.run());
    let door = Arc::new(SmtpDoor::new(ports, config, keeper, instruments, shutdown));
    let mut doors = JoinSet::new();
    for listener in listeners {
        doors.spawn(listen(Arc::clone(&door), listener));
    }
    while let Some(ended) = doors.join_next().await {
        report(ended);
    }
    door.tasks.close();
    if timeout(FINISHING, door.tasks.wait()).await.is_err() {
        tracing::warn!("messages were cut off: the store did not take them; none was acknowledged");
    }
    // Its task ends with the last that could tell it something.
    drop(door);
    let all = async { while kept.join_next().await.is_some() {} };
    if timeout(KEEPING, all).await.is_err() {
        tracing::warn!("records of submission sessions were lost: the store did not take them");
    }
}

impl SmtpDoor {
    fn new(
        ports: Ports,
        config: SmtpConfig,
        keeper: Keeper,
        instruments: SmtpInstruments,
        shutdown: Shutdown,
    ) -> Self {
        let talk = |starttls: StartTls| {
            Arc::new(postrider_smtp::Config {
                host: config.host.clone(),
                help: HELP.to_owned(),
                starttls,
                limits: postrider_smtp::Limits {
                    size: config.size_most,
                    drain: config.size_most.saturating_mul(4),
                    recipients: config.recipients_most,
                    errors: config.errors_most,
                    sign_ins: config.failed_sign_ins_most,
                },
            })
        };
        Self {
            talk: talk(StartTls::Offered),
            talk_without_tls: talk(StartTls::Unavailable),
            tarpit: Tarpit::new(config.tarpit),
            latecomers: Latecomers::default(),
            crowd: Crowd::new(config.connections_most, config.connections_of_one_most),
            ports,
            config,
            keeper,
            shutdown,
            instruments,
            tasks: TaskTracker::new(),
        }
    }

    // A word in passing, in the clear: a handshake for each of too many would be too much.
    async fn turn_away(&self, tcp: TcpStream, guest: &Guest, full: Full) {
        self.instruments.connections.add(Connection::TurnedAway, 1);
        let reply = replies::full(&self.config, guest.peer.ip(), full);
        let mut wire = wire::Wire::Plain(tcp);
        let mut bytes = Vec::new();
        reply.write_to(&mut bytes);
        let _told = timeout(self.config.write, wire.write(&bytes)).await;
        wire.close(Duration::ZERO).await;
    }
}

async fn listen(door: Arc<SmtpDoor>, listener: SmtpListener) {
    let SmtpListener {
        tcp,
        tls,
        banner_after,
    } = listener;
    let port = Arc::new(Port {
        number: tcp.local_addr().map_or(0, |address| address.port()),
        tls,
        banner_after,
    });
    let mut visits = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = door.shutdown.begun() => break,
            Some(ended) = visits.join_next() => report(ended),
            accepted = tcp.accept() => match accepted {
                Ok((tcp, peer)) => {
                    // An IPv4 client on a socket that takes both is shown as one.
                    let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
                    let guest = Guest { peer, port: Arc::clone(&port) };
                    visits.spawn(welcome(Arc::clone(&door), tcp, guest));
                }
                Err(error) => {
                    tracing::warn!(%error, "a submission connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(tcp);
    let all = async {
        while let Some(ended) = visits.join_next().await {
            report(ended);
        }
    };
    if timeout(door.shutdown.drain(), all).await.is_err() {
        tracing::warn!("submission sessions were cut off: they did not end in the time to drain");
        visits.shutdown().await;
    }
}

async fn welcome(door: Arc<SmtpDoor>, tcp: TcpStream, guest: Guest) {
    match door.crowd.enter(guest.peer.ip()) {
        Ok(seat) => seated(door, tcp, guest, seat).await,
        Err(full) => door.turn_away(tcp, &guest, full).await,
    }
}

async fn seated(door: Arc<SmtpDoor>, tcp: TcpStream, guest: Guest, seat: Seat) {
    door.instruments.connections.add(Connection::Accepted, 1);
    let _open = door.instruments.open.hold();
    // Replies are small and awaited.
    if let Err(error) = tcp.set_nodelay(true) {
        tracing::debug!(%error, "a connection ended before it began");
        return;
    }
    let ip = guest.peer.ip();
    tokio::select! {
        () = visit::visit(&door, (tcp, guest), &seat) => {}
        () = seat.asked_to_leave() => {
            door.instruments.connections.add(Connection::GaveWay, 1);
            tracing::debug!(client.ip = %ip, "a client that did not sign in gave way to a newcomer");
        }
    }
}

fn report(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a submission session ended in a panic");
    }
}
