//! Hears a remote's replies (RFC 5321 §4.2), however it cuts, drips or pads them.
//!
//! `ReplyParser` is pure: bytes in, replies out. `ReplyReader` puts the socket and the deadline
//! in front of it. What a reply means is decided in `outcome`, not here.

use std::io;

use postrider_model::{EnhancedCode, Reply};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::{Instant, timeout_at};

/// The longest line, its end included. RFC 5321 §4.5.3.1.5 asks for 512; real hosts send more.
const LINE_MOST: usize = 2_048;
const LINES_MOST: usize = 100;
/// The longest reply: the text of all its lines.
const REPLY_MOST: usize = 32 * 1_024;
/// How much is taken from the socket at once.
const READ_MOST: usize = 4_096;

/// One reply as it was sent, before its text is made safe to keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RawReply {
    /// 0..=999: three digits.
    pub(crate) code: u16,
    /// The text of the lines without codes and line ends, joined by `\n`.
    pub(crate) text: Vec<u8>,
}

/// Why there is no reply.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReplyFault {
    #[error("the remote closed the connection")]
    Closed,
    #[error("the remote gave no whole reply in time")]
    TimedOut,
    #[error("the remote sent what is not an SMTP reply")]
    Garbage,
    #[error("the remote sent a reply that is too long")]
    TooLong,
    #[error("the connection broke")]
    Io(#[source] io::Error),
}

impl RawReply {
    /// The reply as it is kept and shown. The enhanced code (RFC 2034 §4) is taken off the
    /// text of every line where its class is the code's first digit, else it stays text.
    pub(crate) fn to_reply(&self) -> Reply {
        let class = self.code / 100;
        let mut enhanced = None;
        let mut text = Vec::with_capacity(self.text.len());
        for (number, line) in self.text.split(|byte| *byte == b'\n').enumerate() {
            let found = enhanced_code(line).filter(|(code, _)| u16::from(code.0) == class);
            let line = match found {
                Some((code, rest)) if number == 0 || enhanced == Some(code) => {
                    enhanced = Some(code);
                    rest
                }
                _ => line,
            };
            if number > 0 {
                text.push(b'\n');
            }
            text.extend_from_slice(line);
        }
        Reply::new(self.code, enhanced, &text)
    }
}

/// `5.1.1 no such user` → (5.1.1, `no such user`).
fn enhanced_code(line: &[u8]) -> Option<(EnhancedCode, &[u8])> {
    let end = line.iter().position(|byte| *byte == b' ');
    let (word, rest) = match end {
        Some(at) => (line.get(..at)?, line.get(at + 1..)?),
        None => (line, &b""[..]),
    };
    let code = EnhancedCode::parse(std::str::from_utf8(word).ok()?)?;
    Some((code, rest))
}

/// Cuts a stream of bytes into replies. Holds at most one unfinished reply and what was pushed
/// and not yet asked for.
#[derive(Debug, Default)]
pub(crate) struct ReplyParser {
    unread: Vec<u8>,
    /// How much of `unread` holds no line end, so that a drip is not searched again and again.
    searched: usize,
    /// The reply that has begun: its code, and its text so far.
    begun: Option<RawReply>,
    lines: usize,
}

impl ReplyParser {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.unread.extend_from_slice(bytes);
    }

    /// The next whole reply; `None` where more bytes are needed. After an error there is no
    /// way to find the next reply: close the connection.
    pub(crate) fn next(&mut self) -> Result<Option<RawReply>, ReplyFault> {
        while let Some(line) = self.next_line()? {
            if let Some(reply) = self.take_line(&line)? {
                return Ok(Some(reply));
            }
        }
        Ok(None)
    }

    /// True where bytes lie here that no reply has been made of yet.
    pub(crate) fn buffered(&self) -> bool {
        self.begun.is_some() || !self.unread.is_empty()
    }

    /// The next line without its end. A bare LF ends a line as CRLF does.
    fn next_line(&mut self) -> Result<Option<Vec<u8>>, ReplyFault> {
        let fresh = self.unread.get(self.searched..).unwrap_or_default();
        let Some(found) = memchr::memchr(b'\n', fresh) else {
            self.searched = self.unread.len();
            return if self.searched >= LINE_MOST {
                Err(ReplyFault::TooLong)
            } else {
                Ok(None)
            };
        };
        let end = self.searched + found + 1;
        if end > LINE_MOST {
            return Err(ReplyFault::TooLong);
        }
        let mut line: Vec<u8> = self.unread.drain(..end).collect();
        self.searched = 0;
        line.pop();
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        Ok(Some(line))
    }

    fn take_line(&mut self, line: &[u8]) -> Result<Option<RawReply>, ReplyFault> {
        let (code, last, text) = split_line(line).ok_or(ReplyFault::Garbage)?;
        self.lines += 1;
        if self.lines > LINES_MOST {
            return Err(ReplyFault::TooLong);
        }
        let reply = match self.begun.take() {
            None => RawReply {
                code,
                text: text.to_vec(),
            },
            Some(begun) if begun.code != code => return Err(ReplyFault::Garbage),
            Some(begun) if begun.text.len() + 1 + text.len() > REPLY_MOST => {
                return Err(ReplyFault::TooLong);
            }
            Some(mut begun) => {
                // Exactly, since doubling would take the reader past 64 KiB.
                begun.text.reserve_exact(1 + text.len());
                begun.text.push(b'\n');
                begun.text.extend_from_slice(text);
                begun
            }
        };
        if last {
            self.lines = 0;
            Ok(Some(reply))
        } else {
            self.begun = Some(reply);
            Ok(None)
        }
    }
}

/// `250-text` → (250, not the last line, `text`). Text and the space before it may be missing.
fn split_line(line: &[u8]) -> Option<(u16, bool, &[u8])> {
    let (digits, rest) = line.split_at_checked(3)?;
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let code = digits
        .iter()
        .fold(0, |code, digit| code * 10 + u16::from(digit - b'0'));
    match rest {
        [b'-', text @ ..] => Some((code, false, text)),
        [b' ', text @ ..] => Some((code, true, text)),
        [b'0'..=b'9', ..] => None,
        text => Some((code, true, text)),
    }
}

/// Reads replies from a socket; what came with one reply is kept for the next.
#[derive(Debug, Default)]
pub(crate) struct ReplyReader {
    parser: ReplyParser,
}

impl ReplyReader {
    /// The next reply. The deadline is for all of it, not for each of its bytes.
    pub(crate) async fn hear<S: AsyncRead + Unpin>(
        &mut self,
        stream: &mut S,
        deadline: Instant,
    ) -> Result<RawReply, ReplyFault> {
        timeout_at(deadline, self.hear_patiently(stream))
            .await
            .unwrap_or(Err(ReplyFault::TimedOut))
    }

    async fn hear_patiently<S: AsyncRead + Unpin>(
        &mut self,
        stream: &mut S,
    ) -> Result<RawReply, ReplyFault> {
        let mut chunk = [0; READ_MOST];
        loop {
            if let Some(reply) = self.parser.next()? {
                return Ok(reply);
            }
            match stream.read(&mut chunk).await.map_err(ReplyFault::Io)? {
                0 => return Err(ReplyFault::Closed),
                read => self.parser.push(chunk.get(..read).unwrap_or_default()),
            }
        }
    }

    /// A reply that has come already, wholly; nothing is waited for. `Ok(None)` where the line
    /// is quiet.
    pub(crate) async fn overhear<S: AsyncRead + Unpin>(
        &mut self,
        stream: &mut S,
    ) -> Result<Option<RawReply>, ReplyFault> {
        if self.parser.buffered() {
            return self.parser.next();
        }
        let mut chunk = [0; READ_MOST];
        let mut free = tokio::io::ReadBuf::new(&mut chunk);
        let polled = std::future::poll_fn(|cx| {
            std::task::Poll::Ready(std::pin::Pin::new(&mut *stream).poll_read(cx, &mut free))
        });
        match polled.await {
            std::task::Poll::Pending => Ok(None),
            std::task::Poll::Ready(Err(error)) => Err(ReplyFault::Io(error)),
            std::task::Poll::Ready(Ok(())) if free.filled().is_empty() => Err(ReplyFault::Closed),
            std::task::Poll::Ready(Ok(())) => {
                self.parser.push(free.filled());
                self.parser.next()
            }
        }
    }

    /// True where bytes were heard beyond the last reply: the remote speaks unasked.
    pub(crate) fn buffered(&self) -> bool {
        self.parser.buffered()
    }
}

#[cfg(test)]
mod tests;
