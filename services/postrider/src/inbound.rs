//! Port 25, until bounces are read: whoever sends to the service's own domains is told to keep it
//! and to come again, so that nothing bounces. No mail is taken here, for anybody.

use std::sync::Arc;
use std::time::Duration;

use postrider_model::Domain;
use postrider_runtime::Shutdown;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// A remote that gets 451 from many connections is as well served by a refused one.
const CONNECTIONS_MOST: usize = 200;
/// For a whole session: there is little to say.
const SESSION: Duration = Duration::from_mins(2);
/// RFC 5321 §4.5.3.1.4, and room for extensions.
const LINE_MOST: u64 = 2_048;
const COMMANDS_MOST: usize = 100;
const PAUSE_AFTER_FAULT: Duration = Duration::from_millis(100);

/// Whose mail is put off.
pub(crate) struct Inbound {
    pub(crate) host: Domain,
    pub(crate) domains: Vec<Domain>,
}

/// Answers on one address until shutdown.
pub(crate) async fn serve(listener: TcpListener, inbound: Arc<Inbound>, shutdown: Shutdown) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MOST));
    let mut sessions = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = shutdown.begun() => break,
            Some(_) = sessions.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let Ok(place) = Arc::clone(&room).try_acquire_owned() else {
                        continue;
                    };
                    let inbound = Arc::clone(&inbound);
                    sessions.spawn(async move {
                        // Who is cut off comes again.
                        let _cut = timeout(SESSION, inbound.session(stream)).await;
                        drop(place);
                    });
                }
                Err(fault) => {
                    tracing::warn!(%fault, "port 25 cannot accept");
                    tokio::time::sleep(PAUSE_AFTER_FAULT).await;
                }
            }
        }
    }
    // Nothing is lost with them: nothing was taken.
    sessions.shutdown().await;
}

impl Inbound {
    async fn session(&self, stream: TcpStream) -> std::io::Result<()> {
        let (reader, mut writer) = stream.into_split();
        let mut reader = BufReader::new(reader);
        let greeting = format!("220 {} ESMTP Postrider\r\n", self.host);
        writer.write_all(greeting.as_bytes()).await?;
        for _ in 0..COMMANDS_MOST {
            let mut line = Vec::new();
            let read = (&mut reader)
                .take(LINE_MOST)
                .read_until(b'\n', &mut line)
                .await?;
            if read == 0 {
                return Ok(());
            }
            if line.last() != Some(&b'\n') {
                return writer
                    .write_all(b"500 5.5.2 The line is too long\r\n")
                    .await;
            }
            let reply = self.reply(&String::from_utf8_lossy(&line));
            writer.write_all(format!("{reply}\r\n").as_bytes()).await?;
            if reply.starts_with("221") {
                return Ok(());
            }
        }
        writer.write_all(b"421 4.7.0 Too many commands\r\n").await
    }

    /// The answer to one command.
    fn reply(&self, line: &str) -> String {
        let line = line.trim_end();
        let (verb, rest) = line.split_once([' ', ':']).unwrap_or((line, ""));
        match verb.to_ascii_uppercase().as_str() {
            "EHLO" => format!("250-{}\r\n250 ENHANCEDSTATUSCODES", self.host),
            "HELO" => format!("250 {}", self.host),
            "MAIL" => "250 2.1.0 Go on".to_owned(),
            "RCPT" => self.to(rest),
            "DATA" => "503 5.5.1 No recipient was taken".to_owned(),
            "RSET" | "NOOP" => "250 2.0.0 Done".to_owned(),
            "QUIT" => format!("221 2.0.0 {} says goodbye", self.host),
            _ => "502 5.5.1 Not known here".to_owned(),
        }
    }

    fn to(&self, path: &str) -> String {
        // Parameters may have an @ of their own (ORCPT).
        let path = path.split('>').next().unwrap_or_default();
        let path = path.rsplit_once('<').map_or(path, |(_, path)| path).trim();
        // RFC 5321 §4.5.1: to that name without a domain, everybody's.
        let is_postmaster = path.eq_ignore_ascii_case("postmaster");
        let domain = path.rsplit_once('@').map(|(_, domain)| domain);
        let domain = domain.and_then(|domain| domain.split(' ').next());
        let domain = domain.and_then(|domain| Domain::parse(domain).ok());
        if is_postmaster || domain.is_some_and(|domain| self.domains.contains(&domain)) {
            "451 4.3.2 This system does not take mail yet; keep it and try again later".to_owned()
        } else {
            "550 5.7.1 This system takes no mail for that domain".to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn mail_to_our_domains_is_kept_by_its_sender_and_other_mail_refused() {
        let domain = |name| Domain::parse(name).unwrap();
        let inbound = Arc::new(Inbound {
            host: domain("relay.example"),
            domains: vec![domain("relay.example"), domain("bounce.relay.example")],
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = Shutdown::new(Duration::ZERO);
        let mut serving = JoinSet::new();
        serving.spawn(serve(listener, inbound, shutdown.clone()));
        let mut client = TcpStream::connect(address).await.unwrap();
        let said = "EHLO mx.example\r\nMAIL FROM:<>\r\nRCPT TO:<b+1@BOUNCE.relay.example>\r\n\
            rcpt to:<a@other.example> NOTIFY=NEVER\r\n\
            RCPT TO:<b@bounce.relay.example> ORCPT=rfc822;x@other.example\r\n\
            RCPT TO:<Postmaster>\r\nDATA\r\nBDAT 1\r\nQUIT\r\n";
        client.write_all(said.as_bytes()).await.unwrap();
        let mut heard = String::new();
        client.read_to_string(&mut heard).await.unwrap();
        let codes: Vec<_> = heard.lines().map(|line| line.split_at(4).0).collect();
        let want = [
            "220 ", "250-", "250 ", "250 ", "451 ", "550 ", "451 ", "451 ", "503 ", "502 ", "221 ",
        ];
        assert_eq!(codes, want, "{heard}");
        shutdown.begin();
        serving.join_next().await.unwrap().unwrap();
    }
}
