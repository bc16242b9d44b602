//! A name server of the test's own making: packets built by hand (RFC 1035 §4), so that it can
//! say what a real one never would.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};
use tokio::task::JoinSet;

pub(crate) const A: u16 = 1;
pub(crate) const NS: u16 = 2;
pub(crate) const CNAME: u16 = 5;
pub(crate) const SOA: u16 = 6;
pub(crate) const MX: u16 = 15;
pub(crate) const TXT: u16 = 16;
pub(crate) const AAAA: u16 = 28;

/// What the server does with a question.
#[derive(Clone, Debug)]
pub(crate) enum Script {
    Answer {
        code: u8,
        answers: Vec<Record>,
        authorities: Vec<Record>,
    },
    /// UDP says «truncated», TCP gives the answer.
    OnlyByTcp(Vec<Record>),
    /// UDP and TCP both say «truncated».
    CutOff,
    Garbage,
    Silence,
}

#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) name: String,
    pub(crate) kind: u16,
    pub(crate) ttl: u32,
    pub(crate) data: Vec<u8>,
}

pub(crate) fn record(name: &str, kind: u16, data: Vec<u8>) -> Record {
    Record {
        name: name.to_owned(),
        kind,
        ttl: 300,
        data,
    }
}

pub(crate) fn answers(answers: Vec<Record>) -> Script {
    Script::Answer {
        code: 0,
        answers,
        authorities: Vec::new(),
    }
}

pub(crate) fn code(code: u8) -> Script {
    Script::Answer {
        code,
        answers: Vec::new(),
        authorities: Vec::new(),
    }
}

pub(crate) fn mx(preference: u16, host: &str) -> Vec<u8> {
    [preference.to_be_bytes().to_vec(), wire_name(host)].concat()
}

pub(crate) fn ip(address: &str) -> Vec<u8> {
    match address.parse().unwrap() {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}

pub(crate) fn soa(zone: &str, minimum: u32) -> Record {
    let numbers = [1, 3_600, 600, 86_400, minimum].map(u32::to_be_bytes);
    let data = [wire_name("ns.test"), wire_name("x.test"), numbers.concat()].concat();
    record(zone, SOA, data)
}

/// A name in wire form; the empty text is the root.
pub(crate) fn wire_name(name: &str) -> Vec<u8> {
    let mut wire = Vec::new();
    for label in name.split('.').filter(|label| !label.is_empty()) {
        wire.push(u8::try_from(label.len()).unwrap());
        wire.extend_from_slice(label.as_bytes());
    }
    wire.push(0);
    wire
}

type Zone = Arc<Mutex<HashMap<(String, u16), Script>>>;
type Asked = Arc<Mutex<Vec<(String, u16)>>>;

/// A running server; it ends with this value.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    zone: Zone,
    asked: Asked,
    _tasks: JoinSet<()>,
}

impl Server {
    pub(crate) async fn start() -> Self {
        // UDP and TCP need the same number; another socket may hold one of them.
        let (udp, tcp) = loop {
            let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()).await {
                break (udp, tcp);
            }
        };
        let address = udp.local_addr().unwrap();
        let (zone, asked) = (Zone::default(), Asked::default());
        let mut tasks = JoinSet::new();
        tasks.spawn(by_udp(udp, Arc::clone(&zone), Arc::clone(&asked)));
        tasks.spawn(by_tcp(tcp, Arc::clone(&zone), Arc::clone(&asked)));
        Self {
            address,
            zone,
            asked,
            _tasks: tasks,
        }
    }

    /// What is said to this question from here on. Others get NOERROR with nothing and an SOA.
    pub(crate) fn set(&self, name: &str, kind: u16, script: Script) {
        self.zone.lock().insert((name.to_owned(), kind), script);
    }

    /// How often this was asked, UDP and TCP together.
    pub(crate) fn asked(&self, name: &str, kind: u16) -> usize {
        let asked = self.asked.lock();
        asked
            .iter()
            .filter(|q| *q == &(name.to_owned(), kind))
            .count()
    }
}

async fn by_udp(socket: UdpSocket, zone: Zone, asked: Asked) {
    let mut buffer = [0; 4_096];
    loop {
        let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
        if let Some(reply) = reply(&buffer[..length], &zone, &asked, false) {
            socket.send_to(&reply, from).await.unwrap();
        }
    }
}

async fn by_tcp(listener: TcpListener, zone: Zone, asked: Asked) {
    let mut connections = JoinSet::new();
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        let (zone, asked) = (Arc::clone(&zone), Arc::clone(&asked));
        connections.spawn(async move {
            while let Ok(length) = stream.read_u16().await {
                let mut query = vec![0; length.into()];
                stream.read_exact(&mut query).await.unwrap();
                if let Some(reply) = reply(&query, &zone, &asked, true) {
                    let length = u16::try_from(reply.len()).unwrap();
                    let framed = [length.to_be_bytes().to_vec(), reply].concat();
                    stream.write_all(&framed).await.unwrap();
                }
            }
        });
    }
}

fn reply(query: &[u8], zone: &Zone, asked: &Asked, tcp: bool) -> Option<Vec<u8>> {
    let end = 12 + query[12..].iter().position(|b| *b == 0).unwrap() + 1;
    let kind = u16::from_be_bytes([query[end], query[end + 1]]);
    let name = spelled(&query[12..end]);
    let key = (name.clone(), kind);
    asked.lock().push(key.clone());
    let nothing = Script::Answer {
        code: 0,
        answers: Vec::new(),
        authorities: vec![soa("test", 60)],
    };
    let script = zone.lock().get(&key).cloned().unwrap_or(nothing);
    let (code, cut, answers, authorities) = match script {
        Script::Answer {
            code,
            answers,
            authorities,
        } => (code, false, answers, authorities),
        Script::OnlyByTcp(answers) if tcp => (0, false, answers, Vec::new()),
        Script::OnlyByTcp(_) | Script::CutOff => (0, true, Vec::new(), Vec::new()),
        Script::Garbage => return Some([&query[..2], &[0x81, 0x80, 0xff, 0xff, 0xff]].concat()),
        Script::Silence => return None,
    };
    let mut out = query[..2].to_vec();
    out.extend_from_slice(&[if cut { 0x83 } else { 0x81 }, 0x80 | code, 0, 1]);
    for count in [answers.len(), authorities.len(), 0] {
        out.extend_from_slice(&u16::try_from(count).unwrap().to_be_bytes());
    }
    out.extend_from_slice(&query[12..end + 4]);
    for record in answers.iter().chain(&authorities) {
        out.extend_from_slice(&wire_name(&record.name));
        out.extend_from_slice(&record.kind.to_be_bytes());
        out.extend_from_slice(&1_u16.to_be_bytes());
        out.extend_from_slice(&record.ttl.to_be_bytes());
        out.extend_from_slice(&u16::try_from(record.data.len()).unwrap().to_be_bytes());
        out.extend_from_slice(&record.data);
    }
    Some(out)
}

fn spelled(mut wire: &[u8]) -> String {
    let mut labels = Vec::new();
    while let Some((length, rest)) = wire.split_first().filter(|(length, _)| **length > 0) {
        let (label, rest) = rest.split_at((*length).into());
        labels.push(String::from_utf8_lossy(label).to_ascii_lowercase());
        wire = rest;
    }
    labels.join(".")
}
