//! What an exchanger says and does, as a value: rules by phase, the service extensions it
//! announces, the certificate it shows. Here is no I/O; `exchanger` plays the script.

mod act;
mod gate;

use std::fmt;
use std::sync::Arc;

pub use act::Act;
pub(crate) use act::{Step, wire};
pub use gate::Gate;

/// The moments of a session at which a script may speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// The connection was accepted: the greeting is due.
    Connect,
    Ehlo,
    Helo,
    Starttls,
    /// The STARTTLS command was accepted and the client's handshake is due. What a script sends
    /// here goes out in plain; [`Act::usual`] does the handshake.
    Handshake,
    MailFrom,
    Rcpt,
    Data,
    /// In the middle of the message: see [`Script::during_body`].
    Body,
    /// The message was read to its final dot; nothing is recorded yet.
    FinalDot,
    Rset,
    Quit,
}

/// A service extension that the answer to EHLO announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Feature {
    /// RFC 2920.
    Pipelining,
    /// RFC 1870.
    Size,
    /// RFC 6152.
    EightBitMime,
    /// RFC 6531.
    SmtpUtf8,
    /// RFC 2034.
    EnhancedStatusCodes,
    /// RFC 3207.
    StartTls,
}

/// The certificate that is shown in the handshake.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Certificate {
    /// By the CA of this internet, for the exchanger's own name.
    #[default]
    Valid,
    SelfSigned,
    /// By the CA, for the right name, until a day in the past.
    Expired,
    /// By the CA, for another name.
    WrongName,
}

/// The largest message that an exchanger keeps, in bytes: what SIZE announces unless told.
pub const LARGEST_MESSAGE: usize = 64 << 20;

/// What an exchanger does. Without rules it is a correct receiver that accepts everything.
///
/// Of the rules for a phase the first that is not used up speaks, so
/// `Script::new().times(1, Rcpt, Act::usual()).once(Rcpt, "452 4.5.3 too many")` refuses the
/// second recipient only. Counts run over all connections of the exchanger.
#[derive(Clone, Debug)]
pub struct Script {
    rules: Vec<Rule>,
    base: Base,
    withheld: Vec<Feature>,
    size: usize,
    certificate: Certificate,
    interruption: Option<(usize, Act)>,
}

/// What holds where no rule speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Base {
    Accepting,
    /// The recipient's local part selects: `habits`.
    Habits,
    /// As `Habits`; a local part that is none of its words is refused.
    Words,
}

#[derive(Clone)]
struct Rule {
    phase: Phase,
    left: Left,
    who: Option<Arc<Predicate>>,
    act: Act,
}

type Predicate = dyn Fn(&str) -> bool + Send + Sync;

#[derive(Clone, Copy, Debug)]
enum Left {
    Times(u32),
    Always,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            rules: Vec::new(),
            base: Base::Accepting,
            withheld: Vec::new(),
            size: LARGEST_MESSAGE,
            certificate: Certificate::Valid,
            interruption: None,
        }
    }
}

impl Script {
    /// A correct receiver that accepts everything.
    pub fn new() -> Self {
        Self::default()
    }

    /// What every domain has that was not given a script: the recipient's local part selects
    /// (`bounced@`, `deferred@`, `greylisted@`, `full@`, `slow@`, `dropped@`, all else accepted).
    pub fn by_local_part() -> Self {
        Self {
            base: Base::Habits,
            ..Self::default()
        }
    }

    /// What the simulator has: the local part selects, and what is no word of it is refused.
    pub(crate) fn simulator() -> Self {
        Self {
            base: Base::Words,
            ..Self::default()
        }
    }

    /// The next time the phase comes, this.
    #[must_use]
    pub fn once(self, phase: Phase, act: impl Into<Act>) -> Self {
        self.times(1, phase, act)
    }

    /// The next `times` times the phase comes, this.
    #[must_use]
    pub fn times(self, times: u32, phase: Phase, act: impl Into<Act>) -> Self {
        self.rule(phase, Left::Times(times), None, act.into())
    }

    /// Whenever the phase comes, this.
    #[must_use]
    pub fn always(self, phase: Phase, act: impl Into<Act>) -> Self {
        self.rule(phase, Left::Always, None, act.into())
    }

    /// For this recipient, always this. The address as it stands in RCPT, without brackets.
    #[must_use]
    pub fn recipient(self, address: &str, act: impl Into<Act>) -> Self {
        let wanted = address.to_owned();
        self.recipients(move |given| given.eq_ignore_ascii_case(&wanted), act)
    }

    /// For all recipients of whom this holds, always this.
    #[must_use]
    pub fn recipients(
        self,
        who: impl Fn(&str) -> bool + Send + Sync + 'static,
        act: impl Into<Act>,
    ) -> Self {
        self.rule(Phase::Rcpt, Left::Always, Some(Arc::new(who)), act.into())
    }

    /// The next time the phase comes, waits at the gate and then goes on as usual.
    #[must_use]
    pub fn gate(self, phase: Phase, gate: &Gate) -> Self {
        self.once(phase, Act::gate(gate).then(Act::usual()))
    }

    /// Once so many bytes of a message have come, this (with every message). An
    /// act that does not end the connection lets the message go on.
    #[must_use]
    pub fn during_body(mut self, after: usize, act: impl Into<Act>) -> Self {
        self.interruption = Some((after, act.into()));
        self
    }

    /// Does not announce the extension, nor accept what comes of it.
    #[must_use]
    pub fn without(mut self, feature: Feature) -> Self {
        self.withheld.push(feature);
        self
    }

    /// The SIZE that is announced and kept (RFC 1870), in bytes; at most [`LARGEST_MESSAGE`].
    #[must_use]
    pub fn size(mut self, bytes: usize) -> Self {
        self.size = bytes.min(LARGEST_MESSAGE);
        self
    }

    /// The certificate it shows.
    #[must_use]
    pub fn certificate(mut self, certificate: Certificate) -> Self {
        self.certificate = certificate;
        self
    }

    fn rule(mut self, phase: Phase, left: Left, who: Option<Arc<Predicate>>, act: Act) -> Self {
        self.rules.push(Rule {
            phase,
            left,
            who,
            act,
        });
        self
    }

    /// The act for this moment, taken off its rule; `None` where no rule speaks.
    pub(crate) fn choose(&mut self, phase: Phase, recipient: Option<&str>) -> Option<Act> {
        let rule = self.rules.iter_mut().find(|rule| {
            rule.phase == phase && !matches!(rule.left, Left::Times(0)) && rule.concerns(recipient)
        })?;
        if let Left::Times(left) = &mut rule.left {
            *left -= 1;
        }
        Some(rule.act.clone())
    }

    pub(crate) fn base(&self) -> Base {
        self.base
    }

    pub(crate) fn offers(&self, feature: Feature) -> bool {
        !self.withheld.contains(&feature)
    }

    pub(crate) fn largest(&self) -> usize {
        self.size
    }

    pub(crate) fn shown_certificate(&self) -> Certificate {
        self.certificate
    }

    pub(crate) fn interruption(&self) -> Option<(usize, Act)> {
        self.interruption.clone()
    }
}

impl Rule {
    fn concerns(&self, recipient: Option<&str>) -> bool {
        match (&self.who, recipient) {
            (None, _) => true,
            (Some(who), Some(recipient)) => who(recipient),
            (Some(_), None) => false,
        }
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rule")
            .field("phase", &self.phase)
            .field("left", &self.left)
            .field("act", &self.act)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(script: &mut Script, recipient: &str) -> Option<String> {
        let act = script.choose(Phase::Rcpt, Some(recipient))?;
        match act.steps.first() {
            Some(Step::Send(bytes)) => Some(String::from_utf8_lossy(bytes).trim().to_owned()),
            _ => Some("usual".to_owned()),
        }
    }

    #[test]
    fn rules_speak_in_order_and_are_used_up() {
        let mut script = Script::new()
            .times(1, Phase::Rcpt, Act::usual())
            .once(Phase::Rcpt, "452 4.5.3 too many")
            .recipient("bob@example.org", "550 no bob");
        assert_eq!(says(&mut script, "a@example.org").as_deref(), Some("usual"));
        assert_eq!(
            says(&mut script, "b@example.org").as_deref(),
            Some("452 4.5.3 too many")
        );
        assert_eq!(
            says(&mut script, "Bob@Example.org").as_deref(),
            Some("550 no bob")
        );
        assert_eq!(says(&mut script, "c@example.org"), None);
        assert!(script.choose(Phase::MailFrom, None).is_none());
    }
}
