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

/// Bytes of a language tag: RFC 5646 §4.4.1 has applications take 35 at least.
const TAG_MOST: usize = 35;

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
        let language = members.language.filter(|text| !text.trim().is_empty());
        let language = language.and_then(|text| spoken(text.trim(), &mut complaints));
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

// `fr-CH` is `fr` to us, and `de` none that we have: the vendor's first is taken then, for a shop is
// not to be without mail for the language of its program.
fn spoken(text: &str, complaints: &mut Complaints) -> Option<Language> {
    let Some(main) = main_of(text) else {
        let message = format!(
            "'{}' is no language tag; write it as en, fr or de-CH, or leave it out.",
            shown(text)
        );
        complaints.invalid("language", message);
        return None;
    };
    let mut known = Language::ALL.iter();
    known.find(|one| one.as_str() == main).copied()
}

/// The language itself of a tag as RFC 5646 §2.1 has them, or of a POSIX locale (`fr_FR.UTF-8`), in
/// lowercase; `None` where it is neither.
fn main_of(tag: &str) -> Option<String> {
    let is_of_one = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '@');
    let main = tag.split(['-', '_', '.', '@']).next()?;
    let is_main = matches!(main.len(), 1..=8) && main.chars().all(|c| c.is_ascii_alphabetic());
    let is_tag = tag.len() <= TAG_MOST && tag.chars().all(is_of_one) && is_main;
    is_tag.then(|| main.to_ascii_lowercase())
}

fn shown(text: &str) -> String {
    shortened(text).escape_debug().to_string()
}
