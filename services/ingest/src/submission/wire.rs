//! The line to one client: plain, then perhaps encrypted. The only file here that reads and writes
//! sockets.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::BytesMut;
use parking_lot::Mutex;
use postrider_tls::{Acceptor, Facts, ServerStreamOver, server_facts};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::io::poll_read_buf;

/// What is kept of a handshake's beginning; a `ClientHello` with a post-quantum share has 1,700.
const KEPT_MOST: usize = 4_096;

/// Two records of TLS.
const AHEAD: usize = 32 * 1024;

/// The line.
pub(crate) enum Wire {
    Plain(TcpStream),
    Tls(Box<ServerStreamOver<Overheard>>),
    /// A handshake, a read or a write failed on it.
    Gone,
}

/// A handshake that failed.
pub(crate) struct HandshakeFailed {
    /// What the client began it with.
    pub(crate) began: Vec<u8>,
    /// `None` where its time was over.
    pub(crate) error: Option<io::Error>,
}

impl Wire {
    /// The server's side of a handshake, within this time.
    pub(crate) async fn start_tls(
        &mut self,
        acceptor: &Acceptor,
        within: Duration,
    ) -> Result<Facts, HandshakeFailed> {
        let began = Arc::default();
        let error = match std::mem::replace(self, Self::Gone) {
            Self::Plain(tcp) => {
                let overheard = Overheard::new(tcp, Arc::clone(&began));
                match timeout(within, acceptor.accept(overheard)).await {
                    Ok(Ok(mut stream)) => {
                        stream.get_mut().0.kept = None;
                        let facts = server_facts(&stream);
                        *self = Self::Tls(Box::new(stream));
                        return Ok(facts);
                    }
                    Ok(Err(error)) => Some(error),
                    Err(_over) => None,
                }
            }
            Self::Tls(_) | Self::Gone => None,
        };
        let began = std::mem::take(&mut *began.lock());
        Err(HandshakeFailed { began, error })
    }

    /// Reads what there is into the room there is; 0 is the end. May be cancelled at any point.
    pub(crate) async fn read(&mut self, into: &mut BytesMut) -> io::Result<usize> {
        match self {
            Self::Plain(tcp) => tcp.read_buf(into).await,
            Self::Tls(stream) => stream.read_buf(into).await,
            Self::Gone => Ok(0),
        }
    }

    /// Writes all of it and sends it off.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(tcp) => tcp.write_all(bytes).await,
            Self::Tls(stream) => {
                stream.write_all(bytes).await?;
                stream.flush().await
            }
            Self::Gone => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// Says that nothing more comes. The client may have sent what nobody reads any more: it is
    /// read for a moment, so that our last words are not lost to a reset.
    pub(crate) async fn close(&mut self, within: Duration) {
        let closing = async {
            match self {
                Self::Plain(tcp) => tcp.shutdown().await,
                Self::Tls(stream) => stream.shutdown().await,
                Self::Gone => return,
            }
            .unwrap_or_default();
            let mut rest = BytesMut::with_capacity(KEPT_MOST);
            while self.read(&mut rest).await.is_ok_and(|read| read > 0) {
                rest.clear();
            }
        };
        let _ended = timeout(within, closing).await;
    }
}

/// A TCP stream that keeps the beginning of what it read, while it is asked to; and that is read far
/// ahead, for TLS takes no more than 4 KiB at a time.
pub(crate) struct Overheard {
    tcp: TcpStream,
    kept: Option<Arc<Mutex<Vec<u8>>>>,
    /// What was read and not taken yet; no memory while that is nothing.
    ahead: BytesMut,
}

impl Overheard {
    fn new(tcp: TcpStream, kept: Arc<Mutex<Vec<u8>>>) -> Self {
        Self {
            tcp,
            kept: Some(kept),
            ahead: BytesMut::new(),
        }
    }

    fn keep(&self, new: &[u8]) {
        if let Some(kept) = &self.kept {
            let mut kept = kept.lock();
            let room = KEPT_MOST.saturating_sub(kept.len()).min(new.len());
            kept.extend_from_slice(new.get(..room).unwrap_or_default());
        }
    }
}

impl AsyncRead for Overheard {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.ahead.is_empty() {
            // Who waits for more holds no memory for it.
            ready!(this.tcp.poll_read_ready(context))?;
            let mut room = BytesMut::with_capacity(AHEAD);
            ready!(poll_read_buf(Pin::new(&mut this.tcp), context, &mut room))?;
            this.keep(&room);
            this.ahead = room;
        }
        let taken = this.ahead.len().min(into.remaining());
        into.put_slice(&this.ahead.split_to(taken));
        if this.ahead.is_empty() {
            this.ahead = BytesMut::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Overheard {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(context)
    }
}
