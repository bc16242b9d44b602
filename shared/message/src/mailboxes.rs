//! Address fields (RFC 5322 §3.4): reading them as the world writes them, printing them as the
//! law asks.

use postrider_model::{AddressError, EmailAddress, Mailbox};

use crate::fold::Folder;
use crate::words::{encode_words, one_line};

/// What stands in an address field.
#[derive(Debug, Default)]
pub(crate) struct AddressList {
    pub(crate) mailboxes: Vec<Mailbox>,
    /// True where a group (`name: a@b, c@d;`) is among them; its members are in `mailboxes`.
    pub(crate) has_group: bool,
    /// The first item that is not an address, if there is one.
    pub(crate) wrong: Option<AddressError>,
}

/// Reads an unfolded field value. Work is linear in its length.
pub(crate) fn parse(text: &str) -> AddressList {
    let mut list = AddressList::default();
    for item in items(text) {
        match item {
            Item::GroupStart => list.has_group = true,
            Item::Mailbox { name, address } => match EmailAddress::parse(&address) {
                Ok(address) => list.mailboxes.push(Mailbox { name, address }),
                Err(error) => {
                    list.wrong.get_or_insert(error);
                }
            },
        }
    }
    // `Doe, John <a@b>`: a name that should be quoted. There is one address however it is read.
    if list.wrong.is_some()
        && !list.has_group
        && text.matches('@').count() == 1
        && text.matches('<').count() == 1
        && let Ok(mailbox) = Mailbox::parse(&one_line(text))
    {
        return AddressList {
            mailboxes: vec![mailbox],
            ..AddressList::default()
        };
    }
    list
}

enum Item {
    GroupStart,
    Mailbox {
        name: Option<String>,
        address: String,
    },
}

/// What has been read of one item.
#[derive(Default)]
struct Parts {
    /// Phrase or bare address, as written but for comments; quoted strings unquoted.
    shown: String,
    /// The same with quotes kept.
    bare: String,
    comment: Option<String>,
    angle: Option<String>,
}

impl Parts {
    fn is_empty(&self) -> bool {
        self.bare.trim().is_empty() && self.angle.is_none()
    }

    fn mailbox(self) -> Item {
        let given = |name: String| Some(name.trim().to_owned()).filter(|name| !name.is_empty());
        match self.angle {
            Some(address) => Item::Mailbox {
                name: given(one_line(self.shown.trim())),
                address,
            },
            None => Item::Mailbox {
                name: self
                    .comment
                    .and_then(|comment| given(one_line(comment.trim()))),
                address: self.bare.trim().to_owned(),
            },
        }
    }
}

fn items(text: &str) -> Vec<Item> {
    let (mut all, mut parts) = (vec![], Parts::default());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let after = rest.get(c.len_utf8()..).unwrap_or_default();
        rest = match c {
            '"' => {
                let (inside, after) = quoted(after);
                parts.shown.push_str(&inside);
                parts
                    .bare
                    .push_str(rest.get(..rest.len() - after.len()).unwrap_or_default());
                after
            }
            '(' => {
                let (inside, after) = comment(after);
                parts.comment = Some(inside);
                after
            }
            '<' => {
                let (inside, after) = angle(after);
                // A second one makes the item no address at all: none is picked.
                parts.angle = Some(match parts.angle.take() {
                    Some(first) => format!("{first} {inside}"),
                    None => inside,
                });
                after
            }
            ':' if parts.angle.is_none() => {
                parts = Parts::default();
                all.push(Item::GroupStart);
                after
            }
            ',' | ';' => {
                let done = std::mem::take(&mut parts);
                if !done.is_empty() {
                    all.push(done.mailbox());
                }
                after
            }
            c => {
                parts.shown.push(c);
                parts.bare.push(c);
                after
            }
        };
    }
    if !parts.is_empty() {
        all.push(parts.mailbox());
    }
    all
}

// Behind the opening quote: what is quoted, and what follows the closing one.
fn quoted(text: &str) -> (String, &str) {
    let mut inside = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => break,
            '\\' => inside.extend(chars.next()),
            c => inside.push(c),
        }
    }
    (inside, chars.as_str())
}

// Behind the opening parenthesis. Comments nest (RFC 5322 §3.2.2).
fn comment(text: &str) -> (String, &str) {
    let (mut inside, mut depth) = (String::new(), 1_usize);
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => inside.extend(chars.next()),
            ')' if depth == 1 => break,
            '(' | ')' => {
                depth = if c == '(' { depth + 1 } else { depth - 1 };
                inside.push(c);
            }
            c => inside.push(c),
        }
    }
    (inside, chars.as_str())
}

// Behind `<`: the address with its quotes, without comments, spaces and an old source route
// (RFC 5322 §4.4 obs-route).
fn angle(text: &str) -> (String, &str) {
    let mut inside = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let after = rest.get(c.len_utf8()..).unwrap_or_default();
        rest = match c {
            '>' => {
                rest = after;
                break;
            }
            '"' => {
                let (_, after) = quoted(after);
                inside.push_str(rest.get(..rest.len() - after.len()).unwrap_or_default());
                after
            }
            '(' => comment(after).1,
            ' ' | '\t' => after,
            c => {
                inside.push(c);
                after
            }
        };
    }
    if inside.starts_with('@')
        && let Some((_, address)) = inside.split_once(':')
    {
        inside = address.to_owned();
    }
    (inside, rest)
}

/// A whole address field, one mailbox after the other.
pub(crate) fn print(field: &str, mailboxes: &[Mailbox]) -> String {
    let mut out = Folder::new(field);
    for (at, mailbox) in mailboxes.iter().enumerate() {
        if at > 0 {
            out.glue(",");
        }
        let Some(name) = mailbox
            .name
            .as_deref()
            .filter(|name| !name.trim().is_empty())
        else {
            out.word(&mailbox.address.to_string());
            continue;
        };
        for word in phrase(name) {
            out.word(&word);
        }
        out.word(&format!("<{}>", mailbox.address));
    }
    out.finish()
}

// RFC 5322 §3.2.5: a quoted string where that can say it, encoded words else.
fn phrase(name: &str) -> Vec<String> {
    let plain = name.bytes().all(|b| matches!(b, b' '..=b'~'));
    if plain && name.len() <= 60 && !name.contains("=?") {
        return vec![format!(
            "\"{}\"",
            name.replace('\\', "\\\\").replace('"', "\\\"")
        )];
    }
    encode_words(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<String> {
        parse(text)
            .mailboxes
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn address_lists_are_read_as_the_world_writes_them() {
        for (given, want) in [
            ("ann@example.org", vec!["ann@example.org"]),
            ("Ann <ann@example.org>", vec!["Ann <ann@example.org>"]),
            (
                "ann@example.org (Ann Lee)",
                vec!["Ann Lee <ann@example.org>"],
            ),
            (
                "\"Lee, Ann\" <a@b.example>, bob@b.example",
                vec!["Lee, Ann <a@b.example>", "bob@b.example"],
            ),
            (
                "=?utf-8?q?Gr=C3=B6=C3=9Fe?= <a@b.example>",
                vec!["Größe <a@b.example>"],
            ),
            (
                "\"=?utf-8?q?=C3=A9?=\" <a@b.example>",
                vec!["é <a@b.example>"],
            ),
            (
                "Team: a@b.example, Bo <b@b.example>;",
                vec!["a@b.example", "Bo <b@b.example>"],
            ),
            ("undisclosed-recipients:;", vec![]),
            ("\"a b\"@b.example", vec!["\"a b\"@b.example"]),
            ("<@x.example,@y.example:a@b.example>", vec!["a@b.example"]),
            (
                "a (x (y) \\) z) < a @ b.example > , ,",
                vec!["a <a@b.example>"],
            ),
            ("Doe, John <a@b.example>", vec!["Doe, John <a@b.example>"]),
            ("\"a, b\" <a@b.example", vec!["a, b <a@b.example>"]),
            ("", vec![]),
        ] {
            assert_eq!(shown(given), want, "{given}");
        }
        assert!(parse("Team: a@b.example;").has_group);
        for wrong in [
            "root",
            "a@b.example, root",
            "<>",
            "Ann <>",
            "<a@b.example> <c@d.example>",
        ] {
            assert!(parse(wrong).wrong.is_some(), "{wrong}");
        }
    }

    #[test]
    fn mailboxes_are_printed_for_a_header() {
        for (name, want) in [
            (None, "F: a@b.example\r\n"),
            (
                Some("Joe's Garage"),
                "F: \"Joe's Garage\" <a@b.example>\r\n",
            ),
            (
                Some("Say \"hi\""),
                "F: \"Say \\\"hi\\\"\" <a@b.example>\r\n",
            ),
            (
                Some("Größe"),
                "F: =?utf-8?q?Gr=C3=B6=C3=9Fe?= <a@b.example>\r\n",
            ),
            (Some("=?x"), "F: =?utf-8?q?=3D=3Fx?= <a@b.example>\r\n"),
        ] {
            let address = EmailAddress::parse("a@b.example").unwrap();
            let mailbox = Mailbox {
                name: name.map(str::to_owned),
                address,
            };
            assert_eq!(print("F", &[mailbox]), want);
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_printed_parses_to_itself(names in proptest::collection::vec("[^\\p{C}]{0,100}", 1..5)) {
            proptest::prop_assume!(names.iter().all(|name| !name.contains("=?")));
            let address = EmailAddress::parse("\"a,b\"@example.org").unwrap();
            let name = |name: &String| Some(name.trim().to_owned()).filter(|name| !name.is_empty());
            let all: Vec<_> = names.iter().map(|n| Mailbox { name: name(n), address: address.clone() }).collect();
            let field = print("To", &all);
            let field = crate::field::Field::new(field.as_bytes());
            proptest::prop_assert_eq!(parse(&field.text()).mailboxes, all);
        }

        #[test]
        fn no_text_breaks_the_reader(text in "[a@<>(),:;\"\\\\ =?é]{0,60}") {
            parse(&text);
        }
    }
}
