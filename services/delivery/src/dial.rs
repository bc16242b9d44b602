//! Opens a connection to one address. The last word on where this process may connect to.
//!
//! It stands beneath the filter: which address is meant is decided in `route`, and a dialler
//! that is bound to this machine refuses the rest, so that a fault above it cannot leave.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::net::TcpStream;

/// Opens connections. Cheap to clone; clones count together.
#[derive(Clone, Debug)]
pub struct Dialer {
    reach: Reach,
    refused: Arc<AtomicU64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    Internet,
    Loopback,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DialError {
    /// This dialler may not go there; nothing was sent.
    #[error("this relay is bound to its own machine and may not connect to {0}")]
    Refused(SocketAddr),
    #[error("no connection within {} s", .0.as_secs())]
    TimedOut(Duration),
    #[error("no connection")]
    Io(#[source] io::Error),
}

impl Dialer {
    /// Connects to any address.
    pub fn internet() -> Self {
        Self::new(Reach::Internet)
    }

    /// Connects to addresses of this machine (`127.0.0.0/8`, `::1`) and refuses all others, loudly.
    pub fn loopback_only() -> Self {
        Self::new(Reach::Loopback)
    }

    /// How many connections were refused because they would have left this machine. Above 0,
    /// something asks for what it must not.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    fn new(reach: Reach) -> Self {
        Self {
            reach,
            refused: Arc::default(),
        }
    }

    /// One connection to exactly this address. May be cancelled at any point.
    pub(crate) async fn dial(
        &self,
        to: SocketAddr,
        timeout: Duration,
    ) -> Result<TcpStream, DialError> {
        if self.reach == Reach::Loopback && !to.ip().to_canonical().is_loopback() {
            self.refused.fetch_add(1, Ordering::Relaxed);
            tracing::error!(address = %to, "refused to connect outside this machine");
            return Err(DialError::Refused(to));
        }
        let stream = tokio::time::timeout(timeout, TcpStream::connect(to))
            .await
            .map_err(|_| DialError::TimedOut(timeout))?
            .map_err(DialError::Io)?;
        // A session is short writes that wait for answers.
        stream.set_nodelay(true).map_err(DialError::Io)?;
        Ok(stream)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::{TcpListener, TcpSocket};

    #[tokio::test]
    async fn a_dialler_bound_to_this_machine_refuses_the_rest_and_counts() {
        let dialer = Dialer::loopback_only();
        for away in [
            "192.0.2.1:25",
            "0.0.0.0:25",
            "128.0.0.1:25",
            "[2001:db8::1]:25",
            "[::]:25",
            "[::ffff:192.0.2.1]:25",
        ] {
            let got = dialer
                .dial(away.parse().unwrap(), Duration::from_secs(5))
                .await;
            assert!(matches!(got, Err(DialError::Refused(_))), "{away}: {got:?}");
        }
        assert_eq!(dialer.clone().refused(), 6);
    }

    #[tokio::test]
    async fn an_address_of_this_machine_is_connected_without_delay() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        for dialer in [Dialer::loopback_only(), Dialer::internet()] {
            let stream = dialer.dial(at, Duration::from_secs(5)).await.unwrap();
            assert!(stream.nodelay().unwrap());
            assert_eq!(stream.peer_addr().unwrap(), at);
            assert_eq!(dialer.refused(), 0);
        }
    }

    #[tokio::test]
    async fn nobody_there_and_nobody_answering_are_told_apart() {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let at = socket.local_addr().unwrap();
        let dialer = Dialer::loopback_only();
        let got = dialer.dial(at, Duration::from_secs(5)).await;
        assert!(matches!(got, Err(DialError::Io(_))), "{got:?}");

        // Who listens and never accepts lets new connections hang once its queue is full.
        let _listener = socket.listen(1).unwrap();
        let mut held = Vec::new();
        let last = loop {
            match dialer.dial(at, Duration::from_millis(50)).await {
                Ok(stream) if held.len() < 100 => held.push(stream),
                other => break other,
            }
        };
        assert!(matches!(last, Err(DialError::TimedOut(_))), "{last:?}");
    }
}
