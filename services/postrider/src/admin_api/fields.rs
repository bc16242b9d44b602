//! A request's JSON object, taken apart field by field: all that is wrong is told at once.

use postrider_http::{FieldError, Problem, Request};
use postrider_store::NewLimits;
use serde_json::{Map, Value};

use super::once::{self, JsonError};
use super::values::Wanted;

/// Characters of a name that a complaint repeats.
const SHOWN: usize = 60;
/// Complaints that one answer tells of: a wrong list has as many as items.
const TOLD_MOST: usize = 20;
/// Characters of a note.
const NOTE_MOST: usize = 200;

/// The members that were not taken yet, and what was wrong with those that were.
#[derive(Default)]
pub(super) struct Fields {
    left: Map<String, Value>,
    wrong: Vec<FieldError>,
    is_missing: bool,
}

/// What a change says of a field that may be empty.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Change<T> {
    Stays,
    /// `null`
    Ends,
    Becomes(T),
}

impl<T> Change<T> {
    /// What it is then.
    pub(super) fn over(self, was: Option<T>) -> Option<T> {
        match self {
            Self::Stays => was,
            Self::Ends => None,
            Self::Becomes(value) => Some(value),
        }
    }
}

impl Fields {
    pub(super) async fn read(request: &mut Request, most: u64) -> Result<Self, Problem> {
        let bytes = request.body.read(most).await?;
        match once::read(&bytes) {
            Ok(Value::Object(left)) => Ok(Self {
                left,
                ..Self::default()
            }),
            Ok(_) => {
                let message = "The body is no JSON object; send the fields as {…}.";
                Err(Problem::new(422, "validation_error", message))
            }
            Err(error) => {
                let status = match error {
                    JsonError::Malformed(_) => 400,
                    JsonError::Twice(_) => 422,
                };
                Err(Problem::new(status, "validation_error", error.to_string()))
            }
        }
    }

    /// A field that may be missing or null.
    pub(super) fn take<T: Wanted>(&mut self, name: &str) -> Option<T> {
        let value = self.left.remove(name).filter(|value| !value.is_null())?;
        T::read(&value, name, &mut self.wrong)
    }

    /// A field of a change that cannot be empty: left out, it stays.
    pub(super) fn wish<T: Wanted>(&mut self, name: &str) -> Option<T> {
        if self.left.get(name).is_some_and(Value::is_null) {
            self.left.remove(name);
            let message = "is null, and there is always one; leave it out to keep it.";
            self.complain(name, message.to_owned());
        }
        self.take(name)
    }

    /// A field of a change that may be empty: left out, it stays.
    pub(super) fn change<T: Wanted>(&mut self, name: &str) -> Change<T> {
        match self.left.get(name) {
            None => Change::Stays,
            Some(Value::Null) => {
                self.left.remove(name);
                Change::Ends
            }
            // What cannot be read was complained about.
            Some(_) => self.take(name).map_or(Change::Stays, Change::Becomes),
        }
    }

    /// A limit of a change: left out, it stays; `null` is as good as 0, for so it is shown.
    pub(super) fn limit(&mut self, name: &str) -> Option<u32> {
        match self.change(name) {
            Change::Stays => None,
            Change::Ends => Some(0),
            Change::Becomes(limit) => Some(limit),
        }
    }

    /// Several of a tenant's in one object, each as by `limit`.
    pub(super) fn limits(&mut self, name: &str) -> Option<NewLimits> {
        self.wish(name)
    }

    /// What a person writes beside a thing, in a line of a list.
    pub(super) fn take_note(&mut self) -> Option<String> {
        let note: String = self.wish("note")?;
        let length = note.chars().count();
        if length > NOTE_MOST {
            let message = format!("has {length} characters; {NOTE_MOST} are the most.");
            self.complain("note", message);
        } else if note.chars().any(char::is_control) {
            let message = "has a control character; write one line of text.";
            self.complain("note", message.to_owned());
        }
        Some(note)
    }

    /// A field that must be there.
    pub(super) fn need<T: Wanted>(&mut self, name: &str) -> Option<T> {
        let is_there = self.left.get(name).is_some_and(|value| !value.is_null());
        if !is_there {
            self.is_missing = true;
            self.left.remove(name);
            self.complain(name, "is missing; give it.".to_owned());
            return None;
        }
        self.take(name)
    }

    pub(super) fn complain(&mut self, name: &str, message: String) {
        self.wrong.push(FieldError {
            field: name.to_owned(),
            message,
        });
    }

    /// Nothing is left, and nothing was wrong.
    pub(super) fn done(mut self) -> Result<(), Problem> {
        let unknown: Vec<String> = self.left.keys().cloned().collect();
        for name in unknown {
            let name: String = name.chars().take(SHOWN).collect();
            let message = "is no field of this request; see /admin/v1/openapi.json.".to_owned();
            self.complain(&name, message);
        }
        let Some(first) = self.wrong.first() else {
            return Ok(());
        };
        let name = if self.is_missing {
            "missing_required_field"
        } else {
            "validation_error"
        };
        let more = match self.wrong.len() - 1 {
            0 => String::new(),
            more if more < TOLD_MOST => format!(" (and {more} more, see errors)"),
            more => format!(" (and {more} more, see errors for the first {TOLD_MOST})"),
        };
        let message = format!("{}: {}{more}", first.field, first.message);
        let mut problem = Problem::new(422, name, message);
        self.wrong.truncate(TOLD_MOST);
        problem.errors = self.wrong;
        Err(problem)
    }
}

/// What a field that is there cannot be without.
pub(super) fn given<T>(value: Option<T>) -> Result<T, Problem> {
    // Whatever is missing was complained about in `done`.
    value.ok_or_else(Problem::internal)
}

#[cfg(test)]
mod tests {
    use postrider_model::Network;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_wrong_list_is_answered_with_no_more_than_the_first_complaints() {
        for (items, told, says) in [
            (20, 20, "(and 19 more, see errors)"),
            (30_000, 20, "(and 29999 more, see errors for the first 20)"),
        ] {
            let mut fields = Fields::default();
            let list = vec![json!(0); items];
            fields.left.insert("networks".to_owned(), json!(list));
            assert_eq!(fields.take::<Vec<Network>>("networks"), None);
            let problem = fields.done().unwrap_err();
            assert_eq!(problem.errors.len(), told);
            assert!(problem.message.ends_with(says), "{}", problem.message);
        }
    }
}
