//! A client's own header fields and tags. Which fields it may set is `message`'s to say.

use std::collections::HashSet;

use postrider_model::Tag;

use crate::http::complaints::Complaints;
use crate::http::json::{Value, shortened};
use crate::http::unknown::Unknown;

const HEADERS_MOST: usize = 50;
const TAGS_MOST: usize = 50;

/// Reads the field `headers`: an object of strings.
pub(crate) fn headers(
    value: Option<&Value<'_>>,
    complaints: &mut Complaints,
) -> Vec<(String, String)> {
    let Some(value) = value else {
        return Vec::new();
    };
    let Value::Object(members) = value else {
        complaints.invalid(
            "headers",
            format!("is {}, not an object of strings.", value.kind()),
        );
        return Vec::new();
    };
    if members.len() > HEADERS_MOST {
        let given = members.len();
        complaints.invalid(
            "headers",
            format!("has {given} fields; {HEADERS_MOST} are the most."),
        );
        return Vec::new();
    }
    let mut fields = Vec::with_capacity(members.len());
    for (name, value) in members {
        match value {
            Value::Null => {}
            Value::Text(text) => fields.push((name.to_string(), text.to_string())),
            other => {
                let field = format!("headers.{}", shortened(name).escape_debug());
                complaints.invalid(field, format!("is {}, not a string.", other.kind()));
            }
        }
    }
    fields
}

/// Reads the field `tags`: an array of names and values.
pub(crate) fn tags(
    value: Option<&Value<'_>>,
    unknown: &mut Unknown,
    complaints: &mut Complaints,
) -> Vec<Tag> {
    let items = match value {
        None => return Vec::new(),
        Some(Value::List(items)) => items,
        Some(other) => {
            let message = format!(
                "is {}, not an array of objects with name and value.",
                other.kind()
            );
            complaints.invalid("tags", message);
            return Vec::new();
        }
    };
    if items.len() > TAGS_MOST {
        complaints.invalid(
            "tags",
            format!("has {} tags; {TAGS_MOST} are the most.", items.len()),
        );
        return Vec::new();
    }
    let (mut tags, mut names) = (Vec::with_capacity(items.len()), HashSet::new());
    for (index, item) in items.iter().enumerate() {
        let field = format!("tags[{index}]");
        match tag(&field, item, unknown) {
            Ok(tag) if !names.insert(tag.name.clone()) => {
                complaints.invalid(
                    format!("{field}.name"),
                    "was given before; give each name once.",
                );
            }
            Ok(tag) => tags.push(tag),
            Err(faults) => {
                for (part, message) in faults {
                    complaints.invalid(format!("{field}{part}"), message);
                }
            }
        }
    }
    tags
}

// The part of the field that is at fault, and why.
type Fault = (&'static str, String);

fn tag(field: &str, item: &Value<'_>, unknown: &mut Unknown) -> Result<Tag, Vec<Fault>> {
    let Value::Object(members) = item else {
        let message = format!("is {}, not an object with name and value.", item.kind());
        return Err(vec![("", message)]);
    };
    let (mut name, mut value) = (None, None);
    for (key, given) in members {
        match key.as_ref() {
            "name" => name = Some(word(given)),
            "value" => value = Some(word(given)),
            other => unknown.add(format!("{field}.{other}")),
        }
    }
    let missing = || Err("is missing; a tag has a name and a value.".to_owned());
    match (name.unwrap_or_else(missing), value.unwrap_or_else(missing)) {
        (Ok(name), Ok(value)) => Ok(Tag { name, value }),
        (name, value) => {
            let faults = [(".name", name.err()), (".value", value.err())];
            let told = |(part, fault): (_, Option<String>)| Some((part, fault?));
            Err(faults.into_iter().filter_map(told).collect())
        }
    }
}

fn word(value: &Value<'_>) -> Result<String, String> {
    let Value::Text(text) = value else {
        return Err(format!("is {}, not a string.", value.kind()));
    };
    let is_word = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
    if (1..=256).contains(&text.len()) && text.bytes().all(is_word) {
        Ok(text.to_string())
    } else {
        let text = shortened(text).escape_debug().to_string();
        Err(format!(
            "'{text}' is not 1 to 256 of ASCII letters, digits, _ and -."
        ))
    }
}
