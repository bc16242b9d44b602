//! How long the stages of an attempt take, for metrics and logs.

use std::time::Duration;

use postrider_telemetry::{Label, label};

use crate::outcome::Phase;
use crate::session::Spent;

label!(
    /// A stage of an attempt.
    pub(crate) Stage is "phase" {
        /// From the domain to addresses.
        Dns = "dns",
        Connect = "connect",
        /// The host's greeting, EHLO and its answer.
        Greeting = "greeting",
        /// STARTTLS and the handshake.
        Tls = "tls",
        /// MAIL, RCPT and DATA.
        Envelope = "envelope",
        /// The message and the reply to its end.
        Message = "message",
        /// The result on its way to the disk.
        Settle = "settle",
    }
);

impl Stage {
    /// `None` for what belongs to no message.
    pub(crate) fn of(phase: Phase) -> Option<Self> {
        match phase {
            Phase::Connect => Some(Self::Connect),
            Phase::Greeting | Phase::Hello => Some(Self::Greeting),
            Phase::Starttls | Phase::Handshake => Some(Self::Tls),
            Phase::MailFrom | Phase::RcptTo | Phase::Data => Some(Self::Envelope),
            Phase::Body | Phase::FinalDot => Some(Self::Message),
            Phase::Rset | Phase::Quit => None,
        }
    }
}

/// How long each stage took; `None` where it was not come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stages([Option<Duration>; Stage::ALL.len()]);

impl Stages {
    pub(crate) fn of(spent: &Spent) -> Self {
        let mut stages = Self::default();
        for (phase, span) in &spent.0 {
            if let Some(stage) = Stage::of(*phase) {
                stages.add(stage, *span);
            }
        }
        stages
    }

    pub(crate) fn add(&mut self, stage: Stage, span: Duration) {
        if let Some(sum) = self.0.get_mut(stage.place()) {
            *sum = Some(sum.unwrap_or_default() + span);
        }
    }

    pub(crate) fn get(&self, stage: Stage) -> Option<Duration> {
        self.0.get(stage.place()).copied().flatten()
    }

    /// In milliseconds, for a log line.
    pub(crate) fn millis(&self, stage: Stage) -> Option<u64> {
        let span = self.get(stage)?;
        Some(u64::try_from(span.as_millis()).unwrap_or(u64::MAX))
    }

    /// Both together.
    pub(crate) fn plus(mut self, other: &Self) -> Self {
        for (stage, span) in other.iter() {
            self.add(stage, span);
        }
        self
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Stage, Duration)> {
        let each = Stage::ALL.iter().zip(&self.0);
        each.filter_map(|(stage, span)| span.map(|span| (*stage, span)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_sum_up_to_stages() {
        let millis = Duration::from_millis;
        let spent = Spent(vec![
            (Phase::Connect, millis(1)),
            (Phase::Greeting, millis(2)),
            (Phase::Hello, millis(4)),
            (Phase::Handshake, millis(8)),
            (Phase::Rset, millis(100)),
        ]);
        let opening = Stages::of(&spent);
        let sending = Stages::of(&Spent(vec![
            (Phase::MailFrom, millis(16)),
            (Phase::RcptTo, millis(32)),
            (Phase::FinalDot, millis(64)),
        ]));
        let both = opening.plus(&sending);
        for (stage, want) in [
            (Stage::Dns, None),
            (Stage::Connect, Some(1)),
            (Stage::Greeting, Some(6)),
            (Stage::Tls, Some(8)),
            (Stage::Envelope, Some(48)),
            (Stage::Message, Some(64)),
            (Stage::Settle, None),
        ] {
            assert_eq!(both.millis(stage), want, "{stage:?}");
        }
        assert_eq!(both.iter().count(), 5);
    }
}
