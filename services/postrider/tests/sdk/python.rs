//! `resend` from the Python package index, in the environment that `.ci/tools` makes.

use postrider_http::oracle::Exchange;
use serde_json::{Value, json};

use crate::checks;
use crate::harness::tools::{installed, missing};
use crate::story::{Story, Told, content};

const HINT: &str = "the SDK for Python: .ci/tools, which needs python3-venv";

#[tokio::test]
async fn the_sdk_for_python_does_all_it_can_by_another_base_url() {
    let Some(python) = installed("sdk/bin/python") else {
        return missing(HINT);
    };
    let mut story = Story::begin().await;
    let (url, ca) = (story.proxy.url.clone(), story.ca());
    let words = [
        ("RESEND_API_URL", url.as_str()),
        ("REQUESTS_CA_BUNDLE", ca.to_str().unwrap()),
    ];
    let told = story.told_by(&python, "python/steps.py", &words).await;
    checks::story(&story, &told).await;
    checks::too_many(&told);
    classes(&told);
    let passed = story.judged().await;
    let (mut arrays, mut lines) = (0, 0);
    for exchange in &passed {
        let body = sent_as_expected(exchange);
        for file in body["attachments"].as_array().into_iter().flatten() {
            arrays += usize::from(file["content"] == json!(content()));
            lines += usize::from(
                file["content"]
                    .as_str()
                    .is_some_and(|text| text.ends_with('\n')),
            );
        }
    }
    assert_eq!(
        (arrays, lines),
        (2, 1),
        "bytes as numbers, base64 with line ends"
    );
}

#[tokio::test]
async fn the_sdk_for_python_says_that_an_equal_request_is_under_way() {
    let Some(python) = installed("sdk/bin/python") else {
        return missing(HINT);
    };
    let mut story = Story::begin_stalled().await;
    let (url, ca) = (story.proxy.url.clone(), story.ca());
    let words = [
        ("RESEND_API_URL", url.as_str()),
        ("REQUESTS_CA_BUNDLE", ca.to_str().unwrap()),
    ];
    let told = story.told_by(&python, "python/twice.py", &words).await;
    checks::concurrent(&told);
    story.judged().await;
}

// Programs catch classes: a status and a name that do not belong together give the general one.
fn classes(told: &Told) {
    for (step, class) in [
        ("missing_key", "MissingApiKeyError"),
        ("invalid_key", "InvalidApiKeyError"),
        ("missing_field", "MissingRequiredFieldsError"),
        ("bad_address", "ValidationError"),
        ("rate", "RateLimitError"),
        ("quota", "RateLimitError"),
        ("monthly", "RateLimitError"),
        ("not_found", "ResendError"),
    ] {
        assert_eq!(told.error(step)["class"], class, "{step}");
    }
}

// What makes this SDK another case than the others: `{}` where no body belongs, ASCII with escapes,
// the id once more in the body of a change.
fn sent_as_expected(exchange: &Exchange) -> Value {
    assert!(exchange.body.is_ascii());
    let body: Value = serde_json::from_slice(&exchange.body).unwrap_or_default();
    match (exchange.method.as_str(), exchange.target.as_str()) {
        ("GET", _) => assert_eq!(body, json!({})),
        ("POST", path) if path.ends_with("/cancel") => assert_eq!(body, json!({})),
        ("PATCH", path) => assert!(path.ends_with(body["id"].as_str().unwrap())),
        _ => {}
    }
    body
}
