//! An answer as a door gives it.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use serde::Serialize;

use crate::Problem;

/// A status, header fields and a body. The server adds `x-request-id` and, where the door did not
/// choose another, `cache-control: no-store`.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
    // Written out by the server, who knows the request's id and what the client reads.
    pub(crate) problem: Option<Box<Problem>>,
}

const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");

impl Answer {
    /// A body of this media type.
    pub fn new(status: u16, content_type: HeaderValue, body: impl Into<Bytes>) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, content_type);
        Self {
            status,
            headers,
            body: body.into(),
            problem: None,
        }
    }

    /// A value as JSON. What cannot be written as JSON (a map with keys that are no strings)
    /// becomes a 500: a fault of ours.
    pub fn json(status: u16, value: &impl Serialize) -> Self {
        match serde_json::to_vec(value) {
            Ok(body) => Self::new(status, JSON, body),
            Err(error) => {
                tracing::error!(%error, "an answer could not be written as JSON");
                Problem::internal().into()
            }
        }
    }

    /// The name under which it refuses, from the contract's closed set.
    pub fn refused_as(&self) -> Option<&'static str> {
        self.problem.as_ref().map(|problem| problem.name)
    }

    /// JSON that is written already.
    pub fn json_text(status: u16, json: impl Into<Bytes>) -> Self {
        Self::new(status, JSON, json)
    }

    /// Plain text, UTF-8.
    pub fn text(status: u16, text: impl Into<Bytes>) -> Self {
        Self::new(
            status,
            HeaderValue::from_static("text/plain; charset=utf-8"),
            text,
        )
    }

    /// A page, UTF-8.
    pub fn html(status: u16, page: impl Into<Bytes>) -> Self {
        Self::new(
            status,
            HeaderValue::from_static("text/html; charset=utf-8"),
            page,
        )
    }

    /// With this header field, in place of one of the same name.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// The refusal that this answer is, if it is one.
    pub fn problem(&self) -> Option<&Problem> {
        self.problem.as_deref()
    }
}

impl From<Problem> for Answer {
    fn from(problem: Problem) -> Self {
        Self {
            status: problem.status,
            headers: problem.headers.iter().cloned().collect(),
            body: Bytes::new(),
            problem: Some(Box::new(problem)),
        }
    }
}
