//! One request and its answer: everything that is the same for all doors.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, Response, StatusCode, Version, header};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::body::Unread;
use crate::crowd::Traffic;
use crate::server::Server;
use crate::{Answer, Body, Path, Problem, Query, Request, RequestId};

/// What answers requests. Its work goes on when the client hangs up, so that what was begun is
/// finished; a panic in it becomes a 500 and ends nothing else.
#[async_trait]
pub trait Door: Send + Sync + 'static {
    async fn answer(&self, request: Request) -> Answer;
}

pub(crate) type Outgoing = Response<Full<Bytes>>;

pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

// An unread body of this size does not end the connection: some clients send `{}` with GET.
const HARMLESS: u64 = 64 * 1024;

/// Answers one request. It never fails: hyper would close the connection without a word.
pub(crate) async fn exchange(
    server: Arc<Server>,
    traffic: Arc<Traffic>,
    peer: SocketAddr,
    request: hyper::Request<Incoming>,
) -> Result<Outgoing, Infallible> {
    let open = traffic.begin();
    let began = Instant::now();
    let (parts, incoming) = request.into_parts();
    let id = RequestId::given(&parts.headers).unwrap_or_else(|| RequestId::new(&server.rng));
    let (body, unread) = Body::new(incoming, &server.config);
    let answer = match targeted(&parts) {
        Ok((path, query)) => {
            let (method, headers) = (parts.method.clone(), parts.headers.clone());
            let request_id = id.clone();
            let request = Request {
                method,
                path,
                query,
                headers,
                request_id,
                peer,
                body,
            };
            asked(&server, request).await
        }
        Err(problem) => {
            drop(body);
            problem.into()
        }
    };
    let answer = written(answer, &server, &parts, &id);
    // What is left to do is the client's: to send what nobody reads, and to read.
    drop(open);
    let close = must_close(&server, &traffic, &parts, unread).await;
    tracing::debug!(
        request.id = %id,
        method = %parts.method,
        path = parts.uri.path(),
        status = answer.status,
        duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        "answered a request"
    );
    Ok(outgoing(answer, &parts, &id, close))
}

fn targeted(parts: &Parts) -> Result<(Path, Query), Problem> {
    // A path that does not decode names nothing; a query that does not is a wrong question.
    let path = Path::parse(parts.uri.path()).map_err(|_| Problem::not_found())?;
    let query = Query::parse(parts.uri.query().unwrap_or_default()).map_err(|_| {
        let message = "The query is not valid percent-encoded UTF-8; encode each value once.";
        Problem::new(400, "validation_error", message)
    })?;
    Ok((path, query))
}

// A task of the server, not of the connection: it outlives a client that hangs up.
async fn asked(server: &Arc<Server>, request: Request) -> Answer {
    let id = request.request_id.clone();
    let task = Arc::clone(server);
    let answer = server.tasks.spawn(async move {
        tokio::select! {
            answer = task.door.answer(request) => answer,
            () = task.abandoned.cancelled() => Problem::unavailable("The service is restarting; send it again.", 5).into(),
        }
    });
    answer.await.unwrap_or_else(|error| {
        tracing::error!(request.id = %id, %error, "a request ended in a panic");
        Problem::internal().into()
    })
}

fn written(mut answer: Answer, server: &Server, parts: &Parts, id: &RequestId) -> Answer {
    let Some(problem) = answer.problem.take() else {
        return answer;
    };
    let documentation = server.config.documentation.as_deref();
    let mut written = problem.written(id, &parts.headers, documentation);
    // What the door added to the refusal after it was made.
    written.headers.extend(answer.headers);
    written
}

/// Deals with what the door left of the body; true where the connection is of no more use.
async fn must_close(
    server: &Server,
    traffic: &Traffic,
    parts: &Parts,
    mut unread: oneshot::Receiver<Unread>,
) -> bool {
    // On HTTP/2 the one stream is reset, after the answer (RFC 9113 §8.1).
    let Ok(unread) = unread.try_recv() else {
        return false;
    };
    if parts.version > Version::HTTP_11 {
        return false;
    }
    // RFC 9110 §10.1.1: a client that waits for 100 hears the refusal at once.
    let waits = !unread.began && parts.headers.contains_key(header::EXPECT);
    let config = &server.config;
    let seen = if waits {
        None
    } else {
        unread
            .discard(config.discard_bytes, config.discard_timeout)
            .await
    };
    let close = seen.is_none_or(|bytes| bytes > HARMLESS);
    if close {
        traffic.linger();
    }
    close
}

fn outgoing(answer: Answer, parts: &Parts, id: &RequestId, close: bool) -> Outgoing {
    let length = answer.body.len();
    // hyper strips the body of an answer to HEAD on HTTP/1 only.
    let body = if parts.method == Method::HEAD {
        Bytes::new()
    } else {
        answer.body
    };
    let mut response = Response::new(Full::new(body));
    *response.status_mut() =
        StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    *headers = answer.headers;
    if parts.method == Method::HEAD {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    if let Ok(id) = HeaderValue::from_str(id.as_str()) {
        headers.insert(REQUEST_ID, id);
    }
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    if close {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}
