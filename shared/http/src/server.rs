//! Listening, and stopping.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use postrider_runtime::{Rng, Shutdown};
use postrider_tls::Acceptor;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinError, JoinSet};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::connection::serve_connection;
use crate::crowd::Crowd;
use crate::instruments::Outcome;
use crate::{Config, Door};

/// What all connections of one listener share.
pub(crate) struct Server {
    pub(crate) door: Arc<dyn Door>,
    pub(crate) tls: Option<Acceptor>,
    pub(crate) config: Config,
    pub(crate) crowd: Arc<Crowd>,
    pub(crate) shutdown: Shutdown,
    pub(crate) rng: Rng,
    /// The doors' work and the streams of HTTP/2.
    pub(crate) tasks: TaskTracker,
    /// Cancelled when the time to drain is over.
    pub(crate) abandoned: CancellationToken,
}

// The system has no file descriptor or buffer for us: another moment may be better, and so many
// that only wait give theirs back.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
const SHED_AT_ONCE: usize = 64;

/// Answers on this listener until shutdown begins, finishes what is open for as long as shutdown
/// allows, and returns when its tasks are gone. With TLS it offers HTTP/2 and HTTP/1.1 by ALPN.
pub async fn serve(
    listener: TcpListener,
    tls: Option<Acceptor>,
    door: Arc<dyn Door>,
    config: Config,
    shutdown: Shutdown,
) {
    let server = Arc::new(Server {
        door,
        tls: tls.map(|acceptor| acceptor.with_alpn(&["h2", "http/1.1"])),
        crowd: Crowd::new(&config),
        config,
        shutdown,
        rng: Rng::system(),
        tasks: TaskTracker::new(),
        abandoned: CancellationToken::new(),
    });
    let connections = accept(&server, listener).await;
    drain(&server, connections).await;
}

impl Server {
    pub(crate) fn count(&self, outcome: Outcome) {
        if let Some(instruments) = &self.config.instruments {
            instruments.connections.add(outcome, 1);
        }
    }
}

async fn accept(server: &Arc<Server>, listener: TcpListener) -> JoinSet<()> {
    let mut connections = JoinSet::new();
    // Waits here until somebody gives it a seat; meanwhile nobody else is let in.
    let mut newcomer = None;
    loop {
        newcomer = newcomer.and_then(|newcomer| seat(server, &mut connections, newcomer));
        tokio::select! {
            biased;
            () = server.shutdown.begun() => return connections,
            Some(ended) = connections.join_next() => report(ended),
            () = server.crowd.rested(), if newcomer.is_some() => {}
            accepted = listener.accept(), if newcomer.is_none() => match accepted {
                Ok(accepted) => newcomer = Some(accepted),
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    server.count(Outcome::NotAccepted);
                    server.crowd.shed(SHED_AT_ONCE);
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
}

/// Serves a newcomer, or gives it back where all seats are at work.
fn seat(
    server: &Arc<Server>,
    connections: &mut JoinSet<()>,
    (tcp, peer): (TcpStream, SocketAddr),
) -> Option<(TcpStream, SocketAddr)> {
    let Some(place) = server.crowd.seat(peer.ip()) else {
        return Some((tcp, peer));
    };
    server.count(Outcome::Accepted);
    connections.spawn(serve_connection(Arc::clone(server), tcp, peer, place));
    None
}

async fn drain(server: &Server, mut connections: JoinSet<()>) {
    let all = async {
        while let Some(ended) = connections.join_next().await {
            report(ended);
        }
        // A door may be at work for a client that hung up.
        server.tasks.close();
        server.tasks.wait().await;
    };
    if timeout(server.shutdown.drain(), all).await.is_err() {
        tracing::warn!("requests were cut off: they did not end in the time to drain");
        server.abandoned.cancel();
        connections.shutdown().await;
        server.tasks.close();
        server.tasks.wait().await;
    }
}

fn report(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a connection ended in a panic");
    }
}
