//! What a program asks for when it enrols: the body, read.

use std::borrow::Cow;

use bytes::Bytes;
use postrider_gate::EnrolWish;
use postrider_http::Problem;
use postrider_model::{EmailAddress, Language};

use crate::http::complaints::Complaints;
use crate::http::json::{self, Value, shortened};
use crate::http::reading;
use crate::http::unknown::Unknown;

/// A body that was not looked at yet.
pub(super) struct Body {
    pub(super) bytes: Bytes,
    pub(super) says_json: bool,
}

/// Its members, as far as they are of the right type.
#[derive(Default)]
struct Members<'a> {
    token: Option<Cow<'a, str>>,
    reply_to: Option<Cow<'a, str>>,
    name: Option<Cow<'a, str>>,
    language: Option<Cow<'a, str>>,
    own_domain: Option<bool>,
}

impl Body {
    /// `{"token", "reply_to", "name", "language"?, "own_domain"?}`.
    pub(super) fn wish(&self, unknown: &mut Unknown) -> Result<(String, EnrolWish), Problem> {
        let mut complaints = Complaints::default();
        let members = self.members(unknown, &mut complaints)?;
        let token = required(members.token, "token", TOKEN, &mut complaints);
        let name = required(members.name, "name", NAME, &mut complaints);
        let reply_to = required(members.reply_to, "reply_to", REPLY_TO, &mut complaints);
        let reply_to = reply_to.and_then(|text| address(&text, &mut complaints));
        let language = members.language;
        let language = language.and_then(|text| spoken(&text, &mut complaints));
        complaints.into_result()?;
        match (token, name, reply_to) {
            (Some(token), Some(name), Some(reply_to)) => Ok((
                token.into_owned(),
                EnrolWish {
                    reply_to,
                    name: name.into_owned(),
                    language,
                    own_domain: members.own_domain,
                },
            )),
            // Each of them that is missing has been complained about.
            _ => Err(Problem::internal()),
        }
    }

    /// `{"token"}`.
    pub(super) fn token(&self, unknown: &mut Unknown) -> Result<String, Problem> {
        let mut complaints = Complaints::default();
        let members = self.members(unknown, &mut complaints)?;
        let token = required(members.token, "token", TOKEN, &mut complaints);
        complaints.into_result()?;
        token.map(Cow::into_owned).ok_or_else(Problem::internal)
    }

    fn members(
        &self,
        unknown: &mut Unknown,
        complaints: &mut Complaints,
    ) -> Result<Members<'_>, Problem> {
        let body = json::read(&self.bytes);
        let body = body.map_err(|error| reading::not_json(&error, self.says_json))?;
        let Value::Object(given) = body else {
            let message = format!("The body is {}; send a JSON object.", body.kind());
            return Err(Problem::new(422, "validation_error", message));
        };
        let mut members = Members::default();
        for (name, value) in given {
            let place = match name.as_ref() {
                "token" => &mut members.token,
                "reply_to" => &mut members.reply_to,
                "name" => &mut members.name,
                "language" => &mut members.language,
                "own_domain" => {
                    match value {
                        Value::Bool(wish) => members.own_domain = Some(wish),
                        Value::Null => {}
                        other => wrong("own_domain", &other, "true or false", complaints),
                    }
                    continue;
                }
                other => {
                    unknown.add(other);
                    continue;
                }
            };
            match value {
                Value::Text(text) => *place = Some(text),
                Value::Null => {}
                other => wrong(&name, &other, "a string", complaints),
            }
        }
        Ok(members)
    }
}

const TOKEN: &str = "is missing; give the licence token that the vendor signed.";
const NAME: &str = "is missing; give the name that recipients are to see.";
const REPLY_TO: &str = "is missing; give the address that answers go to.";

fn wrong(field: &str, given: &Value<'_>, wanted: &str, complaints: &mut Complaints) {
    complaints.invalid(field, format!("is {}, not {wanted}.", given.kind()));
}

fn required<'a>(
    member: Option<Cow<'a, str>>,
    field: &str,
    message: &str,
    complaints: &mut Complaints,
) -> Option<Cow<'a, str>> {
    let given = member.filter(|text| !text.trim().is_empty());
    if given.is_none() {
        complaints.add("missing_required_field", field, message);
    }
    given
}

fn address(text: &str, complaints: &mut Complaints) -> Option<EmailAddress> {
    match EmailAddress::parse(text.trim()) {
        Ok(address) => Some(address),
        Err(error) => {
            let text = shown(text);
            let message = format!("'{text}' is not an address ({error}); write ann@example.org.");
            complaints.invalid("reply_to", message);
            None
        }
    }
}

// `fr-CH` is `fr` to us.
fn spoken(text: &str, complaints: &mut Complaints) -> Option<Language> {
    let main = text.split(['-', '_']).next().unwrap_or(text);
    let main = main.to_ascii_lowercase();
    let found = Language::ALL.iter().find(|one| one.as_str() == main);
    if found.is_none() {
        let message = format!("'{}' is not spoken here; give en or fr.", shown(text));
        complaints.invalid("language", message);
    }
    found.copied()
}

fn shown(text: &str) -> String {
    shortened(text).escape_debug().to_string()
}
