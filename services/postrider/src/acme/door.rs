//! Port 80: what an authority asks there is answered (RFC 8555 §8.3), all else goes to HTTPS.

use async_trait::async_trait;
use http::{HeaderValue, Method, header};
use postrider_acme::Answers;
use postrider_http::{Answer, Door, Problem, Request};

/// The door of `acme.listen`.
pub(crate) struct ChallengeDoor {
    pub(crate) answers: Answers,
    /// Where browsers are sent: host, and port where it is another than 443.
    pub(crate) authority: String,
}

#[async_trait]
impl Door for ChallengeDoor {
    async fn answer(&self, request: Request) -> Answer {
        let path = request.path.as_str();
        let is_read = request.method == Method::GET || request.method == Method::HEAD;
        if let Some(authorization) = self.answers.to(path).filter(|_| is_read) {
            let kind = HeaderValue::from_static("application/octet-stream");
            return Answer::new(200, kind, authorization);
        }
        if Answers::is_challenge(path) {
            return Problem::not_found().into();
        }
        let query = match request.query.encoded() {
            none if none.is_empty() => none,
            some => format!("?{some}"),
        };
        match HeaderValue::from_str(&format!("https://{}{path}{query}", self.authority)) {
            Ok(place) => {
                let status = if is_read { 301 } else { 308 };
                Answer::text(status, "").header(header::LOCATION, place)
            }
            Err(_) => Problem::not_found().into(),
        }
    }
}
