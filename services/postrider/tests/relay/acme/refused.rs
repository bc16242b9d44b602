//! What an authority does not give.

use super::authority::{Habits, LOOKS_AT};
use super::between::Between;
use super::scene::{Scene, ask_again, attempts, given, logged, put_off, read, refused};
use crate::harness::Page;

/// The log says that a certificate is due and nobody is asked.
const LEFT_ALONE: &str = "the authority is left alone until then";

#[tokio::test]
async fn a_refusal_is_told_in_the_authoritys_words_and_the_old_certificate_stays() {
    let Some(Scene {
        mut sandbox,
        authority,
    }) = Scene::with(Habits::default()).await
    else {
        return;
    };
    // Nobody answers where the authority looks.
    let at = |port: u16| format!("{}:{port}\"", sandbox.network.host());
    let (right, wrong) = (at(LOOKS_AT), at(LOOKS_AT + 10));
    sandbox.configure(&right, &wrong);
    sandbox.serve().await;
    let placeholder = read(&sandbox, "ecdsa.pem");
    let (line, finding) = refused(&sandbox, "connection").await;
    for word in ["WARN", "relay.test", "again_at", "open port 80"] {
        assert!(line.contains(word), "{word}: {line}");
    }
    assert!(
        finding["remedy"].as_str().unwrap().contains("port 80"),
        "{finding}"
    );
    assert_eq!(read(&sandbox, "ecdsa.pem"), placeholder);
    let page = Page::of(&sandbox.place).await;
    let refusals = page.count("postrider_acme_failures_total", &[("reason", "refused")]);
    assert!(refusals >= 1, "{refusals}");

    // A restart is no reason to ask again.
    sandbox.stop_relay().await;
    put_off(&sandbox);
    let (before, orders) = (attempts(&sandbox), authority.orders());
    sandbox.serve().await;
    let line = logged(&sandbox, &[LEFT_ALONE]).await;
    assert!(
        line.contains("INFO") && line.contains("connection"),
        "{line}"
    );
    assert_eq!((attempts(&sandbox), authority.orders()), (before, orders));
    let page = Page::of(&sandbox.place).await;
    let since = page.sum("postrider_acme_failing_since_timestamp_seconds", &[]);
    assert!(since > 1_700_000_000.0, "{since}");

    // Who has mended it need not wait for the next attempt.
    sandbox.stop_relay().await;
    sandbox.configure(&wrong, &right);
    sandbox.serve().await;
    given(&sandbox).await;
    assert_ne!(read(&sandbox, "ecdsa.pem"), placeholder);
}

#[tokio::test]
async fn other_names_or_another_authority_are_asked_for_at_once() {
    let habits = Habits {
        blocked: &["bounce.relay.test"],
        ..Habits::default()
    };
    let Some(mut scene) = Scene::with(habits).await else {
        return;
    };
    let directory = scene.authority.directory();
    let nowhere = directory.replace(":14000", ":14001");
    scene.ask_at(&nowhere);
    scene.sandbox.serve().await;
    let (line, finding) = refused(&scene.sandbox, "cannot connect").await;
    assert!(line.contains("acme.directory"), "{line}");
    assert!(
        finding["seen"].as_str().unwrap().contains("refused"),
        "{finding}"
    );
    scene.sandbox.stop_relay().await;
    scene.sandbox.configure(&nowhere, &directory);
    scene.sandbox.serve().await;
    let (line, finding) = refused(&scene.sandbox, "rejectedIdentifier").await;
    assert!(line.contains("service.host"), "{line}");
    assert!(
        finding["seen"]
            .as_str()
            .unwrap()
            .contains("bounce.relay.test"),
        "{finding}"
    );
}

#[tokio::test]
async fn a_kind_of_key_that_is_refused_is_asked_for_again_alone() {
    let Some(mut scene) = Scene::with(Habits::default()).await else {
        return;
    };
    let between = Between::start(&scene.authority).await;
    scene.ask_at(&between.directory());
    let Scene {
        sandbox, authority, ..
    } = &mut scene;
    sandbox.serve().await;
    let placeholder = read(sandbox, "rsa.pem");
    let (line, _) = refused(sandbox, "badCSR").await;
    assert!(line.contains("no such keys here"), "{line}");
    let kept = read(sandbox, "ecdsa.pem");
    assert!(!attempts(sandbox)["failure"].is_null());
    assert_eq!(read(sandbox, "rsa.pem"), placeholder);

    between.relent();
    let orders = authority.orders();
    ask_again(sandbox, "the authority takes RSA now");
    given(sandbox).await;
    assert_ne!(read(sandbox, "rsa.pem"), placeholder);
    assert_eq!(read(sandbox, "ecdsa.pem"), kept);
    assert!(authority.orders() > orders, "{}", authority.printed());
}

#[tokio::test]
async fn a_certificate_that_is_due_again_at_once_makes_no_loop_of_orders() {
    let habits = Habits {
        seconds: 1,
        ..Habits::default()
    };
    let Some(Scene {
        mut sandbox,
        authority,
    }) = Scene::with(habits).await
    else {
        return;
    };
    sandbox.serve().await;
    let (line, _) = refused(&sandbox, "of the certificate that came: it is old").await;
    assert!(line.contains("look at the clock"), "{line}");
    // It is shown all the same, and the next one has to wait, whoever looks.
    sandbox.stop_relay().await;
    put_off(&sandbox);
    let (shown, orders) = (read(&sandbox, "ecdsa.pem"), authority.orders());
    sandbox.serve().await;
    logged(&sandbox, &[LEFT_ALONE]).await;
    assert_eq!(
        (read(&sandbox, "ecdsa.pem"), authority.orders()),
        (shown, orders)
    );
}
