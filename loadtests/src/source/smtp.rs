//! One SMTP session that is kept, for a peer that has no HTTP door: transaction after transaction,
//! its commands in one write where the server lets them be (RFC 2920).

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::relay::HOST;

/// As long as SMTP clients wait for a final dot's answer (RFC 5321 section 4.5.3.2.6), nearly.
const PATIENCE: Duration = Duration::from_mins(5);

/// A session, opened when it is first needed.
pub(super) struct Client {
    door: SocketAddr,
    stream: Option<BufReader<TcpStream>>,
}

impl Client {
    pub(super) fn new(door: SocketAddr) -> Self {
        Self { door, stream: None }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.stream.is_none()
    }

    /// Hands over a message with one recipient; its lines end with CRLF and none begins with a
    /// dot. The code of the answer that decided.
    pub(super) async fn send(&mut self, to: &str, message: &str) -> io::Result<u16> {
        let sent = timeout(PATIENCE, self.transaction(to, message)).await;
        let sent = sent.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        if !matches!(sent, Ok(250)) {
            self.stream = None;
        }
        sent
    }

    async fn transaction(&mut self, to: &str, message: &str) -> io::Result<u16> {
        if self.stream.is_none() {
            let stream = TcpStream::connect(self.door).await?;
            stream.set_nodelay(true)?;
            let mut stream = BufReader::new(stream);
            reply(&mut stream).await?;
            stream.write_all(b"EHLO source.test\r\n").await?;
            reply(&mut stream).await?;
            self.stream = Some(stream);
        }
        let Some(stream) = &mut self.stream else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        let commands = format!("MAIL FROM:<bounce@bounce.{HOST}>\r\nRCPT TO:<{to}>\r\nDATA\r\n");
        stream.write_all(commands.as_bytes()).await?;
        for want in [250, 250, 354] {
            let code = reply(stream).await?;
            if code != want {
                return Ok(code);
            }
        }
        stream.write_all(message.as_bytes()).await?;
        stream.write_all(b".\r\n").await?;
        reply(stream).await
    }
}

/// A reply's code, whatever its lines say.
async fn reply(stream: &mut BufReader<TcpStream>) -> io::Result<u16> {
    let mut line = String::new();
    loop {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let code = line.get(..3).and_then(|code| code.parse().ok());
        match (code, line.as_bytes().get(3)) {
            (Some(_), Some(b'-')) => {}
            (Some(code), _) => return Ok(code),
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
        let mut client = Client::new(exchanger(0, sink.port));
        for (number, head) in numbers
            .into_iter()
            .zip(["DKIM-Signature: v=1", "Subject: x"])
        {
            let message = format!("{head}\r\n\r\nDKIM-Signature: no field\r\n");
            let sent = client.send(&recipient(number, 1), &message).await.unwrap();
            assert_eq!((sent, client.is_closed()), (250, false));
        }
        assert_eq!(ledger.count(|_| true).arrived, 2);
        assert_eq!(ledger.unsigned(), 1);
    }
}
