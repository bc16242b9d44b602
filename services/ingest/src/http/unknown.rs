//! Fields that we do not know: ignored, and named in the answer's `relay-warning`.

use http::{HeaderName, HeaderValue};
use postrider_http::Answer;

pub(crate) const WARNING: HeaderName = HeaderName::from_static("relay-warning");

/// The names of unknown fields.
#[derive(Debug, Default)]
pub(crate) struct Unknown(Vec<String>);

const MOST: usize = 10;

impl Unknown {
    /// Remembers a name, with no other characters than a header field may carry.
    pub(crate) fn add(&mut self, name: impl AsRef<str>) {
        let is_plain = |c: &char| c.is_ascii_alphanumeric() || "_.-[]".contains(*c);
        let plain: String = name.as_ref().chars().filter(is_plain).take(60).collect();
        if self.0.len() < MOST && !plain.is_empty() {
            self.0.push(plain);
        }
    }

    /// Remembers those of a part of the request: `[3]`.
    pub(crate) fn add_all(&mut self, part: &str, unknown: Self) {
        for name in unknown.0 {
            self.add(format!("{part}.{name}"));
        }
    }

    /// The answer, with the warning where there is one to give.
    pub(crate) fn warn(&self, answer: Answer) -> Answer {
        if self.0.is_empty() {
            return answer;
        }
        match HeaderValue::try_from(format!("ignored unknown fields: {}", self.0.join(", "))) {
            Ok(warning) => answer.header(WARNING, warning),
            Err(_not_plain) => answer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_harmless_and_few() {
        let mut unknown = Unknown::default();
        unknown.add("a\r\nSet-Cookie: b");
        unknown.add("é");
        (0..20).for_each(|number| unknown.add(format!("tags[{number}].x")));
        let answer = unknown.warn(Answer::text(200, ""));
        let warning = answer.headers.get(WARNING).unwrap().to_str().unwrap();
        assert!(
            warning.starts_with("ignored unknown fields: aSet-Cookieb, tags[0].x, "),
            "{warning}"
        );
        assert_eq!(warning.split(", ").count(), 10);
        assert!(
            Unknown::default()
                .warn(Answer::text(200, ""))
                .headers
                .get(WARNING)
                .is_none()
        );
    }
}
