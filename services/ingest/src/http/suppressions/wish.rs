//! What is asked of the suppression list: bodies and queries, read.

use bytes::Bytes;
use postrider_http::{Problem, Query};
use postrider_model::{EmailAddress, Stream};
use postrider_store::{Suppressed, SuppressionFilter, SuppressionPage, SuppressionStart};

use crate::http::complaints::Complaints;
use crate::http::json::{self, Value, shortened};
use crate::http::list::{self, Given};
use crate::http::unknown::Unknown;
use crate::http::{mailboxes, reading};

/// Addresses or ids in one request, by the contract.
const BATCH_MOST: usize = 100;
const LIMIT_DEFAULT: u8 = 20;
const PARAMETER: &str = "invalid_parameter";

/// A body that was not looked at yet.
pub(super) struct Body {
    pub(super) bytes: Bytes,
    pub(super) says_json: bool,
}

/// Reads what names a suppression.
pub(super) struct Named;

impl Named {
    /// An id, or an address.
    pub(super) fn parse(text: &str) -> Result<Suppressed, String> {
        if let Ok(id) = text.parse() {
            return Ok(Suppressed::Id(id));
        }
        address(text).map(Suppressed::Address)
    }
}

/// The members of the body that are of use.
#[derive(Default)]
struct Members<'a> {
    email: Option<Value<'a>>,
    emails: Option<Value<'a>>,
    ids: Option<Value<'a>>,
    stream: Option<Value<'a>>,
}

impl Body {
    /// `{"email", "stream"?}`.
    pub(super) fn one(
        &self,
        unknown: &mut Unknown,
    ) -> Result<(EmailAddress, Option<Stream>), Problem> {
        let members = self.members(unknown)?;
        let stream = stream(members.stream.as_ref())?;
        match members.email {
            Some(Value::Text(text)) => {
                let email = address(&text).map_err(|message| invalid("email", message))?;
                Ok((email, stream))
            }
            Some(other) => Err(invalid("email", not_a_string(&other))),
            None => Err(missing("email", "is missing; give the address.")),
        }
    }

    /// `{"emails", "stream"?}`, each address once.
    pub(super) fn emails(
        &self,
        unknown: &mut Unknown,
    ) -> Result<(Vec<EmailAddress>, Option<Stream>), Problem> {
        let members = self.members(unknown)?;
        let stream = stream(members.stream.as_ref())?;
        let Some(emails) = members.emails else {
            return Err(missing("emails", "is missing; give 1 to 100 addresses."));
        };
        let emails = all("emails", &emails, address)?;
        Ok((mailboxes::distinct(emails.iter()), stream))
    }

    /// `{"emails"}` or `{"ids"}`.
    pub(super) fn named(&self, unknown: &mut Unknown) -> Result<Vec<Suppressed>, Problem> {
        let members = self.members(unknown)?;
        match (members.emails, members.ids) {
            (Some(emails), None) => all("emails", &emails, |text| {
                address(text).map(Suppressed::Address)
            }),
            (None, Some(ids)) => all("ids", &ids, |text| {
                let id = text.parse().map(Suppressed::Id);
                id.map_err(|_| format!("'{}' is not an id.", shown(text)))
            }),
            (Some(_), Some(_)) => Err(invalid(
                "ids",
                "is given together with emails; give one of them.",
            )),
            (None, None) => Err(missing("emails", "is missing; give emails or ids.")),
        }
    }

    fn members(&self, unknown: &mut Unknown) -> Result<Members<'_>, Problem> {
        let body = json::read(&self.bytes);
        let body = body.map_err(|error| reading::not_json(&error, self.says_json))?;
        let Value::Object(given) = body else {
            let message = format!("The body is {}; send a JSON object.", body.kind());
            return Err(Problem::new(422, "validation_error", message));
        };
        let mut members = Members::default();
        for (name, value) in given {
            match (name.as_ref(), value) {
                (_, Value::Null) => {}
                ("email", value) => members.email = Some(value),
                ("emails", value) => members.emails = Some(value),
                ("ids", value) => members.ids = Some(value),
                ("stream", value) => members.stream = Some(value),
                (name, _) => unknown.add(name),
            }
        }
        Ok(members)
    }
}

fn all<T>(
    field: &str,
    value: &Value<'_>,
    read: impl Fn(&str) -> Result<T, String>,
) -> Result<Vec<T>, Problem> {
    let Value::List(items) = value else {
        return Err(invalid(
            field,
            format!("is {}, not an array.", value.kind()),
        ));
    };
    if !(1..=BATCH_MOST).contains(&items.len()) {
        let count = items.len();
        let message = format!("has {count} items; give 1 to {BATCH_MOST}.");
        return Err(invalid(field, message));
    }
    let mut complaints = Complaints::default();
    let mut taken = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let one = match item {
            Value::Text(text) => read(text),
            other => Err(not_a_string(other)),
        };
        match one {
            Ok(one) => taken.push(one),
            Err(message) => complaints.invalid(format!("{field}[{index}]"), message),
        }
    }
    complaints.into_result().map(|()| taken)
}

fn stream(value: Option<&Value<'_>>) -> Result<Option<Stream>, Problem> {
    let refused = |message| Problem::field(422, PARAMETER, "stream", message);
    match value {
        None => Ok(None),
        Some(Value::Text(text)) => list::stream(text).map(Some).map_err(refused),
        Some(other) => Err(refused(not_a_string(other))),
    }
}

fn address(text: &str) -> Result<EmailAddress, String> {
    EmailAddress::parse(text.trim()).map_err(|error| {
        let text = shown(text);
        format!("'{text}' is not an address ({error}); write ann@example.org.")
    })
}

fn shown(text: &str) -> String {
    shortened(text).escape_debug().to_string()
}

fn not_a_string(value: &Value<'_>) -> String {
    format!("is {}, not a string.", value.kind())
}

fn invalid(field: &str, message: impl Into<String>) -> Problem {
    Problem::field(422, "validation_error", field, message)
}

fn missing(field: &str, message: &str) -> Problem {
    Problem::field(422, "missing_required_field", field, message)
}

/// `?limit=&after=&before=&stream=`.
pub(super) fn page(query: &Query) -> Result<(SuppressionFilter, SuppressionPage), Problem> {
    const PARAMETERS: [&str; 4] = ["limit", "after", "before", "stream"];
    let mut complaints = Complaints::default();
    for name in query.names().filter(|name| !PARAMETERS.contains(name)) {
        let message = "is not a parameter of this endpoint; limit, after, before and stream are.";
        complaints.add(PARAMETER, shown(name), message);
    }
    let mut given = Given {
        query,
        complaints: &mut complaints,
    };
    let limit = given.read("limit", list::limit).unwrap_or(LIMIT_DEFAULT);
    let after = given.read("after", cursor).map(SuppressionStart::After);
    let before = given.read("before", cursor).map(SuppressionStart::Before);
    let filter = SuppressionFilter {
        stream: given.read("stream", list::stream),
    };
    if after.is_some() && before.is_some() {
        let message = "is given together with after; give one of them.";
        complaints.add(PARAMETER, "before", message);
    }
    let start = after.or(before).unwrap_or(SuppressionStart::Newest);
    let page = SuppressionPage { limit, start };
    complaints.into_result().map(|()| (filter, page))
}

fn cursor(text: &str) -> Result<postrider_model::SuppressionId, String> {
    text.parse().map_err(|_| no_cursor(&shown(text)))
}

fn no_cursor(text: &str) -> String {
    format!("'{text}' is not the id of a suppression of yours; begin again without it.")
}

/// Where a page begins at something that is not there.
pub(super) fn unknown_cursor(page: SuppressionPage) -> Problem {
    let (field, id) = match page.start {
        SuppressionStart::After(id) => ("after", id),
        SuppressionStart::Before(id) => ("before", id),
        SuppressionStart::Newest => return Problem::not_found(),
    };
    Problem::field(422, PARAMETER, field, no_cursor(&id.to_string()))
}
