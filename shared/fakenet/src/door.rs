//! The mailbox over HTTP: a list, the bytes and a wastebasket for programs under a prefix, and
//! pages for a person at `/`.

mod page;

use std::sync::Arc;

use http::header::CONTENT_SECURITY_POLICY;
use http::{HeaderName, HeaderValue, Method};
use postrider_http::{Answer, Door, Problem, Request};

use crate::mailbox::Mailbox;
use crate::net::FakeInternet;

/// No script, no image, no other origin: what a message holds is shown as text only.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);
const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");
const CONTENT_TYPE_OPTIONS: HeaderName = HeaderName::from_static("x-content-type-options");

/// A door to the mailbox of this internet. Under `prefix` (`/fake/mailbox`): GET lists
/// (`Entry` as JSON, the oldest first), GET `/{id}/raw` gives the bytes, DELETE empties. At `/` a
/// page shows the same to a person.
pub fn mailbox_door(net: &FakeInternet, prefix: &str) -> impl Door + use<> {
    let names = prefix.split('/').filter(|name| !name.is_empty());
    MailboxDoor {
        mailbox: net.mailbox(),
        prefix: names.map(str::to_owned).collect(),
    }
}

struct MailboxDoor {
    mailbox: Arc<Mailbox>,
    prefix: Vec<String>,
}

#[async_trait::async_trait]
impl Door for MailboxDoor {
    async fn answer(&self, request: Request) -> Answer {
        let names: Vec<&str> = request.path.segments().iter().map(String::as_str).collect();
        let reads = matches!(request.method, Method::GET | Method::HEAD);
        match (self.below(&names), names.as_slice()) {
            (Some([]), _) if request.method == Method::DELETE => self.empty(),
            (Some([]), _) if reads => Answer::json(200, &self.mailbox.entries().await),
            (Some([]), _) => Problem::method_not_allowed("GET, HEAD, DELETE").into(),
            (Some([id, "raw"]), _) if reads => self.raw(id),
            (None, []) if reads => shown(page::list(&self.mailbox.entries().await, &self.prefix)),
            (None, ["message", id]) if reads => self.message(id).await,
            (None, ["style.css"]) if reads => style(),
            (Some([_, "raw"]), _) | (None, [] | ["message", _] | ["style.css"]) => {
                Problem::method_not_allowed("GET, HEAD").into()
            }
            _ => Problem::not_found().into(),
        }
    }
}

impl MailboxDoor {
    // What stands behind the prefix, where the path begins with it.
    fn below<'a>(&self, names: &'a [&'a str]) -> Option<&'a [&'a str]> {
        let (start, rest) = names.split_at_checked(self.prefix.len())?;
        (start == self.prefix.as_slice()).then_some(rest)
    }

    fn empty(&self) -> Answer {
        let deleted = self.mailbox.messages().len();
        self.mailbox.clear();
        Answer::json(200, &serde_json::json!({ "deleted": deleted }))
    }

    fn raw(&self, id: &str) -> Answer {
        let raw = id.parse().ok().and_then(|id| self.mailbox.raw(id));
        match raw {
            Some(raw) => Answer::new(200, HeaderValue::from_static("message/rfc822"), raw)
                .header(CONTENT_TYPE_OPTIONS, NOSNIFF)
                .header(CONTENT_SECURITY_POLICY, POLICY),
            None => Problem::not_found().into(),
        }
    }

    async fn message(&self, id: &str) -> Answer {
        let Ok(id) = id.parse() else {
            return Problem::not_found().into();
        };
        match (self.mailbox.message(id), self.mailbox.entry(id).await) {
            (Some(message), Some(entry)) => shown(page::message(&message, &entry, &self.prefix)),
            _ => Problem::not_found().into(),
        }
    }
}

fn shown(page: String) -> Answer {
    Answer::html(200, page)
        .header(CONTENT_SECURITY_POLICY, POLICY)
        .header(CONTENT_TYPE_OPTIONS, NOSNIFF)
}

fn style() -> Answer {
    let css = HeaderValue::from_static("text/css; charset=utf-8");
    Answer::new(200, css, page::STYLE).header(CONTENT_TYPE_OPTIONS, NOSNIFF)
}
