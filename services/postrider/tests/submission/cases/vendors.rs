//! A vendor is suspended: both doors of all its tenants close within a second, nothing of their
//! queue leaves, and nothing is lost.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::{Place, unique, until};
use crate::line::Line;
use crate::scene::Scene;

/// How soon the doors are closed, on a machine with other work.
const WITHIN: Duration = Duration::from_secs(1);
const MESSAGE: &[u8] = b"Subject: x\r\n\r\nx\r\n";

/// A tenant of a vendor of its own, and the vendor's slug.
async fn of_a_vendor() -> (Scene, String) {
    let any = Scene::begin().await;
    let slug = format!("acme-{}", unique()).to_ascii_lowercase();
    let contact = "help@acme.test";
    let add = [
        "vendor",
        "add",
        &slug,
        "--name",
        "Acme Software",
        "--contact",
        contact,
    ];
    assert_eq!(any.place.command(&add)["status"], "active");
    let words = [
        "tenant",
        "add",
        "--name",
        "Joe",
        "--reply-to",
        "joe@acme.test",
        "--vendor",
        &slug,
        "--vouched",
    ];
    let made = any.place.command(&words);
    let word = |name: &str| made[name].as_str().unwrap();
    let place = any.place.as_tenant(word("api_key"), word("slug"));
    until("the new tenant", async || {
        (place.get("/usage").await.status == 200).then_some(())
    })
    .await;
    (Scene::of(place, &[]).await, slug)
}

/// How long the HTTP door let this tenant in from now on, and the longest wait for an answer.
async fn until_closed(place: &Place) -> (Duration, Duration) {
    let (began, mut let_in, mut slowest) = (Instant::now(), Duration::ZERO, Duration::ZERO);
    until("a refusal", async || {
        let (asked, now) = (began.elapsed(), Instant::now());
        let answer = place.get("/usage").await;
        slowest = slowest.max(now.elapsed());
        if answer.status == 200 {
            let_in = asked;
            return None;
        }
        let (status, name, sentence) = answer.refusal();
        assert_eq!((status, name.as_str()), (403, "validation_error"));
        assert!(sentence.contains("Acme Software"), "{sentence}");
        assert!(sentence.contains("help@acme.test"), "{sentence}");
        Some(())
    })
    .await;
    (let_in, slowest)
}

fn put_off() -> String {
    format!("greylisted+{}@example.org", unique())
}

#[tokio::test]
async fn a_suspended_vendor_stops_all_its_tenants_until_it_is_resumed() {
    let (scene, vendor) = of_a_vendor().await;
    let place = &scene.place;
    let recipient = put_off();
    let id = place.send_to(&recipient).await;
    place
        .events_when(&id, |timeline| timeline.has("deferred"))
        .await;
    let mut line = scene.line().await;

    place.command(&["vendor", "suspend", &vendor]);
    let (let_in, slowest) = until_closed(place).await;
    assert!(let_in <= WITHIN + 10 * slowest, "{let_in:?} {slowest:?}");
    let reply = line.mail("me@x.test", &["ann@example.org"], MESSAGE).await;
    assert!(reply.starts_with("525 5.7.13"), "{reply}");
    assert!(reply.contains("help@acme.test"), "{reply}");
    let mut another = Line::starttls(scene.smtp, "vm").await;
    let reply = another.try_login(&scene.user, &scene.password).await;
    assert!(reply.starts_with("525 5.7.13"), "{reply}");

    // Another's mail that is put off as long shows that its time has passed.
    let other = Scene::begin().await.place;
    let witness = other.settled(&other.send_to(&put_off()).await).await;
    assert_eq!(witness.end().unwrap()["type"], "delivered");
    assert!(place.received(&recipient).await.is_empty());

    place.command(&["vendor", "resume", &vendor]);
    until("the door", async || {
        (place.get("/usage").await.status == 200).then_some(())
    })
    .await;
    let timeline = place.settled(&id).await;
    assert_eq!(timeline.end().unwrap()["type"], "delivered");
    place.received_once(&recipient).await;
    let entries = place.command(&["audit", "--vendor", &vendor]);
    let verbs: Vec<&str> = entries
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["verb"].as_str().unwrap())
        .filter(|verb| verb.starts_with("vendor"))
        .collect();
    assert_eq!(verbs, ["vendor_resume", "vendor_suspend", "vendor_add"]);
}

#[tokio::test]
async fn a_suspended_key_opens_no_door_until_it_is_resumed() {
    let scene = Scene::begin().await;
    let place = &scene.place;
    let keys = place.command(&["key", "list", &place.tenant]);
    let keys = keys.as_array().unwrap().iter();
    let mut smtp = keys.filter(|key| key["kind"] == "smtp");
    let id = smtp.next().unwrap()["id"].as_str().unwrap().to_owned();
    place.command(&["key", "suspend", &id]);
    until("a refusal", async || {
        let mut line = Line::starttls(scene.smtp, "vm").await;
        let reply = line.try_login(&scene.user, &scene.password).await;
        reply.starts_with("525 5.7.13").then_some(())
    })
    .await;
    assert_eq!(
        place.get("/usage").await.status,
        200,
        "the other key goes on"
    );
    place.command(&["key", "resume", &id]);
    until("the door", async || {
        let mut line = Line::starttls(scene.smtp, "vm").await;
        let reply = line.try_login(&scene.user, &scene.password).await;
        reply.starts_with("235 ").then_some(())
    })
    .await;
}

fn import(place: &Place, vendor: &str, text: &str) -> (i32, Value, String) {
    let (list, keys) = (place.folder.join(unique()), place.folder.join(unique()));
    std::fs::write(&list, text).unwrap();
    let (list, keys) = (list.to_str().unwrap(), keys.to_str().unwrap());
    let words = ["tenant", "import", list, "--vendor", vendor, "--out", keys];
    let done = place.try_command(&words);
    let said = serde_json::from_slice(&done.stdout).unwrap_or_else(|_| {
        panic!("{}", String::from_utf8_lossy(&done.stderr));
    });
    let keys = std::fs::read_to_string(keys).unwrap();
    (done.status.code().unwrap(), said, keys)
}

#[tokio::test]
async fn an_import_takes_the_good_lines_and_names_the_bad_ones() {
    let (scene, vendor) = of_a_vendor().await;
    let place = &scene.place;
    let mut list = "licence,name,reply_to,language,attested\n".to_owned();
    for n in 0..1_200 {
        let line = match n {
            17 => "L17,Shop 17,shop17@,en,yes\n".to_owned(),
            600 => ",Shop,shop600@shops.test,en,yes\n".to_owned(),
            1_100 => "L3,Shop,shop3@shops.test,en,yes\n".to_owned(),
            n => format!("L{n},\"Shop, {n}\",shop{n}@shops.test,fr,yes\n"),
        };
        list.push_str(&line);
    }
    let (code, said, keys) = import(place, &vendor, &list);
    assert_eq!(code, 2, "{said}");
    assert_eq!((&said["added"], &said["bad"]), (&1_197.into(), &3.into()));
    let bad: Vec<_> = said["bad_lines"].as_array().unwrap().iter().collect();
    let at: Vec<_> = bad
        .iter()
        .map(|bad| (&bad["line"], &bad["field"]))
        .collect();
    let wanted = [
        (&19.into(), &"reply_to".into()),
        (&602.into(), &"licence".into()),
        (&1_102.into(), &"licence".into()),
    ];
    assert_eq!(at, wanted, "{said}");
    assert_eq!(keys.lines().count(), 1_198);

    // A key of it opens the door, and the attested address is confirmed.
    let mut fields = keys.lines().nth(1).unwrap().split(',');
    let slug = fields.by_ref().nth(1).unwrap();
    let shop = place.as_tenant(fields.nth(2).unwrap(), slug);
    until("the new tenant", async || {
        (shop.get("/usage").await.status == 200).then_some(())
    })
    .await;
    let shown = place.command(&["tenant", "show", slug]);
    assert_eq!(
        (&shown["language"], &shown["licence"]),
        (&"fr".into(), &"L0".into())
    );
    let address = &shown["reply_addresses"][0];
    assert_eq!(address["status"], "confirmed");
    assert_eq!(address["attested_by"], format!("vendor {vendor} by cli"));

    let list: String = list
        .lines()
        .filter(|line| {
            !line.contains("shop17@") && !line.starts_with(',') && !line.starts_with("L3,Shop")
        })
        .map(|line| line.replace("Shop, 5\"", "Shop, five\"") + "\n")
        .collect();
    let (code, said, keys) = import(place, &vendor, &list);
    assert_eq!(code, 0, "{said}");
    assert_eq!((&said["added"], &said["changed"]), (&0.into(), &1.into()));
    assert_eq!(said["same"], 1_196);
    assert_eq!(keys.lines().count(), 1);
    let listed = place.command(&["tenant", "list", "--vendor", &vendor]);
    assert_eq!(listed.as_array().unwrap().len(), 1_198);
}
