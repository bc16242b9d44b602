//! What stands between an SDK and the relay: TLS at both ends, HTTP/1.1, one connection to the relay
//! for each request. All bytes pass as they came, and are kept.

use std::io::{Error, ErrorKind, Result};
use std::net::Ipv4Addr;

use postrider_http::oracle::Exchange;
use postrider_tls::Acceptor;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;

use crate::harness::{Door, Place};

/// Ends with this value.
pub(crate) struct Proxy {
    /// `https://localhost:` and a port.
    pub(crate) url: String,
    seen: UnboundedReceiver<Result<Exchange>>,
    _task: JoinSet<()>,
}

/// What each connection needs.
#[derive(Clone)]
struct Way {
    acceptor: Acceptor,
    relay: Door,
    seen: UnboundedSender<Result<Exchange>>,
}

impl Proxy {
    /// One before this relay, with the relay's own certificate.
    pub(crate) async fn before(place: &Place) -> Self {
        let file = |name| place.folder.join(name);
        let acceptor = Acceptor::from_pem_files(&file("https.pem"), &file("https-key.pem"));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let url = format!(
            "https://localhost:{}",
            listener.local_addr().unwrap().port()
        );
        let (tell, seen) = unbounded_channel();
        let way = Way {
            acceptor: acceptor.unwrap().with_alpn(&["http/1.1"]),
            relay: place.http.clone(),
            seen: tell,
        };
        let mut task = JoinSet::new();
        task.spawn(listen(listener, way));
        Self {
            url,
            seen,
            _task: task,
        }
    }

    /// All that passed since this was asked last, in the order of the answers.
    pub(crate) fn passed(&mut self) -> Vec<Exchange> {
        let mut all = Vec::new();
        while let Ok(one) = self.seen.try_recv() {
            all.push(one.unwrap());
        }
        all
    }
}

async fn listen(listener: TcpListener, way: Way) {
    let mut connections = JoinSet::new();
    loop {
        let (tcp, _) = listener.accept().await.unwrap();
        let way = way.clone();
        connections.spawn(async move {
            if let Err(fault) = pass(&way, tcp).await {
                // Nobody listens any more where the test has ended.
                let _told = way.seen.send(Err(fault));
            }
        });
    }
}

async fn pass(way: &Way, tcp: TcpStream) -> Result<()> {
    // Who does not trust the certificate says so in the story.
    let Ok(mut client) = way.acceptor.accept(tcp).await else {
        return Ok(());
    };
    while let Some(request) = message(&mut client).await? {
        let mut relay = way.relay.connect().await;
        relay.write_all(&request).await?;
        relay.flush().await?;
        let answer = message(&mut relay).await?;
        let answer = answer.ok_or_else(|| bad("the relay gave no answer"))?;
        let exchange = Exchange::of_text(&request, &answer).ok_or_else(|| bad("not HTTP"))?;
        let closes = exchange
            .answer_headers
            .get("connection")
            .is_some_and(|word| word == "close");
        let _told = way.seen.send(Ok(exchange));
        client.write_all(&answer).await?;
        client.flush().await?;
        if closes {
            return client.shutdown().await;
        }
    }
    Ok(())
}

// One message with its body; `None` where the connection ends before one begins.
async fn message(stream: &mut (impl AsyncRead + Unpin)) -> Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        match stream.read_buf(&mut bytes).await {
            Ok(0) | Err(_) if bytes.is_empty() => return Ok(None),
            Ok(0) => return Err(bad("a head without an end")),
            read => read?,
        };
    };
    let whole = head + length(&bytes[..head])?;
    bytes.reserve(whole.saturating_sub(bytes.len()));
    while bytes.len() < whole {
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(bad("a body without an end"));
        }
    }
    if bytes.len() > whole {
        return Err(bad("more than one message at once"));
    }
    Ok(Some(bytes))
}

// RFC 9112 §6.3. None of these SDKs sends chunks, nor does the relay.
fn length(head: &[u8]) -> Result<usize> {
    let head = std::str::from_utf8(head).map_err(|_| bad("a head that is no text"))?;
    let mut fields = head.lines().filter_map(|line| line.split_once(':'));
    if fields
        .clone()
        .any(|(name, _)| name.eq_ignore_ascii_case("transfer-encoding"))
    {
        return Err(bad("chunks"));
    }
    let given = fields.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    given.map_or(Ok(0), |(_, value)| {
        value
            .trim()
            .parse()
            .map_err(|_| bad("a length that is none"))
    })
}

fn bad(what: &str) -> Error {
    Error::new(ErrorKind::InvalidData, what)
}
