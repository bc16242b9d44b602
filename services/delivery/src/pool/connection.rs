//! One connection, in plain text or inside TLS, and how it is opened.

use std::time::Duration;

use postrider_model::{MxHost, TlsFacts};
use postrider_tls::Connector;
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::PoolLimits;
use crate::outcome::Phase;
use crate::session::{
    BeforeDot, Capabilities, Mail, OpenFailure, Peer, Plain, Session, Spent, Timeouts, Tls,
    Transaction,
};

/// What every connection is opened with.
#[derive(Clone)]
pub(crate) struct Opener {
    /// The name we greet with: fully qualified, and its address is ours (RFC 5321 §4.1.1.1).
    pub(crate) hello: String,
    pub(crate) timeouts: Timeouts,
    /// `postrider_tls::opportunistic()`.
    pub(crate) connector: Connector,
}

/// What is done about STARTTLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TlsMode {
    /// TLS where the host offers it; then a handshake that fails is a failure (RFC 7435).
    Opportunistic,
    /// Plain text, for a host whose handshake failed before.
    Plaintext,
}

/// What came of TLS when a connection was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TlsOutcome {
    Encrypted,
    NotOffered,
    /// Offered, and not asked for.
    Declined,
}

/// A connection that messages can be sent over.
pub(crate) struct Connection {
    wire: Wire,
    outcome: TlsOutcome,
    facts: Facts,
    opened: Instant,
    messages: u32,
    /// A transaction runs, or was dropped half way: what the host waits for, nobody knows.
    under_way: bool,
}

enum Wire {
    Plain(Box<Session<Plain>>),
    Tls(Box<Session<Tls>>),
}

/// What events tell of a connection.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) mx: MxHost,
    pub(crate) tls: Option<TlsFacts>,
    /// What opening it took, phase by phase; empty where it was open already.
    pub(crate) opening: Spent,
}

/// Calls the same method of whichever session there is.
macro_rules! either {
    ($wire:expr, $session:ident => $call:expr) => {
        match $wire {
            Wire::Plain($session) => $call,
            Wire::Tls($session) => $call,
        }
    };
}

impl Opener {
    /// Greeting, EHLO, and STARTTLS with a second EHLO where mode and host want it.
    pub(crate) async fn open(
        &self,
        tcp: TcpStream,
        peer: Peer,
        mode: TlsMode,
    ) -> Result<Connection, OpenFailure> {
        let mut plain = Session::greeted(tcp, peer, self.timeouts.clone()).await?;
        plain.hello(&self.hello).await?;
        match (plain.capabilities().starttls, mode) {
            (true, TlsMode::Opportunistic) => {
                let mut tls = plain.starttls(&self.connector).await?;
                tls.hello(&self.hello).await?;
                let facts = facts(&tls, Some(tls.tls_facts()));
                let wire = Wire::Tls(Box::new(tls));
                Ok(Connection::new(wire, TlsOutcome::Encrypted, facts))
            }
            (offered, _) => {
                let facts = facts(&plain, None);
                let outcome = if offered {
                    TlsOutcome::Declined
                } else {
                    TlsOutcome::NotOffered
                };
                Ok(Connection::new(
                    Wire::Plain(Box::new(plain)),
                    outcome,
                    facts,
                ))
            }
        }
    }
}

fn facts<T>(session: &Session<T>, tls: Option<TlsFacts>) -> Facts
where
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send,
{
    Facts {
        mx: MxHost {
            host: session.peer().host.clone(),
            address: session.peer().address.ip(),
        },
        tls,
        opening: session.spent().clone(),
    }
}

impl Connection {
    fn new(wire: Wire, outcome: TlsOutcome, facts: Facts) -> Self {
        Self {
            wire,
            outcome,
            facts,
            opened: Instant::now(),
            messages: 0,
            under_way: false,
        }
    }

    /// Sends one message; see `Session::transaction`.
    pub(crate) async fn transaction(
        &mut self,
        mail: &Mail<'_>,
        before_dot: BeforeDot<'_>,
    ) -> Transaction {
        self.messages += 1;
        self.under_way = true;
        let done = either!(&mut self.wire, session => session.transaction(mail, before_dot).await);
        self.under_way = false;
        done
    }

    /// What the host offers on this connection.
    pub(crate) fn capabilities(&self) -> &Capabilities {
        either!(&self.wire, session => session.capabilities())
    }

    pub(crate) fn facts(&self) -> &Facts {
        &self.facts
    }

    pub(super) fn dialled_in(mut self, span: Duration) -> Self {
        self.facts.opening = std::mem::take(&mut self.facts.opening).after(Phase::Connect, span);
        self
    }

    /// True where another message may follow over this connection, as far as we know.
    pub(super) fn may_serve(&self, limits: &PoolLimits) -> bool {
        !self.under_way
            && self.messages < limits.messages
            && self.opened.elapsed() < limits.age
            && either!(&self.wire, session => session.is_sound())
    }

    /// True where this mode would have opened the same.
    pub(super) fn suits(&self, mode: TlsMode) -> bool {
        match mode {
            TlsMode::Opportunistic => self.outcome != TlsOutcome::Declined,
            TlsMode::Plaintext => self.outcome != TlsOutcome::Encrypted,
        }
    }

    /// See `Session::freshen`.
    pub(super) async fn freshen(&mut self) -> bool {
        either!(&mut self.wire, session => session.freshen().await)
    }

    /// Another exchanger's name may lead to the same address.
    pub(super) fn reused_as(&mut self, peer: &Peer) {
        self.facts.mx.host.clone_from(&peer.host);
        self.facts.opening = Spent::default();
    }

    /// Says goodbye, but for one that was broken off: there QUIT could be read as message text.
    pub(super) async fn quit(self) {
        if self.under_way {
            return;
        }
        either!(self.wire, session => session.quit().await);
    }
}
