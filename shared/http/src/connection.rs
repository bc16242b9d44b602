//! One connection, from accept to its last byte.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;

use http::HeaderMap;
use hyper::rt::Executor;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use postrider_tls::Acceptor;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, interval_at, timeout};

use crate::crowd::{Place, Traffic};
use crate::exchange::exchange;
use crate::instruments::Outcome;
use crate::server::Server;
use crate::wire::{Wire, text_of};
use crate::{Problem, RequestId};

/// Serves a connection to its end, or until its seat is needed.
pub(crate) async fn serve_connection(
    server: Arc<Server>,
    tcp: TcpStream,
    peer: SocketAddr,
    place: Place,
) {
    let instruments = server.config.instruments.as_ref();
    let _open = instruments.map(|instruments| instruments.open.hold());
    tokio::select! {
        biased;
        () = place.traffic.cut() => {
            server.count(Outcome::GaveWay);
            tracing::debug!(%peer, "a connection that waited for its client gave way to another");
        }
        () = speak(&server, tcp, peer, &place.traffic) => {}
    }
}

async fn speak(server: &Arc<Server>, tcp: TcpStream, peer: SocketAddr, traffic: &Arc<Traffic>) {
    // Answers are written whole; waiting for more to send would only delay them.
    if tcp.set_nodelay(true).is_err() {
        return;
    }
    let Some(acceptor) = &server.tls else {
        return speak_http1(server, tcp, peer, traffic).await;
    };
    match timeout(
        server.config.handshake_timeout,
        secured(server, acceptor, tcp),
    )
    .await
    {
        Ok(Some(stream)) if postrider_tls::server_protocol(&stream) == Some(b"h2") => {
            speak_http2(server, stream, peer, traffic).await;
        }
        Ok(Some(stream)) => speak_http1(server, stream, peer, traffic).await,
        Ok(None) => server.count(Outcome::NoHandshake),
        Err(_late) => {
            server.count(Outcome::NoHandshake);
            tracing::debug!(%peer, "no TLS handshake in the time it had");
        }
    }
}

// RFC 8446 §5.1: the first byte of a handshake record.
const HANDSHAKE: u8 = 22;

async fn secured(
    server: &Server,
    acceptor: &Acceptor,
    tcp: TcpStream,
) -> Option<postrider_tls::ServerStream> {
    let mut first = [0];
    match tcp.peek(&mut first).await {
        Ok(1) if first == [HANDSHAKE] => {}
        Ok(1) => {
            refuse_plain_text(server, tcp).await;
            return None;
        }
        _ => return None,
    }
    let stream = acceptor.accept(tcp).await;
    stream
        .inspect_err(|error| tracing::debug!(%error, "a TLS handshake failed"))
        .ok()
}

async fn refuse_plain_text(server: &Server, mut tcp: TcpStream) {
    let problem = Problem::new(400, "validation_error", "This port speaks TLS; use https.");
    let id = RequestId::new(&server.rng);
    let answer = problem.written(
        &id,
        &HeaderMap::new(),
        server.config.documentation.as_deref(),
    );
    let text = text_of("HTTP/1.1 400 Bad Request", &answer, &id);
    // The client's request is still unread: closing now would reset the answer away.
    let said = async {
        tcp.write_all(&text).await?;
        tcp.shutdown().await?;
        tokio::io::copy(&mut tcp, &mut tokio::io::sink()).await
    };
    if let Err(error) = said.await {
        tracing::debug!(%error, "a plain-text client was not told");
    }
}

async fn speak_http1<S>(server: &Arc<Server>, stream: S, peer: SocketAddr, traffic: &Arc<Traffic>)
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let wire = Wire::new(stream, Arc::clone(server), Arc::clone(traffic));
    let (state, seen) = (Arc::clone(server), Arc::clone(traffic));
    let service =
        service_fn(move |request| exchange(Arc::clone(&state), Arc::clone(&seen), peer, request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(server.config.header_timeout)
        .max_header_size(usize::try_from(server.config.max_headers_bytes).unwrap_or(usize::MAX))
        .half_close(true)
        .writev(false)
        .serve_connection(TokioIo::new(wire), service);
    drive(server, traffic, connection).await;
}

async fn speak_http2<S>(server: &Arc<Server>, stream: S, peer: SocketAddr, traffic: &Arc<Traffic>)
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let wire = Wire::new(stream, Arc::clone(server), Arc::clone(traffic));
    let (state, seen) = (Arc::clone(server), Arc::clone(traffic));
    let service =
        service_fn(move |request| exchange(Arc::clone(&state), Arc::clone(&seen), peer, request));
    let connection = http2::Builder::new(Tasks(Arc::clone(server)))
        .timer(TokioTimer::new())
        .max_header_list_size(server.config.max_headers_bytes)
        .max_concurrent_streams(server.config.max_streams)
        .initial_stream_window_size(256 * 1024)
        .initial_connection_window_size(1024 * 1024)
        .keep_alive_interval(server.config.idle)
        .keep_alive_timeout(server.config.write_timeout)
        .serve_connection(TokioIo::new(wire), service);
    drive(server, traffic, connection).await;
}

/// Until the connection ends; asks it to when the server stops and when nothing happens on it.
async fn drive<C: GracefulConnection>(server: &Server, traffic: &Traffic, connection: C)
where
    C::Error: std::fmt::Display,
{
    let mut connection = pin!(connection);
    let idle = server.config.idle;
    let mut tick = interval_at(Instant::now() + idle, idle);
    let (mut seen, mut closing) = (0, false);
    loop {
        tokio::select! {
            biased;
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "a connection ended early");
                }
                return;
            }
            () = server.shutdown.begun(), if !closing => {
                closing = true;
                connection.as_mut().graceful_shutdown();
            }
            () = traffic.left(), if !closing => {
                closing = true;
                connection.as_mut().graceful_shutdown();
            }
            _ = tick.tick(), if !closing => {
                closing = traffic.nothing_since(&mut seen);
                if closing {
                    connection.as_mut().graceful_shutdown();
                }
            }
        }
    }
}

/// Where hyper's streams of HTTP/2 run: in the server's tracker.
#[derive(Clone)]
struct Tasks(Arc<Server>);

impl<F> Executor<F> for Tasks
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, stream: F) {
        let abandoned = self.0.abandoned.clone();
        self.0
            .tasks
            .spawn(async move { abandoned.run_until_cancelled(stream).await });
    }
}
