//! One message over an open session: MAIL, RCPT, DATA, the bytes, the dot (RFC 5321 §3.3).
//!
//! What is kept apart with care is what we know afterwards: a reply for a recipient, a line
//! that broke before the final dot (not delivered, RFC 5321 §4.1.1.4), and one that broke
//! after it (nobody knows, RFC 1047).

use std::io;
use std::time::Duration;

use postrider_model::{EmailAddress, Reply};
use postrider_runtime::failpoint;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufWriter};
use tokio::time::{Instant, timeout_at};

use super::body::{PIECE_MOST, pieces};
use super::capabilities::SizeLimit;
use super::progress::{Envelope, Progress, Step};
use super::{Condition, Fault, Session, Spent, command};
use crate::outcome::{Phase, proceeds, refuses};
use crate::trace;

/// So many commands go out before their replies are read (RFC 2920 §3.1): a flight fits the
/// buffers of both sides, so that neither waits for the other to read.
const FLIGHT_MOST: usize = 64;

/// What is sent in one transaction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mail<'a> {
    pub(crate) return_path: &'a EmailAddress,
    /// At least one. More than the host takes at once (`Capabilities::recipients_most`) are
    /// refused by it one by one.
    pub(crate) recipients: &'a [EmailAddress],
    /// Header and body, CRLF only; not dot-stuffed.
    pub(crate) body: &'a [u8],
    /// The header holds UTF-8 (RFC 6532). Addresses are looked at here.
    pub(crate) smtputf8: bool,
}

/// Called once, when all of the message but the dot that ends it is written and flushed, with
/// the places in `Mail::recipients` that the host accepted. On an error the dot is not sent.
pub(crate) type BeforeDot<'a> = &'a mut (dyn FnMut(&[usize]) -> io::Result<()> + Send);

/// What became of a transaction.
#[derive(Debug)]
pub(crate) struct Transaction {
    /// For each recipient the reply that counts for it. `None`: none came, `end` says why.
    pub(crate) answers: Vec<Option<Answer>>,
    pub(crate) end: End,
    pub(crate) spent: Spent,
    /// From the first command to the end.
    pub(crate) took: Duration,
}

/// A definite answer for one recipient, ready for `outcome::judge`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) phase: Phase,
    pub(crate) reply: Reply,
    /// How many recipients the host had accepted in this transaction by then.
    pub(crate) accepted: usize,
}

/// How a transaction ended.
#[derive(Debug)]
pub(crate) enum End {
    /// Every recipient has its answer.
    Answered,
    /// The line broke before the dot was flushed: who has no answer has no message.
    Broken { phase: Phase, cause: Fault },
    /// The line broke after the dot was flushed: who has no answer may have the message.
    Ambiguous { cause: Fault },
    /// The host takes at most this many bytes. Nothing was sent.
    TooLarge { most: u64 },
    /// The message needs SMTPUTF8 and the host does not offer it. Nothing was sent.
    NeedsSmtpUtf8,
    /// `BeforeDot` failed, and the dot was not sent: who has no answer has no message.
    NotJournaled(io::Error),
}

impl Mail<'_> {
    /// True where the next hop must offer SMTPUTF8 (RFC 6531 §3.3).
    pub(crate) fn needs_smtputf8(&self) -> bool {
        self.smtputf8
            || self.return_path.needs_smtputf8()
            || self.recipients.iter().any(EmailAddress::needs_smtputf8)
    }

    /// In bytes, with the CRLF that is added where it is missing (RFC 1870 §5).
    pub(super) fn sent_size(&self) -> usize {
        let ends = self.body.is_empty() || self.body.ends_with(b"\r\n");
        self.body.len() + if ends { 0 } else { 2 }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Session<T> {
    /// Sends one message. Returns what is known of each recipient afterwards, whatever happens.
    pub(crate) async fn transaction(
        &mut self,
        mail: &Mail<'_>,
        before_dot: BeforeDot<'_>,
    ) -> Transaction {
        let start = Instant::now();
        let patience = self.timeouts.transaction + self.timeouts.at_rate(mail.body.len());
        let mut progress = Progress::new(mail, start + patience);
        let end = match self.converse(mail, before_dot, &mut progress).await {
            Ok(()) => End::Answered,
            Err(end) => end,
        };
        let done = Transaction {
            answers: progress.answers,
            end,
            spent: progress.spent,
            took: start.elapsed(),
        };
        tracing::debug!(host = %self.peer.host, end = ?done.end, spent = ?done.spent, "transaction");
        done
    }

    async fn converse(
        &mut self,
        mail: &Mail<'_>,
        before_dot: BeforeDot<'_>,
        progress: &mut Progress,
    ) -> Result<(), End> {
        self.suits(mail)?;
        if self.condition == Condition::NeedsReset {
            let reset = self.reset().await;
            reset.map_err(|cause| broken(Phase::Rset, cause))?;
        }
        self.send_envelope(mail, progress).await?;
        match progress.envelope {
            Envelope::AwaitsMessage if progress.accepted.is_empty() => {
                self.send_nothing(progress).await;
                Ok(())
            }
            Envelope::AwaitsMessage => {
                if self.send_body(mail, progress).await? == Sent::Refused {
                    return Ok(());
                }
                self.end_message(before_dot, progress).await
            }
            Envelope::Confused => {
                self.condition = Condition::Spoilt;
                Ok(())
            }
            Envelope::Open | Envelope::Refused => Ok(()),
        }
    }

    /// Whether the host can take this message at all, by what it offered.
    fn suits(&self, mail: &Mail<'_>) -> Result<(), End> {
        if mail.needs_smtputf8() && !self.capabilities.smtputf8 {
            return Err(End::NeedsSmtpUtf8);
        }
        match self.capabilities.size {
            SizeLimit::AtMost(most) if mail.sent_size() as u64 > most => {
                Err(End::TooLarge { most })
            }
            _ => Ok(()),
        }
    }

    /// MAIL, RCPT and DATA: in one flight where the host offers PIPELINING, else one by one.
    async fn send_envelope(&mut self, mail: &Mail<'_>, progress: &mut Progress) -> Result<(), End> {
        let places = (0..mail.recipients.len()).map(Step::Rcpt);
        let steps: Vec<Step> = std::iter::once(Step::Mail)
            .chain(places)
            .chain([Step::Data])
            .collect();
        let together = if self.capabilities.pipelining {
            FLIGHT_MOST
        } else {
            1
        };
        for flight in steps.chunks(together) {
            if progress.is_settled(flight) {
                break;
            }
            self.send_flight(mail, flight, progress).await?;
            if self.condition == Condition::Spoilt {
                break;
            }
        }
        Ok(())
    }

    async fn send_flight(
        &mut self,
        mail: &Mail<'_>,
        flight: &[Step],
        progress: &mut Progress,
    ) -> Result<(), End> {
        let mut commands = Vec::new();
        for step in flight {
            match *step {
                Step::Mail => commands.extend(command::mail(mail, &self.capabilities)),
                Step::Rcpt(place) => {
                    let recipient = mail.recipients.get(place);
                    commands.extend(recipient.map(command::rcpt).unwrap_or_default());
                }
                Step::Data => commands.extend_from_slice(command::DATA),
            }
        }
        let mut sent = false;
        for step in flight {
            let phase = step.phase();
            let start = Instant::now();
            let deadline = progress.give_up.min(start + self.timeouts.of(phase));
            if !std::mem::replace(&mut sent, true) {
                let said = self.say(&commands, deadline).await;
                said.map_err(|cause| broken(phase, cause))?;
            }
            let heard = self.hear(phase, deadline).await;
            progress.spent.add(phase, start.elapsed());
            let reply = heard.map_err(|cause| broken(phase, cause))?;
            if matches!(step, Step::Mail) && proceeds(phase, reply.code) {
                self.condition = Condition::NeedsReset;
            }
            progress.answer(*step, &reply);
            if self.condition == Condition::Spoilt {
                break;
            }
        }
        Ok(())
    }

    /// No recipient was accepted and the host waits for a message all the same: an empty one
    /// ends that, and its reply says nothing (RFC 2920 §3.1).
    async fn send_nothing(&mut self, progress: &mut Progress) {
        let start = Instant::now();
        let deadline = progress.give_up.min(start + self.timeouts.rset);
        if self.say(command::DOT, deadline).await.is_ok() {
            let heard = self.hear(Phase::Rset, deadline).await;
            tracing::trace!(host = %self.peer.host, ?heard, "ended a message without recipients");
        }
        progress.spent.add(Phase::Rset, start.elapsed());
    }

    /// All of the message but the final dot, flushed.
    async fn send_body(&mut self, mail: &Mail<'_>, progress: &mut Progress) -> Result<Sent, End> {
        let start = Instant::now();
        let most = self.timeouts.data_block + self.timeouts.at_rate(mail.body.len());
        let deadline = progress.give_up.min(start + most);
        let written = if self.reader.buffered() {
            Err(Fault::Unasked)
        } else {
            self.write_body(mail.body, deadline).await
        };
        progress.spent.add(Phase::Body, start.elapsed());
        let written = self.spoilt_if_failed(written);
        written.map_err(|cause| broken(Phase::Body, cause))?;
        trace::noted(|| format!("the message was sent, {} bytes", mail.sent_size()));
        self.listen_before_dot(progress).await
    }

    async fn write_body(&mut self, body: &[u8], deadline: Instant) -> Result<(), Fault> {
        let block = self.timeouts.data_block;
        let mut stream = BufWriter::with_capacity(PIECE_MOST, &mut self.smtp.stream);
        for piece in pieces(body) {
            let deadline = deadline.min(Instant::now() + block);
            let written = timeout_at(deadline, stream.write_all(piece)).await;
            written.map_err(|_| Fault::TimedOut)?.map_err(Fault::Io)?;
        }
        let deadline = deadline.min(Instant::now() + block);
        let flushed = timeout_at(deadline, stream.flush()).await;
        flushed.map_err(|_| Fault::TimedOut)?.map_err(Fault::Io)
    }

    /// A host that hung up or refused while it was sent the message has not got it: that is
    /// known as long as the dot is ours. A reply that came too early must not be taken for
    /// the one to the dot either.
    async fn listen_before_dot(&mut self, progress: &mut Progress) -> Result<Sent, End> {
        let heard = self.reader.overhear(&mut self.smtp.stream).await;
        let cause = match heard {
            Ok(None) if !self.reader.buffered() => return Ok(Sent::ButTheDot),
            Ok(Some(reply)) if refuses(reply.code) => {
                trace::heard(&reply);
                self.condition = Condition::Spoilt;
                progress.answer_all(Phase::Body, &reply);
                return Ok(Sent::Refused);
            }
            Ok(_) => Fault::Unasked,
            Err(fault) => fault.into(),
        };
        self.condition = Condition::Spoilt;
        Err(broken(Phase::Body, cause))
    }

    /// The dot and its reply. Between the two the message is nobody's and everybody's.
    async fn end_message(
        &mut self,
        before_dot: BeforeDot<'_>,
        progress: &mut Progress,
    ) -> Result<(), End> {
        if let Err(error) = before_dot(&progress.accepted) {
            self.condition = Condition::Spoilt;
            return Err(End::NotJournaled(error));
        }
        let start = Instant::now();
        let deadline = start + self.timeouts.data_block;
        failpoint::reach("delivery.before_dot");
        let said = self.say(command::DOT, deadline).await;
        said.map_err(|cause| broken(Phase::Body, cause))?;
        failpoint::reach("delivery.after_dot");
        let deadline = Instant::now() + self.timeouts.final_dot;
        let heard = self.hear(Phase::FinalDot, deadline).await;
        progress.spent.add(Phase::FinalDot, start.elapsed());
        let reply = heard.map_err(|cause| End::Ambiguous { cause })?;
        failpoint::reach("delivery.after_reply");
        progress.answer_all(Phase::FinalDot, &reply);
        if self.condition == Condition::NeedsReset {
            self.condition = Condition::Ready;
        }
        Ok(())
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sent {
    ButTheDot,
    /// The host refused the message before its end.
    Refused,
}

fn broken(phase: Phase, cause: Fault) -> End {
    End::Broken { phase, cause }
}
