//! Asks the authority: names by `dns`, TLS by `tls`, one connection for each request. All that
//! `instant-acme` sends goes through here.

use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, header};
use http_body_util::{BodyExt, Full};
use instant_acme::{BodyWrapper, BytesResponse, HttpClient};
use parking_lot::Mutex;
use postrider_dns::Resolver;
use postrider_tls::{ClientStream, Connector};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::AcmeError;

/// For the connection and its handshake, of one address.
const CONNECT: Duration = Duration::from_secs(10);
/// For one request and its answer, all addresses and the connection included.
const REQUEST: Duration = Duration::from_secs(45);
/// A chain has some kilobytes.
const ANSWER_MOST: usize = 256 * 1024;
/// What an authority may tell us to wait, at most: a week is the longest span of Let's Encrypt's
/// limits.
const RETRY_AFTER_MOST: Duration = Duration::from_hours(7 * 24);
/// The same as the library sees it, which waits for so long within an order.
const POLL_AFTER_MOST: u64 = 24 * 3_600;

/// Asks one authority. Clones share what it said last of when to come back, and at which of its
/// addresses it answered.
#[derive(Clone)]
pub(crate) struct Caller {
    resolver: Resolver,
    connector: Connector,
    retry_after: Arc<Mutex<Option<Duration>>>,
    answered_at: Arc<Mutex<Option<IpAddr>>>,
}

impl Caller {
    pub(crate) fn new(resolver: Resolver, connector: &Connector) -> Self {
        Self {
            resolver,
            connector: postrider_tls::offering(connector, &["http/1.1"]),
            retry_after: Arc::default(),
            answered_at: Arc::default(),
        }
    }

    /// What the last refusal said of when to come back. It is forgotten then.
    pub(crate) fn take_retry_after(&self) -> Option<Duration> {
        self.retry_after.lock().take()
    }

    async fn call(&self, request: Request<Bytes>) -> Result<Response<Bytes>, instant_acme::Error> {
        let address = request.uri().to_string();
        let is_read = request.method() != Method::POST;
        let (host, port) = target(&request).ok_or(AcmeError::NoDirectory(address))?;
        let asked = async {
            let stream = self.connect(&host, port).await?;
            let answer = postrider_http::ask(stream, request, ANSWER_MOST).await;
            answer.map_err(|source| AcmeError::Broken {
                host: host.clone(),
                source,
            })
        };
        let answer = timeout(REQUEST, asked).await;
        let answer = answer.map_err(|_| AcmeError::Late {
            host: host.clone(),
            after: REQUEST,
        })??;
        self.look(&host, is_read, answer)
    }

    async fn connect(&self, host: &str, port: u16) -> Result<ClientStream, AcmeError> {
        let addresses = match host.parse::<IpAddr>() {
            Ok(address) => vec![address],
            Err(_) => self.resolver.addresses(host).await.map_err(|source| {
                let host = host.to_owned();
                AcmeError::Unresolved { host, source }
            })?,
        };
        let mut last = AcmeError::Unreachable {
            host: host.to_owned(),
            source: std::io::ErrorKind::AddrNotAvailable.into(),
        };
        for address in self.in_order(addresses) {
            match self.connect_to(host, SocketAddr::new(address, port)).await {
                Ok(stream) => {
                    *self.answered_at.lock() = Some(address);
                    return Ok(stream);
                }
                Err(fault) => last = fault,
            }
        }
        Err(last)
    }

    // An order is some twenty requests: an address that is dead is waited for once.
    fn in_order(&self, mut addresses: Vec<IpAddr>) -> Vec<IpAddr> {
        let answered_at = *self.answered_at.lock();
        addresses.sort_by_key(|address| Some(*address) != answered_at);
        addresses
    }

    async fn connect_to(&self, host: &str, place: SocketAddr) -> Result<ClientStream, AcmeError> {
        let late = || std::io::Error::from(std::io::ErrorKind::TimedOut);
        let dialled = timeout(CONNECT, TcpStream::connect(place)).await;
        let dialled = dialled.unwrap_or_else(|_| Err(late()));
        let tcp = dialled.map_err(|source| AcmeError::Unreachable {
            host: host.to_owned(),
            source,
        })?;
        let shaken = timeout(CONNECT, postrider_tls::connect(&self.connector, host, tcp)).await;
        let shaken = shaken.unwrap_or_else(|_| Err(late()));
        shaken.map_err(|source| AcmeError::NoTls {
            host: host.to_owned(),
            source,
        })
    }

    // Who is no authority, or a proxy before one, does not answer with problem documents. The library
    // reads one in answer to a POST alone (`is_read`: it was none), and HEAD has none to be read.
    fn look(
        &self,
        host: &str,
        is_read: bool,
        mut answer: Response<Bytes>,
    ) -> Result<Response<Bytes>, instant_acme::Error> {
        let status = answer.status();
        let told = retry_after(&answer);
        bound_retry_after(&mut answer, told);
        if !status.is_client_error() && !status.is_server_error() {
            nonces_have_a_place(&answer)?;
            return Ok(answer);
        }
        *self.retry_after.lock() = told;
        let kind = answer.headers().get(header::CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if kind.starts_with("application/problem+json") {
            if !is_read {
                return Ok(answer);
            }
            if let Ok(problem) = serde_json::from_slice(answer.body()) {
                return Err(instant_acme::Error::Api(problem));
            }
        }
        Err(instant_acme::Error::from(AcmeError::NotAcme {
            host: host.to_owned(),
            status: status.as_u16(),
            retry_after: told,
        }))
    }
}

impl HttpClient for Caller {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, instant_acme::Error>> + Send>> {
        let caller = self.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let body = match body.collect().await {
                Ok(body) => body.to_bytes(),
                Err(never) => match never {},
            };
            let answer = caller.call(Request::from_parts(parts, body)).await;
            Ok(BytesResponse::from(answer?.map(Full::new)))
        })
    }
}

/// Host and port, of `https://` alone.
fn target(request: &Request<Bytes>) -> Option<(String, u16)> {
    let uri = request.uri();
    if uri.scheme_str() != Some("https") {
        return None;
    }
    let host = uri.host()?.trim_matches(['[', ']']);
    Some((host.to_owned(), uri.port_u16().unwrap_or(443)))
}

/// `Retry-After` in seconds (RFC 9110 §10.2.3). A date is not read: authorities give seconds.
fn retry_after(answer: &Response<Bytes>) -> Option<Duration> {
    let value = answer.headers().get(header::RETRY_AFTER)?;
    let seconds = value.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(RETRY_AFTER_MOST))
}

// The library ends in a panic where a directory gives a text that is no address.
fn nonces_have_a_place(answer: &Response<Bytes>) -> Result<(), AcmeError> {
    let read = serde_json::from_slice::<serde_json::Value>(answer.body()).unwrap_or_default();
    let Some(place) = read.get("newNonce").and_then(serde_json::Value::as_str) else {
        return Ok(());
    };
    let parsed = place.parse::<http::Uri>();
    parsed.map_err(|fault| AcmeError::Unintelligible(Box::new(fault)))?;
    Ok(())
}

// The library adds what it finds there to the time it is, which ends in a panic for a span that is
// past all time.
fn bound_retry_after(answer: &mut Response<Bytes>, told: Option<Duration>) {
    answer.headers_mut().remove(header::RETRY_AFTER);
    if let Some(told) = told {
        let seconds = HeaderValue::from(told.as_secs().min(POLL_AFTER_MOST));
        answer.headers_mut().insert(header::RETRY_AFTER, seconds);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_is_asked() {
        for (uri, want) in [
            ("https://ca.example/dir", Some(("ca.example", 443))),
            ("https://ca.example:14000/dir", Some(("ca.example", 14_000))),
            ("https://[2001:db8::1]:1/", Some(("2001:db8::1", 1))),
            ("http://ca.example/dir", None),
            ("/dir", None),
        ] {
            let request = Request::get(uri).body(Bytes::new()).unwrap();
            let got = target(&request);
            let got = got.as_ref().map(|(host, port)| (host.as_str(), *port));
            assert_eq!(got, want, "{uri}");
        }
    }

    #[test]
    fn when_to_come_back_is_read_and_bounded() {
        for (value, want) in [
            ("120", Some(120)),
            (" 0 ", Some(0)),
            ("99999999999", Some(7 * 24 * 3_600)),
            ("18446744073709551615", Some(7 * 24 * 3_600)),
            ("-1", None),
            ("Fri, 31 Dec 1999 23:59:59 GMT", None),
        ] {
            let answer = Response::builder().header("retry-after", value);
            let mut answer = answer.body(Bytes::new()).unwrap();
            let got = retry_after(&answer);
            assert_eq!(got.map(|span| span.as_secs()), want, "{value}");
            bound_retry_after(&mut answer, got);
            let seen = answer.headers().get("retry-after");
            let seen = seen.map(|value| value.to_str().unwrap().parse().unwrap());
            assert_eq!(
                seen,
                want.map(|seconds: u64| seconds.min(86_400)),
                "{value}"
            );
        }
    }
}
