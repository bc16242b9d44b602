//! What the operator is told of the doors' certificates.

use crate::harness::{Page, Sandbox, until};

#[tokio::test]
async fn a_certificate_that_does_not_name_the_service_is_told_at_the_start() {
    let mut sandbox = Sandbox::prepared().await;
    sandbox.serve().await;
    let printed = sandbox.relay.as_ref().unwrap().printed();
    assert!(!printed.contains("certificate"), "{printed}");
    sandbox.stop_relay().await;
    sandbox.configure("host = \"relay.test\"", "host = \"moved.test\"");
    sandbox.serve().await;
    let relay = sandbox.relay.as_ref().unwrap();
    let told = until("the warning", async || {
        let printed = relay.printed();
        let told = printed.lines().find(|line| line.contains("certificate"));
        told.map(str::to_owned)
    })
    .await;
    for word in [
        "WARN",
        "no certificate names the host",
        "moved.test",
        "smtp.certificates",
    ] {
        assert!(told.contains(word), "{word}: {told}");
    }
}

#[tokio::test]
async fn when_certificates_end_is_on_the_page_of_metrics() {
    let sandbox = Sandbox::over_tls().await;
    let page = Page::of(&sandbox.place).await;
    let gauge = |name: &str, door| {
        let name = format!("postrider_tls_certificate_{name}_timestamp_seconds");
        page.sum(&name, &[("door", door)])
    };
    for door in ["http", "smtp"] {
        // The sandbox's authority gives them more time than anybody needs.
        let end = gauge("expiry", door);
        assert!(end > 2_000_000_000.0, "{door}: {end}");
        let left = end - gauge("late", door);
        assert!(0.0 < left && left <= 14.0 * 86_400.0, "{door}: {left}");
        let left = end - gauge("urgent", door);
        assert!(0.0 < left && left <= 2.0 * 86_400.0, "{door}: {left}");
    }
}
