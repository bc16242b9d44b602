//! `/c/{token}`, `/u/{token}` and `/m/{token}`: the pages behind links in mail. A look changes
//! nothing; one button does one thing. No script, nothing from elsewhere, in English and French.

mod html;
mod language;
mod message;
mod refusals;
mod words;

use ::http::{HeaderName, HeaderValue, header};
use postrider_gate::LinkError;
use postrider_http::{Answer, Request, RequestId};
use postrider_model::{Language, ReplyStatus};

use crate::http::HttpDoor;
use words::{Reply, Unsubscribe};

/// Which button was pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pressed {
    Yes,
    No,
}

/// Bytes of a form; ours have ten.
const FORM_MOST: u64 = 4 * 1024;

impl HttpDoor {
    /// `GET /c/{token}`.
    pub(crate) fn reply_page(&self, token: &str, request: &Request) -> Answer {
        let link = self.ports.gate.reply_link(token);
        match link {
            Ok(link) => {
                let language = language::of(&request.headers, link.tenant.language);
                page(200, &Reply::asking(&link, language))
            }
            Err(error) => nowhere(&error, request),
        }
    }

    /// `POST /c/{token}` with `answer=yes` or `answer=no`. What stands then is shown: a yes after
    /// a no changes nothing.
    pub(crate) async fn reply_answer(&self, token: &str, mut request: Request) -> Answer {
        let gate = &self.ports.gate;
        let (link, pressed) = match pressed(&mut request).await {
            Some(Pressed::Yes) => (gate.confirm(token).await, Pressed::Yes),
            Some(Pressed::No) => (gate.disown(token).await, Pressed::No),
            // A form that is not ours: show the buttons.
            None => return self.reply_page(token, &request),
        };
        match link {
            Ok(link) => {
                let language = language::of(&request.headers, link.tenant.language);
                let content = match pressed {
                    Pressed::Yes if link.status == ReplyStatus::Refused => {
                        Reply::asking(&link, language)
                    }
                    Pressed::Yes | Pressed::No => Reply::answered(&link, language),
                };
                page(200, &content)
            }
            Err(error) => nowhere(&error, &request),
        }
    }

    /// `GET /m/{token}`.
    pub(crate) async fn message_page(&self, token: &str, request: &Request) -> Answer {
        match self.ports.gate.message_link(token).await {
            Ok(seen) => {
                let language = language::of(&request.headers, seen.tenant.language);
                guarded(Answer::html(200, message::written(&seen, language)))
            }
            Err(error) => nowhere(&error, request),
        }
    }

    /// `GET /u/{token}`.
    pub(crate) async fn unsubscribe_page(&self, token: &str, request: &Request) -> Answer {
        match self.ports.gate.unsubscribe_link(token).await {
            Ok(link) => {
                let language = language::of(&request.headers, link.tenant.language);
                let content = if link.has_left {
                    Unsubscribe::done(&link, language)
                } else {
                    Unsubscribe::asking(&link, language)
                };
                page(200, &content)
            }
            Err(error) => nowhere(&error, request),
        }
    }

    /// `POST /u/{token}`, by the button or by a mailbox provider (RFC 8058 §3.2): whatever its
    /// body is, no sign-in, no redirect.
    pub(crate) async fn unsubscribe(&self, token: &str, request: &Request) -> Answer {
        match self.ports.gate.unsubscribe(token).await {
            Ok(link) => {
                let language = language::of(&request.headers, link.tenant.language);
                page(200, &Unsubscribe::done(&link, language))
            }
            Err(error) => nowhere(&error, request),
        }
    }
}

async fn pressed(request: &mut Request) -> Option<Pressed> {
    let form = request.body.read(FORM_MOST).await.ok()?;
    let mut fields = form.split(|byte| *byte == b'&');
    if fields.clone().any(|field| field == b"answer=yes") {
        return Some(Pressed::Yes);
    }
    fields
        .any(|field| field == b"answer=no")
        .then_some(Pressed::No)
}

fn nowhere(error: &LinkError, request: &Request) -> Answer {
    let language = language::of(&request.headers, Language::En);
    let status = match error {
        LinkError::Unknown => 404,
        LinkError::Expired => 410,
        LinkError::Store(fault) => {
            let id: &RequestId = &request.request_id;
            tracing::error!(request.id = %id, error = fault as &dyn std::error::Error, "the store failed a page");
            503
        }
    };
    page(status, &words::nowhere(error, language))
}

/// `GET /refusals`, for everybody.
pub(crate) fn refusals(request: &Request) -> Answer {
    let language = language::of(&request.headers, Language::En);
    guarded(Answer::html(200, refusals::written(language)))
}

fn page(status: u16, content: &html::Page) -> Answer {
    guarded(Answer::html(status, content.written()))
}

fn guarded(mut answer: Answer) -> Answer {
    for (name, value) in FIELDS {
        answer = answer.header(name, HeaderValue::from_static(value));
    }
    let Ok(policy) = HeaderValue::from_str(&html::POLICY) else {
        return answer;
    };
    answer.header(header::CONTENT_SECURITY_POLICY, policy)
}

/// The link is the right to press the button: it is told to nobody.
const FIELDS: [(HeaderName, &str); 4] = [
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (HeaderName::from_static("x-robots-tag"), "noindex"),
];
