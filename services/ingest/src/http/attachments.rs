//! Attachments as the SDKs send them: base64 text or an array of bytes. What may stand in names
//! and types is `message`'s to say.

use std::borrow::Cow;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use postrider_message::DraftAttachment;

use crate::http::complaints::Complaints;
use crate::http::json::Value;
use crate::http::unknown::Unknown;

// Lines and missing padding are how programs write base64 in the field.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

const NAME: &str = "invalid_attachment";
const NOT_FETCHED: &str =
    "is not supported: files are not fetched for you; send the bytes in content.";

/// Reads the field `attachments`.
pub(crate) fn list(
    value: Option<&Value<'_>>,
    unknown: &mut Unknown,
    complaints: &mut Complaints,
) -> Vec<DraftAttachment> {
    let items = match value {
        None => return Vec::new(),
        Some(Value::List(items)) => items,
        Some(other) => {
            let message = format!("is {}, not an array of objects.", other.kind());
            complaints.add(NAME, "attachments", message);
            return Vec::new();
        }
    };
    let mut files = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let field = format!("attachments[{index}]");
        match item {
            Value::Object(members) => match one(&field, members, unknown) {
                Ok(file) => files.push(file),
                Err(faults) => {
                    for (part, message) in faults {
                        complaints.add(NAME, format!("{field}{part}"), message);
                    }
                }
            },
            other => complaints.add(NAME, field, format!("is {}, not an object.", other.kind())),
        }
    }
    files
}

// The part of the field that is at fault, and why.
type Fault = (&'static str, String);

fn one(
    field: &str,
    members: &[(Cow<'_, str>, Value<'_>)],
    unknown: &mut Unknown,
) -> Result<DraftAttachment, Vec<Fault>> {
    let mut file = DraftAttachment::default();
    let (mut faults, mut named, mut filled) = (Vec::new(), false, false);
    for (name, value) in members {
        let read = match (name.as_ref(), value) {
            (_, Value::Null) => Ok(()),
            ("filename", value) => {
                named = true;
                text(".filename", value).map(|name| file.filename = name)
            }
            ("content", value) => {
                filled = true;
                bytes(value).map(|content| file.content = content)
            }
            ("content_type", value) => {
                text(".content_type", value).map(|kind| file.content_type = Some(kind))
            }
            ("content_id" | "inline_content_id", value) => {
                text(".content_id", value).map(|id| file.content_id = Some(bare(&id)))
            }
            // A request to a place of the client's choosing is not ours to make.
            ("path", _) => {
                filled = true;
                Err((".path", NOT_FETCHED.to_owned()))
            }
            (name, _) => {
                unknown.add(format!("{field}.{name}"));
                Ok(())
            }
        };
        faults.extend(read.err());
    }
    let mut missing = |part, what| faults.push((part, format!("is missing; give {what}.")));
    if !named {
        missing(".filename", "the file's name");
    }
    if !filled {
        missing(".content", "the file's bytes as base64");
    }
    if faults.is_empty() {
        Ok(file)
    } else {
        Err(faults)
    }
}

fn bare(id: &str) -> String {
    let bare = id.strip_prefix('<').and_then(|id| id.strip_suffix('>'));
    bare.unwrap_or(id).to_owned()
}

fn text(part: &'static str, value: &Value<'_>) -> Result<String, Fault> {
    match value {
        Value::Text(text) => Ok(text.to_string()),
        other => Err((part, format!("is {}, not a string.", other.kind()))),
    }
}

fn bytes(value: &Value<'_>) -> Result<Vec<u8>, Fault> {
    let wrong = |message: String| Err((".content", message));
    match value {
        Value::Bytes(bytes) => Ok(bytes.clone()),
        Value::List(items) if items.is_empty() => Ok(Vec::new()),
        Value::List(_) => {
            wrong("is an array of something else than numbers from 0 to 255.".to_owned())
        }
        Value::Text(text) => decoded(text.as_bytes()).or_else(|error| {
            wrong(format!(
                "is not base64 ({error}); encode the file's bytes by RFC 4648 section 4."
            ))
        }),
        other => wrong(format!(
            "is {}, not base64 text or an array of bytes.",
            other.kind()
        )),
    }
}

fn decoded(text: &[u8]) -> Result<Vec<u8>, base64::DecodeError> {
    // As nearly all of it is written: padded, and without white space.
    if let Ok(bytes) = base64_simd::STANDARD.decode_to_vec(text) {
        return Ok(bytes);
    }
    if !text.iter().any(u8::is_ascii_whitespace) {
        return BASE64.decode(text);
    }
    let solid: Vec<u8> = text
        .iter()
        .copied()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    BASE64.decode(solid)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::json::read;

    fn listed(json: &str) -> Result<Vec<DraftAttachment>, String> {
        let (mut complaints, mut unknown) = (Complaints::default(), Unknown::default());
        let value = read(json.as_bytes()).unwrap();
        let files = list(Some(&value), &mut unknown, &mut complaints);
        complaints
            .into_result()
            .map_err(|problem| problem.message)?;
        Ok(files)
    }

    #[test]
    fn contents_come_as_base64_in_any_shape_or_as_numbers() {
        for content in [r#""aGk=""#, r#""aGk""#, r#""aG\r\nk=\n""#, "[104,105]"] {
            let files =
                listed(&format!(r#"[{{"filename":"a.pdf","content":{content}}}]"#)).unwrap();
            assert_eq!(files[0].content, b"hi", "{content}");
        }
        for empty in [r#""""#, "[]"] {
            let files = listed(&format!(r#"[{{"filename":"a","content":{empty}}}]"#)).unwrap();
            assert!(files[0].content.is_empty());
        }
    }

    #[test]
    fn inline_images_have_both_names_of_the_field() {
        for name in ["content_id", "inline_content_id"] {
            let files = listed(&format!(
                r#"[{{"filename":"a.png","content":"","{name}":"<logo@x>","content_type":null}}]"#
            ))
            .unwrap();
            assert_eq!(files[0].content_id.as_deref(), Some("logo@x"), "{name}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        for (given, want) in [
            ("{}", "attachments: is an object, not"),
            ("[1]", "attachments: is an array, not an array of objects"),
            (r#"["a"]"#, "attachments[0]: is a string, not an object"),
            (r#"[{"content":""}]"#, "attachments[0].filename: is missing"),
            (
                r#"[{"filename":"a"}]"#,
                "attachments[0].content: is missing",
            ),
            (
                r#"[{"filename":"a","content":"a*"}]"#,
                "attachments[0].content: is not base64",
            ),
            (
                r#"[{"filename":"a","content":[1,256]}]"#,
                "attachments[0].content: is an array of",
            ),
            (
                r#"[{"filename":"a","path":"https://x.example/a"}]"#,
                "attachments[0].path: is not supported",
            ),
            (
                r#"[{"filename":7,"content":""}]"#,
                "attachments[0].filename: is a number",
            ),
        ] {
            let message = listed(given).unwrap_err();
            assert!(message.starts_with(want), "{given}: {message}");
        }
    }
}
