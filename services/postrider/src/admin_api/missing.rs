//! What is said where nothing is: which thing is missing, or, of a path that is none, where all stand.

use std::fmt::Display;

use postrider_http::Problem;

/// Characters of a name that are said again.
const NAMED: usize = 60;

/// No such path, or one that is not for this caller.
pub(super) fn nowhere() -> Problem {
    said(
        "There is nothing at this address: GET /admin/v1/openapi.json lists all there is."
            .to_owned(),
    )
}

/// A thing that is not there, or is another's: the two are told alike.
pub(super) fn no_such(what: &str, which: impl Display) -> Problem {
    let which: String = which.to_string().chars().take(NAMED).collect();
    said(format!(
        "There is no {what} {which:?} that this token sees."
    ))
}

/// The same of one whose name is not known here.
pub(super) fn gone(what: &str) -> Problem {
    said(format!("There is no such {what}."))
}

fn said(message: String) -> Problem {
    Problem {
        message,
        ..Problem::not_found()
    }
}
