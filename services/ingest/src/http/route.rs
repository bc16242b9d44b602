//! Which endpoint a request is for.

use ::http::Method;
use postrider_http::{Problem, Request};
use postrider_model::{MessageId, SessionCode};

/// What can be asked for.
pub(crate) enum Endpoint {
    Send,
    SendBatch,
    SendRaw,
    List,
    Email(MessageId),
    Reschedule(MessageId),
    Events(MessageId),
    Attachments(MessageId),
    Cancel(MessageId),
    Domains,
    Usage,
    Session(SessionCode),
    Suppressions,
    Suppress,
    SuppressAll,
    LiftAll,
    Suppression(String),
    Lift(String),
    ReplyPage(String),
    ReplyAnswer(String),
    UnsubscribePage(String),
    MessagePage(String),
    Unsubscribe(String),
    Enrol,
    Rotate,
    Enrolment,
    Refusals,
    MtaSts,
    Contract,
    Health,
    Ready,
}

/// Finds it by path and method. What is below another tenant's message is found here as well: who
/// it belongs to is looked at later.
pub(crate) fn endpoint(request: &Request) -> Result<Endpoint, Problem> {
    let segments: Vec<_> = request.path.segments().iter().map(String::as_str).collect();
    let message = |id: &str| id.parse().map_err(|_| Problem::not_found());
    let answers = match segments.as_slice() {
        ["emails"] => get(Endpoint::List).and_post(Endpoint::Send),
        ["emails", "batch"] => post(Endpoint::SendBatch),
        ["emails", "raw"] => post(Endpoint::SendRaw),
        ["emails", id] => {
            let id = message(id)?;
            get(Endpoint::Email(id)).and_patch(Endpoint::Reschedule(id))
        }
        ["emails", id, "events"] => get(Endpoint::Events(message(id)?)),
        ["emails", id, "attachments"] => get(Endpoint::Attachments(message(id)?)),
        // Whatever its body is: clients send none, or `{}`.
        ["emails", id, "cancel"] => post(Endpoint::Cancel(message(id)?)),
        ["domains"] => get(Endpoint::Domains),
        ["usage"] => get(Endpoint::Usage),
        ["sessions", code] => {
            let code = SessionCode::parse(code).map_err(|_| Problem::not_found())?;
            get(Endpoint::Session(code))
        }
        ["suppressions"] => get(Endpoint::Suppressions).and_post(Endpoint::Suppress),
        ["suppressions", "batch", "add"] => post(Endpoint::SuppressAll),
        ["suppressions", "batch", "remove"] => post(Endpoint::LiftAll),
        ["suppressions", which] => {
            let which = || (*which).to_owned();
            get(Endpoint::Suppression(which())).and_delete(Endpoint::Lift(which()))
        }
        ["c", token] => {
            let token = || (*token).to_owned();
            get(Endpoint::ReplyPage(token())).and_post(Endpoint::ReplyAnswer(token()))
        }
        ["u", token] => {
            let token = || (*token).to_owned();
            get(Endpoint::UnsubscribePage(token())).and_post(Endpoint::Unsubscribe(token()))
        }
        ["m", token] => get(Endpoint::MessagePage((*token).to_owned())),
        [".well-known", "mta-sts.txt"] => get(Endpoint::MtaSts),
        ["enroll"] => post(Endpoint::Enrol),
        ["enroll", "rotate"] => post(Endpoint::Rotate),
        ["enroll", "status"] => get(Endpoint::Enrolment),
        ["refusals"] => get(Endpoint::Refusals),
        ["openapi.json"] => get(Endpoint::Contract),
        ["healthz"] => get(Endpoint::Health),
        ["readyz"] => get(Endpoint::Ready),
        _ => return Err(nowhere()),
    };
    answers.to(&request.method)
}

/// No such path: a mistyped one, or that of another service's API.
fn nowhere() -> Problem {
    let message = "There is nothing at this address: mail is handed in by POST /emails, and GET /openapi.json lists all there is.";
    Problem {
        message: message.to_owned(),
        ..Problem::not_found()
    }
}

/// What one path answers with, by method.
#[derive(Default)]
struct Methods {
    get: Option<Endpoint>,
    post: Option<Endpoint>,
    patch: Option<Endpoint>,
    delete: Option<Endpoint>,
}

fn get(endpoint: Endpoint) -> Methods {
    Methods {
        get: Some(endpoint),
        ..Methods::default()
    }
}

fn post(endpoint: Endpoint) -> Methods {
    Methods::default().and_post(endpoint)
}

impl Methods {
    fn and_post(self, endpoint: Endpoint) -> Self {
        let post = Some(endpoint);
        Self { post, ..self }
    }

    fn and_patch(self, endpoint: Endpoint) -> Self {
        let patch = Some(endpoint);
        Self { patch, ..self }
    }

    fn and_delete(self, endpoint: Endpoint) -> Self {
        let delete = Some(endpoint);
        Self { delete, ..self }
    }

    fn to(self, method: &Method) -> Result<Endpoint, Problem> {
        let allow = match (&self.get, &self.post, &self.patch, &self.delete) {
            (Some(_), Some(_), ..) => "GET, HEAD, POST",
            (Some(_), None, Some(_), _) => "GET, HEAD, PATCH",
            (Some(_), None, None, Some(_)) => "GET, HEAD, DELETE",
            (Some(_), None, None, None) => "GET, HEAD",
            (None, ..) => "POST",
        };
        let found = match *method {
            Method::GET | Method::HEAD => self.get,
            Method::POST => self.post,
            Method::PATCH => self.patch,
            Method::DELETE => self.delete,
            _ => None,
        };
        found.ok_or_else(|| Problem::method_not_allowed(allow))
    }
}
