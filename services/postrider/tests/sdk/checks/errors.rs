//! Each refusal by a real cause: the SDK hands our status, our name and our sentence through.

use crate::story::{NOBODYS, Told};

/// A step, and what its error must say: status, name and parts of the sentence.
type Row = (&'static str, u64, &'static str, &'static [&'static str]);

const ROWS: [Row; 16] = [
    (
        "invalid_key",
        403,
        "invalid_api_key",
        &["This API key is not known"],
    ),
    (
        "missing_field",
        422,
        "missing_required_field",
        &["text", "html"],
    ),
    (
        "bad_address",
        422,
        "validation_error",
        &["to[1]: 'bob@' is not an address", "write ann@example.org"],
    ),
    (
        "attach_path",
        422,
        "invalid_attachment",
        &["attachments[0].path", "send the bytes in content"],
    ),
    (
        "batch_strict",
        422,
        "validation_error",
        &["[1].to[0]: 'bob@' is not an address"],
    ),
    (
        "other",
        409,
        "invalid_idempotent_request",
        &["Idempotency-Key", "use a new key"],
    ),
    (
        "cancel_delivered",
        422,
        "validation_error",
        &["cannot be cancelled: it is not scheduled"],
    ),
    (
        "cancel_again",
        422,
        "validation_error",
        &["it was cancelled before"],
    ),
    (
        "update_cancelled",
        422,
        "validation_error",
        &["cannot be rescheduled", "it was cancelled before"],
    ),
    (
        "schedule_next",
        422,
        "invalid_parameter",
        &["'next tuesday' is not a time", "in 5 minutes"],
    ),
    (
        "list_unknown",
        422,
        "invalid_parameter",
        &["after", NOBODYS],
    ),
    ("not_found", 404, "not_found", &["nothing at this address"]),
    (
        "no_such_path",
        404,
        "not_found",
        &[
            "nothing at this address",
            "POST /emails",
            "GET /openapi.json",
        ],
    ),
    (
        "method",
        405,
        "method_not_allowed",
        &["This address takes GET", "POST"],
    ),
    ("too_large", 413, "validation_error", &["41943040 bytes"]),
    ("missing_key", 401, "missing_api_key", &["API key"]),
];

/// Those that every SDK hands through whole.
pub(crate) fn refusals(told: &Told) {
    for (step, status, name, parts) in ROWS {
        let error = told.error(step);
        assert_eq!(error["status"], status, "{step}: {error}");
        assert_eq!(error["name"], name, "{step}: {error}");
        says(told, step, parts);
    }
}

/// Those of the status 429, which not every SDK does.
pub(crate) fn too_many(told: &Told) {
    for (step, name, parts) in [
        (
            "quota",
            "daily_quota_exceeded",
            &["daily quota is 2", "has 2"][..],
        ),
        (
            "monthly",
            "monthly_quota_exceeded",
            &["monthly quota is 2", "has 2"],
        ),
        ("rate", "rate_limit_exceeded", &["in one second", "wait"]),
    ] {
        let error = told.error(step);
        assert_eq!(error["status"], 429, "{step}: {error}");
        assert_eq!(error["name"], name, "{step}: {error}");
        says(told, step, parts);
    }
}

/// Of two equal requests at once under one key, of which the first takes long: one is told to ask
/// again, the other is answered.
pub(crate) fn concurrent(told: &Told) {
    let error = told.error("waited");
    assert_eq!(error["status"], 409, "{error}");
    assert_eq!(error["name"], "concurrent_idempotent_requests", "{error}");
    says(told, "waited", &["still under way", "ask again"]);
    assert_eq!(told.id("first"), told.id("asked_again"));
}

#[track_caller]
fn says(told: &Told, step: &str, parts: &[&str]) {
    let message = told.error(step)["message"].as_str().unwrap();
    for part in parts {
        assert!(message.contains(part), "{step}: {message}");
    }
}
