//! What makes two requests equal under one idempotency key.

use aws_lc_rs::digest::{Context, SHA256};

use crate::http::headers::Mode;
use crate::http::json::Value;

/// SHA-256 over a JSON value: the same for the same value however it is spaced, escaped and
/// ordered, and whether what is absent is left out or written as `null`.
pub(crate) fn of_json(value: &Value<'_>) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    add(&mut context, value);
    finish(context)
}

/// SHA-256 over a batch: as `of_json`, and another in each mode.
pub(crate) fn of_batch(value: &Value<'_>, mode: Mode) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    let mode: &[u8] = match mode {
        Mode::Strict => b"strict",
        Mode::Permissive => b"permissive",
    };
    part(&mut context, b'v', mode);
    add(&mut context, value);
    finish(context)
}

/// SHA-256 over a raw message and its envelope.
pub(crate) fn of_raw(envelope: &[String], message: &[u8]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    for address in envelope {
        part(&mut context, b't', address.as_bytes());
    }
    part(&mut context, b'm', message);
    finish(context)
}

// Each value is its kind, its length and its content, so that no two values give the same bytes.
fn add(context: &mut Context, value: &Value<'_>) {
    match value {
        Value::Null => part(context, b'0', b""),
        Value::Bool(value) => part(context, b'b', &[u8::from(*value)]),
        Value::Number(number) => part(context, b'n', &number.to_bits().to_be_bytes()),
        Value::Text(text) => part(context, b's', text.as_bytes()),
        Value::Bytes(bytes) => part(context, b'y', bytes),
        Value::List(items) => {
            part(context, b'l', &(items.len() as u64).to_be_bytes());
            for item in items {
                add(context, item);
            }
        }
        Value::Object(members) => {
            let given = members.iter().filter(|(_, value)| *value != Value::Null);
            let mut sorted: Vec<_> = given.collect();
            part(context, b'o', &(sorted.len() as u64).to_be_bytes());
            sorted.sort_by(|(a, _), (b, _)| a.cmp(b));
            for (name, value) in sorted {
                part(context, b'k', name.as_bytes());
                add(context, value);
            }
        }
    }
}

fn part(context: &mut Context, kind: u8, bytes: &[u8]) {
    context.update(&[kind]);
    context.update(&(bytes.len() as u64).to_be_bytes());
    context.update(bytes);
}

fn finish(context: Context) -> [u8; 32] {
    let digest = context.finish();
    let mut bytes = [0; 32];
    bytes
        .iter_mut()
        .zip(digest.as_ref())
        .for_each(|(to, from)| *to = *from);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::json::read;

    fn fingerprint(text: &str) -> [u8; 32] {
        of_json(&read(text.as_bytes()).unwrap())
    }

    #[test]
    fn spacing_escapes_and_order_make_no_difference_and_all_else_does() {
        let one = fingerprint(r#"{"a":"é","b":[1,2],"c":null}"#);
        assert_eq!(
            one,
            fingerprint("{ \"c\": null, \"b\": [1, 2],\n \"a\": \"\\u00e9\" }")
        );
        for other in [
            r#"{"a":"é","b":[2,1],"c":null}"#,
            r#"{"a":"é","b":[1,2,null]}"#,
            r#"{"a":"é","b":["1",2],"c":null}"#,
            r#"{"a":"e","b":[1,2],"c":null}"#,
        ] {
            assert_ne!(one, fingerprint(other), "{other}");
        }
        assert_ne!(fingerprint(r#"["ab","c"]"#), fingerprint(r#"["a","bc"]"#));
    }
}
