//! Refusals: the JSON that the SDKs of the field can read, and RFC 9457 for who asks for it.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use serde::Serialize;

use crate::{Answer, RequestId};

/// Why a request is refused, in words that name the field, the value and the remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub status: u16,
    /// From the contract's closed set: clients switch on it, some fail on a word they do not know.
    pub name: &'static str,
    /// One sentence.
    pub message: String,
    /// One entry for each field that is at fault, where fields are.
    pub errors: Vec<FieldError>,
    /// Under which id the service's catalogue explains it: `PR-504`.
    pub entry: Option<&'static str>,
    /// Sent along: `retry-after`, `allow`, `www-authenticate`, ….
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

/// Where a text stops being JSON, and what to look at, in words that are none of a library's.
pub fn malformed(error: &serde_json::Error) -> String {
    let (line, column) = (error.line(), error.column());
    if error.is_eof() {
        return format!(
            "it ends too soon, in line {line}, column {column}; check that it is sent whole, with all its braces"
        );
    }
    format!(
        "it cannot be read from line {line}, column {column} on; check quotes, commas and braces there"
    )
}

/// What is wrong with one field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// `to[1]`.
    pub field: String,
    pub message: String,
}

impl Problem {
    pub fn new(status: u16, name: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            name,
            message: message.into(),
            errors: Vec::new(),
            entry: None,
            headers: Vec::new(),
        }
    }

    /// With the id under which the catalogue explains it.
    #[must_use]
    pub fn entry(mut self, id: &'static str) -> Self {
        self.entry = Some(id);
        self
    }

    /// A refusal for what one field holds; the sentence begins with the field's name.
    pub fn field(
        status: u16,
        name: &'static str,
        field: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        let error = FieldError {
            field: field.into(),
            message: message.into(),
        };
        let mut problem = Self::new(status, name, format!("{}: {}", error.field, error.message));
        problem.errors.push(error);
        problem
    }

    /// Nothing is there, or it belongs to another.
    pub fn not_found() -> Self {
        Self::new(404, "not_found", "There is nothing at this address.")
    }

    /// The path is right, the method is not; `allow` names those that are (`GET, HEAD`).
    pub fn method_not_allowed(allow: &'static str) -> Self {
        let message = format!("This address takes {allow}.");
        Self::new(405, "method_not_allowed", message)
            .header(header::ALLOW, HeaderValue::from_static(allow))
    }

    /// A fault of ours that no one can mend from outside.
    pub fn internal() -> Self {
        let message = "Something went wrong on our side; it is logged under this request_id.";
        Self::new(500, "application_error", message)
    }

    /// We cannot now; the same request may succeed after so many seconds.
    pub fn unavailable(message: impl Into<String>, seconds: u32) -> Self {
        Self::new(503, "application_error", message).retry_after(seconds)
    }

    /// With this header field.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// With `retry-after` in whole seconds.
    #[must_use]
    pub fn retry_after(self, seconds: u32) -> Self {
        self.header(header::RETRY_AFTER, HeaderValue::from(seconds))
    }

    /// Written out for this client.
    pub(crate) fn written(
        self,
        id: &RequestId,
        accept: &HeaderMap,
        documentation: Option<&str>,
    ) -> Answer {
        let link = documentation.map(|base| format!("{base}#{}", self.name));
        let mut answer = if wants_rfc_9457(accept) {
            let document = self.rfc_9457(id, link);
            let kind = HeaderValue::from_static("application/problem+json; charset=utf-8");
            Answer::json(self.status, &document).header(header::CONTENT_TYPE, kind)
        } else {
            Answer::json(self.status, &self.plain(id, link))
        };
        answer.headers.extend(self.headers);
        answer
    }

    // Never with the keys `error`, `code` or `type`: one SDK in the field takes each of them for
    // something else.
    fn plain<'a>(&'a self, id: &'a RequestId, documentation: Option<String>) -> Plain<'a> {
        Plain {
            status_code: self.status,
            name: self.name,
            message: &self.message,
            errors: &self.errors,
            refusal: self.entry,
            request_id: id.as_str(),
            documentation,
        }
    }

    // RFC 9457 §3.1; `errors`, `name` and `request_id` are extension members (§3.2).
    fn rfc_9457<'a>(&'a self, id: &'a RequestId, documentation: Option<String>) -> Rfc9457<'a> {
        let title = http::StatusCode::from_u16(self.status).ok();
        Rfc9457 {
            kind: documentation.unwrap_or_else(|| "about:blank".to_owned()),
            title: title
                .and_then(|status| status.canonical_reason())
                .unwrap_or("Error"),
            status: self.status,
            detail: &self.message,
            instance: format!("urn:request:{id}"),
            errors: &self.errors,
            refusal: self.entry,
            name: self.name,
            request_id: id.as_str(),
        }
    }
}

#[derive(Serialize)]
struct Plain<'a> {
    #[serde(rename = "statusCode")]
    status_code: u16,
    name: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldError],
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<&'a str>,
    request_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    documentation: Option<String>,
}

#[derive(Serialize)]
struct Rfc9457<'a> {
    #[serde(rename = "type")]
    kind: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    instance: String,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldError],
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<&'a str>,
    name: &'a str,
    request_id: &'a str,
}

// Only where `Accept` names it: `*/*` does not, and SDKs that send that cannot read it.
fn wants_rfc_9457(headers: &HeaderMap) -> bool {
    let fields = headers.get_all(header::ACCEPT).into_iter();
    let mut ranges = fields
        .filter_map(|field| field.to_str().ok())
        .flat_map(|text| text.split(','));
    ranges.any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let named = parts
            .next()
            .is_some_and(|kind| kind.eq_ignore_ascii_case("application/problem+json"));
        // RFC 9110 §12.4.2: a weight of 0 means «not acceptable».
        let unwanted = |part: &str| {
            part.strip_prefix("q=")
                .or(part.strip_prefix("Q="))
                .is_some_and(|q| q.parse() == Ok(0.0_f32))
        };
        named && !parts.any(unwanted)
    })
}

#[cfg(test)]
mod tests {
    use postrider_runtime::Rng;

    use super::*;

    fn written(problem: Problem, accept: &str) -> (String, serde_json::Value) {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, accept.parse().unwrap());
        let id = RequestId::new(&Rng::seeded(1));
        let answer = problem.written(&id, &headers, Some("https://docs.example/errors"));
        let kind = answer
            .headers
            .get(header::CONTENT_TYPE)
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        (kind, serde_json::from_slice(&answer.body).unwrap())
    }

    #[test]
    fn the_usual_form_has_what_the_sdks_need_and_nothing_they_trip_over() {
        let problem = Problem::field(
            422,
            "validation_error",
            "to[1]",
            "'bob@' is not an address.",
        );
        let (kind, json) = written(problem, "*/*");
        assert_eq!(kind, "application/json; charset=utf-8");
        assert_eq!(json["statusCode"], 422);
        assert_eq!(json["name"], "validation_error");
        assert_eq!(json["message"], "to[1]: 'bob@' is not an address.");
        assert_eq!(json["errors"][0]["field"], "to[1]");
        assert_eq!(
            json["documentation"],
            "https://docs.example/errors#validation_error"
        );
        for key in ["error", "code", "type"] {
            assert!(json.get(key).is_none(), "{key}");
        }
    }

    #[test]
    fn rfc_9457_is_for_who_names_it() {
        for (accept, want) in [
            ("application/problem+json", true),
            ("text/html, Application/Problem+JSON;q=0.5", true),
            ("application/problem+json;q=0", false),
            ("application/json", false),
            ("application/*, */*", false),
        ] {
            let (kind, json) = written(Problem::not_found(), accept);
            assert_eq!(
                kind.starts_with("application/problem+json"),
                want,
                "{accept}"
            );
            assert_eq!(json.get("detail").is_some(), want, "{accept}");
        }
    }
}
