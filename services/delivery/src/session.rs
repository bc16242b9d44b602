//! One SMTP conversation with one exchanger, from its greeting to QUIT (RFC 5321 §3).
//!
//! The only file that names `mail-send`: its client holds the stream and makes TLS of it.
//! Replies are heard by `reply`, since mail-send's reader drops what comes after a reply, has
//! no deadline for a whole one and calls a closed connection unparseable. Nothing is judged
//! here beyond whether the conversation may go on; whom to talk to is decided elsewhere.

mod body;
mod capabilities;
mod command;
mod fault;
mod progress;
mod timeouts;
mod transaction;

use std::net::SocketAddr;
use std::time::Duration;

use mail_send::SmtpClient;
use postrider_model::TlsFacts;
use postrider_tls::{ClientStream, Connector};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

pub(crate) use self::capabilities::Capabilities;
pub(crate) use self::fault::{Fault, OpenFailure};
pub use self::timeouts::Timeouts;
pub(crate) use self::transaction::{Answer, BeforeDot, End, Mail, Transaction};
use crate::outcome::{Context, OtherFamily, Phase, Verdict, closes, judge, proceeds};
use crate::reply::{RawReply, ReplyReader};
use crate::trace;

/// The stream of a session without TLS.
pub(crate) type Plain = TcpStream;
/// The stream of a session inside TLS.
pub(crate) type Tls = ClientStream;

/// Whom we talk to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Peer {
    /// The exchanger's name, as its MX record has it.
    pub(crate) host: String,
    pub(crate) address: SocketAddr,
}

/// How long each phase took, in order; a phase that came twice has one entry, its sum.
#[derive(Clone, Debug, Default)]
pub(crate) struct Spent(pub(crate) Vec<(Phase, Duration)>);

/// A conversation that is open. `T` is its stream: what was heard before TLS cannot reach the
/// session inside it, since `starttls` takes the plain one and begins a new one.
pub(crate) struct Session<T: AsyncRead + AsyncWrite> {
    smtp: SmtpClient<T>,
    reader: ReplyReader,
    capabilities: Capabilities,
    timeouts: Timeouts,
    peer: Peer,
    spent: Spent,
    condition: Condition,
}

/// Whether another transaction may follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Condition {
    Ready,
    /// A transaction was begun and not ended: RSET comes first (RFC 5321 §4.1.1.5).
    NeedsReset,
    /// 421, silence, garbage or a broken line: nothing said here can be trusted to be heard.
    Spoilt,
}

impl Spent {
    pub(crate) fn add(&mut self, phase: Phase, span: Duration) {
        match self.0.iter_mut().find(|(known, _)| *known == phase) {
            Some((_, sum)) => *sum += span,
            None => self.0.push((phase, span)),
        }
    }

    /// The same with a phase that came before all others.
    pub(crate) fn after(mut self, phase: Phase, span: Duration) -> Self {
        self.0.insert(0, (phase, span));
        self
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Session<T> {
    fn over(stream: T, peer: Peer, timeouts: Timeouts) -> Self {
        let timeout = timeouts.handshake;
        Self {
            smtp: SmtpClient { stream, timeout },
            reader: ReplyReader::default(),
            capabilities: Capabilities::default(),
            timeouts,
            peer,
            spent: Spent::default(),
            condition: Condition::Ready,
        }
    }

    /// EHLO, and HELO on the same connection where the host knows no EHLO (RFC 5321 §3.2).
    pub(crate) async fn hello(&mut self, name: &str) -> Result<(), OpenFailure> {
        let heard = self.ask(Phase::Hello, &command::ehlo(name)).await;
        let reply = heard.map_err(|fault| self.failure(Phase::Hello, fault))?;
        if proceeds(Phase::Hello, reply.code) {
            self.capabilities = Capabilities::parse(&reply.text);
            return Ok(());
        }
        self.capabilities = Capabilities::default();
        if judge(Phase::Hello, &reply.to_reply(), &ANY_MESSAGE) != Verdict::SayHelo {
            return Err(self.refusal(Phase::Hello, &reply));
        }
        let heard = self.ask(Phase::Hello, &command::helo(name)).await;
        let reply = heard.map_err(|fault| self.failure(Phase::Hello, fault))?;
        if proceeds(Phase::Hello, reply.code) {
            Ok(())
        } else {
            Err(self.refusal(Phase::Hello, &reply))
        }
    }

    /// What the host offered when it was greeted last.
    pub(crate) fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    pub(crate) fn peer(&self) -> &Peer {
        &self.peer
    }

    /// What was spent on opening this session.
    pub(crate) fn spent(&self) -> &Spent {
        &self.spent
    }

    /// True where another transaction may follow on this connection.
    pub(crate) fn is_sound(&self) -> bool {
        self.condition != Condition::Spoilt && !self.reader.buffered()
    }

    /// Makes an idle session ready for the next transaction. False where the remote has hung
    /// up or spoken unasked in the meantime (421 before it closes, mostly): do not use it.
    pub(crate) async fn freshen(&mut self) -> bool {
        if !self.is_sound() {
            return false;
        }
        let heard = self.reader.overhear(&mut self.smtp.stream).await;
        if !matches!(heard, Ok(None)) || self.reader.buffered() {
            self.condition = Condition::Spoilt;
            return false;
        }
        self.condition == Condition::Ready || self.reset().await.is_ok()
    }

    /// RSET: forgets a transaction that was begun and not ended.
    async fn reset(&mut self) -> Result<(), Fault> {
        let reply = self.ask(Phase::Rset, command::RSET).await?;
        if proceeds(Phase::Rset, reply.code) {
            self.condition = Condition::Ready;
            Ok(())
        } else {
            self.condition = Condition::Spoilt;
            Err(Fault::Refused)
        }
    }

    /// Says goodbye. What comes of it is of no interest: the result is known.
    pub(crate) async fn quit(mut self) {
        if self.condition != Condition::Spoilt {
            let deadline = Instant::now() + self.timeouts.of(Phase::Quit);
            if self.say(command::QUIT, deadline).await.is_ok() {
                let heard = self.reader.hear(&mut self.smtp.stream, deadline).await;
                tracing::trace!(host = %self.peer.host, ?heard, "said QUIT");
            }
        }
    }

    /// One command and its reply, both within the phase's time.
    async fn ask(&mut self, phase: Phase, command: &[u8]) -> Result<RawReply, Fault> {
        let deadline = Instant::now() + self.timeouts.of(phase);
        let start = Instant::now();
        self.say(command, deadline).await?;
        let reply = self.hear(phase, deadline).await;
        self.spent.add(phase, start.elapsed());
        reply
    }

    async fn say(&mut self, bytes: &[u8], deadline: Instant) -> Result<(), Fault> {
        trace::said(bytes);
        let written = timeout_at(deadline, async {
            self.smtp.stream.write_all(bytes).await?;
            self.smtp.stream.flush().await
        });
        let said = match written.await {
            Err(_) => Err(Fault::TimedOut),
            Ok(Err(error)) => Err(Fault::Io(error)),
            Ok(Ok(())) => Ok(()),
        };
        self.spoilt_if_failed(said)
    }

    async fn hear(&mut self, phase: Phase, deadline: Instant) -> Result<RawReply, Fault> {
        let heard = self.reader.hear(&mut self.smtp.stream, deadline).await;
        let reply = self.spoilt_if_failed(heard.map_err(Fault::from))?;
        trace::heard(&reply);
        if closes(reply.code) {
            self.condition = Condition::Spoilt;
        }
        tracing::trace!(host = %self.peer.host, phase = phase.as_str(), code = reply.code, "heard");
        Ok(reply)
    }

    fn spoilt_if_failed<R>(&mut self, done: Result<R, Fault>) -> Result<R, Fault> {
        if let Err(fault) = &done {
            trace::noted(|| fault.to_string());
            self.condition = Condition::Spoilt;
        }
        done
    }

    fn failure(&self, phase: Phase, cause: Fault) -> OpenFailure {
        OpenFailure {
            peer: self.peer.clone(),
            phase,
            reply: None,
            cause,
            spent: self.spent.clone(),
        }
    }

    fn refusal(&self, phase: Phase, reply: &RawReply) -> OpenFailure {
        OpenFailure {
            reply: Some(reply.to_reply()),
            ..self.failure(phase, Fault::Refused)
        }
    }
}

/// For judging what depends on no message.
const ANY_MESSAGE: Context = Context {
    age: Duration::ZERO,
    accepted: 0,
    other_family: OtherFamily::None,
};

impl Session<Plain> {
    /// Takes a connection that was just made and waits for the host's greeting.
    pub(crate) async fn greeted(
        stream: TcpStream,
        peer: Peer,
        timeouts: Timeouts,
    ) -> Result<Self, OpenFailure> {
        let mut session = Self::over(stream, peer, timeouts);
        let start = Instant::now();
        let deadline = start + session.timeouts.greeting;
        let heard = session.hear(Phase::Greeting, deadline).await;
        session.spent.add(Phase::Greeting, start.elapsed());
        let reply = heard.map_err(|fault| session.failure(Phase::Greeting, fault))?;
        if proceeds(Phase::Greeting, reply.code) {
            Ok(session)
        } else {
            Err(session.refusal(Phase::Greeting, &reply))
        }
    }

    /// STARTTLS and the handshake (RFC 3207 §4). Of the plain session nothing is kept (§4.2):
    /// the host must be greeted again. Bytes that came in the clear after the reply were put
    /// there by somebody who wants them read inside TLS: an error.
    pub(crate) async fn starttls(
        mut self,
        connector: &Connector,
    ) -> Result<Session<Tls>, OpenFailure> {
        let heard = self.ask(Phase::Starttls, command::STARTTLS).await;
        let reply = heard.map_err(|fault| self.failure(Phase::Starttls, fault))?;
        if !proceeds(Phase::Starttls, reply.code) {
            return Err(self.refusal(Phase::Starttls, &reply));
        }
        if self.reader.buffered() {
            return Err(self.failure(Phase::Starttls, Fault::Unasked));
        }
        let Self {
            mut smtp,
            timeouts,
            peer,
            mut spent,
            ..
        } = self;
        let start = Instant::now();
        smtp.timeout = timeouts.handshake;
        let secured = smtp.into_tls(connector, &peer.host).await;
        spent.add(Phase::Handshake, start.elapsed());
        match secured {
            Ok(smtp) => {
                trace::noted(|| {
                    let facts = postrider_tls::client_facts(&smtp.stream);
                    format!("inside TLS from here: {}, {}", facts.version, facts.cipher)
                });
                Ok(Session {
                    spent,
                    ..Session::over(smtp.stream, peer, timeouts)
                })
            }
            Err(error) => {
                let cause = handshake_fault(error);
                trace::noted(|| format!("no TLS: {cause}"));
                Err(OpenFailure {
                    peer,
                    phase: Phase::Handshake,
                    reply: None,
                    cause,
                    spent,
                })
            }
        }
    }
}

fn handshake_fault(error: mail_send::Error) -> Fault {
    match error {
        mail_send::Error::Timeout => Fault::TimedOut,
        mail_send::Error::Io(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            Fault::Closed
        }
        mail_send::Error::Io(error) => Fault::Io(error),
        error => Fault::Tls(Box::new(error)),
    }
}

impl Session<Tls> {
    /// How the session is encrypted. No certificate was checked (RFC 7435).
    pub(crate) fn tls_facts(&self) -> TlsFacts {
        let facts = postrider_tls::client_facts(&self.smtp.stream);
        TlsFacts {
            version: facts.version,
            cipher: facts.cipher,
            verdict: "unverified".to_owned(),
        }
    }
}

#[cfg(test)]
pub(crate) mod script;
#[cfg(test)]
mod tests;
