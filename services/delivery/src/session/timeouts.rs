//! How long we wait for a remote, phase by phase (RFC 5321 §4.5.3.2).

use std::time::Duration;

use crate::outcome::Phase;

/// Every wait on a remote has its name here. Each is for a whole command with its reply, so
/// that a host that drips one byte a minute holds nothing longer than one that is silent.
#[derive(Clone, Debug)]
pub struct Timeouts {
    /// The TCP connection, where this is the last address to try. The RFC names none.
    pub connect: Duration,
    /// The TCP connection, where there are other addresses.
    pub connect_with_others: Duration,
    /// The greeting, §4.5.3.2.1: 5 minutes.
    pub greeting: Duration,
    /// EHLO and HELO. The RFC names none; as the greeting.
    pub hello: Duration,
    /// The reply to STARTTLS. Neither RFC 5321 nor RFC 3207 names one.
    pub starttls: Duration,
    /// The TLS handshake.
    pub handshake: Duration,
    /// MAIL, §4.5.3.2.2: 5 minutes.
    pub mail: Duration,
    /// RCPT, §4.5.3.2.3: 5 minutes.
    pub rcpt: Duration,
    /// DATA and its 354, §4.5.3.2.4: 2 minutes.
    pub data: Duration,
    /// Each block of the message, §4.5.3.2.5: 3 minutes.
    pub data_block: Duration,
    /// What the whole message must reach on average, in bytes per second, once `data_block`
    /// is over.
    pub data_rate: u32,
    /// The reply to the final dot, §4.5.3.2.6: 10 minutes. Shorter makes doubles (RFC 1047).
    pub final_dot: Duration,
    pub rset: Duration,
    /// QUIT. The result is committed by then, so that little is waited for.
    pub quit: Duration,
    /// A transaction up to its final dot, beside what `data_rate` allows for its size.
    pub transaction: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(30),
            connect_with_others: Duration::from_secs(10),
            greeting: Duration::from_mins(5),
            hello: Duration::from_mins(5),
            starttls: Duration::from_mins(2),
            handshake: Duration::from_mins(2),
            mail: Duration::from_mins(5),
            rcpt: Duration::from_mins(5),
            data: Duration::from_mins(2),
            data_block: Duration::from_mins(3),
            data_rate: 500,
            final_dot: Duration::from_mins(10),
            rset: Duration::from_secs(20),
            quit: Duration::from_secs(5),
            transaction: Duration::from_mins(30),
        }
    }
}

impl Timeouts {
    pub(crate) fn of(&self, phase: Phase) -> Duration {
        match phase {
            Phase::Connect => self.connect,
            Phase::Greeting => self.greeting,
            Phase::Hello => self.hello,
            Phase::Starttls => self.starttls,
            Phase::Handshake => self.handshake,
            Phase::MailFrom => self.mail,
            Phase::RcptTo => self.rcpt,
            Phase::Data => self.data,
            Phase::Body => self.data_block,
            Phase::FinalDot => self.final_dot,
            Phase::Rset => self.rset,
            Phase::Quit => self.quit,
        }
    }

    /// How long a message of this many bytes may take at the slowest rate.
    pub(crate) fn at_rate(&self, bytes: usize) -> Duration {
        let rate = u64::from(self.data_rate.max(1));
        Duration::from_secs(u64::try_from(bytes).unwrap_or(u64::MAX) / rate)
    }
}
