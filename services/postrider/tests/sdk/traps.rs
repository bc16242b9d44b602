//! What SDKs in the field fail on, asserted of every answer by itself and not by the contract's words:
//! some of them cannot run here (.NET, PHP, Go, Ruby), and a contract can be wrong.

use postrider_http::oracle::Exchange;
use serde_json::Value;

/// The only names of errors. PHP takes an error of another name for a success, .NET throws.
const NAMES: [&str; 21] = [
    "validation_error",
    "missing_required_field",
    "invalid_parameter",
    "invalid_attachment",
    "invalid_from_address",
    "invalid_region",
    "invalid_access",
    "missing_api_key",
    "restricted_api_key",
    "invalid_api_key",
    "security_error",
    "not_found",
    "method_not_allowed",
    "invalid_idempotency_key",
    "invalid_idempotent_request",
    "concurrent_idempotent_requests",
    "rate_limit_exceeded",
    "daily_quota_exceeded",
    "monthly_quota_exceeded",
    "application_error",
    "internal_server_error",
];

/// Panics where an SDK would stumble.
pub(crate) fn avoids_all(exchange: &Exchange) {
    let field = |name: &str| {
        let value = exchange.answer_headers.get(name);
        value.map(|value| value.to_str().unwrap())
    };
    let what = format!("{} {}", exchange.method, exchange.target);
    // Python says that it got no JSON, Node that it got nothing: also of an empty success.
    let kind = field("content-type").unwrap();
    assert!(kind.contains("application/json"), "{what}: {kind}");
    let body: Value = serde_json::from_slice(&exchange.answer).unwrap();
    // .NET reads them on every answer, as `int`; Rust waits so many seconds.
    for name in [
        "ratelimit-limit",
        "ratelimit-remaining",
        "ratelimit-reset",
        "retry-after",
    ] {
        let is_plain = |text: &str| text.parse::<u32>().is_ok_and(|n| n.to_string() == text);
        assert!(field(name).is_none_or(is_plain), "{what}: {name}");
    }
    match exchange.status {
        200 => granted(&what, &body),
        400.. => refused(&what, exchange.status, &body),
        other => panic!("{what}: {other}"),
    }
}

fn granted(what: &str, body: &Value) {
    // Python and Ruby take it for an error.
    assert!(body.get("statusCode").is_none(), "{what}: {body}");
    let listed = body["data"].as_array().into_iter().flatten();
    for one in listed.chain([body]) {
        // .NET reads a Guid.
        if let Some(id) = one.get("id") {
            assert!(is_uuid(id.as_str().unwrap()), "{what}: {id}");
        }
        if one["object"] == "email" && one.get("from").is_some() {
            // Rust needs both, .NET a sender that is a string and a time that it can read.
            assert!(
                one["cc"].is_array() && one["bcc"].is_array(),
                "{what}: {one}"
            );
            assert!(one["from"].is_string(), "{what}: {one}");
            let created = one["created_at"].as_str().unwrap();
            assert!(created.ends_with('Z'), "{what}: {created}");
            // Rust knows no such event.
            assert_ne!(one["last_event"], "suppressed", "{what}");
        }
    }
}

fn refused(what: &str, status: u16, body: &Value) {
    // Ruby raises by it alone, .NET casts it, Rust fails where one of the three is missing.
    assert_eq!(body["statusCode"], status, "{what}: {body}");
    assert!(
        NAMES.contains(&body["name"].as_str().unwrap()),
        "{what}: {body}"
    );
    assert_ne!(body["message"].as_str().unwrap(), "", "{what}");
    // PHP reads something else into each.
    for key in ["error", "code", "type"] {
        assert!(body.get(key).is_none(), "{what}: {body}");
    }
}

fn is_uuid(text: &str) -> bool {
    let lengths: Vec<_> = text.split('-').map(str::len).collect();
    let is_hex = |c: char| c == '-' || (c.is_ascii_hexdigit() && !c.is_ascii_uppercase());
    lengths == [8, 4, 4, 4, 12] && text.chars().all(is_hex)
}
