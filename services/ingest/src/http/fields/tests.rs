use super::*;
use crate::http::json;

const LIMITS: Limits = Limits {
    recipients: 50,
    now: Timestamp::from_micros(1_800_000_000_000_000),
};

fn message(json: &str) -> Result<Message, Problem> {
    read(
        &json::read(json.as_bytes()).unwrap(),
        LIMITS,
        &mut Unknown::default(),
    )
}

/// A complete request with these members more.
fn with(members: &str) -> String {
    format!(r#"{{"to":"a@x.example","subject":"s","text":"t",{members}}}"#)
}

#[test]
fn a_request_with_everything_is_read() {
    let read = message(&with(
        r#""from":"Joe, the <joe@x.example>","cc":["b@x.example"],"bcc":"c@x.example","reply_to":["d@x.example"],
        "html":"<p>é</p>","headers":{"X-A":"é","In-Reply-To":"<a@b>","X-B":null},"stream":"bulk",
        "tags":[{"name":"n","value":"v-1"}],"attachments":[{"filename":"a.txt","content":"aGk="}],
        "scheduled_at":"in 1 hour","expires_at":"2100-01-01T00:00:00Z","topic_id":null"#,
    ))
    .unwrap();
    assert_eq!(read.draft.from.unwrap().name.as_deref(), Some("Joe, the"));
    assert_eq!(
        read.draft.headers,
        [
            ("X-A".into(), "é".into()),
            ("In-Reply-To".into(), "<a@b>".into())
        ]
    );
    assert_eq!(read.stream, Some(Stream::Bulk));
    assert_eq!(
        read.scheduled_at,
        Some(Timestamp::from_micros(1_800_003_600_000_000))
    );
    assert_eq!(
        read.tags,
        [Tag {
            name: "n".into(),
            value: "v-1".into()
        }]
    );
    assert_eq!(read.draft.attachments[0].content, b"hi");
    assert!(
        message(&with(
            r#""cc":null,"tags":null,"headers":null,"attachments":null,"from":null"#
        ))
        .is_ok()
    );
}

/// A complete request with these members more.
macro_rules! with {
    ($members:literal) => {
        concat!(
            r#"{"to":"a@x.example","subject":"s","text":"t","#,
            $members,
            "}"
        )
    };
}

#[rustfmt::skip]
const VIOLATIONS: &[(&str, &str, Option<&str>)] = &[
        ("[]", "validation_error", None),
        (
            r#"{"subject":"s","text":"t"}"#,
            "missing_required_field",
            Some("to"),
        ),
        (
            r#"{"to":[],"subject":"s","text":"t"}"#,
            "missing_required_field",
            Some("to"),
        ),
        (
            r#"{"to":"a@x.example","text":"t"}"#,
            "missing_required_field",
            Some("subject"),
        ),
        (
            r#"{"to":"a@x.example","subject":"s"}"#,
            "missing_required_field",
            Some("html"),
        ),
        (
            r#"{"to":"a@x.example","subject":7,"text":"t"}"#,
            "validation_error",
            Some("subject"),
        ),
        (
            r#"{"to":"a@x.example","subject":"s","text":"a\u0000"}"#,
            "validation_error",
            Some("text"),
        ),
        (
            with!(r#""from":"joe""#),
            "invalid_from_address",
            Some("from"),
        ),
        (
            with!(r#""from":["a@x.example"]"#),
            "invalid_from_address",
            Some("from"),
        ),
        (
            with!(r#""from":"a@x.example, b@x.example""#),
            "invalid_from_address",
            Some("from"),
        ),
        (with!(r#""cc":["bob@"]"#), "validation_error", Some("cc[0]")),
        (with!(r#""html":{}"#), "validation_error", Some("html")),
        (
            with!(r#""headers":{"X-A":1}"#),
            "validation_error",
            Some("headers.X-A"),
        ),
        (
            with!(r#""tags":[{"name":"a b","value":"v"}]"#),
            "validation_error",
            Some("tags[0].name"),
        ),
        (
            with!(r#""tags":[{"name":"a","value":"v"},{"name":"a","value":"w"}]"#),
            "validation_error",
            Some("tags[1].name"),
        ),
        (
            with!(r#""tags":[{"name":"a"}]"#),
            "validation_error",
            Some("tags[0].value"),
        ),
        (
            with!(r#""stream":"fast""#),
            "invalid_parameter",
            Some("stream"),
        ),
        (
            with!(r#""scheduled_at":"tomorrow""#),
            "invalid_parameter",
            Some("scheduled_at"),
        ),
        (
            with!(r#""scheduled_at":7"#),
            "invalid_parameter",
            Some("scheduled_at"),
        ),
        (
            with!(r#""expires_at":"2026-01-01""#),
            "invalid_parameter",
            Some("expires_at"),
        ),
        (
            with!(r#""template":{}"#),
            "validation_error",
            Some("template"),
        ),
        (
            with!(r#""topic_id":"x""#),
            "validation_error",
            Some("topic_id"),
        ),
        (
            with!(r#""attachments":[{"filename":"a","content":"*"}]"#),
            "invalid_attachment",
            Some("attachments[0].content"),
        ),
];

#[test]
fn each_violation_names_its_field() {
    for &(given, name, field) in VIOLATIONS {
        let problem = message(given).unwrap_err();
        assert_eq!(
            (problem.status, problem.name),
            (422, name),
            "{given}: {problem:?}"
        );
        let named = problem.errors.first().map(|error| error.field.as_str());
        assert_eq!(named, field, "{given}");
        assert!(problem.message.ends_with('.'), "{}", problem.message);
    }
}

#[test]
fn more_than_ten_reply_addresses_are_refused() {
    let list = vec!["a@x.example"; 11];
    let problem = message(&with(&format!(r#""reply_to":{list:?}"#))).unwrap_err();
    assert_eq!(
        problem.message,
        "reply_to: has 11 addresses; 10 are the most."
    );
}

#[test]
fn fifty_recipients_are_counted_without_doubles() {
    let to = |count: usize| {
        (0..count)
            .map(|n| format!("r{n}@x.example"))
            .collect::<Vec<_>>()
    };
    let request = |to: Vec<String>| {
        format!(r#"{{"to":{to:?},"cc":["R0@x.example"],"subject":"s","text":"t"}}"#)
    };
    assert!(message(&request(to(50))).is_ok());
    let problem = message(&request(to(51))).unwrap_err();
    assert!(
        problem.message.contains("51 recipients"),
        "{}",
        problem.message
    );
}

/// A body, and the fields that its one refusal names.
#[rustfmt::skip]
const AT_ONCE: &[(&str, &[&str])] = &[
    ("{}", &["subject", "to", "html"]),
    (r#"{"to":["a","b"],"subject":"s","text":"t","stream":"x"}"#, &["to[0]", "to[1]", "stream"]),
    // What is wrong is not missing as well.
    (r#"{"to":7,"html":7}"#, &["to", "subject", "html"]),
    (r#"{"subject":"s","text":7}"#, &["text", "to"]),
    (with!(r#""tags":[{},{"name":"a b","value":"c d"}]"#), &["tags[0].name", "tags[0].value", "tags[1].name", "tags[1].value"]),
    (with!(r#""attachments":[{},{"content":"*","content_type":7}]"#), &[
        "attachments[0].filename", "attachments[0].content",
        "attachments[1].content", "attachments[1].content_type", "attachments[1].filename",
    ]),
    // What mail forbids is told beside it, but of a list only by its first reader.
    (r#"{"to":"a@x.example","headers":{"Subject":"x","X A":"y"}}"#, &["subject", "html", "headers.Subject", "headers.X A"]),
    (r#"{"to":["bob@","a\nb <a@x.example>"],"subject":"a\nb"}"#, &["to[0]", "to[1]", "html", "subject"]),
];

#[test]
fn all_that_is_wrong_is_told_at_once() {
    for &(given, want) in AT_ONCE {
        let problem = message(given).unwrap_err();
        let fields: Vec<_> = problem
            .errors
            .iter()
            .map(|error| error.field.as_str())
            .collect();
        assert_eq!(fields, want, "{given}");
    }
}
