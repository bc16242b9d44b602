//! What a request's JSON may hold, each kind of value with the words that say what is taken. No word of the
//! reader of JSON reaches a client.

use postrider_http::FieldError;
use postrider_model::{
    EmailAddress, KeyKind, Language, Licence, Network, Plan, Stream, Timestamp, UnknownReplyTo,
};
use postrider_store::NewLimits;
use serde_json::Value;

/// Characters of a value that a complaint repeats.
const SHOWN: usize = 60;

/// A value that can be read from JSON, or complained about by the path of its field.
pub(super) trait Wanted: Sized {
    /// `None`: what is wrong was put to `wrong`.
    fn read(value: &Value, path: &str, wrong: &mut Vec<FieldError>) -> Option<Self>;
}

/// One that stands alone: what cannot be read is answered with what is taken.
trait Plain: Sized {
    fn plain(value: &Value) -> Option<Self>;

    /// Stands behind «give».
    fn taken() -> String;
}

impl<T: Plain> Wanted for T {
    fn read(value: &Value, path: &str, wrong: &mut Vec<FieldError>) -> Option<Self> {
        let read = T::plain(value);
        if read.is_none() {
            wrong.push(not_taken(value, path, &T::taken()));
        }
        read
    }
}

impl<T: Wanted> Wanted for Vec<T> {
    fn read(value: &Value, path: &str, wrong: &mut Vec<FieldError>) -> Option<Self> {
        let Value::Array(items) = value else {
            wrong.push(not_taken(value, path, "a list, as [\u{2026}]"));
            return None;
        };
        let each = items.iter().enumerate();
        let read: Vec<Option<T>> = each
            .map(|(at, item)| T::read(item, &format!("{path}[{at}]"), wrong))
            .collect();
        read.into_iter().collect()
    }
}

/// Each as `Plain`; `null` is as good as 0, for so it is shown.
impl Wanted for NewLimits {
    fn read(value: &Value, path: &str, wrong: &mut Vec<FieldError>) -> Option<Self> {
        let Value::Object(members) = value else {
            wrong.push(not_taken(value, path, "an object, as {\"per_day\": 500}"));
            return None;
        };
        let (mut limits, before) = (Self::default(), wrong.len());
        for (name, value) in members {
            let path = format!("{path}.{name}");
            let Some(place) = limit_of(&mut limits, name) else {
                let message = format!("is no limit; there are {}.", LIMITS.join(", "));
                wrong.push(FieldError {
                    field: path,
                    message,
                });
                continue;
            };
            *place = match value {
                Value::Null => Some(0),
                value => u32::read(value, &path, wrong),
            };
        }
        (wrong.len() == before).then_some(limits)
    }
}

const LIMITS: [&str; 7] = [
    "requests_per_second",
    "per_minute",
    "burst",
    "bulk_per_minute",
    "connections",
    "per_day",
    "per_month",
];

fn limit_of<'l>(limits: &'l mut NewLimits, name: &str) -> Option<&'l mut Option<u32>> {
    Some(match name {
        "requests_per_second" => &mut limits.requests_per_second,
        "per_minute" => &mut limits.per_minute,
        "burst" => &mut limits.burst,
        "bulk_per_minute" => &mut limits.bulk_per_minute,
        "connections" => &mut limits.connections,
        "per_day" => &mut limits.per_day,
        "per_month" => &mut limits.per_month,
        _ => return None,
    })
}

impl Wanted for Value {
    fn read(value: &Value, _: &str, _: &mut Vec<FieldError>) -> Option<Self> {
        Some(value.clone())
    }
}

impl Plain for String {
    fn plain(value: &Value) -> Option<Self> {
        value.as_str().map(str::to_owned)
    }

    fn taken() -> String {
        "a text".to_owned()
    }
}

impl Plain for bool {
    fn plain(value: &Value) -> Option<Self> {
        value.as_bool()
    }

    fn taken() -> String {
        "true or false".to_owned()
    }
}

impl Plain for u32 {
    fn plain(value: &Value) -> Option<Self> {
        value.as_u64().and_then(|number| number.try_into().ok())
    }

    fn taken() -> String {
        format!("a whole number from 0 to {}", u32::MAX)
    }
}

impl Plain for EmailAddress {
    fn plain(value: &Value) -> Option<Self> {
        Self::parse(value.as_str()?).ok()
    }

    fn taken() -> String {
        "one mail address, as ann@shop.example".to_owned()
    }
}

impl Plain for Licence {
    fn plain(value: &Value) -> Option<Self> {
        Self::parse(value.as_str()?).ok()
    }

    fn taken() -> String {
        format!("a text of 1 to {} characters in one line", Self::MOST)
    }
}

impl Plain for Plan {
    fn plain(value: &Value) -> Option<Self> {
        Self::parse(value.as_str()?).ok()
    }

    fn taken() -> String {
        format!("a text of 1 to {} characters in one line", Self::MOST)
    }
}

impl Plain for Timestamp {
    fn plain(value: &Value) -> Option<Self> {
        Self::parse(value.as_str()?).ok()
    }

    fn taken() -> String {
        "a time, as 2027-01-31T18:00:00Z".to_owned()
    }
}

impl Plain for Network {
    fn plain(value: &Value) -> Option<Self> {
        value.as_str()?.parse().ok()
    }

    fn taken() -> String {
        "an address or a network, as 203.0.113.7 or 203.0.113.0/24".to_owned()
    }
}

/// Enums by their words, all of which are told.
macro_rules! words {
    ($($name:ident),+) => {$(
        impl Plain for $name {
            fn plain(value: &Value) -> Option<Self> {
                Self::parse(value.as_str()?).ok()
            }

            fn taken() -> String {
                let words: Vec<_> = Self::ALL.iter().map(|word| word.as_str()).collect();
                words.join(" or ")
            }
        }
    )+};
}

words!(KeyKind, Language, Stream, UnknownReplyTo);

fn not_taken(value: &Value, path: &str, taken: &str) -> FieldError {
    FieldError {
        field: path.to_owned(),
        message: format!("{} is not taken: give {taken}.", shown(value)),
    }
}

/// As it was given.
fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn complaints<T: Wanted>(value: &Value) -> Vec<String> {
        let mut wrong = Vec::new();
        assert!(T::read(value, "field", &mut wrong).is_none(), "{value}");
        let wrong = wrong.into_iter();
        wrong
            .map(|one| format!("{} {}", one.field, one.message))
            .collect()
    }

    #[test]
    fn what_is_not_taken_is_named_by_its_path_with_its_value_and_what_is_taken() {
        let limits = json!({"per_minute": -1, "requests_per_second": null, "per_year": 5});
        let mut told = complaints::<NewLimits>(&limits);
        told.sort_unstable();
        let want = [
            "field.per_minute -1 is not taken: give a whole number from 0 to 4294967295.",
            "field.per_year is no limit; there are requests_per_second, per_minute, burst, bulk_per_minute, connections, per_day, per_month.",
        ];
        assert_eq!(told, want);
        for (told, want) in [
            (
                complaints::<Language>(&json!("de")),
                "field \"de\" is not taken: give en or fr.",
            ),
            (
                complaints::<Vec<Language>>(&json!(["en", 7])),
                "field[1] 7 is not taken: give en or fr.",
            ),
            (
                complaints::<Vec<Network>>(&json!("10.0.0.0/8")),
                "field \"10.0.0.0/8\" is not taken: give a list, as […].",
            ),
            (
                complaints::<EmailAddress>(&json!("ann")),
                "field \"ann\" is not taken: give one mail address, as ann@shop.example.",
            ),
            (
                complaints::<bool>(&json!("yes")),
                "field \"yes\" is not taken: give true or false.",
            ),
        ] {
            assert_eq!(told, [want]);
        }
    }

    #[test]
    fn what_is_taken_is_read() {
        let mut wrong = Vec::new();
        let given = json!({"per_day": 5, "per_month": null});
        let limits = NewLimits::read(&given, "limits", &mut wrong);
        let want = NewLimits {
            per_day: Some(5),
            per_month: Some(0),
            ..NewLimits::default()
        };
        assert_eq!(limits, Some(want));
        let languages = Vec::<Language>::read(&json!(["fr"]), "languages", &mut wrong);
        assert_eq!(languages, Some(vec![Language::Fr]));
        assert_eq!(u32::read(&json!(0), "per_day", &mut wrong), Some(0));
        assert!(wrong.is_empty());
    }
}
