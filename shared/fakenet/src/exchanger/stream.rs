//! One connection, plain or under TLS: the lines that read and write a socket.

use std::io;
use std::time::Duration;

use bytes::BytesMut;
use postrider_tls::{Acceptor, ServerStream, server_facts};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A client that says or takes nothing for so long is left (RFC 5321 §4.5.3.2.7).
const IDLE: Duration = Duration::from_mins(5);

/// How long to wait for the other side's FIN after ours, so that what we said last is not lost
/// to an RST.
const LINGER: Duration = Duration::from_secs(2);

/// Bytes asked for at once.
const CHUNK: usize = 16 << 10;

/// The connection is over; there is nobody to tell.
#[derive(Debug)]
pub(super) struct Gone;

pub(super) enum Stream {
    Plain(TcpStream),
    Secure(Box<ServerStream>),
    Closed,
}

impl Stream {
    /// Reads what there is, behind what `into` holds.
    pub(super) async fn read(&mut self, into: &mut BytesMut) -> Result<(), Gone> {
        match timeout(IDLE, self.read_some(into)).await {
            Ok(Ok(1..)) => Ok(()),
            _ => Err(Gone),
        }
    }

    async fn read_some(&mut self, into: &mut BytesMut) -> io::Result<usize> {
        into.reserve(CHUNK);
        match self {
            Self::Plain(tcp) => tcp.read_buf(into).await,
            Self::Secure(tls) => tls.read_buf(into).await,
            Self::Closed => Ok(0),
        }
    }

    pub(super) async fn write(&mut self, bytes: &[u8]) -> Result<(), Gone> {
        let written = timeout(IDLE, async {
            match self {
                Self::Plain(tcp) => tcp.write_all(bytes).await,
                Self::Secure(tls) => {
                    tls.write_all(bytes).await?;
                    tls.flush().await
                }
                Self::Closed => Err(io::ErrorKind::NotConnected.into()),
            }
        });
        match written.await {
            Ok(Ok(())) => Ok(()),
            _ => Err(Gone),
        }
    }

    /// The handshake. Says what was agreed on: `TLSv1.3 TLS_AES_256_GCM_SHA384`.
    pub(super) async fn secure(&mut self, acceptor: &Acceptor) -> Result<String, Gone> {
        let Self::Plain(tcp) = std::mem::replace(self, Self::Closed) else {
            return Err(Gone);
        };
        match timeout(IDLE, acceptor.accept(tcp)).await {
            Ok(Ok(tls)) => {
                let facts = server_facts(&tls);
                *self = Self::Secure(Box::new(tls));
                Ok(format!("{} {}", facts.version, facts.cipher))
            }
            _ => Err(Gone),
        }
    }

    /// Our direction ends: FIN, in TLS after `close_notify`.
    pub(super) async fn finish(&mut self) {
        let ended = timeout(LINGER, async {
            match self {
                Self::Plain(tcp) => tcp.shutdown().await,
                Self::Secure(tls) => tls.shutdown().await,
                Self::Closed => Ok(()),
            }
        });
        if let Ok(Err(error)) = ended.await {
            tracing::debug!(%error, "fakenet could not end a connection");
        }
    }

    /// Reads and drops until the other side ends, however long that takes: who hangs must
    /// outlast every timeout of the other side.
    pub(super) async fn drain(&mut self) {
        let mut dropped = BytesMut::new();
        while matches!(self.read_some(&mut dropped).await, Ok(1..)) {
            dropped.clear();
        }
    }

    /// Ends the connection in good order.
    pub(super) async fn close(&mut self) {
        self.finish().await;
        // Either way it is over: they ended, too, or had their time.
        let _in_time = timeout(LINGER, self.drain()).await;
        *self = Self::Closed;
    }

    /// Ends the connection with an RST: no linger, then closed by being dropped.
    pub(super) fn reset(&mut self) {
        let armed = match self {
            Self::Plain(tcp) => tcp.set_zero_linger(),
            Self::Secure(tls) => tls.get_ref().0.set_zero_linger(),
            Self::Closed => Ok(()),
        };
        if let Err(error) = armed {
            tracing::debug!(%error, "fakenet could not reset a connection");
        }
        *self = Self::Closed;
    }
}
