//! What could not be delivered is told to the tenant by mail, with a page about it.

use std::time::Duration;

use postrider_fakenet::Script;
use serde_json::json;

use crate::harness::mail::header;
use crate::harness::{Inside, Place, unique, until};

const OWNER: &str = "owner@another.test";
/// `notices.gather_seconds`, and a little.
const GATHER: Duration = Duration::from_secs(31);
/// An hour by `notices.per_hour`.
const PAUSE: Duration = Duration::from_mins(15);

async fn start() -> (Inside, Place) {
    let relay = Inside::start().await;
    let refusing = Script::new().recipients(
        |to| to.starts_with("gone"),
        "550 5.1.1 <b>no such user</b> here",
    );
    relay.net.domain("real.test").mx(refusing);
    let tenant = relay.another("Joe's Garage").await;
    (relay, tenant)
}

/// Sends to these and returns when all have come to an end.
async fn sent(place: &Place, to: &[&str], subject: &str) {
    let message = json!({"to": to, "subject": subject, "text": "It is ready."});
    let id = place.send(message).await;
    place.settled(&id).await;
}

/// The notices that came, once there are so many.
async fn notices(relay: &Inside, count: usize) -> Vec<String> {
    until("the notice", async || {
        (relay.came(OWNER) >= count).then_some(())
    })
    .await;
    let messages = relay.net.mailbox().messages().into_iter();
    let mut to_owner = messages.filter(|one| one.rcpt_to.iter().any(|to| to == OWNER));
    let texts = to_owner.by_ref().map(|one| {
        let text = postrider_message::texts(&one.raw).text.unwrap();
        format!("{}\n{text}", header(&one.raw, "Subject"))
    });
    texts.collect()
}

/// Rounds of the gate go by, and nobody is told anything.
async fn nobody_is_told(relay: &Inside, before: usize) {
    let witness = relay.another("Witness of notices").await;
    let to = format!("gone-{}@real.test", unique());
    sent(&witness, &[&to], "Witness").await;
    relay.advance(GATHER);
    // Its own notice comes after those that would have come before it.
    let all = notices(relay, before + 1).await;
    assert_eq!(all.len(), before + 1, "{all:#?}");
    assert!(all.last().unwrap().contains(&to), "{all:#?}");
}

fn link(notice: &str) -> &str {
    let at = notice.find("/m/").unwrap();
    notice[at..].split_whitespace().next().unwrap()
}

#[tokio::test]
async fn a_failure_is_told_once_with_the_remotes_words_and_a_page_about_it() {
    let (relay, tenant) = start().await;
    sent(
        &tenant,
        &["gone@real.test", "ann@real.test"],
        "Your <i>car</i>",
    )
    .await;
    relay.advance(GATHER);
    let notice = notices(&relay, 1).await.remove(0);
    assert!(
        notice.starts_with("Not delivered: \"Your <i>car</i>\""),
        "{notice}"
    );
    for part in [
        "gone@real.test",
        "no such user",
        "1 of 2 recipients",
        "letter by letter",
    ] {
        assert!(notice.contains(part), "{part}: {notice}");
    }
    assert!(!notice.contains("ann@real.test"), "{notice}");

    let page = tenant.http.get(link(&notice)).await;
    assert_eq!(page.status, 200);
    assert!(
        page.field("content-security-policy")
            .unwrap()
            .contains("default-src 'none'")
    );
    let page = page.text();
    assert!(page.contains("Your &lt;i&gt;car&lt;/i&gt;"), "{page}");
    assert!(page.contains("&lt;b&gt;no such user"), "{page}");
    assert!(
        page.contains("ann@real.test") && page.contains("Delivered"),
        "{page}"
    );
    let french = [("accept-language", "fr")];
    let page = tenant
        .http
        .ask("GET", link(&notice), &french, b"")
        .await
        .text();
    assert!(
        page.contains("Non remis") && page.contains("lettre par lettre"),
        "{page}"
    );

    nobody_is_told(&relay, 1).await;
    relay.advance(Duration::from_hours(24 * 31));
    assert_eq!(tenant.http.get(link(&notice)).await.status, 410);
    let other = link(&notice).replace(&link(&notice)[3..8], "aaaaa");
    assert_eq!(tenant.http.get(&other).await.status, 404);
    relay.stop().await;
}

#[tokio::test]
async fn several_failures_go_into_one_mail_and_few_mails_into_an_hour() {
    let (relay, tenant) = start().await;
    relay
        .command(&["tenant", "set", &tenant.tenant, "--language", "fr"])
        .await;
    for n in 0..3 {
        sent(
            &tenant,
            &[&format!("gone{n}@real.test")],
            &format!("Lettre {n}"),
        )
        .await;
    }
    relay.advance(GATHER);
    let notice = notices(&relay, 1).await.remove(0);
    assert!(notice.starts_with("Non remis"), "{notice}");
    for part in [
        "3 destinataires",
        "Lettre 0",
        "Lettre 2",
        "lettre par lettre",
    ] {
        assert!(notice.contains(part), "{part}: {notice}");
    }
    sent(&tenant, &["gone4@real.test"], "Lettre 4").await;
    nobody_is_told(&relay, 1).await;
    relay.advance(PAUSE);
    let second = notices(&relay, 3).await.remove(2);
    assert!(
        second.contains("Lettre 4") && !second.contains("Lettre 0"),
        "{second}"
    );
    relay.stop().await;
}

#[tokio::test]
async fn bulk_the_simulator_and_tenants_that_do_not_want_it_are_not_told_of() {
    let (relay, tenant) = start().await;
    let bulk = json!({"to": "gone@real.test", "subject": "News", "text": "y", "stream": "bulk"});
    let id = tenant.send(bulk).await;
    tenant.settled(&id).await;
    sent(&tenant, &["bounced@simulator.relay.test"], "Simulated").await;
    nobody_is_told(&relay, 0).await;
    relay
        .command(&["tenant", "set", &tenant.tenant, "--notices", "no"])
        .await;
    sent(&tenant, &["gone2@real.test"], "Unwanted").await;
    nobody_is_told(&relay, 1).await;
    // Nothing was saved up for when it wants them again.
    relay
        .command(&["tenant", "set", &tenant.tenant, "--notices", "yes"])
        .await;
    relay.advance(PAUSE);
    nobody_is_told(&relay, 2).await;
    relay.stop().await;
}

#[tokio::test]
async fn what_failed_of_a_tenant_that_is_suspended_is_told_when_it_goes_on() {
    let (relay, tenant) = start().await;
    sent(&tenant, &["gone@real.test"], "Your car").await;
    relay.command(&["tenant", "suspend", &tenant.tenant]).await;
    relay.advance(GATHER);
    nobody_is_told(&relay, 0).await;
    relay.command(&["tenant", "resume", &tenant.tenant]).await;
    relay.advance(PAUSE);
    let told = notices(&relay, 2).await;
    assert!(
        told.iter().any(|notice| notice.contains("Your car")),
        "{told:?}"
    );
    relay.stop().await;
}

#[tokio::test]
async fn a_notice_that_cannot_be_delivered_is_told_to_nobody() {
    let (relay, tenant) = start().await;
    let away = Script::new().recipient(OWNER, "550 5.1.1 nobody here");
    let exchanger = relay.net.domain("another.test").mx(away);
    sent(&tenant, &["gone@real.test"], "Your car").await;
    relay.advance(GATHER);
    until("the notice is refused", async || {
        let said = exchanger.transcript();
        said.iter()
            .any(|line| line.contains("nobody here"))
            .then_some(())
    })
    .await;
    let connections = exchanger.connections();
    relay.advance(PAUSE + GATHER);
    relay.others_go_on().await;
    // Its reply address takes no mail: it is not written to again.
    sent(&tenant, &["gone2@real.test"], "Your bill").await;
    relay.advance(PAUSE + GATHER);
    relay.others_go_on().await;
    assert_eq!(exchanger.connections(), connections);
    assert_eq!(relay.came(OWNER), 0);
    relay.stop().await;
}
