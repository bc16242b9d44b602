//! The far end: mail exchangers for many domains on loopback, cheap enough that what is measured
//! is the relay. Each answers as a real remote would after its round-trip time, may refuse a share
//! of recipients for now, and tells the ledger what came.

mod session;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use postrider_fakenet::{FakeInternet, Options};
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinSet;

use crate::ledger::Ledger;

/// The exchangers' addresses are `NET.1.1`, `NET.1.2`, …: of this machine alone.
const NET: u8 = 127;
/// DNS answers are good for a day: the resolver is not what is measured.
const TTL: u32 = 86_400;
const BACKLOG: u32 = 1024;

/// How remotes behave.
#[derive(Clone, Copy, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Manners {
    /// Domains, each with an exchanger of its own.
    pub(crate) sites: u8,
    /// Addresses that each exchanger has.
    pub(crate) addresses: u8,
    /// Before each answer: the round trip to a remote.
    pub(crate) rtt_ms: u64,
    /// Of a thousand recipients, so many are told 451 when they are first tried.
    pub(crate) deferred_permille: u64,
}

impl Default for Manners {
    fn default() -> Self {
        Self {
            sites: 50,
            addresses: 1,
            rtt_ms: 0,
            deferred_permille: 0,
        }
    }
}

/// Running exchangers and the DNS that leads to them. Ends when it is dropped.
pub(crate) struct Sink {
    pub(crate) dns: SocketAddr,
    pub(crate) port: u16,
    pub(crate) sites: u8,
    _internet: FakeInternet,
    _listeners: JoinSet<()>,
}

impl Sink {
    pub(crate) async fn start(manners: Manners, ledger: Ledger) -> anyhow::Result<Self> {
        let internet = FakeInternet::start(Options::default()).await?;
        let mut listeners = JoinSet::new();
        let mut port = 0;
        for site in 0..manners.sites {
            let mut addresses = Vec::new();
            for number in 0..manners.addresses {
                let address = Ipv4Addr::new(NET, 1, number, site + 1);
                let listener = listen(SocketAddr::from((address, port)))?;
                port = listener.local_addr()?.port();
                addresses.push(IpAddr::V4(address));
                let site = session::Site {
                    ledger: ledger.clone(),
                    rtt: Duration::from_millis(manners.rtt_ms),
                    deferred_permille: manners.deferred_permille,
                };
                listeners.spawn(accept(listener, Arc::new(site)));
            }
            let zone = internet.domain(&domain(site));
            zone.addresses(&addresses).ttl(TTL);
        }
        Ok(Self {
            dns: internet.dns_addr(),
            port,
            sites: manners.sites,
            _internet: internet,
            _listeners: listeners,
        })
    }
}

/// A site's domain.
pub(crate) fn domain(site: u8) -> String {
    format!("site{site}.test")
}

/// Where a site's first exchanger listens.
pub(crate) fn exchanger(site: u8, port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::new(NET, 1, 0, site + 1), port))
}

/// The address of a ledger's entry, at one of so many sites.
pub(crate) fn recipient(number: u64, sites: u8) -> String {
    let site = u8::try_from(number % u64::from(sites.max(1))).unwrap_or(0);
    format!("n{number}@{}", domain(site))
}

/// The entry that an address is of.
fn number(address: &str) -> Option<u64> {
    address.strip_prefix('n')?.split_once('@')?.0.parse().ok()
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

async fn accept(listener: TcpListener, site: Arc<session::Site>) {
    let mut sessions = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let site = Arc::clone(&site);
                    // A session that breaks off is the relay's death in some scenarios.
                    sessions.spawn(async move { session::run(stream, &site).await.unwrap_or(()) });
                }
                // Out of descriptors, say: the relay sees a slow remote.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            },
            Some(_) = sessions.join_next() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    #[test]
    fn an_address_leads_back_to_its_entry() {
        for (entry, sites) in [(0, 1), (7, 3), (1_234_567, 250)] {
            assert_eq!(number(&recipient(entry, sites)), Some(entry));
        }
        for stranger in ["", "n@x", "nobody@x", "m3@x", "n3"] {
            assert_eq!(number(stranger), None, "{stranger}");
        }
    }

    async fn talk(sink: &Sink, said: &[u8]) -> String {
        let address = Ipv4Addr::new(NET, 1, 0, 1);
        let mut stream = TcpStream::connect((address, sink.port)).await.unwrap();
        stream.write_all(said).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn a_session_with_two_messages_is_noted_in_the_ledger() {
        let ledger = Ledger::open();
        let numbers: Vec<u64> = (0..3).map(|_| ledger.posted(0, 0)).collect();
        let manners = Manners {
            sites: 1,
            ..Manners::default()
        };
        let sink = Sink::start(manners, ledger.clone()).await.unwrap();
        let mut said = b"EHLO x\r\n".to_vec();
        for to in [&numbers[..2], &numbers[2..]] {
            said.extend_from_slice(b"MAIL FROM:<b@x> SIZE=9\r\n");
            for number in to {
                said.extend_from_slice(
                    format!("RCPT TO:<{}>\r\n", recipient(*number, 1)).as_bytes(),
                );
            }
            said.extend_from_slice(b"DATA\r\nSubject: x\r\n\r\n..\r\n.\r\n");
        }
        said.extend_from_slice(b"QUIT\r\n");
        let answer = talk(&sink, &said).await;
        let codes: Vec<&str> = answer.lines().filter_map(|line| line.get(..4)).collect();
        let message = ["250 ", "250 ", "354 ", "250 "];
        let mut want = vec!["220 ", "250-", "250-", "250-", "250-", "250 "];
        want.extend_from_slice(&["250 ", "250 ", "250 ", "354 ", "250 "]);
        want.extend_from_slice(&message);
        want.push("221 ");
        assert_eq!(codes, want, "{answer}");
        assert_eq!(ledger.count(|_| true).arrived, 3);
        assert!(
            ledger
                .entries(|_| true)
                .iter()
                .all(|entry| entry.started != 0 && entry.copies == 1)
        );
    }

    #[tokio::test]
    async fn a_deferred_recipient_is_taken_when_it_comes_again() {
        let ledger = Ledger::open();
        let number = ledger.posted(0, 0);
        let manners = Manners {
            sites: 1,
            deferred_permille: 1_000,
            ..Manners::default()
        };
        let sink = Sink::start(manners, ledger.clone()).await.unwrap();
        let rcpt = format!("RCPT TO:<{}>\r\n", recipient(number, 1));
        let said = format!("HELO x\r\nMAIL FROM:<>\r\n{rcpt}{rcpt}QUIT\r\n");
        let answer = talk(&sink, said.as_bytes()).await;
        let codes: Vec<&str> = answer.lines().filter_map(|line| line.get(..3)).collect();
        assert_eq!(
            codes,
            ["220", "250", "250", "451", "250", "221"],
            "{answer}"
        );
    }
}
