//! What is wrong with a request, collected: a client should hear all of it at once.

use std::collections::HashSet;

use postrider_http::{FieldError, Problem};

/// Complaints about fields, in the order they were found.
#[derive(Debug, Default)]
pub(crate) struct Complaints(Vec<(&'static str, FieldError)>);

/// One answer names no more than this.
const MOST: usize = 20;

impl Complaints {
    /// `name` is from the contract's closed set; `message` says value and remedy, the field's name
    /// is put before it.
    pub(crate) fn add(
        &mut self,
        name: &'static str,
        field: impl Into<String>,
        message: impl Into<String>,
    ) {
        if self.0.len() < MOST {
            self.0.push((
                name,
                FieldError {
                    field: field.into(),
                    message: message.into(),
                },
            ));
        }
    }

    pub(crate) fn invalid(&mut self, field: impl Into<String>, message: impl Into<String>) {
        self.add("validation_error", field, message);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The body's own fields that something is wrong with: `to`, where `to[1]` is.
    pub(crate) fn fields(&self) -> HashSet<String> {
        let fields = self.0.iter().map(|(_, error)| part_of(&error.field));
        fields.map(str::to_owned).collect()
    }

    /// The refusal that all complaints make; `Ok` where there is none.
    pub(crate) fn into_result(self) -> Result<(), Problem> {
        let Some((name, first)) = self.0.first() else {
            return Ok(());
        };
        let more = match self.0.len() - 1 {
            0 => String::new(),
            more => format!(" (and {more} more, see errors)"),
        };
        let message = format!("{}: {}{more}", first.field, first.message);
        let mut problem = Problem::new(422, name, message);
        problem.errors = self.0.into_iter().map(|(_, error)| error).collect();
        Err(problem)
    }
}

/// The body's own field that a place in it belongs to: `headers` of `headers.X-Foo`.
pub(crate) fn part_of(field: &str) -> &str {
    field.split(['[', '.']).next().unwrap_or(field)
}
