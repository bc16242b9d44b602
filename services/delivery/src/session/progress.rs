//! What is known of a transaction while it runs. Pure: replies in, answers out.

use tokio::time::Instant;

use super::Spent;
use super::transaction::{Answer, Mail};
use crate::outcome::{Phase, closes, proceeds};
use crate::reply::RawReply;

#[derive(Clone, Copy)]
pub(super) enum Step {
    Mail,
    Rcpt(usize),
    Data,
}

impl Step {
    pub(super) fn phase(self) -> Phase {
        match self {
            Self::Mail => Phase::MailFrom,
            Self::Rcpt(_) => Phase::RcptTo,
            Self::Data => Phase::Data,
        }
    }
}

/// What is known so far.
pub(super) struct Progress {
    pub(super) answers: Vec<Option<Answer>>,
    pub(super) accepted: Vec<usize>,
    pub(super) envelope: Envelope,
    pub(super) spent: Spent,
    /// When patience ends, whatever the phase; not for the reply to the final dot.
    pub(super) give_up: Instant,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Envelope {
    Open,
    /// The host refused MAIL, DATA, or to go on at all.
    Refused,
    /// 354: the host waits for the message.
    AwaitsMessage,
    /// MAIL was refused, DATA was not: what the host waits for, nobody knows.
    Confused,
}

impl Progress {
    pub(super) fn new(mail: &Mail<'_>, give_up: Instant) -> Self {
        Self {
            answers: vec![None; mail.recipients.len()],
            accepted: Vec::new(),
            envelope: Envelope::Open,
            spent: Spent::default(),
            give_up,
        }
    }

    /// This reply is the answer for all that have none yet.
    pub(super) fn answer_all(&mut self, phase: Phase, reply: &RawReply) {
        let answer = Answer {
            phase,
            reply: reply.to_reply(),
            accepted: self.accepted.len(),
        };
        for open in self.answers.iter_mut().filter(|open| open.is_none()) {
            *open = Some(answer.clone());
        }
    }

    pub(super) fn answer(&mut self, step: Step, reply: &RawReply) {
        let phase = step.phase();
        let refused = self.envelope == Envelope::Refused;
        match step {
            _ if closes(reply.code) => {
                self.answer_all(phase, reply);
                self.envelope = Envelope::Refused;
            }
            Step::Data if proceeds(phase, reply.code) && refused => {
                self.envelope = Envelope::Confused;
            }
            Step::Data if proceeds(phase, reply.code) => self.envelope = Envelope::AwaitsMessage,
            Step::Mail if proceeds(phase, reply.code) => {}
            Step::Mail | Step::Data => {
                self.answer_all(phase, reply);
                self.envelope = Envelope::Refused;
            }
            Step::Rcpt(_) if refused => {}
            Step::Rcpt(place) if proceeds(phase, reply.code) => self.accepted.push(place),
            Step::Rcpt(place) => {
                let accepted = self.accepted.len();
                let reply = reply.to_reply();
                if let Some(open) = self.answers.get_mut(place) {
                    *open = Some(Answer {
                        phase,
                        reply,
                        accepted,
                    });
                }
            }
        }
    }

    /// True where this flight need not be sent.
    pub(super) fn is_settled(&self, flight: &[Step]) -> bool {
        let only_data = matches!(flight, [Step::Data]);
        self.envelope == Envelope::Refused || (only_data && self.accepted.is_empty())
    }
}
