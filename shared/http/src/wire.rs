//! The stream under hyper, with three things that hyper lacks: a limit on how long a client may
//! take nothing of an answer, a body in the answers that hyper gives by itself to what is not
//! HTTP, and an end that does not reset the answer away.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use http::HeaderMap;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use crate::crowd::Traffic;
use crate::exchange::REQUEST_ID;
use crate::server::Server;
use crate::{Answer, Problem, RequestId};

/// A stream that hyper reads and writes.
pub(crate) struct Wire<S> {
    stream: S,
    server: Arc<Server>,
    traffic: Arc<Traffic>,
    /// Ours in place of hyper's, not yet written.
    instead: Bytes,
    /// Runs while the client takes nothing.
    stalled: Option<Pin<Box<Sleep>>>,
    end: End,
}

enum End {
    Open,
    /// Our side is closed; the client's last bytes are thrown away.
    Lingering {
        until: Pin<Box<Sleep>>,
        left: usize,
    },
}

// What a client can have under way when it is refused: a header far too large, a body cut off.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: usize = 16 * 1024 * 1024;

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub(crate) fn new(stream: S, server: Arc<Server>, traffic: Arc<Traffic>) -> Self {
        Self {
            stream,
            server,
            traffic,
            instead: Bytes::new(),
            stalled: None,
            end: End::Open,
        }
    }

    fn poll_instead(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.instead.is_empty() {
            let wrote = Pin::new(&mut self.stream).poll_write(context, &self.instead);
            let wrote = ready!(self.in_time(context, wrote))?;
            if wrote == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.instead.advance(wrote);
        }
        Poll::Ready(Ok(()))
    }

    fn in_time<T>(
        &mut self,
        context: &mut Context<'_>,
        did: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if did.is_ready() {
            self.stalled = None;
            return did;
        }
        let wait = self.server.config.write_timeout;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(wait)));
        ready!(stalled.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    fn poll_linger(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut scratch = [0; 8 * 1024];
        while let End::Lingering { until, left } = &mut self.end {
            let mut buffer = ReadBuf::new(&mut scratch);
            let over = until.as_mut().poll(context).is_ready();
            match Pin::new(&mut self.stream).poll_read(context, &mut buffer) {
                Poll::Pending if !over => return Poll::Pending,
                Poll::Ready(Ok(())) if !over && !buffer.filled().is_empty() => {
                    *left = left.saturating_sub(buffer.filled().len());
                    if *left == 0 {
                        break;
                    }
                }
                _ => break,
            }
        }
        Poll::Ready(Ok(()))
    }

    // hyper answers a malformed request by itself, without a body: every answer of ours has one.
    fn with_a_body(&self, buffer: &[u8]) -> Option<Bytes> {
        let head = std::str::from_utf8(buffer.strip_suffix(b"\r\n\r\n")?).ok()?;
        let (status_line, fields) = head.split_once("\r\n")?;
        let automatic = fields
            .split("\r\n")
            .any(|field| field == "content-length: 0")
            && !fields.contains(REQUEST_ID.as_str());
        let problem = match status_line.split(' ').nth(1)? {
            "400" if automatic => {
                Problem::new(400, "validation_error", "The request is not valid HTTP.")
            }
            "414" if automatic => Problem::new(
                414,
                "validation_error",
                "The request's address is too long.",
            ),
            "431" if automatic => {
                let most = self.server.config.max_headers_bytes;
                let message = format!(
                    "The request's header is larger than {most} bytes; send fewer or shorter fields."
                );
                Problem::new(431, "validation_error", message)
            }
            _ => return None,
        };
        let id = RequestId::new(&self.server.rng);
        let link = self.server.config.documentation.as_deref();
        let answer = problem.written(&id, &HeaderMap::new(), link);
        let date = fields
            .split("\r\n")
            .find(|field| field.starts_with("date:"));
        let start = date.map_or(status_line.to_owned(), |date| {
            format!("{status_line}\r\n{date}")
        });
        Some(text_of(&start, &answer, &id))
    }
}

/// An answer as HTTP/1.1 text, after which the connection closes.
pub(crate) fn text_of(start: &str, answer: &Answer, id: &RequestId) -> Bytes {
    let mut text = format!("{start}\r\n").into_bytes();
    for (name, value) in &answer.headers {
        text.extend_from_slice(name.as_str().as_bytes());
        text.extend_from_slice(b": ");
        text.extend_from_slice(value.as_bytes());
        text.extend_from_slice(b"\r\n");
    }
    let length = answer.body.len();
    let rest = format!(
        "{REQUEST_ID}: {id}\r\ncache-control: no-store\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
    );
    text.extend_from_slice(rest.as_bytes());
    text.extend_from_slice(&answer.body);
    text.into()
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Wire<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_instead(context))?;
        if let Some(instead) = self.with_a_body(buffer) {
            self.traffic.linger();
            self.instead = instead;
            return Poll::Ready(Ok(buffer.len()));
        }
        let wrote = Pin::new(&mut self.stream).poll_write(context, buffer);
        self.in_time(context, wrote)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_instead(context))?;
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.in_time(context, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if matches!(self.end, End::Open) {
            ready!(self.poll_instead(context))?;
            let closed = Pin::new(&mut self.stream).poll_shutdown(context);
            ready!(self.in_time(context, closed))?;
            if !self.traffic.lingers() {
                return Poll::Ready(Ok(()));
            }
            self.end = End::Lingering {
                until: Box::pin(sleep(LINGER)),
                left: LINGER_BYTES,
            };
        }
        self.poll_linger(context)
    }
}
