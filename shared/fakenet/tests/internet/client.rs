//! A raw client: SMTP by lines, DNS by messages.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use hickory_server::proto::op::{Message, MessageType, OpCode, Query};
use hickory_server::proto::rr::{Name, RData, RecordType};
use postrider_fakenet::{Exchanger, FakeInternet, Options};
use postrider_tls::ClientStream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

/// Longer than anything here takes, so that a fault ends a test.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) async fn start() -> FakeInternet {
    FakeInternet::start(Options::default()).await.unwrap()
}

pub(crate) enum Client {
    Plain(TcpStream, Vec<u8>),
    Secure(Box<ClientStream>, Vec<u8>),
}

impl Client {
    /// Connected, nothing read.
    pub(crate) async fn dial(address: SocketAddr) -> Self {
        let tcp = TcpStream::connect(address).await.unwrap();
        Self::Plain(tcp, Vec::new())
    }

    /// Connected, greeted, EHLO said.
    pub(crate) async fn greet(exchanger: &Exchanger) -> Self {
        let mut client = Self::dial(exchanger.address()).await;
        assert!(client.reply().await.starts_with("220 "));
        assert!(client.say("EHLO client.example").await.starts_with("250"));
        client
    }

    /// One read; 0 at the end, an error where the connection was reset.
    pub(crate) async fn read(&mut self) -> std::io::Result<usize> {
        let read = async {
            match self {
                Self::Plain(tcp, heard) => tcp.read_buf(heard).await,
                Self::Secure(tls, heard) => tls.read_buf(heard).await,
            }
        };
        timeout(PATIENCE, read).await.expect("nothing came")
    }

    pub(crate) fn heard(&mut self) -> &mut Vec<u8> {
        match self {
            Self::Plain(_, heard) | Self::Secure(_, heard) => heard,
        }
    }

    /// The next reply, all its lines, without the last line end.
    pub(crate) async fn reply(&mut self) -> String {
        loop {
            if let Some(reply) = take_reply(self.heard()) {
                return reply;
            }
            assert!(self.read().await.unwrap() > 0, "the connection is over");
        }
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        match self {
            Self::Plain(tcp, _) => tcp.write_all(bytes).await.unwrap(),
            Self::Secure(tls, _) => {
                tls.write_all(bytes).await.unwrap();
                tls.flush().await.unwrap();
            }
        }
    }

    pub(crate) async fn say(&mut self, line: &str) -> String {
        self.send(format!("{line}\r\n").as_bytes()).await;
        self.reply().await
    }

    /// A whole transaction; the reply to RCPT, or where that was a yes, to the final dot.
    pub(crate) async fn mail(&mut self, from: &str, to: &str) -> String {
        let begun = self.say(&format!("MAIL FROM:<{from}>")).await;
        assert_eq!(begun, "250 2.1.0 ok");
        let rcpt = self.say(&format!("RCPT TO:<{to}>")).await;
        if !rcpt.starts_with('2') {
            assert!(self.say("RSET").await.starts_with("250"));
            return rcpt;
        }
        assert!(self.say("DATA").await.starts_with("354"));
        self.say("Subject: hello\r\n\r\n..dot\r\nbody\r\n.").await
    }

    /// True where the other side ends the connection in good order.
    pub(crate) async fn is_closed(&mut self) -> bool {
        matches!(self.read().await, Ok(0))
    }

    pub(crate) async fn starttls(mut self, ca_pem: &str, name: &str) -> std::io::Result<Self> {
        assert!(self.say("STARTTLS").await.starts_with("220"));
        let Self::Plain(tcp, _) = self else {
            panic!("TLS twice");
        };
        let connector = postrider_tls::trusting(ca_pem.as_bytes()).unwrap();
        let tls = timeout(PATIENCE, postrider_tls::connect(&connector, name, tcp)).await;
        let tls = tls.expect("no handshake")?;
        Ok(Self::Secure(Box::new(tls), Vec::new()))
    }
}

fn take_reply(heard: &mut Vec<u8>) -> Option<String> {
    let mut end = 0;
    loop {
        let line = heard[end..].split_inclusive(|&b| b == b'\n').next()?;
        if !line.ends_with(b"\r\n") {
            return None;
        }
        end += line.len();
        if line.get(3) != Some(&b'-') {
            let reply: Vec<u8> = heard.drain(..end).collect();
            let reply = String::from_utf8_lossy(&reply).into_owned();
            return Some(reply.trim_end().to_owned());
        }
    }
}

/// One question over UDP; `None` where no message comes within a second.
pub(crate) async fn ask(net: &FakeInternet, name: &str, kind: RecordType) -> Option<Message> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let sent = socket.send_to(&question(name, kind), net.dns_addr()).await;
    sent.unwrap();
    let mut buffer = vec![0; 65_535];
    let come = timeout(Duration::from_secs(1), socket.recv(&mut buffer)).await;
    let length = come.ok()?.unwrap();
    Message::from_vec(&buffer[..length]).ok()
}

/// One question over TCP.
pub(crate) async fn ask_tcp(net: &FakeInternet, name: &str, kind: RecordType) -> Message {
    let mut tcp = TcpStream::connect(net.dns_addr()).await.unwrap();
    let question = question(name, kind);
    tcp.write_u16(question.len().try_into().unwrap())
        .await
        .unwrap();
    tcp.write_all(&question).await.unwrap();
    let length = timeout(PATIENCE, tcp.read_u16()).await.unwrap().unwrap();
    let mut answer = vec![0; length.into()];
    tcp.read_exact(&mut answer).await.unwrap();
    Message::from_vec(&answer).unwrap()
}

pub(crate) const ID: u16 = 4_711;

fn question(name: &str, kind: RecordType) -> Vec<u8> {
    let mut message = Message::new(ID, MessageType::Query, OpCode::Query);
    let name = Name::from_ascii(name).unwrap();
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(name, kind));
    message.to_vec().unwrap()
}

/// The answers, `MX 10 mx.example.org.`, in their order.
pub(crate) fn records(message: &Message) -> Vec<String> {
    let print = |data: &RData| match data {
        RData::A(ip) => format!("A {ip}"),
        RData::AAAA(ip) => format!("AAAA {ip}"),
        RData::MX(mx) => format!("MX {} {}", mx.preference, mx.exchange),
        RData::CNAME(target) => format!("CNAME {}", target.0),
        RData::TXT(txt) => {
            let strings = txt.txt_data.iter().map(|s| String::from_utf8_lossy(s));
            format!("TXT {}", strings.collect::<Vec<_>>().join("|"))
        }
        other => format!("{other:?}"),
    };
    message
        .answers
        .iter()
        .map(|record| print(&record.data))
        .collect()
}
