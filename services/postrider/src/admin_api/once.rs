//! JSON in which no name stands twice in one object: which of two counts differs from reader to reader
//! (RFC 8259 §4), and whoever wrote both meant one of them.

use std::cell::RefCell;
use std::fmt;

use postrider_http::malformed;
use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// Why a text is not taken.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum JsonError {
    #[error("The body is not valid JSON: {0}.")]
    Malformed(String),
    #[error("The body has the name {0:?} twice in one object; give it once.")]
    Twice(String),
}

/// Reads a whole text.
pub(super) fn read(text: &[u8]) -> Result<Value, JsonError> {
    let twice = RefCell::default();
    let mut reader = serde_json::Deserializer::from_slice(text);
    let read = Seed(&twice).deserialize(&mut reader);
    let read = read.and_then(|value| reader.end().map(|()| value));
    // The reader's errors are text only.
    read.map_err(|error| match twice.take() {
        Some(name) => JsonError::Twice(name),
        None => JsonError::Malformed(malformed(&error)),
    })
}

/// Where the name goes that stood twice.
#[derive(Clone, Copy)]
struct Seed<'s>(&'s RefCell<Option<String>>);

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            list.push(item);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = items.next_key::<String>()? {
            if object.contains_key(&name) {
                self.0.replace(Some(name.chars().take(60).collect()));
                return Err(A::Error::custom("a name stands twice"));
            }
            let value = items.next_value_seed(self)?;
            object.insert(name, value);
        }
        Ok(object.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_what_every_reader_makes_of_it() {
        for given in [
            r#"{"a":[1,-2,0.5,"b",true,null,{}],"b":{"a":1}}"#,
            "[]",
            " null ",
        ] {
            let want = serde_json::from_str(given).unwrap();
            assert_eq!(read(given.as_bytes()), Ok(want), "{given}");
        }
        for given in ["", "{", "{}{}", "{a:1}", "[1,]"] {
            let read = read(given.as_bytes());
            assert!(matches!(read, Err(JsonError::Malformed(_))), "{given}");
        }
    }

    #[test]
    fn a_name_that_stands_twice_is_told() {
        for given in [
            r#"{"name":1,"name":1}"#,
            r#"{"limits":{"name":1,"name":2}}"#,
            r#"[{"name":1,"\u006eame":2}]"#,
        ] {
            let twice = Err(JsonError::Twice("name".to_owned()));
            assert_eq!(read(given.as_bytes()), twice, "{given}");
        }
    }
}
