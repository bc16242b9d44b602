//! What a message asks in its own header, and what its key says where it asks nothing: for
//! programs that speak only SMTP.

use std::time::Duration;

use postrider_message::{Asked, Wish, asked};
use postrider_model::{Credential, IdempotencyKey, Stream, Tag, Timestamp};

use crate::accept::AcceptError;
use crate::moment;

/// Most tags of one message.
const TAGS_MOST: usize = 50;
/// Longest name or value of a tag, in characters.
const TAG_MOST: usize = 256;

/// What is asked in the header of one message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    pub stream: Option<Stream>,
    pub tags: Vec<Tag>,
    pub scheduled_at: Option<Timestamp>,
    pub expires_at: Option<Timestamp>,
    pub key: Option<IdempotencyKey>,
}

impl Options {
    /// Reads them from a normalised message. Refuses a value that cannot be meant, a wish that
    /// stands twice, and a name of ours that is none: what is not understood here would be sent
    /// in a way that nobody asked for.
    pub fn of(message: &[u8], now: Timestamp) -> Result<Self, AcceptError> {
        let mut options = Self::default();
        for one in asked(message) {
            options.take(&one, now).map_err(|reason| {
                let value: String = one.value.chars().take(80).collect();
                AcceptError::BadOption {
                    header: one.field.clone(),
                    value: value.escape_debug().to_string(),
                    reason,
                }
            })?;
        }
        Ok(options)
    }

    fn take(&mut self, one: &Asked, now: Timestamp) -> Result<(), &'static str> {
        match one.wish {
            None => Err("there is no such header; see the documentation for their names"),
            Some(Wish::Stream) => {
                let word = one.value.to_ascii_lowercase();
                let stream = Stream::parse(&word);
                put(
                    &mut self.stream,
                    stream.map_err(|_| "write transactional or bulk")?,
                )
            }
            Some(Wish::Tag) => match self.tag(&one.value) {
                // `X-Tag` is anybody's: what other programs mean by it is none of ours.
                Err(_) if !one.is_of_this_service() => Ok(()),
                taken => taken,
            },
            Some(Wish::ScheduledAt) => put(&mut self.scheduled_at, time(&one.value, now)?),
            Some(Wish::ExpiresAt) => put(&mut self.expires_at, time(&one.value, now)?),
            Some(Wish::IdempotencyKey) => {
                let key = IdempotencyKey::parse(&one.value);
                let key = key.map_err(|_| "write 1 to 256 visible ASCII characters")?;
                put(&mut self.key, key)
            }
        }
    }

    fn tag(&mut self, text: &str) -> Result<(), &'static str> {
        let (name, value) = text
            .split_once('=')
            .ok_or("write name=value, as in campaign=spring")?;
        let (name, value) = (name.trim(), value.trim());
        if !is_tag_word(name) || !is_tag_word(value) {
            return Err("name and value have 1 to 256 letters, digits, _ or -");
        }
        if self.tags.iter().any(|tag| tag.name == name) {
            return Err("this name stands there twice; give each tag once");
        }
        if self.tags.len() == TAGS_MOST {
            return Err("50 tags are the most; give fewer");
        }
        self.tags.push(Tag {
            name: name.to_owned(),
            value: value.to_owned(),
        });
        Ok(())
    }
}

/// What a message has in the end: what it says itself, else what its key says. `said` comes with
/// the message, `key` with whom it was handed in by.
pub(crate) fn with_defaults(
    mut said: Options,
    key: Option<&Credential>,
    now: Timestamp,
) -> Options {
    let Some(defaults) = key.map(|key| &key.defaults) else {
        return said;
    };
    said.stream = said.stream.or(defaults.stream);
    for tag in &defaults.tags {
        if said.tags.len() < TAGS_MOST && !said.tags.iter().any(|one| one.name == tag.name) {
            said.tags.push(tag.clone());
        }
    }
    if said.expires_at.is_none() {
        let begin = said.scheduled_at.unwrap_or(now).max(now);
        let span = defaults.expires_after.filter(|span| *span > Duration::ZERO);
        said.expires_at = span.map(|span| begin.after(span));
    }
    said
}

fn put<T>(place: &mut Option<T>, value: T) -> Result<(), &'static str> {
    if place.is_some() {
        return Err("it stands there more than once; give it once");
    }
    *place = Some(value);
    Ok(())
}

fn time(text: &str, now: Timestamp) -> Result<Timestamp, &'static str> {
    moment::read(text, now)
        .ok_or("write a time with a zone, as in 2026-01-31T08:00:00Z, or \"in 5 minutes\"")
}

fn is_tag_word(text: &str) -> bool {
    let is_good = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'-');
    (1..=TAG_MOST).contains(&text.len()) && text.bytes().all(is_good)
}

#[cfg(test)]
mod tests {
    use postrider_model::{CredentialId, KeyDefaults, TenantId};

    use super::*;

    const NOW: &str = "2026-01-31T08:00:00Z";

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    fn tag(name: &str, value: &str) -> Tag {
        Tag {
            name: name.to_owned(),
            value: value.to_owned(),
        }
    }

    fn read(header: &str) -> Result<Options, String> {
        let message = format!("{header}\r\nSubject: x\r\n\r\nX-Postrider-Stream: bulk\r\n");
        Options::of(message.as_bytes(), at(NOW)).map_err(|error| match error {
            AcceptError::BadOption { header, .. } => header,
            other => other.to_string(),
        })
    }

    #[test]
    fn a_header_says_what_json_says() {
        assert_eq!(read("X: y"), Ok(Options::default()));
        let all = "X-Postrider-Stream: Bulk\r\nX-Postrider-Tag: a=b\r\nX-Tag: c = d\r\n\
                   X-Postrider-Scheduled-At: in 5 minutes\r\nX-Postrider-Expires-At: 2026-01-31T10:00:00+01:00\r\n\
                   Resend-Idempotency-Key: order-17";
        let want = Options {
            stream: Some(Stream::Bulk),
            tags: vec![tag("a", "b"), tag("c", "d")],
            scheduled_at: Some(at("2026-01-31T08:05:00Z")),
            expires_at: Some(at("2026-01-31T09:00:00Z")),
            key: Some(IdempotencyKey::parse("order-17").unwrap()),
        };
        assert_eq!(read(all), Ok(want));
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_the_headers_name() {
        for header in [
            "X-Postrider-Stream: marketing",
            "X-Postrider-Stream:",
            "X-Postrider-Stream: bulk\r\nX-Postrider-Stream: bulk",
            "X-Postrider-Tag: a",
            "X-Postrider-Tag: a=é",
            "X-Postrider-Tag: =b",
            "X-Postrider-Tag: a=b\r\nX-Postrider-Tag: a=c",
            "X-Postrider-Expires-At: tomorrow",
            "X-Postrider-Expires-At: 2026-01-31T10:00:00",
            "X-Postrider-Scheduled-At: 5",
            "X-Postrider-Idempotency-Key: a b",
            "X-Postrider-Idempotency-Key:",
            "X-Postrider-Streem: bulk",
        ] {
            let name = header.rsplit("\r\n").next().unwrap();
            let name = name.split(':').next().unwrap();
            assert_eq!(read(header), Err(name.to_owned()), "{header}");
        }
        let twice = "Resend-Idempotency-Key: a\r\nX-Postrider-Idempotency-Key: a";
        assert_eq!(read(twice), Err("X-Postrider-Idempotency-Key".to_owned()));
    }

    #[test]
    fn a_header_that_is_anybodys_may_say_anything() {
        assert_eq!(read("X-Tag: blue\r\nX-Tag: a b=c"), Ok(Options::default()));
    }

    #[test]
    fn a_key_speaks_where_the_message_does_not() {
        let mut key = Credential::api(
            CredentialId::from_bytes([1; 16]),
            TenantId::from_bytes([2; 16]),
            String::new(),
            [0; 32],
        );
        key.defaults = KeyDefaults {
            stream: Some(Stream::Bulk),
            tags: vec![tag("a", "key"), tag("b", "key")],
            expires_after: Some(Duration::from_hours(1)),
            reply_to: None,
        };
        let filled = |said| with_defaults(said, Some(&key), at(NOW));
        let silent = filled(Options::default());
        assert_eq!(silent.stream, Some(Stream::Bulk));
        assert_eq!(silent.tags, key.defaults.tags);
        assert_eq!(silent.expires_at, Some(at("2026-01-31T09:00:00Z")));
        let said = Options {
            stream: Some(Stream::Transactional),
            tags: vec![tag("a", "own")],
            scheduled_at: Some(at("2026-01-31T10:00:00Z")),
            ..Options::default()
        };
        let got = filled(said.clone());
        assert_eq!(got.stream, Some(Stream::Transactional));
        assert_eq!(got.tags, [tag("a", "own"), tag("b", "key")]);
        assert_eq!(got.expires_at, Some(at("2026-01-31T11:00:00Z")));
        assert_eq!(with_defaults(said.clone(), None, at(NOW)), said);
    }
}
