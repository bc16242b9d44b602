//! A client that can write anything, in plain text and in TLS.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use postrider_tls::{ClientStream, connect, opportunistic};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Longer than any answer takes, on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Line {
    pipe: Pipe,
    read: Vec<u8>,
}

enum Pipe {
    Plain(TcpStream),
    Tls(Box<ClientStream>),
}

impl Line {
    /// Connects and says nothing.
    pub(crate) async fn open(address: SocketAddr) -> Self {
        let tcp = TcpStream::connect(address).await.unwrap();
        tcp.set_nodelay(true).unwrap();
        Self {
            pipe: Pipe::Plain(tcp),
            read: Vec::new(),
        }
    }

    /// Greeted, without TLS.
    pub(crate) async fn plain(address: SocketAddr) -> Self {
        let mut line = Self::open(address).await;
        let greeting = line.reply().await;
        assert!(greeting.starts_with("220 "), "{greeting}");
        line
    }

    /// Greeted, under implicit TLS.
    pub(crate) async fn implicit(address: SocketAddr) -> Self {
        let mut line = Self::open(address).await.secure().await.unwrap();
        let greeting = line.reply().await;
        assert!(greeting.starts_with("220 "), "{greeting}");
        line
    }

    /// Under TLS by STARTTLS.
    pub(crate) async fn starttls(address: SocketAddr) -> Self {
        let mut line = Self::plain(address).await;
        let hello = line.say("EHLO vm").await;
        assert!(
            hello.contains("STARTTLS") && !hello.contains("AUTH"),
            "{hello}"
        );
        assert_eq!(line.say("STARTTLS").await, "220 2.0.0 Ready to start TLS");
        line.secure().await.unwrap()
    }

    /// The client's side of a handshake on what is there.
    pub(crate) async fn secure(self) -> io::Result<Self> {
        let Pipe::Plain(tcp) = self.pipe else {
            panic!("it is encrypted already");
        };
        assert_eq!(self.read, b"", "more came than was asked for");
        let stream = timeout(PATIENCE, connect(&opportunistic(), "relay.example", tcp)).await;
        Ok(Self {
            pipe: Pipe::Tls(Box::new(stream.unwrap()?)),
            read: Vec::new(),
        })
    }

    /// Says one line and reads the reply to it.
    pub(crate) async fn say(&mut self, text: &str) -> String {
        self.send(format!("{text}\r\n").as_bytes()).await;
        self.reply().await
    }

    /// Writes bytes as they are. Who has hung up does not hear them.
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        let written = timeout(PATIENCE, self.write(bytes)).await;
        drop(written.unwrap());
    }

    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.pipe {
            Pipe::Plain(stream) => stream.write_all(bytes).await,
            Pipe::Tls(stream) => {
                stream.write_all(bytes).await?;
                stream.flush().await
            }
        }
    }

    /// One whole reply, its lines joined by « / »; empty at the end of the line.
    pub(crate) async fn reply(&mut self) -> String {
        let mut lines: Vec<String> = Vec::new();
        loop {
            let Some(line) = self.next_line().await else {
                assert!(lines.is_empty(), "half a reply: {lines:?}");
                return String::new();
            };
            let is_last = line.as_bytes().get(3) != Some(&b'-');
            lines.push(line);
            if is_last {
                return lines.join(" / ");
            }
        }
    }

    /// All replies to the end of the line.
    pub(crate) async fn rest(&mut self) -> Vec<String> {
        let mut replies = Vec::new();
        loop {
            let reply = self.reply().await;
            if reply.is_empty() {
                return replies;
            }
            replies.push(reply);
        }
    }

    /// Reads bytes to the end of the line, whatever they are; their number.
    pub(crate) async fn drain(&mut self) -> usize {
        let mut count = 0;
        let mut piece = [0; 4_096];
        loop {
            match self.read_some(&mut piece).await {
                Ok(0) | Err(_) => return count,
                Ok(length) => count += length,
            }
        }
    }

    async fn read_some(&mut self, piece: &mut [u8]) -> io::Result<usize> {
        let read = match &mut self.pipe {
            Pipe::Plain(stream) => timeout(PATIENCE, stream.read(piece)).await,
            Pipe::Tls(stream) => timeout(PATIENCE, stream.read(piece)).await,
        };
        read.unwrap_or_else(|_| panic!("no answer and no end"))
    }

    async fn next_line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.read.windows(2).position(|pair| pair == b"\r\n") {
                let line: Vec<u8> = self.read.drain(..end + 2).collect();
                return Some(String::from_utf8(line[..end].to_vec()).unwrap());
            }
            let mut piece = [0; 4_096];
            match self.read_some(&mut piece).await {
                Ok(0) | Err(_) => return None,
                Ok(length) => self.read.extend_from_slice(&piece[..length]),
            }
        }
    }
}

/// The code of the session that a reply names last: `… (7F3K-Q2)`.
pub(crate) fn code_of(reply: &str) -> &str {
    let code = reply.rsplit_once('(').map(|(_, code)| code);
    code.and_then(|code| code.strip_suffix(')'))
        .unwrap_or_else(|| panic!("no session code: {reply}"))
}
