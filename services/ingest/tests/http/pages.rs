//! The pages behind links in mail, as a browser and a mailbox provider ask for them.

use std::sync::Arc;
use std::time::Duration;

use postrider_model::{EmailAddress, ReplyStatus};
use postrider_runtime::Shutdown;
use postrider_store::{MailFilter, MailPage, PageStart};
use tokio::task::JoinSet;

use crate::harness::{Relay, mail};

/// The path of the first link that begins so in a message.
pub(crate) fn link(body: &[u8], start: &str) -> String {
    let text = String::from_utf8_lossy(body)
        .replace("=\r\n", "")
        .replace("\r\n ", "");
    let at = text
        .find(start)
        .unwrap_or_else(|| panic!("no {start}: {text}"));
    let token = &text[at + start.len()..];
    let end = token.find(|c: char| !c.is_ascii_alphanumeric()).unwrap();
    let path = start.strip_prefix("https://relay.example").unwrap();
    format!("{path}{}", &token[..end])
}

async fn unsubscribe_path(relay: &Relay) -> String {
    let sent = relay.send(mail(r#","stream":"bulk""#)).await;
    let id = sent.id().parse().unwrap();
    let mail = &relay.store;
    let body = postrider_store::Mail::body(mail, relay.tenant.id, id)
        .await
        .unwrap()
        .unwrap();
    link(&body, "https://relay.example/u/")
}

fn is_a_safe_page(head: &str) {
    for field in [
        "content-type: text/html; charset=utf-8",
        "content-security-policy: default-src 'none'; style-src 'sha256-",
        "referrer-policy: no-referrer",
        "x-frame-options: DENY",
        "cache-control: no-store",
    ] {
        assert!(head.contains(field), "{field}: {head}");
    }
}

#[tokio::test]
async fn a_look_at_the_unsubscribe_page_changes_nothing_and_the_button_does() {
    let relay = Relay::start().await;
    let path = unsubscribe_path(&relay).await;
    let (status, head, page) = relay.page("GET", &path, "").await;
    assert_eq!(status, 200, "{page}");
    is_a_safe_page(&head);
    assert!(
        page.contains("No more newsletters from Joe&#39;s Garage?"),
        "{page}"
    );
    assert!(
        !page.contains("<script") && !page.contains("http"),
        "{page}"
    );
    let list = relay.get("/suppressions").await;
    assert!(list.json["data"].as_array().unwrap().is_empty());

    // As RFC 8058 §3.2 has mailbox providers do it; twice is as good as once.
    for _ in 0..2 {
        let (status, head, page) = relay
            .page("POST", &path, "List-Unsubscribe=One-Click")
            .await;
        assert_eq!(status, 200, "{page}");
        is_a_safe_page(&head);
        assert!(page.contains("You are unsubscribed"), "{page}");
    }
    // Who opens the link again is told so, and not asked anew.
    let (status, _, page) = relay.page("GET", &path, "").await;
    assert_eq!(status, 200, "{page}");
    assert!(page.contains("You are unsubscribed"), "{page}");
    assert!(!page.contains("<button"), "{page}");
    let list = relay.get("/suppressions").await;
    assert_eq!(list.json["data"][0]["email"], "ann@example.org");
    assert_eq!(list.json["data"][0]["reason"], "unsubscribe");
    assert_eq!(list.json["data"][0]["stream"], "bulk");
    let invoice = relay.send(mail("")).await;
    let email = relay.email(&invoice.id()).await;
    assert_eq!(
        email["recipients"][0]["state"], "queued",
        "an invoice still arrives"
    );
}

#[tokio::test]
async fn links_that_are_not_ours_lead_nowhere() {
    let relay = Relay::start().await;
    for path in ["/u/abc", "/c/abc", "/c/", "/u/%00", "/c/abc/def"] {
        for method in ["GET", "POST"] {
            let (status, head, _) = relay.page(method, path, "answer=yes").await;
            assert_eq!(status, 404, "{method} {path}");
            assert!(!head.contains("location:"));
        }
    }
}

// The letter that asks the owner of an address, from the gate to the house's mail.
async fn asked(relay: &Relay, address: &str) -> String {
    let house = EmailAddress::parse("postmaster@relay.example").unwrap();
    let house = relay.provision.house("Postrider", house).await.unwrap();
    relay
        .roster
        .refresh(&*relay.provision.directory)
        .await
        .unwrap();
    let mut tasks = JoinSet::new();
    let gate = Arc::clone(&relay.gate);
    let shutdown = Shutdown::new(Duration::ZERO);
    tasks.spawn(async move { gate.run(shutdown).await });
    relay
        .send(mail(&format!(r#","reply_to":"{address}""#)))
        .await
        .id();
    let all = MailFilter::default();
    let page = MailPage {
        limit: 1,
        start: PageStart::Newest,
    };
    loop {
        let listing = postrider_store::Mail::list(&relay.store, house.id, &all, page);
        let listing = listing.await.unwrap().unwrap();
        if let Some(letter) = listing.emails.first() {
            let body = postrider_store::Mail::body(&relay.store, house.id, letter.id)
                .await
                .unwrap();
            let directory = &*relay.provision.directory;
            relay.roster.refresh(directory).await.unwrap();
            return link(&body.unwrap(), "https://relay.example/c/");
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn status(relay: &Relay, address: &str) -> ReplyStatus {
    let address = EmailAddress::parse(address).unwrap();
    relay
        .roster
        .reply_address(relay.tenant.id, &address)
        .unwrap()
        .status
}

#[tokio::test]
async fn a_reply_address_is_confirmed_by_a_button_and_refused_by_the_other() {
    let relay = Relay::start().await;
    let path = asked(&relay, "ann@advisors.example").await;
    let (code, head, page) = relay.page("GET", &path, "").await;
    assert_eq!(code, 200, "{page}");
    is_a_safe_page(&head);
    assert!(
        page.contains("May replies to Joe&#39;s Garage come to ann@advisors.example?"),
        "{page}"
    );
    // Mail may be sent meanwhile: with the default reply address, and a little to its own.
    let says = "Until you do, it is not used for replies.";
    assert!(page.contains(says), "{page}");
    assert_eq!(
        status(&relay, "ann@advisors.example"),
        ReplyStatus::Unconfirmed
    );
    for (form, want) in [
        ("", ReplyStatus::Unconfirmed),
        ("answer=yes", ReplyStatus::Confirmed),
        ("answer=no", ReplyStatus::Refused),
    ] {
        let (code, _, page) = relay.page("POST", &path, form).await;
        assert_eq!(code, 200, "{page}");
        assert_eq!(status(&relay, "ann@advisors.example"), want, "{form}");
        // Replies to other mail go where they went.
        let says = "come to ann@advisors.example now: they do where a mail names it.";
        assert_eq!(page.contains(says), form == "answer=yes", "{page}");
    }
    // A no stands, whatever is pressed then, and counts once.
    for form in ["answer=yes", "answer=no", "answer=yes"] {
        let (code, _, page) = relay.page("POST", &path, form).await;
        assert_eq!(code, 200, "{page}");
        assert!(page.contains("ann@advisors.example"), "{page}");
        assert!(!page.contains("is confirmed"), "{page}");
        let now = status(&relay, "ann@advisors.example");
        assert_eq!(now, ReplyStatus::Refused, "{form}");
    }
    let (_, _, page) = relay.page("GET", &path, "").await;
    assert!(page.contains("you do not know Joe&#39;s Garage"), "{page}");
    assert!(!page.contains("<button"), "{page}");
    let usage = postrider_store::Mail::usage(&relay.store, relay.tenant.id, relay.clock.now());
    assert_eq!(usage.await.unwrap().complaints, 1);
}

#[tokio::test]
async fn a_refusal_is_looked_up_by_its_id() {
    let relay = Relay::start().await;
    let (status, head, page) = relay.page("GET", "/refusals", "").await;
    assert_eq!(status, 200);
    is_a_safe_page(&head);
    assert!(page.contains("<section id=\"pr-201\">"), "{page}");
    assert!(page.contains("535 5.7.8"), "{page}");
    let words = "Cette page est en anglais";
    assert!(!page.contains(words), "{page}");
    let asked = ("GET", "/refusals", "");
    let (_, _, page) = relay.page_in("fr-CA,fr;q=0.9,en;q=0.1", asked).await;
    assert!(page.contains(words), "{page}");
}
