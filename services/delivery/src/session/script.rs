//! An exchanger for tests that does exactly what its script says, over a real socket.

use std::net::SocketAddr;
use std::time::Duration;

use postrider_tls::{Acceptor, ServerStream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use super::{Peer, Timeouts};

/// One thing that the exchanger does.
pub(crate) enum Act {
    /// Writes this.
    Say(&'static str),
    /// Writes this.
    Send(Vec<u8>),
    /// Writes one byte of this each so often, until the client hangs up.
    Drip(&'static str, Duration),
    /// Writes this again and again until the client hangs up.
    Flood(String),
    /// Reads one line, which must begin so.
    Hear(&'static str),
    /// Reads a message with its final dot.
    Message,
    /// Reads this many bytes.
    Read(usize),
    /// Takes the TLS handshake.
    Secure(Acceptor),
    /// Reads nothing more until the test says so.
    Stall(oneshot::Receiver<()>),
    /// Reads until the client hangs up.
    Wait,
}

/// What an exchanger heard.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    pub(crate) lines: Vec<String>,
    /// With dots doubled and the final dot.
    pub(crate) messages: Vec<Vec<u8>>,
}

enum Line {
    Plain(TcpStream),
    Tls(Box<ServerStream>),
}

impl Line {
    async fn read(&mut self, chunk: &mut [u8]) -> usize {
        let read = match self {
            Self::Plain(stream) => stream.read(chunk).await,
            Self::Tls(stream) => stream.read(chunk).await,
        };
        read.unwrap_or(0)
    }

    /// False where the client has hung up.
    async fn write(&mut self, bytes: &[u8]) -> bool {
        match self {
            Self::Plain(stream) => stream.write_all(bytes).await.is_ok(),
            Self::Tls(stream) => {
                stream.write_all(bytes).await.is_ok() && stream.flush().await.is_ok()
            }
        }
    }
}

pub(crate) async fn listen() -> (TcpListener, Peer) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, peer(address))
}

pub(crate) fn peer(address: SocketAddr) -> Peer {
    let host = "mx.example.org".to_owned();
    Peer { host, address }
}

pub(crate) async fn dial(peer: &Peer) -> std::io::Result<TcpStream> {
    TcpStream::connect(peer.address).await
}

/// Times that no test waits out.
pub(crate) fn patient() -> Timeouts {
    Timeouts::default()
}

/// A certificate for the exchanger, made on the spot.
pub(crate) fn acceptor() -> Acceptor {
    let made = rcgen::generate_simple_self_signed(vec!["mx.example.org".to_owned()]).unwrap();
    let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    Acceptor::from_pem(certificate.as_bytes(), key.as_bytes()).unwrap()
}

/// Takes one connection and plays the script on it; closes it at the script's end.
pub(crate) async fn play(listener: &TcpListener, script: Vec<Act>) -> Heard {
    let (stream, _) = listener.accept().await.unwrap();
    perform(stream, script).await
}

/// Takes two connections, one after the other, and plays a script on each.
pub(crate) async fn play_both(listener: &TcpListener, first: Vec<Act>, second: Vec<Act>) {
    let (stream, _) = listener.accept().await.unwrap();
    tokio::join!(perform(stream, first), play(listener, second));
}

async fn perform(stream: TcpStream, script: Vec<Act>) -> Heard {
    stream.set_nodelay(true).unwrap();
    let mut line = Line::Plain(stream);
    let mut heard = Heard::default();
    for act in script {
        match act {
            Act::Say(text) => assert!(line.write(text.as_bytes()).await, "{text}"),
            Act::Send(bytes) => {
                let _hung_up = line.write(&bytes).await;
            }
            Act::Drip(text, every) => drip(&mut line, text, every).await,
            Act::Flood(text) => while line.write(text.as_bytes()).await {},
            Act::Hear(begin) => {
                let said = read_line(&mut line).await;
                assert!(said.starts_with(begin), "heard {said:?}, not {begin:?}");
                heard.lines.push(said);
            }
            Act::Message => heard.messages.push(read_message(&mut line).await),
            Act::Read(most) => {
                let mut left = most;
                while left > 0 {
                    let read = line.read(&mut vec![0; left]).await;
                    assert!(read > 0, "the client hung up");
                    left -= read;
                }
            }
            Act::Secure(acceptor) => {
                let Line::Plain(stream) = line else {
                    unreachable!()
                };
                let Ok(stream) = acceptor.accept(stream).await else {
                    return heard;
                };
                line = Line::Tls(Box::new(stream));
            }
            Act::Stall(over) => over.await.unwrap(),
            Act::Wait => while line.read(&mut [0; 4_096]).await > 0 {},
        }
    }
    heard
}

async fn drip(line: &mut Line, text: &str, every: Duration) {
    let mut tick = tokio::time::interval(every);
    for byte in text.bytes().cycle() {
        tick.tick().await;
        if !line.write(&[byte]).await {
            return;
        }
    }
}

async fn read_line(line: &mut Line) -> String {
    let mut said = Vec::new();
    while said.last() != Some(&b'\n') {
        let mut byte = [0];
        assert!(line.read(&mut byte).await > 0, "hung up after {said:?}");
        said.push(byte[0]);
    }
    assert!(said.ends_with(b"\r\n"), "{said:?}");
    String::from_utf8(said).unwrap().trim_end().to_owned()
}

async fn read_message(line: &mut Line) -> Vec<u8> {
    let mut message = Vec::new();
    while message != b".\r\n" && !message.ends_with(b"\r\n.\r\n") {
        let mut chunk = vec![0; 8_192];
        let read = line.read(&mut chunk).await;
        assert!(read > 0, "hung up in a message");
        message.extend_from_slice(&chunk[..read]);
    }
    message
}
