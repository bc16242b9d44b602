//! What was asked and answered, as it was seen on the wire.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::document::{Operation, Parameter};
use crate::{Path, Query};

/// One request and its answer. Bodies are whole and unpacked.
#[derive(Clone, Debug)]
pub struct Exchange {
    pub method: String,
    /// `/emails?limit=5`.
    pub target: String,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    pub status: u16,
    pub answer_headers: HeaderMap,
    pub answer: Vec<u8>,
}

impl Exchange {
    /// From the text of one exchange over HTTP/1.1; `None` where the request is not HTTP, is more
    /// than one, or is packed. Chunks are joined.
    pub fn of_text(request: &[u8], answer: &[u8]) -> Option<Self> {
        let (line, headers, body) = parts(request)?;
        let mut words = line.split(' ');
        let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
        if headers.contains_key("content-encoding") {
            return None;
        }
        let (status, answer_headers, answer) = parts(answer)?;
        Some(Self {
            method,
            target,
            headers,
            body,
            status: status.split(' ').nth(1)?.parse().ok()?,
            answer_headers,
            answer,
        })
    }

    /// Whether all that was asked was done: an answer that lists errors grants only a part.
    pub(super) fn is_granted(&self) -> bool {
        let answer: serde_json::Value = serde_json::from_slice(&self.answer).unwrap_or_default();
        let errors = answer.get("errors").and_then(serde_json::Value::as_array);
        (200..300).contains(&self.status) && errors.is_none_or(Vec::is_empty)
    }

    pub(super) fn path(&self) -> &str {
        let path = self.target.split('?').next().unwrap_or_default();
        // Several slashes at the start are one: some SDKs write two.
        let rest = path.trim_start_matches('/').len();
        path.get((path.len() - rest).saturating_sub(1)..)
            .unwrap_or(path)
    }

    pub(super) fn query(&self) -> impl Iterator<Item = (String, String)> {
        let raw = self.target.split_once('?').map(|(_, raw)| raw);
        let query = Query::parse(raw.unwrap_or_default()).unwrap_or_default();
        let mut names: Vec<_> = query.names().map(str::to_owned).collect();
        names.dedup();
        names.into_iter().flat_map(move |name| {
            let values: Vec<_> = query.all(&name).map(str::to_owned).collect();
            values.into_iter().map(move |value| (name.clone(), value))
        })
    }

    /// All that was given for a parameter.
    pub(super) fn given(&self, parameter: &Parameter, operation: &Operation) -> Vec<String> {
        let name = parameter.name.as_str();
        match parameter.place.as_str() {
            "path" => {
                let raw = operation.variable(name).unwrap_or_default();
                let decoded = Path::parse(&format!("/{raw}")).ok();
                decoded
                    .map(|path| path.segments().to_vec())
                    .unwrap_or_default()
            }
            "query" => {
                let pairs = self.query().filter(|(known, _)| known == name);
                pairs.map(|(_, value)| value).collect()
            }
            _ => {
                let values = self.headers.get_all(name).into_iter();
                let text =
                    |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
                values.map(text).collect()
            }
        }
    }
}

fn parts(text: &[u8]) -> Option<(String, HeaderMap, Vec<u8>)> {
    let end = text.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(text.get(..end)?).into_owned();
    let mut lines = head.split("\r\n");
    let first = lines.next()?.to_owned();
    let mut headers = HeaderMap::new();
    for line in lines {
        let (name, value) = line.split_once(':')?;
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        headers.append(name, HeaderValue::from_str(value.trim()).ok()?);
    }
    let body = text.get(end + 4..)?;
    let coding = headers.get("transfer-encoding").map(HeaderValue::as_bytes);
    let body = if coding == Some(b"chunked") {
        joined(body)?
    } else {
        body.to_vec()
    };
    Some((first, headers, body))
}

// RFC 9112 §7.1, without extensions.
fn joined(mut chunks: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = chunks.windows(2).position(|two| two == b"\r\n")?;
        let size = std::str::from_utf8(chunks.get(..end)?).ok()?;
        let size = usize::from_str_radix(size.trim(), 16).ok()?;
        if size == 0 {
            return Some(body);
        }
        let start = end + 2;
        body.extend_from_slice(chunks.get(start..start + size)?);
        chunks = chunks.get(start + size + 2..)?;
    }
}
