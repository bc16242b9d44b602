//! Remotes and a DNS that do what the internet does, and worse. The relay is inside the test, and
//! its clock is the test's.

mod names;

use std::time::Duration;

use postrider_fakenet::{Act, Certificate, Feature, Gate, Phase, Script};
use postrider_model::Timestamp;
use serde_json::Value;

use crate::harness::inside::{Setup, held};
use crate::harness::mail::codes;
use crate::harness::{Inside, Timeline};

const QUICK_DNS: &str = "timeout_seconds = 1\n";

/// Longer than the first wait between two attempts, with its jitter.
const NEXT: Duration = Duration::from_mins(10);

async fn relay() -> Inside {
    Inside::start_with(Setup {
        more: QUICK_DNS,
        ..Setup::by(held())
    })
    .await
}

/// A message to this domain, until it is put off or done with.
async fn first_attempt(relay: &Inside, domain: &str) -> (String, Timeline) {
    let id = relay.place.send_to(&format!("ann@{domain}")).await;
    let seen = |timeline: &Timeline| timeline.is_settled() || timeline.has("deferred");
    let timeline = relay.place.events_when(&id, seen).await;
    (id, timeline)
}

async fn second_attempt(relay: &Inside, id: &str) -> Timeline {
    relay.advance(NEXT);
    relay.place.settled(id).await
}

fn received(relay: &Inside, domain: &str) -> usize {
    relay.net.mailbox().of_host(&format!("mx.{domain}")).len()
}

/// What goes wrong once, before the message is taken.
fn faults() -> Vec<(&'static str, Script)> {
    let new = Script::new;
    vec![
        ("banner421", new().once(Phase::Connect, "421 4.3.2 busy")),
        ("banner554", new().once(Phase::Connect, "554 5.7.1 go away")),
        ("cut", new().once(Phase::Connect, Act::close())),
        ("reset", new().once(Phase::Connect, Act::reset())),
        (
            "garbage",
            new().once(
                Phase::Connect,
                Act::raw(&b"\x00\xff\x16\x03garbage\r\n"[..]),
            ),
        ),
        (
            "endless",
            new().once(Phase::Connect, Act::endless("220-more", Duration::ZERO)),
        ),
        (
            "longline",
            new().once(Phase::Connect, Act::long_line(220, 1 << 20)),
        ),
        (
            "noend",
            new().once(Phase::Connect, Act::raw(vec![b'2'; 100_000])),
        ),
        ("cutehlo", new().once(Phase::Ehlo, Act::close())),
        (
            "mixed",
            new().once(Phase::Ehlo, Act::raw(&b"250-a\r\n251 b\r\n"[..])),
        ),
        ("code999", new().once(Phase::MailFrom, "999 what")),
        ("mail451", new().once(Phase::MailFrom, "451 4.3.0 later")),
        ("cutmail", new().once(Phase::MailFrom, Act::close())),
        ("cutrcpt", new().once(Phase::Rcpt, Act::reset())),
        ("rcpt450", new().once(Phase::Rcpt, "450 4.2.0 later")),
        ("rcpt421", new().once(Phase::Rcpt, "421 4.3.2 going down")),
        ("data451", new().once(Phase::Data, "451 4.3.0 later")),
        ("cutdata", new().once(Phase::Data, Act::close())),
        ("dot451", new().once(Phase::FinalDot, "451 4.3.0 later")),
        ("dot452", new().once(Phase::FinalDot, "452 4.3.1 no space")),
    ]
}

#[tokio::test]
async fn a_remote_that_misbehaves_once_gets_the_message_at_the_next_attempt() {
    let relay = relay().await;
    let scripts = faults();
    for (word, script) in &scripts {
        relay.net.domain(&format!("{word}.test")).mx(script.clone());
    }
    for (word, _) in scripts {
        let domain = format!("{word}.test");
        let (id, timeline) = first_attempt(&relay, &domain).await;
        assert_eq!(
            timeline.outcomes(),
            ["accepted", "deferred"],
            "{word}: {timeline:#?}"
        );
        let event = timeline.first("deferred");
        assert!(
            event["reply"].is_object() || event["note"].is_string(),
            "{word}: a wait has a reason: {event}"
        );
        assert_eq!(event["mx"]["host"], format!("mx.{domain}"), "{word}");
        assert_eq!(received(&relay, &domain), 0, "{word}");
        let timeline = second_attempt(&relay, &id).await;
        assert_eq!(
            timeline.outcomes(),
            ["accepted", "deferred", "delivered"],
            "{word}"
        );
        assert_eq!(received(&relay, &domain), 1, "{word}");
    }
    relay.stop().await;
}

#[tokio::test]
async fn after_the_dot_silence_is_doubt_and_a_reply_is_none() {
    let relay = relay().await;
    let kept = Act::record().then(Act::close());
    let cut = Act::record().then(Act::raw(&b"250"[..])).then(Act::reset());
    for (word, act) in [("kept", kept), ("cutreply", cut), ("lost", Act::close())] {
        let domain = format!("{word}.test");
        relay
            .net
            .domain(&domain)
            .mx(Script::new().once(Phase::FinalDot, act));
        let id = relay.place.send_to(&format!("ann@{domain}")).await;
        let timeline = relay
            .place
            .events_when(&id, |timeline| timeline.has("ambiguous"))
            .await;
        assert!(timeline.end().is_none(), "{timeline:#?}");
        let timeline = second_attempt(&relay, &id).await;
        assert_eq!(timeline.count("ambiguous"), 1, "{word}: {timeline:#?}");
        assert_eq!(timeline.count("delivered"), 1, "{word}: {timeline:#?}");
        let came = relay.net.mailbox().of_host(&format!("mx.{domain}"));
        assert_eq!(came.len(), if word == "lost" { 1 } else { 2 }, "{word}");
        assert!(
            came.iter()
                .all(|one| one.raw == came[0].raw && one.mail_from == came[0].mail_from)
        );
    }
    relay
        .net
        .domain("no.test")
        .mx(Script::new().once(Phase::FinalDot, "550 5.7.1 spam"));
    let (_, timeline) = first_attempt(&relay, "no.test").await;
    assert_eq!(
        timeline.outcomes(),
        ["accepted", "bounced"],
        "{timeline:#?}"
    );
    assert_eq!(codes(timeline.first("bounced")), "550 5.7.1");
    relay.stop().await;
}

#[tokio::test]
async fn odd_but_legal_remotes_get_their_mail_at_once() {
    let relay = relay().await;
    let new = Script::new;
    let scripts = [
        (
            "forty",
            new().always(Phase::FinalDot, Act::record().then(Act::lines(250, 40))),
        ),
        ("fortyehlo", new().once(Phase::Ehlo, Act::lines(250, 40))),
        (
            "nocode",
            new().once(Phase::MailFrom, Act::raw(&b"250\r\n"[..])),
        ),
        (
            "barelf",
            new().once(Phase::MailFrom, Act::raw(&b"250 ok\n"[..])),
        ),
        (
            "split",
            new().once(
                Phase::MailFrom,
                Act::drip(&b"250 2.1.0 ok\r\n"[..], Duration::from_millis(5)),
            ),
        ),
        ("noehlo", new().always(Phase::Ehlo, "502 5.5.1 what")),
        ("nopipe", new().without(Feature::Pipelining)),
        (
            "no8bit",
            new().without(Feature::EightBitMime).without(Feature::Size),
        ),
        ("expired", new().certificate(Certificate::Expired)),
        ("wrongname", new().certificate(Certificate::WrongName)),
        ("cutquit", new().always(Phase::Quit, Act::reset())),
        ("rset", new().always(Phase::Rset, "500 what")),
    ];
    for (word, script) in scripts {
        let domain = format!("{word}.test");
        relay.net.domain(&domain).mx(script);
        let (_, timeline) = first_attempt(&relay, &domain).await;
        assert_eq!(
            timeline.outcomes(),
            ["accepted", "delivered"],
            "{word}: {timeline:#?}"
        );
        assert_eq!(received(&relay, &domain), 1, "{word}");
    }
    relay.stop().await;
}

#[tokio::test]
async fn the_remotes_words_are_kept_bounded_and_harmless() {
    let relay = relay().await;
    let evil = b"550-5.1.1 no \x1b[31muser\x00 here\r\n550 5.1.1 \xff\xfe<script>\r\n";
    relay
        .net
        .domain("evil.test")
        .mx(Script::new().always(Phase::Rcpt, Act::raw(&evil[..])));
    let (_, timeline) = first_attempt(&relay, "evil.test").await;
    let event = timeline.first("bounced");
    assert_eq!(codes(event), "550 5.1.1");
    let text = event["reply"]["text"].as_str().unwrap();
    assert!(text.contains(r"\x1b[31muser\x00 here"), "{text}");
    assert!(
        text.chars().all(|c| c == '\n' || !c.is_control()),
        "{text:?}"
    );
    let long = "x".repeat(1_900);
    let lines = [long.as_str(); 4].join("\n550-").replace('\n', "\r\n");
    let lines = format!("550-{lines}\r\n550 end\r\n");
    relay
        .net
        .domain("long.test")
        .mx(Script::new().always(Phase::Rcpt, Act::raw(lines)));
    let (_, timeline) = first_attempt(&relay, "long.test").await;
    let text = timeline.first("bounced")["reply"]["text"].as_str().unwrap();
    assert!((1_000..=2_048).contains(&text.len()), "{}", text.len());
    relay.stop().await;
}

#[tokio::test]
async fn what_a_remote_says_before_tls_is_forgotten_and_nothing_is_injected() {
    let relay = relay().await;
    // RFC 3207 §4.2: what came behind the 220 came in plain text, from anybody.
    let injected = Act::raw(&b"220 go\r\n250-injected\r\n250 HELP\r\n"[..]);
    relay
        .net
        .domain("inject.test")
        .mx(Script::new().once(Phase::Starttls, injected));
    let (id, timeline) = first_attempt(&relay, "inject.test").await;
    assert_eq!(
        timeline.outcomes(),
        ["accepted", "deferred"],
        "{timeline:#?}"
    );
    let timeline = second_attempt(&relay, &id).await;
    assert_eq!(timeline.first("delivered")["tls"]["version"], "TLSv1.3");

    // T1: TLS that fails is tried again before plain text is, and then it is plain.
    relay.net.domain("lies.test").mx(Script::new().always(
        Phase::Handshake,
        Act::raw(&b"no TLS here\r\n"[..]).then(Act::close()),
    ));
    let (id, timeline) = first_attempt(&relay, "lies.test").await;
    assert_eq!(
        timeline.outcomes(),
        ["accepted", "deferred"],
        "{timeline:#?}"
    );
    let timeline = second_attempt(&relay, &id).await;
    assert_eq!(
        timeline.end().unwrap()["type"],
        "delivered",
        "{timeline:#?}"
    );
    assert_eq!(timeline.first("delivered")["tls"], Value::Null);

    relay
        .net
        .domain("refuses.test")
        .mx(Script::new().always(Phase::Starttls, "454 4.7.0 not now"));
    let (id, timeline) = first_attempt(&relay, "refuses.test").await;
    assert!(
        timeline.has("deferred") || timeline.has("delivered"),
        "{timeline:#?}"
    );
    let timeline = second_attempt(&relay, &id).await;
    assert_eq!(
        timeline.end().unwrap()["type"],
        "delivered",
        "{timeline:#?}"
    );
    relay.stop().await;
}

#[tokio::test]
async fn a_remote_that_hangs_holds_up_nobody_else() {
    let relay = relay().await;
    let gate = Gate::new();
    let hangs = Script::new()
        .gate(Phase::Rcpt, &gate)
        .always(Phase::Rcpt, Act::usual());
    relay.net.domain("hangs.test").mx(hangs);
    let hung = relay.place.send_to("ann@hangs.test").await;
    gate.reached().await;
    for n in 0..20 {
        let (_, timeline) = first_attempt(&relay, &format!("free{n}.test")).await;
        assert_eq!(timeline.end().unwrap()["type"], "delivered");
    }
    assert!(relay.place.events(&hung).await.end().is_none());
    gate.open();
    let timeline = relay.place.settled(&hung).await;
    assert_eq!(timeline.outcomes(), ["accepted", "delivered"]);
    relay.stop().await;
}

#[tokio::test]
async fn the_rest_of_too_many_recipients_follows_at_once() {
    let relay = relay().await;
    let script = Script::new()
        .times(1, Phase::Rcpt, Act::usual())
        .once(Phase::Rcpt, "452 4.5.3 too many recipients");
    relay.net.domain("few.test").mx(script);
    let to: Vec<_> = (0..4).map(|n| format!("r{n}@few.test")).collect();
    // Large enough that they share one transaction.
    let text = format!("{}\r\n", "x".repeat(70)).repeat(40_000);
    let message = serde_json::json!({"to": to, "subject": "x", "text": text});
    let id = relay.place.send(message).await;
    let timeline = relay.place.settled(&id).await;
    assert_eq!(timeline.count("delivered"), 4, "{timeline:#?}");
    assert!(!timeline.has("deferred"), "{timeline:#?}");
    let came = relay.net.mailbox().of_host("mx.few.test");
    let counts: Vec<_> = came.iter().map(|one| one.rcpt_to.len()).collect();
    assert_eq!(counts, [3, 1]);
    assert_eq!(came[0].mail_from, came[1].mail_from);
    relay.stop().await;
}

#[tokio::test]
async fn the_waits_grow_and_at_the_end_the_message_expires() {
    let relay = relay().await;
    let never = Script::new().always(Phase::Rcpt, "451 4.3.0 later");
    relay.net.domain("never.test").mx(never);
    let (id, _) = first_attempt(&relay, "never.test").await;
    let began = relay.now();
    let waits = until_settled(&relay, &id).await;
    let timeline = relay.place.events(&id).await;
    assert_eq!(timeline.end().unwrap()["type"], "expired", "{timeline:#?}");
    let hours = relay.now().since(began).as_secs() / 3_600;
    assert!((71..=77).contains(&hours), "{hours} h");
    // 5, 10, 20 minutes, with a tenth of jitter each.
    for (at, minutes) in [5, 10, 20].into_iter().enumerate() {
        let wanted = Duration::from_mins(minutes);
        let (least, most) = (wanted.mul_f64(0.89), wanted.mul_f64(1.11));
        assert!((least..=most).contains(&waits[at]), "{at}: {:?}", waits[at]);
    }
    assert_eq!(relay.place.email(&id).await["last_event"], "failed");
    relay.stop().await;
}

/// Goes from one attempt to the next until there is none; gives the waits.
async fn until_settled(relay: &Inside, id: &str) -> Vec<Duration> {
    let mut waits = Vec::new();
    while waits.len() < 60 {
        let email = relay.place.email(id).await;
        let Some(due) = email["recipients"][0]["due_at"].as_str() else {
            return waits;
        };
        let wait = Timestamp::parse(due).unwrap().since(relay.now());
        waits.push(wait);
        relay.advance(wait + Duration::from_secs(1));
        let deferred = waits.len() + 1;
        let seen =
            |timeline: &Timeline| timeline.is_settled() || timeline.count("deferred") == deferred;
        if relay.place.events_when(id, seen).await.is_settled() {
            return waits;
        }
    }
    panic!("no end: {waits:?}")
}
