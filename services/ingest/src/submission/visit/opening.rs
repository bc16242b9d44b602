//! The beginning of a visit: on every port the first bytes decide.

use std::time::Duration;

use postrider_smtp::{ClientHello, Layer, Opening, Session, TlsVersion, settle, sniff};
use postrider_tls::HandshakeFault;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout_at};

use super::{Over, Visit};
use crate::catalogue::Entry;
use crate::submission::replies;
use crate::submission::wire::{HandshakeFailed, Wire};

/// Enough to tell one opening from another.
const LOOKED_AT: usize = 32;
/// Where the first bytes tell nothing yet: they may come one by one.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

impl Visit<'_> {
    /// Greets, in TLS where the client began with it.
    pub(super) async fn open(&mut self) -> Result<(), Over> {
        let from = (self.guest.peer.ip(), self.guest.port.number);
        let (latecomers, usual) = (&self.door.latecomers, self.guest.port.banner_after);
        let wait = latecomers.wait(from, usual, Instant::now());
        let opening = match &self.wire {
            Wire::Plain(tcp) => first_bytes(tcp, wait).await,
            Wire::Tls(_) | Wire::Gone => None,
        };
        match opening.ok_or(Over)? {
            Opening::Tls => {
                self.start_tls("implicit").await?;
                let talk = std::sync::Arc::clone(&self.door.talk);
                self.talk = Session::new(talk, Layer::Tls);
            }
            Opening::Ssl2 => {
                self.broken(Entry::TLS_TOO_OLD, &[("version", "SSL 2")]);
                return Err(Over);
            }
            Opening::Http => {
                let told = replies::spoke_http(&self.door.config);
                let reply = self.no(&told);
                self.talk.turn_away(reply);
                return Ok(());
            }
            Opening::Smtp | Opening::Silence if wait > usual => self.door.latecomers.waits(from),
            Opening::Smtp | Opening::Noise | Opening::Silence => {}
        }
        self.talk.greet();
        Ok(())
    }

    /// The handshake, `implicit` or after `STARTTLS`.
    pub(super) async fn start_tls(&mut self, mode: &str) -> Result<(), Over> {
        self.record.tls.mode = Some(mode.to_owned());
        let Some(acceptor) = self.guest.port.tls.clone() else {
            self.broken(Entry::TLS_UNAVAILABLE, &[]);
            return Err(Over);
        };
        let within = self.door.config.handshake;
        match self.wire.start_tls(&acceptor, within).await {
            Ok(facts) => {
                self.record.facts.is_encrypted = true;
                self.record.tls.version = Some(facts.version);
                self.record.tls.cipher = Some(facts.cipher);
                self.patience.answered(Instant::now());
                Ok(())
            }
            Err(failed) => {
                self.failed(&failed);
                Err(Over)
            }
        }
    }

    fn failed(&mut self, failed: &HandshakeFailed) {
        let hello = ClientHello::read(&failed.began).ok().flatten();
        let best = hello.as_ref().and_then(ClientHello::best);
        let version = best.map_or("an old version".to_owned(), |best| best.to_string());
        if let Some(hello) = hello {
            self.record.tls.offered = hello.versions.iter().map(TlsVersion::to_string).collect();
            self.record.tls.server_name = hello.server_name;
        }
        let fault = failed.error.as_ref().map(HandshakeFault::of);
        let fault = fault.unwrap_or(HandshakeFault::Closed);
        self.record.tls.failure = Some(match &failed.error {
            Some(error) => error.to_string(),
            None => "it did not end in time".to_owned(),
        });
        let host = &self.door.config.host;
        let is_old = best.is_some_and(|best| {
            use TlsVersion::{Ssl2, Ssl3, Tls10, Tls11};
            matches!(best, Ssl2 | Ssl3 | Tls10 | Tls11)
        });
        let (entry, alert) = match &fault {
            // rustls may miss something else first.
            _ if is_old => (Entry::TLS_TOO_OLD, ""),
            HandshakeFault::TooOld => (Entry::TLS_TOO_OLD, ""),
            HandshakeFault::NothingInCommon => (Entry::TLS_IN_COMMON, ""),
            HandshakeFault::Alert(alert) => (Entry::TLS_REFUSED_BY_CLIENT, alert.as_str()),
            HandshakeFault::NotTls => (Entry::TLS_GIBBERISH, ""),
            HandshakeFault::Closed | HandshakeFault::Other(_) => (Entry::TLS_BROKEN_OFF, ""),
        };
        let values = [
            ("version", version.as_str()),
            ("alert", alert),
            ("host", host.as_str()),
        ];
        self.broken(entry, &values);
    }
}

// Nothing is taken off the socket: a handshake needs it. `None`: it hung up.
async fn first_bytes(tcp: &TcpStream, wait: Duration) -> Option<Opening> {
    let until = Instant::now() + wait;
    let mut seen = [0; LOOKED_AT];
    let mut count = 0;
    loop {
        match timeout_at(until, tcp.peek(&mut seen)).await {
            Ok(Ok(0) | Err(_)) => return None,
            Ok(Ok(there)) => count = there,
            Err(_over) => return Some(settle(seen.get(..count).unwrap_or_default())),
        }
        if let Some(opening) = sniff(seen.get(..count).unwrap_or_default()) {
            return Some(opening);
        }
        let _over: Result<(), _> = timeout_at(until, sleep(LOOK_AGAIN)).await;
        if Instant::now() >= until {
            return Some(settle(seen.get(..count).unwrap_or_default()));
        }
    }
}
