//! A strict reader of JSON (RFC 8259): what two readers could take for two different things is
//! refused. Bounded in depth and in the number of values, so that a small text cannot become a
//! large heap.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::fmt;

use postrider_http::malformed;
use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};

/// A JSON value. Texts without escapes are borrowed from the request.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value<'a> {
    Null,
    Bool(bool),
    Number(f64),
    Text(Cow<'a, str>),
    /// An array of numbers 0..=255 with at least one of them: some clients send files so.
    Bytes(Vec<u8>),
    List(Vec<Value<'a>>),
    /// In the order they stand, no name twice.
    Object(Vec<(Cow<'a, str>, Value<'a>)>),
}

/// Why a text is not JSON that is taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum JsonError {
    #[error("the body is not valid JSON: {0}")]
    Malformed(String),
    #[error("the name {0:?} stands twice in one object; give it once")]
    DuplicateName(String),
    #[error("values are nested deeper than {DEPTH_MOST} levels")]
    TooDeep,
    #[error("there are more than {VALUES_MOST} values in it")]
    TooMany,
}

pub(crate) const DEPTH_MOST: usize = 32;
const VALUES_MOST: usize = 100_000;

/// Reads a whole text as one value. A byte order mark before it is passed over (RFC 8259 §8.1):
/// the text writers of Windows put one there.
pub(crate) fn read(text: &[u8]) -> Result<Value<'_>, JsonError> {
    let text = text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text);
    let state = State::default();
    let mut reader = serde_json::Deserializer::from_slice(text);
    let read = Seed {
        state: &state,
        depth: 0,
    }
    .deserialize(&mut reader);
    let read = read.and_then(|value| reader.end().map(|()| value));
    // Our own refusals travel beside the reader's errors, which are text only.
    read.map_err(|error| {
        state
            .refusal
            .take()
            .unwrap_or_else(|| JsonError::Malformed(malformed(&error)))
    })
}

impl Value<'_> {
    /// What it is, for people: `a number`.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::Text(_) => "a string",
            Self::Bytes(_) | Self::List(_) => "an array",
            Self::Object(_) => "an object",
        }
    }
}

#[derive(Default)]
struct State {
    values: Cell<usize>,
    refusal: RefCell<Option<JsonError>>,
}

impl State {
    fn refuse<E: serde::de::Error>(&self, why: JsonError) -> E {
        let error = E::custom(&why);
        self.refusal.replace(Some(why));
        error
    }

    fn count<E: serde::de::Error>(&self) -> Result<(), E> {
        self.values.set(self.values.get() + 1);
        if self.values.get() > VALUES_MOST {
            Err(self.refuse(JsonError::TooMany))
        } else {
            Ok(())
        }
    }
}

#[derive(Clone, Copy)]
struct Seed<'s> {
    state: &'s State,
    depth: usize,
}

impl Seed<'_> {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.depth == DEPTH_MOST {
            return Err(self.state.refuse(JsonError::TooDeep));
        }
        Ok(Self {
            depth: self.depth + 1,
            ..self
        })
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value<'de>;

    fn deserialize<D: serde::Deserializer<'de>>(self, reader: D) -> Result<Value<'de>, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value<'de>, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value<'de>, E> {
        Ok(Value::Bool(value))
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "as every JSON reader with doubles takes it"
    )]
    fn visit_u64<E>(self, value: u64) -> Result<Value<'de>, E> {
        Ok(Value::Number(value as f64))
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "as every JSON reader with doubles takes it"
    )]
    fn visit_i64<E>(self, value: i64) -> Result<Value<'de>, E> {
        Ok(Value::Number(value as f64))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value<'de>, E> {
        Ok(Value::Number(value))
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Value<'de>, E> {
        Ok(Value::Text(Cow::Borrowed(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value<'de>, E> {
        Ok(Value::Text(Cow::Owned(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value<'de>, A::Error> {
        let inner = self.deeper()?;
        let mut bytes = Vec::new();
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(inner)? {
            match (&item, list.is_empty()) {
                (Value::Number(number), true) if let Some(byte) = byte(*number) => bytes.push(byte),
                _ => {
                    list.extend(bytes.drain(..).map(|byte| Value::Number(f64::from(byte))));
                    self.state.count()?;
                    list.push(item);
                }
            }
            // A mixed array whose beginning looked like a file counts what it has become.
            if list.len() > VALUES_MOST {
                return Err(self.state.refuse(JsonError::TooMany));
            }
        }
        Ok(if bytes.is_empty() {
            Value::List(list)
        } else {
            Value::Bytes(bytes)
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut items: A) -> Result<Value<'de>, A::Error> {
        let inner = self.deeper()?;
        let mut names = HashSet::new();
        let mut object = Vec::new();
        while let Some(name) = items.next_key_seed(inner)? {
            let Value::Text(name) = name else {
                return Err(A::Error::custom("a name is a string"));
            };
            if !names.insert(name.clone()) {
                return Err(self
                    .state
                    .refuse(JsonError::DuplicateName(shortened(&name))));
            }
            self.state.count()?;
            object.push((name, items.next_value_seed(inner)?));
        }
        Ok(Value::Object(object))
    }
}

fn byte(number: f64) -> Option<u8> {
    let whole = number.fract() == 0.0 && (0.0..=255.0).contains(&number);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked: 0..=255, whole"
    )]
    whole.then_some(number as u8)
}

/// At most 60 characters of what a client sent, for a message to it.
pub(crate) fn shortened(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_json_is_read_as_it_stands() {
        for (given, want) in [
            ("null", Value::Null),
            (" true ", Value::Bool(true)),
            ("\u{feff}true", Value::Bool(true)),
            ("-1.5e1", Value::Number(-15.0)),
            (r#""a\u00e9\ud83d\ude00""#, Value::Text("aé😀".into())),
            ("[]", Value::List(vec![])),
            ("[0, 255]", Value::Bytes(vec![0, 255])),
            (
                "[0, 256]",
                Value::List(vec![Value::Number(0.0), Value::Number(256.0)]),
            ),
            (
                "[1, null]",
                Value::List(vec![Value::Number(1.0), Value::Null]),
            ),
            ("[0.5]", Value::List(vec![Value::Number(0.5)])),
            (
                r#"{"b":1,"a":{}}"#,
                Value::Object(vec![
                    ("b".into(), Value::Number(1.0)),
                    ("a".into(), Value::Object(vec![])),
                ]),
            ),
        ] {
            assert_eq!(read(given.as_bytes()), Ok(want), "{given}");
        }
    }

    #[test]
    fn what_two_readers_could_take_for_two_things_is_refused() {
        for given in [
            "",
            "{",
            "nul",
            "{}{}",
            "[1,]",
            "{\"a\":1,}",
            "'a'",
            "\"a\nb\"",
            "\"\\ud83d\"",
            "\"\\ude00\"",
            "01",
            "1e999",
            "NaN",
            "\u{feff}\u{feff}{}",
            "// a\n{}",
            "{a:1}",
            "{1:1}",
        ] {
            assert!(
                matches!(read(given.as_bytes()), Err(JsonError::Malformed(_))),
                "{given:?}"
            );
        }
        assert!(matches!(read(b"\"\xff\""), Err(JsonError::Malformed(_))));
        for given in [
            r#"{"a":1,"a":1}"#,
            r#"{"headers":{"X":"1","X":"2"}}"#,
            r#"{"z":[{"a":1,"\u0061":2}]}"#,
        ] {
            assert!(
                matches!(read(given.as_bytes()), Err(JsonError::DuplicateName(_))),
                "{given}"
            );
        }
    }

    #[test]
    fn depth_and_number_are_bounded() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(read(nested(DEPTH_MOST).as_bytes()).is_ok());
        assert_eq!(
            read(nested(DEPTH_MOST + 1).as_bytes()),
            Err(JsonError::TooDeep)
        );
        assert_eq!(read(nested(10_000).as_bytes()), Err(JsonError::TooDeep));
        assert_eq!(read("[".repeat(10_000).as_bytes()), Err(JsonError::TooDeep));
        let many =
            |item: &str, times: usize| format!("[{}{item}]", format!("{item},").repeat(times));
        assert_eq!(
            read(many("[]", VALUES_MOST).as_bytes()),
            Err(JsonError::TooMany)
        );
        assert!(matches!(
            read(many("7", 2 * VALUES_MOST).as_bytes()),
            Ok(Value::Bytes(_))
        ));
        let mixed = format!("[{}\"a\"]", "7,".repeat(2 * VALUES_MOST));
        assert_eq!(read(mixed.as_bytes()), Err(JsonError::TooMany));
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let _read = read(&text);
        }

        #[test]
        fn texts_come_back(text in "\\PC{0,60}") {
            let json = serde_json::to_string(&text).unwrap();
            proptest::prop_assert_eq!(read(json.as_bytes()), Ok(Value::Text(text.into())));
        }
    }
}
