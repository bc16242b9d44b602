//! Writing one header field with lines of a good length (RFC 5322 §2.1.1, §2.2.3).

use crate::lines::LINE_MOST;
use crate::words::encode_text;

/// Where a line is folded if it can be. RFC 2047 §2 asks for 76 on lines with encoded words.
const LINE_GOOD: usize = 76;

/// Writes one field: words, each with one space before it, and a fold instead where the line
/// would grow too long.
pub(crate) struct Folder {
    out: String,
    column: usize,
}

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        Self {
            out: format!("{name}:"),
            column: name.len() + 1,
        }
    }

    /// Puts a space and a word; a fold before it where it does not fit.
    pub(crate) fn word(&mut self, word: &str) {
        let end = self.column + 1 + word.len();
        if end > LINE_GOOD && word.len() <= LINE_GOOD || end > LINE_MOST {
            self.out.push_str("\r\n");
            self.column = 0;
        }
        self.out.push(' ');
        self.out.push_str(word);
        self.column += 1 + word.len();
    }

    /// Puts text right behind the last word.
    pub(crate) fn glue(&mut self, text: &str) {
        self.out.push_str(text);
        self.column += text.len();
    }

    pub(crate) fn finish(mut self) -> String {
        self.out.push_str("\r\n");
        self.out
    }
}

/// An unstructured field (RFC 5322 §2.2.1) with its text encoded where that is needed. Spaces
/// around the text are not kept.
pub(crate) fn unstructured(name: &str, text: &str) -> String {
    let mut field = Folder::new(name);
    for token in encode_text(text.trim_matches([' ', '\t'])) {
        field.word(&token);
    }
    field.finish()
}

/// A field of which nothing may be changed but where it is folded: `None` where a word is too
/// long for a line.
pub(crate) fn refold(name: &str, text: &str) -> Option<String> {
    let mut field = Folder::new(name);
    for word in text.split([' ', '\t']).filter(|word| !word.is_empty()) {
        if word.len() + 1 > LINE_MOST {
            return None;
        }
        field.word(word);
    }
    Some(field.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::unfold;

    #[test]
    fn long_fields_are_folded_at_spaces() {
        let text = "word ".repeat(60);
        let field = unstructured("Subject", &text);
        assert!(field.split("\r\n").all(|line| line.len() <= 76), "{field}");
        let plain = String::from_utf8(unfold(field.as_bytes()).into_owned()).unwrap();
        assert_eq!(plain, format!("Subject: {}", text.trim()));
    }

    #[test]
    fn a_word_that_fits_no_line_is_encoded_or_refused() {
        let long = "x".repeat(1_200);
        let field = unstructured("Subject", &long);
        assert!(field.split("\r\n").all(|line| line.len() <= 76), "{field}");
        assert_eq!(refold("References", &long), None);
        assert!(refold("References", &format!("{} b", "a".repeat(900))).is_some());
    }
}
