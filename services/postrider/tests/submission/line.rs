//! A client that says what it is told, in plain text and in TLS.

use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use postrider_tls::{connect, opportunistic};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::harness::client::Stream;

/// Longer than any answer takes, on a machine that does much else.
const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) struct Line {
    stream: Box<dyn Stream>,
    heard: Vec<u8>,
}

impl Line {
    /// Connected, and nothing said or heard.
    pub(crate) async fn open(address: SocketAddr) -> TcpStream {
        let tcp = TcpStream::connect(address).await.unwrap();
        tcp.set_nodelay(true).unwrap();
        tcp
    }

    fn over(stream: Box<dyn Stream>) -> Self {
        let heard = Vec::new();
        Self { stream, heard }
    }

    /// Greeted, without TLS.
    pub(crate) async fn plain(address: SocketAddr) -> Self {
        Self::over(Box::new(Self::open(address).await))
            .greeted()
            .await
    }

    /// Greeted, under TLS from the first byte.
    pub(crate) async fn implicit(address: SocketAddr) -> Self {
        // A machine that does much else may be slower than the port waits for it.
        for _ in 0..10 {
            let tcp = Self::open(address).await;
            if let Some(line) = Self::try_secured(tcp).await {
                return line.greeted().await;
            }
        }
        panic!("no TLS from the first byte at {address}");
    }

    /// Under TLS by STARTTLS, and introduced again.
    pub(crate) async fn starttls(address: SocketAddr, hello: &str) -> Self {
        let mut line = Self::secured(Self::before_tls(address, hello).await).await;
        let offered = line.say(&format!("EHLO {hello}")).await;
        assert!(offered.contains("AUTH PLAIN LOGIN"), "{offered}");
        line
    }

    /// The connection at the moment of the handshake.
    pub(crate) async fn before_tls(address: SocketAddr, hello: &str) -> TcpStream {
        let mut tcp = Self::open(address).await;
        for (say, code) in [
            (String::new(), "220 "),
            (format!("EHLO {hello}\r\n"), "250 "),
            ("STARTTLS\r\n".to_owned(), "220 "),
        ] {
            tcp.write_all(say.as_bytes()).await.unwrap();
            let mut heard = Vec::new();
            // What comes ends with the last line of one reply.
            while !is_whole(&heard) {
                let read = timeout(PATIENCE, tcp.read_buf(&mut heard)).await;
                assert_ne!(read.unwrap().unwrap(), 0, "closed after {say:?}");
            }
            let last = String::from_utf8(heard).unwrap();
            let last = last.trim_end().lines().next_back().unwrap().to_owned();
            assert!(last.starts_with(code), "{say:?}: {last}");
        }
        tcp
    }

    async fn secured(tcp: TcpStream) -> Self {
        Self::try_secured(tcp).await.unwrap()
    }

    async fn try_secured(tcp: TcpStream) -> Option<Self> {
        let stream = timeout(PATIENCE, connect(&opportunistic(), "relay.test", tcp)).await;
        Some(Self::over(Box::new(stream.unwrap().ok()?)))
    }

    async fn greeted(mut self) -> Self {
        let greeting = self.reply().await;
        assert!(greeting.starts_with("220 relay.test ESMTP"), "{greeting}");
        self
    }

    /// Signs in as most old programs do; it has to be taken.
    pub(crate) async fn login(&mut self, user: &str, password: &str) {
        assert_eq!(self.say("AUTH LOGIN").await, "334 VXNlcm5hbWU6");
        assert_eq!(self.say(&pack(user)).await, "334 UGFzc3dvcmQ6");
        let reply = self.say(&pack(password)).await;
        assert!(reply.starts_with("235 "), "{reply}");
    }

    /// The same, which may be refused; the reply to it.
    pub(crate) async fn try_login(&mut self, user: &str, password: &str) -> String {
        self.say("AUTH LOGIN").await;
        self.say(&pack(user)).await;
        self.say(&pack(password)).await
    }

    /// A whole transaction; the reply to its end, or the first refusal.
    pub(crate) async fn mail(&mut self, from: &str, to: &[&str], message: &[u8]) -> String {
        let mut said = vec![format!("MAIL FROM:<{from}>")];
        said.extend(to.iter().map(|one| format!("RCPT TO:<{one}>")));
        said.push("DATA".to_owned());
        for line in said {
            let reply = self.say(&line).await;
            if reply.starts_with(['4', '5']) {
                return reply;
            }
        }
        self.content(message).await
    }

    /// Content with its dots stuffed, to its end; the reply to that.
    pub(crate) async fn content(&mut self, message: &[u8]) -> String {
        let mut stuffed = Vec::with_capacity(message.len() + 64);
        for line in message.split_inclusive(|byte| *byte == b'\n') {
            if line.starts_with(b".") {
                stuffed.push(b'.');
            }
            stuffed.extend_from_slice(line);
        }
        stuffed.extend_from_slice(b".\r\n");
        self.send(&stuffed).await;
        self.reply().await
    }

    /// Says one line and reads the reply to it.
    pub(crate) async fn say(&mut self, text: &str) -> String {
        self.send(format!("{text}\r\n").as_bytes()).await;
        self.reply().await
    }

    /// Writes bytes as they are. Who has hung up does not hear them.
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        let write = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        drop(timeout(PATIENCE, write).await.unwrap());
    }

    /// One whole reply in one line, its lines joined by « / »; empty at the end of the connection.
    pub(crate) async fn reply(&mut self) -> String {
        loop {
            if let Some(end) = whole(&self.heard) {
                let reply: Vec<u8> = self.heard.drain(..end).collect();
                return flat(&String::from_utf8(reply).unwrap());
            }
            let read = timeout(PATIENCE, self.stream.read_buf(&mut self.heard)).await;
            if !matches!(read.expect("no answer and no end"), Ok(1..)) {
                assert_eq!(self.heard, b"", "half a reply");
                return String::new();
            }
        }
    }
}

// `250-a`, `250 b` as `250 a / 250 b`.
fn flat(reply: &str) -> String {
    let lines = reply.trim_end().split("\r\n");
    let lines = lines.map(|line| format!("{} {}", &line[..3], &line[4..]));
    lines.collect::<Vec<_>>().join(" / ")
}

fn is_whole(heard: &[u8]) -> bool {
    whole(heard) == Some(heard.len())
}

// Where the first reply ends: behind the line whose code is followed by no hyphen.
pub(crate) fn whole(heard: &[u8]) -> Option<usize> {
    let mut end = 0;
    for line in heard.split_inclusive(|byte| *byte == b'\n') {
        end += line.len();
        if !line.ends_with(b"\r\n") {
            return None;
        }
        if line.get(3) != Some(&b'-') {
            return Some(end);
        }
    }
    None
}

pub(crate) fn pack(text: &str) -> String {
    BASE64_STANDARD.encode(text)
}

/// The id in `250 2.0.0 queued as … (7F3K-Q2)`.
#[track_caller]
pub(crate) fn id_of(reply: &str) -> String {
    let id = reply.strip_prefix("250 2.0.0 queued as ");
    let id = id.unwrap_or_else(|| panic!("not queued: {reply}"));
    id.split([' ', ',', ';']).next().unwrap().to_owned()
}

/// The session's code in `… (7F3K-Q2)`.
#[track_caller]
pub(crate) fn code_of(reply: &str) -> &str {
    let code = reply.rsplit_once('(').map(|(_, code)| code);
    code.and_then(|code| code.strip_suffix(')'))
        .unwrap_or_else(|| panic!("no session code: {reply}"))
}
