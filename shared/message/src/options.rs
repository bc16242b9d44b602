//! Words between a client and us that travel in the header and never leave: how a program that
//! speaks only SMTP says what another says in JSON.

use crate::field::split;

/// What a field of ours asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wish {
    Stream,
    /// `name=value`; the only one that may stand more than once.
    Tag,
    ScheduledAt,
    ExpiresAt,
    IdempotencyKey,
}

/// The fields that ask for something, in lowercase. The first name of each is ours; the others
/// are those of services that programs were written for.
const WISHES: [(&str, Wish); 9] = [
    ("x-postrider-stream", Wish::Stream),
    ("x-postrider-tag", Wish::Tag),
    ("x-postrider-scheduled-at", Wish::ScheduledAt),
    ("x-postrider-expires-at", Wish::ExpiresAt),
    ("x-postrider-idempotency-key", Wish::IdempotencyKey),
    ("resend-idempotency-key", Wish::IdempotencyKey),
    ("x-tag", Wish::Tag),
    ("x-relay-tag", Wish::Tag),
    ("x-relay-scheduled-at", Wish::ScheduledAt),
];

/// All fields under these are ours, whether they ask for something or not.
const OURS: [&str; 2] = ["x-postrider-", "x-relay-"];

/// One field that asks for something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// `None` where the name is one of ours and nothing is known by it: a name that was misspelt.
    pub wish: Option<Wish>,
    /// As it was written.
    pub field: String,
    /// Unfolded, without white space around it.
    pub value: String,
}

impl Asked {
    /// Whether the name can mean nobody but us.
    pub fn is_of_this_service(&self) -> bool {
        let name = self.field.to_ascii_lowercase();
        OURS.iter().any(|start| name.starts_with(start))
    }
}

/// What a normalised message asks of us, in its order; nothing where its header cannot be read.
pub fn asked(message: &[u8]) -> Vec<Asked> {
    let Ok(split) = split(message) else {
        return Vec::new();
    };
    let ours = split.fields.iter().filter_map(|field| {
        let name = field.name.to_ascii_lowercase();
        let wish = wish(&name);
        let is_misspelt = || name.starts_with("x-postrider-");
        (wish.is_some() || is_misspelt()).then(|| Asked {
            wish,
            field: field.name.to_owned(),
            value: field.text(),
        })
    });
    ours.collect()
}

/// Whether a field, its name in lowercase, is between the client and us.
pub(crate) fn is_ours(name: &str) -> bool {
    OURS.iter().any(|start| name.starts_with(start)) || wish(name).is_some()
}

fn wish(name: &str) -> Option<Wish> {
    let known = WISHES.iter().find(|(known, _)| *known == name);
    known.map(|(_, wish)| *wish)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_header_asks_is_found_under_every_name_it_has() {
        let raw = "Subject: x\r\nX-POSTRIDER-Stream:  bulk \r\nX-Tag: a=b\r\nx-relay-tag: c=d\r\n\
                   X-Postrider-Expires-At: 2026-01-31T08:00:00Z\r\nX-Postrider-Streem: bulk\r\nX-Relay-Other: x\r\n\
                   Resend-Idempotency-Key: k\r\nX-Relay-Scheduled-At:\r\n in 5\r\n\tminutes\r\n\r\nX-Tag: e=f\r\n";
        let got = asked(raw.as_bytes());
        let got: Vec<_> = got
            .iter()
            .map(|one| (one.wish, one.field.as_str(), one.value.as_str()))
            .collect();
        assert_eq!(
            got,
            [
                (Some(Wish::Stream), "X-POSTRIDER-Stream", "bulk"),
                (Some(Wish::Tag), "X-Tag", "a=b"),
                (Some(Wish::Tag), "x-relay-tag", "c=d"),
                (
                    Some(Wish::ExpiresAt),
                    "X-Postrider-Expires-At",
                    "2026-01-31T08:00:00Z"
                ),
                (None, "X-Postrider-Streem", "bulk"),
                (Some(Wish::IdempotencyKey), "Resend-Idempotency-Key", "k"),
                (
                    Some(Wish::ScheduledAt),
                    "X-Relay-Scheduled-At",
                    "in 5\tminutes"
                ),
            ]
        );
        assert_eq!(asked(b"no header\r\n"), []);
    }

    #[test]
    fn all_of_them_are_ours() {
        for (name, _) in WISHES {
            assert!(is_ours(name), "{name}");
        }
        for (name, want) in [
            ("x-postrider-anything", true),
            ("x-relay-", true),
            ("x-priority", false),
            ("x-tags", false),
            ("tag", false),
        ] {
            assert_eq!(is_ours(name), want, "{name}");
        }
    }
}
