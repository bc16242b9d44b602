//! Asks the authority: names by `dns`, TLS by `tls`, one connection for each request. All that
//! `instant-acme` sends goes through here.

use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, header};
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

/// Asks one authority. Clones share what it said last of when to come back.
#[derive(Clone)]
pub(crate) struct Caller {
    resolver: Resolver,
    connector: Connector,
    retry_after: Arc<Mutex<Option<Duration>>>,
}

impl Caller {
    pub(crate) fn new(resolver: Resolver, connector: &Connector) -> Self {
        Self {
            resolver,
            connector: postrider_tls::offering(connector, &["http/1.1"]),
            retry_after: Arc::default(),
        }
    }

    /// What the last refusal said of when to come back. It is forgotten then.
    pub(crate) fn take_retry_after(&self) -> Option<Duration> {
        self.retry_after.lock().take()
    }

    async fn call(&self, request: Request<Bytes>) -> Result<Response<Bytes>, AcmeError> {
        let address = request.uri().to_string();
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
        self.look(&host, answer)
    }

    async fn connect(&self, host: &str, port: u16) -> Result<ClientStream, AcmeError> {
        let addresses = match host.parse::<IpAddr>() {
            Ok(address) => vec![address],
            Err(_) => self.resolver.addresses(host).await.map_err(|source| {
                let host = host.to_owned();
                AcmeError::Unresolved { host, source }
            })?,
        };
        let late = || std::io::Error::from(std::io::ErrorKind::TimedOut);
        let mut last = late();
        for address in addresses {
            let dialled = TcpStream::connect(SocketAddr::new(address, port));
            match timeout(CONNECT, dialled)
                .await
                .unwrap_or_else(|_| Err(late()))
            {
                Ok(tcp) => return self.encrypt(host, tcp).await,
                Err(fault) => last = fault,
            }
        }
        Err(AcmeError::Unreachable {
            host: host.to_owned(),
            source: last,
        })
    }

    async fn encrypt(&self, host: &str, tcp: TcpStream) -> Result<ClientStream, AcmeError> {
        let shaken = timeout(CONNECT, postrider_tls::connect(&self.connector, host, tcp)).await;
        let late = || Err(std::io::ErrorKind::TimedOut.into());
        shaken.unwrap_or_else(|_| late()).map_err(|source| {
            let host = host.to_owned();
            AcmeError::NoTls { host, source }
        })
    }

    // Who is no authority, or a proxy before one, does not answer with problem documents.
    fn look(&self, host: &str, answer: Response<Bytes>) -> Result<Response<Bytes>, AcmeError> {
        let status = answer.status();
        if !status.is_client_error() && !status.is_server_error() {
            return Ok(answer);
        }
        *self.retry_after.lock() = retry_after(&answer);
        let kind = answer.headers().get(header::CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if kind.starts_with("application/problem+json") {
            return Ok(answer);
        }
        Err(AcmeError::NotAcme {
            host: host.to_owned(),
            status: status.as_u16(),
        })
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
            let answer = answer.map_err(|fault| instant_acme::Error::Other(Box::new(fault)))?;
            Ok(BytesResponse::from(answer.map(Full::new)))
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
            ("-1", None),
            ("Fri, 31 Dec 1999 23:59:59 GMT", None),
        ] {
            let answer = Response::builder().header("retry-after", value);
            let got = retry_after(&answer.body(Bytes::new()).unwrap());
            assert_eq!(got.map(|span| span.as_secs()), want, "{value}");
        }
    }
}
