//! One SMTP session that is kept: transaction after transaction, its commands in one write (RFC 2920).
//! Without encryption to a peer that knows its clients by their address; under TLS and signed in to a
//! relay.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use postrider_model::{ApiToken, MessageId};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::time::timeout;

use super::content::in_base64;
use super::pipe::{self, Layer, Pipe};
use crate::relay::HOST;

/// As long as SMTP clients wait for a final dot's answer (RFC 5321 section 4.5.3.2.6), nearly.
const PATIENCE: Duration = Duration::from_mins(5);

type Stream = BufReader<Box<dyn Pipe>>;

/// A session, opened when it is first needed.
pub(super) struct Client {
    door: SocketAddr,
    /// As whom it signs in, under TLS.
    key: Option<ApiToken>,
    stream: Option<Stream>,
}

/// What was answered last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) code: u16,
    /// In `queued as <id>`.
    pub(super) id: Option<MessageId>,
}

impl Client {
    pub(super) fn new(door: SocketAddr, key: Option<ApiToken>) -> Self {
        let stream = None;
        Self { door, key, stream }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.stream.is_none()
    }

    /// Hands over a message with one recipient; its lines end with CRLF and none begins with a
    /// dot. The answer that decided.
    pub(super) async fn send(&mut self, to: &str, message: &str) -> io::Result<Reply> {
        let sent = timeout(PATIENCE, self.transaction(to, message)).await;
        let sent = sent.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        if !matches!(sent, Ok(Reply { code: 250, .. })) {
            self.stream = None;
        }
        sent
    }

    async fn transaction(&mut self, to: &str, message: &str) -> io::Result<Reply> {
        if self.stream.is_none() {
            self.stream = Some(open(self.door, self.key.as_ref()).await?);
        }
        let Some(stream) = &mut self.stream else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        let commands = format!("MAIL FROM:<bounce@bounce.{HOST}>\r\nRCPT TO:<{to}>\r\nDATA\r\n");
        stream.write_all(commands.as_bytes()).await?;
        stream.flush().await?;
        for want in [250, 250, 354] {
            let answered = reply(stream).await?;
            if answered.code != want {
                return Ok(answered);
            }
        }
        // As programs do: all of it in one write.
        let content = [message, ".\r\n"].concat();
        stream.write_all(content.as_bytes()).await?;
        stream.flush().await?;
        reply(stream).await
    }
}

async fn open(door: SocketAddr, key: Option<&ApiToken>) -> io::Result<Stream> {
    let mut commands = vec!["EHLO source.test".to_owned()];
    let layer = if let Some(key) = key {
        let given = in_base64(format!("\0source\0{}", key.expose()).as_bytes());
        commands.push(format!("AUTH PLAIN {given}"));
        Layer::Tls
    } else {
        Layer::Clear
    };
    let mut stream = BufReader::new(pipe::open(door, layer).await?);
    reply(&mut stream).await?;
    for command in commands {
        let line = format!("{command}\r\n");
        stream.write_all(line.as_bytes()).await?;
        stream.flush().await?;
        if reply(&mut stream).await?.code >= 400 {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
    }
    Ok(stream)
}

/// A reply by its last line.
async fn reply(stream: &mut Stream) -> io::Result<Reply> {
    let mut line = String::new();
    loop {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let code = line.get(..3).and_then(|code| code.parse().ok());
        match (code, line.as_bytes().get(3)) {
            (Some(_), Some(b'-')) => {}
            (Some(code), _) => {
                let id = line
                    .split(' ')
                    .find_map(|word| word.trim_end().parse().ok());
                return Ok(Reply { code, id });
            }
            (None, _) => return Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Ledger;
    use crate::sink::{Manners, Sink, exchanger, recipient};

    #[tokio::test]
    async fn two_messages_go_through_one_session() {
        let ledger = Ledger::open();
        let numbers = [ledger.posted(0, 0), ledger.posted(0, 0)];
        let manners = Manners {
            sites: 1,
            ..Manners::default()
        };
        let sink = Sink::start(manners, ledger.clone()).await.unwrap();
        let mut client = Client::new(exchanger(0, sink.port), None);
        for (number, head) in numbers
            .into_iter()
            .zip(["DKIM-Signature: v=1", "Subject: x"])
        {
            let message = format!("{head}\r\n\r\nDKIM-Signature: no field\r\n");
            let sent = client.send(&recipient(number, 1), &message).await.unwrap();
            assert_eq!((sent.code, client.is_closed()), (250, false));
        }
        assert_eq!(ledger.count(|_| true).arrived, 2);
        assert_eq!(ledger.unsigned(), 1);
    }
}
