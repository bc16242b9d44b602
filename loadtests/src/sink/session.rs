//! One SMTP session of the sink: RFC 5321 as far as a relay needs it, pipelining and all.

use std::io;
use std::time::Duration;

use memchr::memmem;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::number;
use crate::ledger::Ledger;

/// A head is looked at so far.
const HEAD_MOST: usize = 16 * 1024;
const READ: usize = 64 * 1024;
const HELLO: &[u8] =
    b"250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 ENHANCEDSTATUSCODES\r\n";

/// What all sessions at one address share.
pub(super) struct Site {
    pub(super) ledger: Ledger,
    pub(super) rtt: Duration,
    pub(super) deferred_permille: u64,
}

#[derive(Default)]
struct Session {
    input: Vec<u8>,
    answers: Vec<u8>,
    recipients: Vec<Option<u64>>,
    /// After DATA, until the final dot.
    coming: Option<Coming>,
    has_ended: bool,
}

/// The message that comes.
struct Coming {
    /// Nothing of it has been dropped yet: a dot at its very beginning ends it.
    is_fresh: bool,
    is_signed: bool,
    /// Bytes of its head that may still be looked at.
    head_left: usize,
}

/// Serves one client until it leaves. What it sends at once is answered at once, one round-trip
/// time later.
pub(super) async fn run(mut stream: TcpStream, site: &Site) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut session = Session::default();
    session.answers.extend_from_slice(b"220 sink ESMTP\r\n");
    let mut buffer = vec![0; READ];
    loop {
        if !session.answers.is_empty() {
            if !site.rtt.is_zero() {
                tokio::time::sleep(site.rtt).await;
            }
            stream.write_all(&session.answers).await?;
            session.answers.clear();
        }
        if session.has_ended {
            return Ok(());
        }
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        session
            .input
            .extend_from_slice(buffer.get(..count).unwrap_or_default());
        session.take(site);
    }
}

impl Session {
    /// Answers all that is there whole.
    fn take(&mut self, site: &Site) {
        loop {
            let went_on = match self.coming.take() {
                Some(coming) => self.take_message(coming, site),
                None => self.take_line(site),
            };
            if !went_on || self.has_ended {
                return;
            }
        }
    }

    fn take_message(&mut self, mut coming: Coming, site: &Site) -> bool {
        coming.look_at(&self.input);
        let whole = if coming.is_fresh && self.input.starts_with(b".\r\n") {
            Some(3)
        } else {
            memmem::find(&self.input, b"\r\n.\r\n").map(|at| at + 5)
        };
        let Some(whole) = whole else {
            // All but what may be the beginning of the end, or of the field, is seen for good.
            let seen = self.input.len().saturating_sub(16);
            coming.is_fresh &= seen == 0;
            self.input.drain(..seen);
            self.coming = Some(coming);
            return false;
        };
        self.input.drain(..whole);
        for number in self.recipients.drain(..) {
            match number {
                Some(number) => site.ledger.arrived(number, coming.is_signed),
                None => site.ledger.stranger(),
            }
        }
        self.answers.extend_from_slice(b"250 2.0.0 taken\r\n");
        true
    }

    fn take_line(&mut self, site: &Site) -> bool {
        let Some(end) = memchr::memchr(b'\n', &self.input) else {
            return false;
        };
        let line: Vec<u8> = self.input.drain(..=end).collect();
        let line = String::from_utf8_lossy(&line);
        let verb = line.get(..4).unwrap_or_default().to_ascii_uppercase();
        let answer: &[u8] = match verb.as_str() {
            "EHLO" => HELLO,
            "HELO" => b"250 sink\r\n",
            "RCPT" => self.recipient(&line, site),
            "DATA" if self.recipients.is_empty() => b"554 5.5.1 no recipients\r\n",
            "DATA" => {
                self.coming = Some(Coming {
                    is_fresh: true,
                    is_signed: false,
                    head_left: HEAD_MOST,
                });
                b"354 go on\r\n"
            }
            "QUIT" => {
                self.has_ended = true;
                b"221 2.0.0 bye\r\n"
            }
            "MAIL" | "RSET" => {
                self.recipients.clear();
                b"250 2.0.0 ok\r\n"
            }
            "NOOP" => b"250 2.0.0 ok\r\n",
            _ => b"502 5.5.1 no such command\r\n",
        };
        self.answers.extend_from_slice(answer);
        true
    }

    fn recipient(&mut self, line: &str, site: &Site) -> &'static [u8] {
        let address = line
            .split_once('<')
            .and_then(|(_, rest)| rest.split_once('>'));
        let number = address.and_then(|(address, _)| number(address));
        if let Some(number) = number {
            let is_first = site.ledger.started(number);
            if is_first && number % 1_000 < site.deferred_permille {
                return b"451 4.7.1 come again\r\n";
            }
        }
        self.recipients.push(number);
        b"250 2.1.5 ok\r\n"
    }
}

impl Coming {
    /// Signatures stand first, so that the first read has them; a field's name that is cut by the
    /// end of what has come is whole when more has.
    fn look_at(&mut self, input: &[u8]) {
        if self.head_left == 0 {
            return;
        }
        let end = memmem::find(input, b"\r\n\r\n").unwrap_or(input.len());
        let head = input.get(..end.min(self.head_left)).unwrap_or_default();
        self.is_signed |= memmem::find(head, b"DKIM-Signature:").is_some();
        self.head_left = if self.is_signed || end < input.len() {
            0
        } else {
            self.head_left.saturating_sub(head.len())
        };
    }
}
