//! `resend` from npm, installed beside its script by `.ci/tools`.

use postrider_http::oracle::Exchange;
use serde_json::{Value, json};

use crate::checks;
use crate::harness::tools::{installed, missing};
use crate::story::{Story, content};

const HINT: &str = "the SDK for Node: .ci/tools, which needs node 20 and npm, or python3-venv";

#[tokio::test]
async fn the_sdk_for_node_does_all_it_can_by_another_base_url() {
    let Some(node) = installed("sdk/bin/node") else {
        return missing(HINT);
    };
    let mut story = Story::begin().await;
    let (url, ca) = (story.proxy.url.clone(), story.ca());
    let words = [
        ("RESEND_BASE_URL", url.as_str()),
        ("NODE_EXTRA_CA_CERTS", ca.to_str().unwrap()),
    ];
    let told = story.told_by(&node, "node/steps.mjs", &words).await;
    checks::story(&story, &told).await;
    checks::too_many(&told);
    for exchange in story.judged().await {
        sent_as_expected(&exchange);
    }
}

#[tokio::test]
async fn the_sdk_for_node_says_that_an_equal_request_is_under_way() {
    let Some(node) = installed("sdk/bin/node") else {
        return missing(HINT);
    };
    let mut story = Story::begin_stalled().await;
    let (url, ca) = (story.proxy.url.clone(), story.ca());
    let words = [
        ("RESEND_BASE_URL", url.as_str()),
        ("NODE_EXTRA_CA_CERTS", ca.to_str().unwrap()),
    ];
    let told = story.told_by(&node, "node/twice.mjs", &words).await;
    checks::concurrent(&told);
    story.judged().await;
}

// What makes this SDK another case than the others. Bytes are base64 by its own hand; an object of
// indexes would be an older version's.
fn sent_as_expected(exchange: &Exchange) {
    let field = |name: &str| {
        exchange
            .headers
            .get(name)
            .map(|value| value.to_str().unwrap())
    };
    assert_eq!(field("content-type"), Some("application/json"));
    let body: Value = serde_json::from_slice(&exchange.body).unwrap_or_default();
    match (exchange.method.as_str(), exchange.target.as_str()) {
        ("POST", "/emails/batch") => assert!(field("x-batch-validation").is_some()),
        ("GET", _) => assert_eq!(exchange.body, b""),
        ("POST", path) if path.ends_with("/cancel") => assert_eq!(exchange.body, b""),
        _ => {}
    }
    for file in body["attachments"].as_array().into_iter().flatten() {
        assert_ne!(file["content"], json!(content()), "{file}");
        assert!(
            file["content"].is_string() || file["path"].is_string(),
            "{file}"
        );
    }
}
