//! What stands in the body: JSON, types, addresses, line ends.

use serde_json::json;

use super::{Case, INVALID, place, refused, subject, to, with};

/// A whole request with these members more.
macro_rules! with {
    ($members:literal) => {
        concat!(
            r#"{"to":"ann@example.org","subject":"Your car","text":"is ready","#,
            $members,
            "}"
        )
    };
}

/// A whole request with this as its `to`.
macro_rules! to {
    ($json:literal) => {
        concat!(
            r#"{"to":"#,
            $json,
            r#","subject":"Your car","text":"is ready"}"#
        )
    };
}

const MISSING: &str = "missing_required_field";
const FROM: &str = "invalid_from_address";
const FILE: &str = "invalid_attachment";
const PARAMETER: &str = "invalid_parameter";

#[rustfmt::skip]
const NOT_JSON: &[Case<'_>] = &[
    ("", 400, INVALID, &["line 1"]),
    ("{", 400, INVALID, &["line 1"]),
    (concat!(with!(r#""x":1"#), "x"), 400, INVALID, &["line 1"]),
    (with!(r#""x":01"#), 400, INVALID, &["line 1"]),
    (with!(r#""x":NaN"#), 400, INVALID, &["line 1"]),
    (with!("\"x\":\"\t\""), 400, INVALID, &["line 1"]),
    (with!(r#""x":"\ud83d""#), 400, INVALID, &["line 1"]),
    (with!(r#""x":"\udca9\ud83d""#), 400, INVALID, &["line 1"]),
    (with!(r#""\ud83d":1"#), 400, INVALID, &["line 1"]),
    ("[]", 422, INVALID, &["an array", "JSON object"]),
    ("\"text\"", 422, INVALID, &["a string", "JSON object"]),
    ("null", 422, INVALID, &["null", "JSON object"]),
];

#[rustfmt::skip]
const TWICE: &[Case<'_>] = &[
    (with!(r#""to":"bo@example.org""#), 422, INVALID, &["\"to\"", "once"]),
    (with!(r#""headers":{"X-A":"1","X-A":"2"}"#), 422, INVALID, &["\"X-A\"", "once"]),
    (with!(r#""unknown":{"a":1,"a":1}"#), 422, INVALID, &["\"a\"", "once"]),
    (with!(r#""unknown":[{"a":1,"\u0061":1}]"#), 422, INVALID, &["\"a\"", "once"]),
    (with!(r#""tags":[{"name":"a","name":"b","value":"c"}]"#), 422, INVALID, &["\"name\"", "once"]),
];

#[rustfmt::skip]
const WRONG_TYPE: &[Case<'_>] = &[
    (to!("7"), 422, INVALID, &["to: is a number"]),
    (to!("true"), 422, INVALID, &["to: is a boolean"]),
    (to!(r#"{"email":"a@b.test"}"#), 422, INVALID, &["to: is an object"]),
    (to!(r#"["a@b.test",{}]"#), 422, INVALID, &["to[1]: is an object"]),
    (to!(r#"[["a@b.test"]]"#), 422, INVALID, &["to[0]: is an array"]),
    (to!("[]"), 422, MISSING, &["to: is missing", "give"]),
    (to!("null"), 422, MISSING, &["to: is missing", "give"]),
    (r#"{"subject":"x","text":"y"}"#, 422, MISSING, &["to: is missing", "give"]),
    (r#"{"to":"a@b.test","text":"y"}"#, 422, MISSING, &["subject: is missing", "give"]),
    (r#"{"to":"a@b.test","subject":"y"}"#, 422, MISSING, &["html", "text", "give"]),
    (with!(r#""from":["a@b.test"]"#), 422, FROM, &["from: is an array"]),
    (with!(r#""html":["x"]"#), 422, INVALID, &["html: is an array"]),
    (with!(r#""headers":["X-A: 1"]"#), 422, INVALID, &["headers: is an array"]),
    (with!(r#""headers":{"X-A":1}"#), 422, INVALID, &["headers.X-A: is a number"]),
    (with!(r#""tags":{"a":"b"}"#), 422, INVALID, &["tags: is an object"]),
    (with!(r#""tags":[{"name":1,"value":"b"}]"#), 422, INVALID, &["tags[0].name"]),
    (with!(r#""attachments":"a""#), 422, FILE, &["attachments"]),
    (with!(r#""attachments":[{"filename":"a","content":[256]}]"#), 422, FILE, &["attachments[0].content"]),
    (with!(r#""attachments":[{"filename":"a","content":"*"}]"#), 422, FILE, &["attachments[0].content"]),
    (with!(r#""attachments":[{"filename":"a","path":"http://x.test/"}]"#), 422, FILE, &["attachments[0]"]),
    (with!(r#""stream":"fast""#), 422, PARAMETER, &["stream", "transactional or bulk"]),
    (with!(r#""scheduled_at":7"#), 422, PARAMETER, &["scheduled_at"]),
    (with!(r#""scheduled_at":"tomorrow""#), 422, PARAMETER, &["scheduled_at"]),
    (with!(r#""scheduled_at":"in 31 days""#), 422, PARAMETER, &["scheduled_at", "30 days"]),
    (with!(r#""expires_at":"2020-01-01T00:00:00Z""#), 422, PARAMETER, &["expires_at", "later"]),
    (with!(r#""template":{}"#), 422, INVALID, &["template", "not supported"]),
];

#[rustfmt::skip]
const ENCODED_LINE_ENDS: &[Case<'_>] = &[
    (r#"{"to":"a@b.test","subject":"x","text":"a\u0000b"}"#, 422, INVALID, &["text", "NUL"]),
    (with!(r#""html":"a\u0000b""#), 422, INVALID, &["html", "NUL"]),
    (with!(r#""tags":[{"name":"a\nb","value":"c"}]"#), 422, INVALID, &["tags[0].name"]),
    (with!(r#""tags":[{"name":"a","value":"b\rc"}]"#), 422, INVALID, &["tags[0].value"]),
    (with!(r#""headers":{"X-A\r\nBcc":"b@example.org"}"#), 422, INVALID, &["headers.X-A"]),
    (with!(r#""headers":{"X-A":"=?utf-8?b?YQ0KQmNjOiBi?="}"#), 422, INVALID, &["headers.X-A", "encoded word"]),
    (r#"{"to":"a@b.test","subject":"=?utf-8?q?a=0D=0ABcc:_b?=","text":"y"}"#, 422, INVALID, &["subject", "encoded word"]),
    (r#"{"to":"a@b.test","subject":"=?utf-8?q?a=00b?=","text":"y"}"#, 422, INVALID, &["subject", "encoded word"]),
    (with!(r#""from":"=?utf-8?q?a=0Ab?= <joe@example.org>""#), 422, FROM, &["from", "encoded word"]),
    (to!(r#""=?utf-8?q?a=0Db?= <joe@example.org>""#), 422, INVALID, &["to", "encoded word"]),
];

#[rustfmt::skip]
const NO_HEADER: &[Case<'_>] = &[
    (with!(r#""headers":{"Subject":"x"}"#), 422, INVALID, &["headers.Subject", "use subject"]),
    (with!(r#""headers":{"DKIM-Signature":"x"}"#), 422, INVALID, &["headers.DKIM-Signature", "leave it out"]),
    (with!(r#""headers":{"received":"x"}"#), 422, INVALID, &["headers.received", "leave it out"]),
    (with!(r#""headers":{"Content-Type":"x/y"}"#), 422, INVALID, &["headers.Content-Type"]),
    (with!(r#""headers":{"X A":"x"}"#), 422, INVALID, &["headers.X A", "without spaces"]),
    (with!(r#""headers":{"X:A":"x"}"#), 422, INVALID, &["headers.X:A", "colons"]),
    (with!(r#""headers":{"":"x"}"#), 422, INVALID, &["headers."]),
    (with!(r#""headers":{"List-Unsubscribe-Post":"x"}"#), 422, INVALID, &["List-Unsubscribe"]),
];

const NO_ADDRESS: &[&str] = &[
    "",
    " ",
    "bob",
    "bob@",
    "@example.org",
    "bob@@example.org",
    "a b@example.org",
    ".a@example.org",
    "a.@example.org",
    "a..b@example.org",
    "bob@example..org",
    "bob@-example.org",
    "bob@exa_mple.org",
    "bob@example.org>",
    "Bob <bob@example.org",
    "Bob <>",
    "Bob <bob>",
    "bob@[127.0.0.1]",
    "bob@exam ple.org",
    "(c)bob@example.org",
    "\"open@example.org",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa@example.org",
    "ann@aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.org",
];

#[tokio::test]
async fn what_is_not_json_is_refused_with_the_place_of_the_fault() {
    refused(NOT_JSON).await;
    let deep = format!(r#""x":{}{}"#, "[".repeat(10_000), "]".repeat(10_000));
    refused(&[(&with(&deep), 422, INVALID, &["32 levels"])]).await;
    let wide = format!(r#""x":[{}0]"#, "{},".repeat(200_000));
    refused(&[(&with(&wide), 422, INVALID, &["100000 values"])]).await;
    let latin = place().await.post(b"{\"to\":\"\xff\"}").await;
    let (status, name, _) = latin.refusal();
    assert_eq!((status, name.as_str()), (400, INVALID), "not UTF-8");
}

#[tokio::test]
async fn a_name_that_stands_twice_is_refused_wherever_it_stands() {
    refused(TWICE).await;
}

#[tokio::test]
async fn a_value_of_the_wrong_type_is_named_with_its_field() {
    refused(WRONG_TYPE).await;
}

#[tokio::test]
async fn line_ends_and_nuls_are_refused_in_each_field_plain_and_encoded() {
    refused(ENCODED_LINE_ENDS).await;
    for escape in [r"\r", r"\n", r"\u0000", r"\r\nBcc: evil@example.org"] {
        a_line_end_is_refused(escape).await;
    }
}

async fn a_line_end_is_refused(escape: &str) {
    let text = format!("a{escape}b");
    let file = |members: String| with(&format!(r#""attachments":[{{{members}}}]"#));
    let (plain, typed, inline) = (
        format!(r#""filename":"{text}","content":"""#),
        format!(r#""filename":"a","content":"","content_type":"text/plain{escape}""#),
        format!(r#""filename":"a","content":"","content_id":"{text}""#),
    );
    let field = |name: &str, json: String| with(&format!(r#""{name}":{json}"#));
    for (body, name, says) in [
        (subject(&text), INVALID, "subject"),
        (
            to(&format!(r#""{text} <ann@example.org>""#)),
            INVALID,
            "to:",
        ),
        (to(&format!(r#""ann@example.org{escape}""#)), INVALID, "to:"),
        (to(&format!(r#""{escape}ann@example.org""#)), INVALID, "to:"),
        (
            to(&format!(r#"["a@b.test","{text}@b.test"]"#)),
            INVALID,
            "to[1]",
        ),
        (
            field("cc", format!(r#""Ann <a@b.test>{escape}""#)),
            INVALID,
            "cc:",
        ),
        (
            field("bcc", format!(r#"["ann@exam{escape}ple.org"]"#)),
            INVALID,
            "bcc[0]",
        ),
        (
            field("reply_to", format!(r#""{text} <a@b.test>""#)),
            INVALID,
            "reply_to",
        ),
        (
            field("from", format!(r#""{text} <a@b.test>""#)),
            FROM,
            "from",
        ),
        (
            field("headers", format!(r#"{{"X-A":"{text}"}}"#)),
            INVALID,
            "headers.X-A",
        ),
        (file(plain), FILE, "attachments[0]"),
        (file(typed), FILE, "attachments[0]"),
        (file(inline), FILE, "attachments[0]"),
    ] {
        refused(&[(&body, 422, name, &[says])]).await;
    }
}

#[tokio::test]
async fn what_is_no_address_is_named_with_what_to_write_instead() {
    let remedy = "write ann@example.org or Ann <ann@example.org>";
    for bad in NO_ADDRESS {
        let (one, second) = (json!(bad), json!(["ann@example.org", bad]));
        refused(&[
            (&to(&one.to_string()), 422, INVALID, &["to: ", remedy]),
            (&to(&second.to_string()), 422, INVALID, &["to[1]: ", remedy]),
            (
                &with(&format!(r#""from":{one}"#)),
                422,
                FROM,
                &["from: ", remedy],
            ),
        ])
        .await;
    }
}

#[tokio::test]
async fn good_addresses_of_every_shape_are_taken() {
    let place = crate::harness::one_process().await;
    for good in [
        "Doe, John <a@x.test>",
        "\"Doe, John\" <a@x.test>",
        "\"a b\"@x.test",
        "дед@bücher.test",
        "a+b@x.test",
        "o'hara@x.test",
        "a@x.test, Bo <b@x.test>",
        " a@x.test ",
        "<a@x.test>",
        "a@sub.sub.sub.x.test",
    ] {
        place.post(to(&json!(good).to_string())).await.id();
    }
}

#[tokio::test]
async fn one_too_many_is_refused() {
    let many: Vec<_> = (0..51).map(|n| format!("r{n}@example.org")).collect();
    let thirds = json!({
        "to": many[..17], "cc": many[17..34], "bcc": many[34..], "subject": "x", "text": "y",
    });
    let tag = json!({"name": "a", "value": "b"});
    let tags = format!(r#""tags":{}"#, json!(vec![tag; 51]));
    let replies = format!(r#""reply_to":{}"#, json!(many[..11]));
    refused(&[
        (
            &to(&json!(many).to_string()),
            422,
            INVALID,
            &["51 recipients", "50"],
        ),
        (&thirds.to_string(), 422, INVALID, &["51 recipients", "50"]),
        (&with(&replies), 422, INVALID, &["reply_to", "11", "10"]),
        (&with(&tags), 422, INVALID, &["tags", "50"]),
    ])
    .await;
}

#[tokio::test]
async fn what_a_header_may_not_hold_is_refused() {
    refused(NO_HEADER).await;
    let long = subject(&"x".repeat(999));
    refused(&[(&long, 422, INVALID, &["subject", "999", "998", "shorten"])]).await;
    let field = "word ".repeat(180);
    let fields: Vec<_> = (0..20).map(|n| format!(r#""X-{n}":"{field}""#)).collect();
    let all = with(&format!(r#""headers":{{{}}}"#, fields.join(",")));
    refused(&[(&all, 422, INVALID, &["headers", "16384", "shorten"])]).await;
}
