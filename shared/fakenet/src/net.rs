//! The whole internet: starts it, is asked about it, stops it.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hickory_server::Server;
use parking_lot::Mutex;
use postrider_runtime::Clock;

use crate::authority::{Authority, AuthorityError, Issued, LeafKey};
use crate::dns::{self, Answer, Answers, Desk, Kind};
use crate::exchanger::{Exchanger, Ground};
use crate::mailbox::Mailbox;
use crate::network::Network;
use crate::ports::{self, Ports, Wish};
use crate::script::Certificate;
use crate::town::Town;
use crate::world::World;
use crate::zone::{Zone, a_labels};

/// How to start.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the CA (`ca.pem`, `ca-key.pem`) and the ports are kept; `None`: nowhere.
    pub dir: Option<PathBuf>,
    /// Where DNS listens, out of the loopback. The exchangers live in its network: those of
    /// 127.5.0.1 in 127.5.0.0/16. Those of 127.0.0.1 share 127.1.0.0/16 with other internets.
    pub host: Ipv4Addr,
    /// Of DNS, UDP and TCP. 0: last time's, or any.
    pub dns_port: u16,
    /// Of all exchangers. 0: last time's, or any.
    pub smtp_port: u16,
    /// How long `greylisted@` is turned away after its first try.
    pub greylist: Duration,
    /// Tells when a message was received, and the age of a greylisted one.
    pub clock: Clock,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            dir: None,
            host: Ipv4Addr::LOCALHOST,
            dns_port: 0,
            smtp_port: 0,
            greylist: Duration::from_mins(1),
            clock: Clock::system(),
        }
    }
}

/// Why it does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("the fake internet has no certificate authority")]
    Authority(#[source] AuthorityError),
    #[error("the fake internet's DNS cannot listen")]
    Dns(#[source] io::Error),
    #[error("the fake internet's mail exchangers have no port")]
    Smtp(#[source] io::Error),
    #[error("the fake internet's ports cannot be kept in its folder")]
    Folder(#[source] io::Error),
}

/// A small internet: DNS, mail exchangers, a CA, a mailbox. It ends when it is dropped; its
/// addresses are all out of 127.0.0.0/8.
pub struct FakeInternet {
    world: Arc<World>,
    dns_addr: SocketAddr,
    server: Mutex<Option<Server<Desk<World>>>>,
    // Holds the exchangers' port against other internets on this machine.
    _anchor: TcpListener,
}

impl FakeInternet {
    /// Starts it; DNS accepts questions when this returns.
    ///
    /// Must be called in a tokio runtime, and what makes exchangers, too.
    #[expect(
        clippy::unused_async,
        reason = "says that it needs a runtime, and may wait one day"
    )]
    pub async fn start(options: Options) -> Result<Self, StartError> {
        let last = options
            .dir
            .as_deref()
            .map(Ports::kept_in)
            .unwrap_or_default();
        let wish = Wish::of(options.dns_port, last.dns);
        let sockets = ports::dns(options.host, wish).map_err(StartError::Dns)?;
        let dns_addr = sockets.tcp.local_addr().map_err(StartError::Dns)?;
        let network = Network::of(options.host);
        let wish = Wish::of(options.smtp_port, last.smtp);
        let (smtp, anchor) = ports::smtp(network, wish).map_err(StartError::Smtp)?;
        let authority = match &options.dir {
            Some(dir) => Authority::kept_in(dir),
            None => Authority::fresh(),
        };
        let authority = authority.map_err(StartError::Authority)?;
        let mailbox = Mailbox::new(dns_addr);
        let ground = Ground::new(options.clock, authority, options.greylist, mailbox);
        let world = World::new(ground, Town::new(network, smtp));
        let server = dns::serve(sockets, Arc::clone(&world.book), Arc::clone(&world));
        let server = server.map_err(StartError::Dns)?;
        if let Some(dir) = &options.dir {
            let ports = Ports {
                dns: dns_addr.port(),
                smtp,
            };
            ports.keep_in(dir).map_err(StartError::Folder)?;
        }
        Ok(Self {
            world,
            dns_addr,
            server: Mutex::new(Some(server)),
            _anchor: anchor,
        })
    }

    /// Where DNS is asked, over UDP and TCP.
    pub fn dns_addr(&self) -> SocketAddr {
        self.dns_addr
    }

    /// The port of all exchangers.
    pub fn smtp_port(&self) -> u16 {
        self.world.town.lock().port()
    }

    /// The CA's certificate, PEM.
    pub fn ca_pem(&self) -> &str {
        self.world.ground.authority.pem()
    }

    /// A certificate by this CA for a host name or an address.
    pub fn certificate(&self, name: &str) -> Result<Issued, AuthorityError> {
        self.world.ground.authority.issue(name, Certificate::Valid)
    }

    /// A certificate by this CA for several host names and addresses.
    pub fn certificate_for(&self, names: &[&str], key: LeafKey) -> Result<Issued, AuthorityError> {
        self.world.ground.authority.issue_for(names, key)
    }

    /// One domain, to say how it behaves.
    pub fn domain(&self, name: &str) -> Zone {
        Zone::new(name, &self.world)
    }

    /// The exchanger `mx.<domain>` as it is; made if nobody asked for it before.
    pub fn exchanger(&self, domain: &str) -> io::Result<Exchanger> {
        self.world.exchanger(&format!("mx.{}", a_labels(domain)))
    }

    /// What all exchangers received.
    pub fn mailbox(&self) -> Arc<Mailbox> {
        Arc::clone(&self.world.ground.mailbox)
    }

    /// From here on the TXT records of this name are these, one for each value.
    pub fn set_txt(&self, name: &str, values: Vec<String>) {
        self.set_answers(name, Kind::Txt, Answer::Texts(values));
    }

    pub fn clear_txt(&self, name: &str) {
        self.world.book.clear(name, Some(Kind::Txt));
    }

    /// From here on this question is answered by these.
    pub fn set_answers(&self, name: &str, kind: Kind, answers: impl Into<Answers>) {
        self.world.book.set(name, Some(kind), answers.into());
    }

    /// Forgets all that was said about this name.
    pub fn clear_answers(&self, name: &str) {
        self.world.book.forget(name);
    }

    /// The last questions, name (lowercase, no dot at the end) and type, in the order they came.
    pub fn dns_queries(&self) -> Vec<(String, String)> {
        self.world.book.asked()
    }

    /// Breaks off all connections and returns when nothing of it runs any more.
    pub async fn shutdown(&self) {
        self.stop();
        let server = self.server.lock().take();
        if let Some(mut server) = server
            && let Err(error) = server.shutdown_gracefully().await
        {
            tracing::debug!(%error, "fakenet's DNS did not end well");
        }
        self.world.ground.tasks.wait().await;
    }

    fn stop(&self) {
        self.world.ground.stop.cancel();
        self.world.ground.tasks.close();
    }
}

impl Drop for FakeInternet {
    fn drop(&mut self) {
        self.stop();
    }
}

impl std::fmt::Debug for FakeInternet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FakeInternet")
            .field("dns", &self.dns_addr)
            .field("smtp_port", &self.smtp_port())
            .finish_non_exhaustive()
    }
}
