//! What a request's header says of its body, and the key under which it is answered once.

use ::http::{HeaderMap, HeaderName, HeaderValue, header};
use postrider_http::Problem;
use postrider_model::IdempotencyKey;

use crate::http::json::shortened;
use crate::refusal;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const BATCH_VALIDATION: HeaderName = HeaderName::from_static("x-batch-validation");

/// How a body was packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    Identity,
    Gzip,
}

/// What becomes of a batch that has a bad item in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Nothing is accepted. Also what a client means that says nothing: some never do.
    #[default]
    Strict,
    /// The others are accepted.
    Permissive,
}

/// The client's `Idempotency-Key`, if it sent one.
pub(crate) fn idempotency_key(headers: &HeaderMap) -> Result<Option<IdempotencyKey>, Problem> {
    let Some(value) = headers.get(IDEMPOTENCY_KEY) else {
        return Ok(None);
    };
    // What is not visible ASCII is refused by `parse`; a byte that is no character at all, too.
    let text = String::from_utf8_lossy(value.as_bytes());
    IdempotencyKey::parse(&text)
        .map(Some)
        .map_err(|error| refusal::of_idempotency_key(&error))
}

/// What `Content-Encoding` names. RFC 9110 §8.4.1: any case, and `x-gzip` is gzip; several codings
/// one over the other are nothing that anybody needs.
pub(crate) fn coding(headers: &HeaderMap) -> Result<Coding, Problem> {
    let mut fields = headers.get_all(header::CONTENT_ENCODING).into_iter();
    let (Some(field), None) = (fields.next(), fields.next()) else {
        return if headers.contains_key(header::CONTENT_ENCODING) {
            Err(refuse_coding("several codings"))
        } else {
            Ok(Coding::Identity)
        };
    };
    let name = String::from_utf8_lossy(field.as_bytes());
    match name.trim().to_ascii_lowercase().as_str() {
        "identity" | "" => Ok(Coding::Identity),
        "gzip" | "x-gzip" => Ok(Coding::Gzip),
        _ => Err(refuse_coding(&shortened(&name))),
    }
}

// RFC 9110 §15.5.16: what would have been taken is named.
fn refuse_coding(name: &str) -> Problem {
    let name = name.escape_debug();
    let message = format!("The body is packed ({name}); send it as it is, or with gzip.");
    let gzip = HeaderValue::from_static("gzip");
    Problem::new(415, "validation_error", message).header(header::ACCEPT_ENCODING, gzip)
}

/// What `x-batch-validation` asks for.
pub(crate) fn batch_mode(headers: &HeaderMap) -> Result<Mode, Problem> {
    let Some(value) = headers.get(BATCH_VALIDATION) else {
        return Ok(Mode::default());
    };
    let text = String::from_utf8_lossy(value.as_bytes());
    if text.eq_ignore_ascii_case("strict") {
        Ok(Mode::Strict)
    } else if text.eq_ignore_ascii_case("permissive") {
        Ok(Mode::Permissive)
    } else {
        let text = shortened(&text).escape_debug().to_string();
        let message = format!("'{text}' is not a mode; write strict or permissive.");
        let field = "x-batch-validation";
        Err(Problem::field(422, "invalid_parameter", field, message))
    }
}

/// Whether a request calls its body JSON, or nothing at all.
pub(crate) fn says_json(headers: &HeaderMap) -> bool {
    media_type(headers).is_none_or(is_json)
}

/// Whoever sends JSON as a raw message means the other endpoint.
pub(crate) fn refuse_json(headers: &HeaderMap) -> Result<(), Problem> {
    if media_type(headers).is_some_and(is_json) {
        let message = "This endpoint takes message/rfc822; send JSON to /emails.";
        return Err(Problem::new(422, "validation_error", message));
    }
    Ok(())
}

fn is_json(kind: &str) -> bool {
    kind.eq_ignore_ascii_case("application/json")
}

fn media_type(headers: &HeaderMap) -> Option<&str> {
    let text = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    text.split(';').next().map(str::trim)
}
