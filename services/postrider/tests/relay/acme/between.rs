//! A man in the middle: he hands on to the authority what he is asked, but requests for a certificate
//! with an RSA key, which he refuses in its place until he relents.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use postrider_tls::{Acceptor, Connector, trusting};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::authority::Authority;

const PORT: u16 = 14_002;
const REFUSAL: &str =
    r#"{"type":"urn:ietf:params:acme:error:badCSR","detail":"no such keys here"}"#;

/// A request with such a key has so many bytes at least; one with an ECDSA key has half of them.
const RSA_LEAST: usize = 600;

/// Stands there until it is dropped.
pub(super) struct Between {
    host: Ipv4Addr,
    middle: Arc<Middle>,
    _serving: JoinSet<()>,
}

struct Middle {
    acceptor: Acceptor,
    authority: SocketAddr,
    connector: Connector,
    relents: AtomicBool,
}

impl Between {
    /// Before this authority, with its name and key.
    pub(super) async fn start(authority: &Authority) -> Self {
        let own = std::fs::read(&authority.root).unwrap();
        let key = std::fs::read(authority.root.with_file_name("authority-key.pem")).unwrap();
        let host = authority.host;
        let middle = Arc::new(Middle {
            acceptor: Acceptor::from_pem(&own, &key).unwrap(),
            authority: authority.address(),
            connector: trusting(&own).unwrap(),
            relents: AtomicBool::new(false),
        });
        let listener = TcpListener::bind((host, PORT)).await.unwrap();
        let (mut serving, one) = (JoinSet::new(), Arc::clone(&middle));
        serving.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let middle = Arc::clone(&one);
                open.spawn(async move { middle.hand_on(stream).await });
            }
        });
        Self {
            host,
            middle,
            _serving: serving,
        }
    }

    /// Hands on everything from now on.
    pub(super) fn relent(&self) {
        self.middle.relents.store(true, Ordering::Relaxed);
    }

    pub(super) fn directory(&self) -> String {
        format!("https://{}:{PORT}/dir", self.host)
    }
}

impl Middle {
    /// None where one of both hung up.
    async fn hand_on(&self, stream: TcpStream) -> Option<()> {
        let mut client = self.acceptor.accept(stream).await.ok()?;
        let request = request(&mut client).await?;
        if is_for_rsa(&request) && !self.relents.load(Ordering::Relaxed) {
            let length = REFUSAL.len();
            let answer = format!(
                "HTTP/1.1 400 No\r\nContent-Type: application/problem+json\r\nContent-Length: {length}\r\n\r\n{REFUSAL}"
            );
            client.write_all(answer.as_bytes()).await.ok()?;
            return client.shutdown().await.ok();
        }
        let tcp = TcpStream::connect(self.authority).await.ok()?;
        let host = self.authority.ip().to_string();
        let asked = postrider_tls::connect(&self.connector, &host, tcp).await;
        let mut asked = asked.ok()?;
        asked.write_all(&request).await.ok()?;
        copy_bidirectional(&mut client, &mut asked)
            .await
            .ok()
            .map(drop)
    }
}

/// RFC 8555 §7.4: the payload of the request that finalizes an order.
fn is_for_rsa(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let body = text.split_once("\r\n\r\n").unwrap().1;
    if !text.starts_with("POST /finalize-order/") {
        return false;
    }
    let inner = |json: &[u8], name: &str| {
        let json: Value = serde_json::from_slice(json).unwrap();
        let encoded = json[name].as_str().unwrap();
        BASE64_URL_SAFE_NO_PAD.decode(encoded).unwrap()
    };
    inner(&inner(body.as_bytes(), "payload"), "csr").len() >= RSA_LEAST
}

/// Header and body of one request.
async fn request(client: &mut (impl AsyncReadExt + Unpin)) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    loop {
        if client.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
        let text = String::from_utf8_lossy(&bytes);
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let head = head.to_ascii_lowercase();
        let length = head.split_once("content-length: ").map_or("0", |one| one.1);
        let length = length.split("\r\n").next()?.parse().ok()?;
        if body.len() >= length {
            return Some(bytes);
        }
    }
}
