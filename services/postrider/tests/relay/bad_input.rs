//! Bad input at the HTTP door: a clear answer each, that names field and remedy, and nothing is
//! stored. What remotes and DNS do wrong stands in `remotes`, what the disk does in `storage`.

mod bodies;
mod fields;

use serde_json::json;
use tokio::sync::OnceCell;

use crate::harness::{Page, Place, Sandbox};

const INVALID: &str = "validation_error";

/// A sandbox to which nothing good is ever sent: that nothing was stored is seen at its end.
async fn place() -> &'static Place {
    static SHARED: OnceCell<Sandbox> = OnceCell::const_new();
    &SHARED.get_or_init(Sandbox::one_process).await.place
}

async fn nothing_is_stored(place: &Place) {
    let page = Page::of(place).await;
    let accepted = page.count("postrider_gate_recipients_accepted_total", &[]);
    assert_eq!(accepted, 0, "recipients were accepted");
    assert_eq!(place.mailbox.get("/dev/mailbox").await.json(), json!([]));
}

/// A body, the status and the name it gets, and words of the message.
type Case<'a> = (&'a str, u16, &'a str, &'a [&'a str]);

async fn refused(cases: &[Case<'_>]) {
    let place = place().await;
    for (body, status, name, says) in cases {
        let shown: String = body.chars().take(200).collect();
        let answer = place.post(body).await;
        assert_ne!(answer.status, 200, "{shown}");
        let (given, called, message) = answer.refusal();
        assert_eq!(
            (given, called.as_str()),
            (*status, *name),
            "{shown}: {message}"
        );
        for word in *says {
            assert!(
                message.contains(word),
                "{shown}: {word} is not in: {message}"
            );
        }
        assert!(message.len() < 600, "{shown}: {message}");
    }
    nothing_is_stored(place).await;
}

/// A whole request with these members more.
fn with(members: &str) -> String {
    format!(r#"{{"to":"ann@example.org","subject":"Your car","text":"is ready",{members}}}"#)
}

/// A whole request with this as its `to`.
fn to(json: &str) -> String {
    format!(r#"{{"to":{json},"subject":"Your car","text":"is ready"}}"#)
}

/// A whole request with this subject.
fn subject(text: &str) -> String {
    format!(r#"{{"to":"ann@example.org","subject":"{text}","text":"is ready"}}"#)
}
