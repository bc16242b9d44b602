//! What an exchanger does at one moment of a session: the words it says, and how it says them.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};

use super::Gate;

/// Steps done one after the other instead of the usual reply. Made of a text (`"450 4.7.1 no"`)
/// or by the constructors, and joined by [`then`](Act::then).
///
/// Whether a command counts as accepted is read from the first byte that is sent: 2 or 3 is a
/// yes, anything else is a no. An act that says nothing says no.
#[derive(Clone, Debug)]
pub struct Act {
    pub(crate) steps: Vec<Step>,
}

#[derive(Clone, Debug)]
pub(crate) enum Step {
    Usual,
    Send(Bytes),
    Drip { bytes: Bytes, every: Duration },
    Endless { line: Bytes, every: Duration },
    Wait(Duration),
    Gate(Gate),
    Record,
    Hang,
    Stall,
    HalfClose,
    Close,
    Reset,
}

impl Act {
    /// What the exchanger would do without a script: the plain reply; at the final dot the
    /// message is recorded first; at [`Handshake`](super::Phase::Handshake) the TLS handshake.
    pub fn usual() -> Self {
        Self::of(Step::Usual)
    }

    /// A reply. Of several lines in `text` (divided by `\n`), the first holds the code:
    /// `"550 5.1.1 unknown\nask the postmaster"` is sent as `550-5.1.1 …`, `550 ask …`.
    /// After a 421 the exchanger closes the connection (RFC 5321 §3.8). At the final dot, a
    /// reply that begins with 2 records the message.
    pub fn reply(text: &str) -> Self {
        let reply = Self::raw(wire(text));
        if text.starts_with("421") {
            reply.then(Self::close())
        } else {
            reply
        }
    }

    /// A reply of `count` lines, all with `code`.
    pub fn lines(code: u16, count: usize) -> Self {
        let numbered = (1..=count).map(|n| format!("line {n} of {count}"));
        Self::reply(&format!(
            "{code} {}",
            numbered.collect::<Vec<_>>().join("\n")
        ))
    }

    /// Exactly these bytes, in one segment where they fit: garbage, NULs, bare line feeds, no
    /// line end at all, or a second reply behind the first.
    pub fn raw(bytes: impl Into<Bytes>) -> Self {
        Self::of(Step::Send(bytes.into()))
    }

    /// A reply line that is `length` bytes long with its line end.
    pub fn long_line(code: u16, length: usize) -> Self {
        let mut line = BytesMut::with_capacity(length);
        line.put_slice(format!("{code} ").as_bytes());
        line.put_bytes(b'x', length.saturating_sub(line.len() + 2));
        line.put_slice(b"\r\n");
        Self::raw(line.freeze())
    }

    /// These bytes one by one, `every` so often.
    pub fn drip(bytes: impl Into<Bytes>, every: Duration) -> Self {
        Self::of(Step::Drip {
            bytes: bytes.into(),
            every,
        })
    }

    /// A reply that never ends: this line again and again, with `every` between two; as fast as
    /// the other side reads where that is zero.
    pub fn endless(line: &str, every: Duration) -> Self {
        let line = Bytes::from(format!("{line}\r\n"));
        Self::of(Step::Endless { line, every })
    }

    /// Nothing for so long.
    pub fn wait(span: Duration) -> Self {
        Self::of(Step::Wait(span))
    }

    /// Waits at the gate until the test lets it through.
    pub fn gate(gate: &Gate) -> Self {
        Self::of(Step::Gate(gate.clone()))
    }

    /// Puts the message into the mailbox; only at the final dot.
    pub fn record() -> Self {
        Self::of(Step::Record)
    }

    /// Says nothing more, and reads until the other side goes away.
    pub fn hang() -> Self {
        Self::of(Step::Hang)
    }

    /// Says nothing more and reads nothing more, so that the other side's writes block.
    pub fn stall() -> Self {
        Self::of(Step::Stall)
    }

    /// Ends our direction (FIN) and goes on reading.
    pub fn half_close() -> Self {
        Self::of(Step::HalfClose).then(Self::hang())
    }

    /// Ends the connection with a FIN; in TLS after `close_notify`.
    pub fn close() -> Self {
        Self::of(Step::Close)
    }

    /// Ends the connection with an RST.
    pub fn reset() -> Self {
        Self::of(Step::Reset)
    }

    /// This, and then `next`.
    #[must_use]
    pub fn then(mut self, next: impl Into<Self>) -> Self {
        self.steps.extend(next.into().steps);
        self
    }

    fn of(step: Step) -> Self {
        Self { steps: vec![step] }
    }
}

impl From<&str> for Act {
    fn from(text: &str) -> Self {
        Self::reply(text)
    }
}

impl From<String> for Act {
    fn from(text: String) -> Self {
        Self::reply(&text)
    }
}

// RFC 5321 §4.2.1: every line has the code, all but the last a hyphen behind it.
pub(crate) fn wire(text: &str) -> Bytes {
    let mut lines = text.split('\n').peekable();
    let first = lines.next().unwrap_or_default();
    if lines.peek().is_none() {
        return Bytes::from(format!("{first}\r\n"));
    }
    let (code, words) = first.split_at_checked(3).unwrap_or((first, ""));
    let mut wire = format!("{code}-{}\r\n", words.trim_start());
    while let Some(line) = lines.next() {
        let sign = if lines.peek().is_some() { "-" } else { " " };
        wire.extend([code, sign, line, "\r\n"]);
    }
    Bytes::from(wire)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(act: &Act) -> &[u8] {
        match act.steps.first() {
            Some(Step::Send(bytes)) => bytes,
            other => panic!("not a reply: {other:?}"),
        }
    }

    #[test]
    fn a_text_becomes_a_reply_as_the_wire_needs_it() {
        for (text, want) in [
            ("250 ok", "250 ok\r\n"),
            ("999 what", "999 what\r\n"),
            ("550 5.1.1 no\nreally", "550-5.1.1 no\r\n550 really\r\n"),
            ("250 a\nb\nc", "250-a\r\n250-b\r\n250 c\r\n"),
            ("", "\r\n"),
        ] {
            assert_eq!(sent(&Act::reply(text)), want.as_bytes(), "{text:?}");
        }
    }

    #[test]
    fn forty_lines_are_forty_lines_and_a_long_line_is_that_long() {
        let act = Act::lines(250, 40);
        let text = String::from_utf8(sent(&act).to_vec()).unwrap();
        assert_eq!(text.lines().count(), 40);
        assert_eq!(text.matches("250-").count(), 39);
        assert_eq!(sent(&Act::long_line(250, 1 << 20)).len(), 1 << 20);
    }

    #[test]
    fn after_a_421_the_connection_is_closed() {
        let act = Act::reply("421 4.3.2 going down");
        assert!(matches!(act.steps.last(), Some(Step::Close)));
    }
}
