//! What the server says: a code, an enhanced code, one or more lines (RFC 5321 §4.2, RFC 2034).

use postrider_model::EnhancedCode;

/// Longest reply line with its CRLF (RFC 5321 §4.5.3.1.5).
const LINE_MOST: usize = 512;

/// One reply. Its texts are printable ASCII: whatever else was given is a question mark, so that
/// nothing that came from outside can end a line or start another reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    code: u16,
    enhanced: Option<EnhancedCode>,
    texts: Vec<String>,
}

impl Reply {
    /// A reply of one line. `code` is 200..=599.
    pub fn new(
        code: u16,
        enhanced: impl Into<Option<EnhancedCode>>,
        text: impl AsRef<str>,
    ) -> Self {
        Self {
            code,
            enhanced: enhanced.into(),
            texts: vec![printable(text.as_ref())],
        }
    }

    /// One more line below.
    #[must_use]
    pub fn line(mut self, text: impl AsRef<str>) -> Self {
        self.texts.push(printable(text.as_ref()));
        self
    }

    /// The only good answer to DATA.
    pub fn start_content() -> Self {
        Self::new(354, None, "End data with <CR><LF>.<CR><LF>")
    }

    pub fn code(&self) -> u16 {
        self.code
    }

    pub fn enhanced(&self) -> Option<EnhancedCode> {
        self.enhanced
    }

    /// The lines without codes.
    pub fn texts(&self) -> &[String] {
        &self.texts
    }

    /// The lines as they go out, without their CRLF, each at most 510 bytes: what is longer is
    /// continued on a further line, cut at a space where there is one.
    pub fn wire_lines(&self) -> Vec<String> {
        let enhanced = self
            .enhanced
            .map_or_else(String::new, |code| format!("{code} "));
        let most = LINE_MOST - "250-\r\n".len() - enhanced.len();
        let mut pieces: Vec<&str> = self
            .texts
            .iter()
            .flat_map(|text| fold(text, most))
            .collect();
        let last = pieces.pop().unwrap_or_default();
        let mut lines: Vec<String> = pieces
            .into_iter()
            .map(|piece| format!("{}-{enhanced}{piece}", self.code))
            .collect();
        lines.push(format!("{} {enhanced}{last}", self.code));
        lines
    }

    /// The reply as it goes out, CRLF behind each line.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        for line in self.wire_lines() {
            out.extend_from_slice(line.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
    }
}

fn printable(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c == ' ' || c.is_ascii_graphic() {
                c
            } else {
                '?'
            }
        })
        .collect()
}

// Of printable ASCII, so that every index is a character's. An empty text is one empty piece.
fn fold(text: &str, most: usize) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while rest.len() > most {
        let head = rest.get(..=most).unwrap_or(rest);
        let cut = head.rfind(' ').filter(|&at| at > 0).unwrap_or(most);
        let (piece, after) = rest.split_at(cut);
        pieces.push(piece);
        rest = after.strip_prefix(' ').unwrap_or(after);
    }
    pieces.push(rest);
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(reply: &Reply) -> String {
        let mut out = Vec::new();
        reply.write_to(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn replies_are_written_as_the_rfcs_draw_them() {
        for (reply, want) in [
            (
                Reply::new(250, EnhancedCode(2, 0, 0), "queued as 1"),
                "250 2.0.0 queued as 1\r\n",
            ),
            (
                Reply::new(250, None, "a.example")
                    .line("SIZE 1")
                    .line("PIPELINING"),
                "250-a.example\r\n250-SIZE 1\r\n250 PIPELINING\r\n",
            ),
            (
                Reply::new(535, EnhancedCode(5, 7, 8), "one").line("two"),
                "535-5.7.8 one\r\n535 5.7.8 two\r\n",
            ),
            // A client that waits for a challenge wants the space (curl, PLAIN without initial response).
            (Reply::new(334, None, ""), "334 \r\n"),
        ] {
            assert_eq!(wire(&reply), want);
        }
    }

    #[test]
    fn nothing_in_a_text_can_end_a_line() {
        let reply = Reply::new(550, EnhancedCode(5, 1, 1), "a\r\n250 ok\0 \u{e9}\u{202e}");
        assert_eq!(wire(&reply), "550 5.1.1 a??250 ok? ??\r\n");
    }

    #[test]
    fn a_long_text_goes_on_at_a_space() {
        let text = format!("{} {}", "a".repeat(400), "b".repeat(400));
        let lines = Reply::new(550, EnhancedCode(5, 7, 1), text).wire_lines();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0], format!("550-5.7.1 {}", "a".repeat(400)));
        assert_eq!(lines[1], format!("550 5.7.1 {}", "b".repeat(400)));
    }

    proptest::proptest! {
        #[test]
        fn every_line_is_short_and_carries_the_code(texts in proptest::collection::vec("[ -~]{0,2000}", 1..4)) {
            let mut reply = Reply::new(421, EnhancedCode(4, 7, 0), &texts[0]);
            for text in &texts[1..] {
                reply = reply.line(text);
            }
            let lines = reply.wire_lines();
            let last = lines.len() - 1;
            for (at, line) in lines.iter().enumerate() {
                proptest::prop_assert!(line.len() <= 510);
                let head = if at == last { "421 4.7.0 " } else { "421-4.7.0 " };
                proptest::prop_assert!(line.starts_with(head));
            }
            let kept: String = lines.iter().map(|line| &line[10..]).collect();
            let given = texts.concat();
            proptest::prop_assert_eq!(kept.replace(' ', ""), given.replace(' ', ""));
        }
    }
}
