//! One TXT question to a DNS server, over UDP and, where the answer does not fit, over TCP: what
//! a receiver of mail asks to verify a signature.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use hickory_server::proto::ProtoError;
use hickory_server::proto::op::{Message, Query};
use hickory_server::proto::rr::{Name, RData, RecordType};
use hickory_server::proto::serialize::binary::DecodeError;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

/// For each of the two ways. The server is in this process.
const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    #[error("the question cannot be written")]
    Question(#[from] ProtoError),
    #[error("the answer cannot be read")]
    Answer(#[from] DecodeError),
    #[error("the server cannot be reached")]
    Network(#[from] io::Error),
    #[error("the server does not answer")]
    Silent(#[from] tokio::time::error::Elapsed),
}

/// The TXT records at this name, each with its strings joined; empty where there are none.
pub(crate) async fn ask_txt(server: SocketAddr, name: &str) -> Result<Vec<String>, AskError> {
    let name = Name::from_ascii(format!("{}.", name.trim_end_matches('.')))?;
    let mut question = Message::query();
    question.metadata.recursion_desired = true;
    question.add_query(Query::query(name, RecordType::TXT));
    let bytes = question.to_vec()?;
    let mut answer = timeout(PATIENCE, over_udp(server, &bytes)).await??;
    if answer.metadata.truncation {
        answer = timeout(PATIENCE, over_tcp(server, &bytes)).await??;
    }
    Ok(answer
        .answers
        .iter()
        .filter_map(|record| text(&record.data))
        .collect())
}

fn text(data: &RData) -> Option<String> {
    let RData::TXT(txt) = data else {
        return None;
    };
    let bytes = txt.txt_data.concat();
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

async fn over_udp(server: SocketAddr, question: &[u8]) -> Result<Message, AskError> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    socket.connect(server).await?;
    socket.send(question).await?;
    let mut buffer = vec![0; 4_096];
    let length = socket.recv(&mut buffer).await?;
    Ok(Message::from_vec(buffer.get(..length).unwrap_or_default())?)
}

// RFC 7766 §8: two octets of length before each message.
async fn over_tcp(server: SocketAddr, question: &[u8]) -> Result<Message, AskError> {
    let mut tcp = TcpStream::connect(server).await?;
    let length = u16::try_from(question.len()).map_err(io::Error::other)?;
    let mut framed = length.to_be_bytes().to_vec();
    framed.extend_from_slice(question);
    tcp.write_all(&framed).await?;
    let mut answer = vec![0; tcp.read_u16().await?.into()];
    tcp.read_exact(&mut answer).await?;
    Ok(Message::from_vec(&answer)?)
}
