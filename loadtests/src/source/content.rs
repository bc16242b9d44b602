//! The letters: the same text and the same file, as a request's JSON and as a whole message.

use std::fmt::Write;

use postrider_model::Stream;

use crate::relay::HOST;
use crate::stock::office;

const WORDS: &str = "All work and no play makes mail dull, it is said at the post office. ";
/// Of base64 in a message (RFC 2045 section 6.8).
const LINE: usize = 76;
const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// What all letters of a load have in common.
pub(super) struct Content {
    /// With `\n` at its line ends; and as JSON has it.
    text: String,
    escaped: String,
    /// In base64, in one line; empty: no file.
    file: String,
}

impl Content {
    /// A text and a file of so many bytes.
    pub(super) fn of(text: usize, file: usize) -> Self {
        let mut words = WORDS.chars().cycle();
        let mut written = String::with_capacity(text);
        while written.len() < text {
            written.extend(words.by_ref().take((text - written.len()).min(70)));
            written.push('\n');
        }
        written.truncate(text);
        Self {
            escaped: written.replace('\n', "\\n"),
            text: written,
            file: base64(file),
        }
    }

    /// What the body of `POST /emails` begins with.
    pub(super) fn head(&self, (number, tenant): (u64, u32), to: &str, stream: Stream) -> String {
        let from = office(tenant);
        let head = format!(
            r#"{{"from":"Client <{from}>","reply_to":"{from}","to":"{to}","subject":"Your estimate {number}","stream":"{stream}","#
        );
        if self.file.is_empty() {
            head + r#""text":""#
        } else {
            head + r#""attachments":[{"filename":"estimate.pdf","content":""#
        }
    }

    /// The body of `POST /emails`, to be sent part after part.
    pub(super) fn request<'a>(&'a self, head: &'a str) -> Vec<&'a str> {
        if self.file.is_empty() {
            vec![head, &self.escaped, r#""}"#]
        } else {
            vec![head, &self.file, r#""}],"text":""#, &self.escaped, r#""}"#]
        }
    }

    /// The message as a client hands it to a mail server: CRLF, no line begins with a dot.
    pub(super) fn message(&self, (number, tenant): (u64, u32), to: &str) -> String {
        let from = office(tenant);
        let text = self.text.replace('\n', "\r\n");
        let file = self.file.len() + self.file.len() / LINE * 2;
        let mut message = String::with_capacity(text.len() + file + 1_024);
        let head = format!(
            "From: Client <{from}>\r\nTo: <{to}>\r\nReply-To: {from}\r\n\
             Subject: Your estimate {number}\r\nDate: Sat, 21 Nov 2026 08:00:00 +0000\r\n\
             Message-ID: <{number}@send.{HOST}>\r\nMIME-Version: 1.0\r\n"
        );
        message.push_str(&head);
        let part = "Content-Type: text/plain; charset=utf-8\r\n\
             Content-Transfer-Encoding: 7bit\r\n\r\n";
        if self.file.is_empty() {
            message.push_str(part);
            message.push_str(&text);
            message.push_str("\r\n");
            return message;
        }
        let kind = "Content-Type: multipart/mixed; boundary=\"==parts==\"\r\n\r\n";
        for piece in [kind, "--==parts==\r\n", part, &text, "\r\n--==parts==\r\n"] {
            message.push_str(piece);
        }
        message.push_str(
            "Content-Type: application/pdf; name=\"estimate.pdf\"\r\n\
             Content-Disposition: attachment; filename=\"estimate.pdf\"\r\n\
             Content-Transfer-Encoding: base64\r\n\r\n",
        );
        for line in self.file.as_bytes().chunks(LINE) {
            message.extend(line.iter().map(|byte| char::from(*byte)));
            message.push_str("\r\n");
        }
        let end = write!(message, "--==parts==--\r\n");
        debug_assert!(end.is_ok(), "a String takes all");
        message
    }
}

/// Base64 of so many bytes that look like a packed file; whole groups of three.
fn base64(size: usize) -> String {
    let mut state: u32 = 1;
    let letters = size.div_ceil(3) * 4;
    let letter = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let at = usize::try_from(state >> 26).unwrap_or(0);
        BASE64.get(at).copied().map_or('A', char::from)
    };
    (0..letters).map(letter).collect()
}

/// These bytes (RFC 4648 section 4).
pub(super) fn in_base64(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let at = |n: usize| u32::from(group.get(n).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for n in 0..4_usize {
            let letter = usize::try_from(bits >> (18 - 6 * n) & 63).unwrap_or(0);
            let letter = BASE64.get(letter).copied().map_or('A', char::from);
            text.push(if n > group.len() { '=' } else { letter });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_in_base64_are_padded() {
        for (bytes, want) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("\0a\0b", "AGEAYg=="),
        ] {
            assert_eq!(in_base64(bytes.as_bytes()), want);
        }
    }

    #[test]
    fn a_request_is_json_with_the_text_and_the_file() {
        let content = Content::of(2_000, 3_000);
        let head = content.head((7, 3), "n7@site7.test", Stream::Transactional);
        let body = content.request(&head).concat();
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body["text"].as_str().unwrap().len(), 2_000);
        assert_eq!(body["reply_to"], "office3@client.test");
        let file = body["attachments"][0]["content"].as_str().unwrap();
        assert_eq!(
            (file.len(), body["to"].as_str()),
            (4_000, Some("n7@site7.test"))
        );
    }

    #[test]
    fn a_message_has_short_lines_none_of_which_ends_it() {
        for file in [0, 3_000] {
            let message = Content::of(2_000, file).message((7, 3), "n7@site7.test");
            assert!(message.ends_with("\r\n") && message.len() >= 2_000 + file / 3 * 4);
            for line in message.split_terminator("\r\n") {
                assert!(line.len() <= 78 && !line.starts_with('.'), "{line}");
                assert!(!line.contains(['\r', '\n']), "{line}");
            }
        }
    }
}
