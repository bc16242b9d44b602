//! Lists of mailboxes as client programs write them.

use postrider_model::{AddressError, EmailAddress, Mailbox};

use crate::http::complaints::Complaints;
use crate::http::json::{Value, shortened};

/// Reads a field that holds one mailbox or several: a string, or an array of strings.
pub(crate) fn list(
    field: &'static str,
    value: Option<&Value<'_>>,
    complaints: &mut Complaints,
) -> Vec<Mailbox> {
    let mut found = Vec::new();
    match value {
        None | Some(Value::Null) => {}
        Some(Value::Text(text)) => found = one_text(field.to_owned(), text, complaints),
        Some(Value::List(items)) => {
            for (index, item) in items.iter().enumerate() {
                let field = format!("{field}[{index}]");
                match item {
                    Value::Text(text) => found.extend(one_text(field, text, complaints)),
                    other => complaints.invalid(
                        field,
                        format!("is {}, not a string with an address.", other.kind()),
                    ),
                }
            }
        }
        Some(other) => complaints.invalid(
            field,
            format!("is {}, not a string or an array of strings.", other.kind()),
        ),
    }
    found
}

/// Reads one mailbox, no list.
pub(crate) fn single(text: &str) -> Result<Mailbox, String> {
    let mailboxes = split(text)?;
    match <[Mailbox; 1]>::try_from(mailboxes) {
        Ok([mailbox]) => Ok(mailbox),
        Err(several) => Err(format!("has {} addresses; give one.", several.len())),
    }
}

/// Why a text is no address, with the text and what to write instead.
pub(crate) fn complaint(text: &str, error: &AddressError) -> String {
    let text = shortened(text).escape_debug().to_string();
    format!("'{text}' is not an address ({error}); write ann@example.org or Ann <ann@example.org>.")
}

fn one_text(field: String, text: &str, complaints: &mut Complaints) -> Vec<Mailbox> {
    split(text).unwrap_or_else(|message| {
        complaints.invalid(field, message);
        Vec::new()
    })
}

// One string is one mailbox, and a comma belongs to its name (`Doe, John <a@b>`), unless every
// piece between commas outside quotes is a mailbox by itself. A text in which more than one
// address is pointed at is neither: to send to the last of them only would lose the others.
fn split(text: &str) -> Result<Vec<Mailbox>, String> {
    if text.contains(',') {
        let pieces: Result<Vec<_>, _> = pieces(text).into_iter().map(one).collect();
        if let Ok(mailboxes) = pieces {
            return Ok(mailboxes);
        }
    }
    one(text).map(|mailbox| vec![mailbox])
}

fn one(text: &str) -> Result<Mailbox, String> {
    let mailbox = Mailbox::parse(text).map_err(|error| complaint(text, &error))?;
    let points = |name: &str| {
        let inside = name.split_once('<').map(|(_, inside)| inside);
        inside.is_some_and(|inside| inside.contains('@'))
    };
    if mailbox.name.as_deref().is_some_and(points) {
        let text = shortened(text).escape_debug().to_string();
        return Err(format!(
            "'{text}' has more than one address; give an array with one string for each."
        ));
    }
    Ok(mailbox)
}

// Cut at the commas outside quoted strings (RFC 5322 §3.2.4).
fn pieces(text: &str) -> Vec<&str> {
    let (mut quoted, mut escaped) = (false, false);
    let is_comma = |c: char| {
        let was_escaped = std::mem::take(&mut escaped);
        match c {
            '\\' if quoted => escaped = !was_escaped,
            '"' if !was_escaped => quoted = !quoted,
            _ => {}
        }
        c == ',' && !quoted
    };
    text.split(is_comma).collect()
}

/// Addresses, each once, in their order.
pub(crate) fn distinct<'a>(addresses: impl Iterator<Item = &'a EmailAddress>) -> Vec<EmailAddress> {
    let mut seen = std::collections::HashSet::new();
    addresses
        .filter(|address| seen.insert(address.folded()))
        .cloned()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::json::read;

    fn listed(json: &str) -> Result<Vec<String>, String> {
        let (mut complaints, value) = (Complaints::default(), read(json.as_bytes()).unwrap());
        let found = list("to", Some(&value), &mut complaints);
        complaints
            .into_result()
            .map_err(|problem| problem.message)?;
        Ok(found.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn lists_are_read_as_the_sdks_write_them() {
        for (given, want) in [
            ("null", &[][..]),
            ("[]", &[]),
            (r#""a@x.example""#, &["a@x.example"]),
            (
                r#"["a@x.example","Bo <b@x.example>"]"#,
                &["a@x.example", "Bo <b@x.example>"],
            ),
            (r#""Doe, John <a@x.example>""#, &["Doe, John <a@x.example>"]),
            (
                r#""a@x.example, Bo <b@x.example>""#,
                &["a@x.example", "Bo <b@x.example>"],
            ),
            (
                r#""Ann <a@x.example>, Bo <b@x.example>""#,
                &["Ann <a@x.example>", "Bo <b@x.example>"],
            ),
            (
                r#""\"Doe, John\" <a@x.example>, \"Roe, \\\", Jane\" <b@x.example>""#,
                &["Doe, John <a@x.example>", "Roe, \", Jane <b@x.example>"],
            ),
            (r#""\"a b\"@x.example""#, &["\"a b\"@x.example"]),
            (r#""дед@bücher.example""#, &["дед@xn--bcher-kva.example"]),
        ] {
            let want: Vec<_> = want.iter().map(ToString::to_string).collect();
            assert_eq!(listed(given), Ok(want), "{given}");
        }
    }

    #[test]
    fn what_is_no_address_is_named_with_its_place() {
        for (given, want) in [
            ("7", "to: is a number, not a string or an array of strings."),
            (
                "[1]",
                "to: is an array, not a string or an array of strings.",
            ),
            (
                r#"["a@x.example",null]"#,
                "to[1]: is null, not a string with an address.",
            ),
            (
                r#"["a@x.example","bob@"]"#,
                "to[1]: 'bob@' is not an address (nothing after @); write ann@example.org or Ann <ann@example.org>.",
            ),
            (
                r#""Doe, John <a@x.example>, Roe, Jane <b@x.example>""#,
                "to: 'Doe, John <a@x.example>, Roe, Jane <b@x.example>' has more than one address; give an array with one string for each.",
            ),
            (
                r#""A\r\nBcc: x@y.example <a@x.example>""#,
                "to: 'A\\r\\nBcc: x@y.example <a@x.example>' is not an address (control characters are not allowed); write ann@example.org or Ann <ann@example.org>.",
            ),
        ] {
            assert_eq!(listed(given), Err(want.to_owned()), "{given}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,60}") {
            let _read = (split(&text), single(&text));
        }
    }
}
