//! What keeps mail from leaving is told wherever somebody asks why it waits: by whom it is stopped, and what
//! lets it go.

use serde_json::{Value, json};

use crate::harness::{Inside, Place};
use crate::verbs::put_off;

/// The first message that `find` tells of.
async fn found(relay: &Inside, address: &str) -> Value {
    let found = relay.command(&["find", address]).await;
    found["messages"][0].clone()
}

fn says(message: &Value, member: &str) -> String {
    message[member].as_str().unwrap().to_owned()
}

async fn of_vendor(relay: &Inside) -> Place {
    let contact = ["--name", "Wrench", "--contact", "help@wrench.test"];
    let words = [&["vendor", "add", "wrench"], &contact[..]].concat();
    relay.command(&words).await;
    let words = ["tenant", "add", "--name", "Eva", "--reply-to", "e@eva.test"];
    let words = [&words[..], &["--vendor", "wrench", "--vouched"]].concat();
    let made = relay.command(&words).await;
    let word = |name: &str| made[name].as_str().unwrap();
    relay.place.as_tenant(word("api_key"), word("slug"))
}

#[tokio::test]
async fn whoever_stopped_it_is_named_with_the_command_that_lets_it_go() {
    let relay = Inside::start().await;
    let place = of_vendor(&relay).await;
    let (to, eva) = ("ann@down.test", place.tenant.as_str());
    let id = put_off(&relay, &place, to).await;
    let key = relay.command(&["tenant", "show", eva]).await["keys"][0]["id"].clone();
    let key = key.as_str().unwrap();
    for (about, which, held_by) in [
        (&["queue", "suspend"][..], &["--tenant", eva][..], "queue"),
        (&["queue", "suspend"], &["--vendor", "wrench"], "queue"),
        (&["queue", "suspend"], &["--domain", "down.test"], "queue"),
        (&["queue", "suspend"], &["--message", &id], "queue"),
        (&["tenant", "suspend"], &[eva], "tenant"),
        (&["vendor", "suspend"], &["wrench"], "vendor"),
        (&["key", "suspend"], &[key], "key"),
    ] {
        relay.command(&[about, which].concat()).await;
        let resume = [&[about[0], "resume"], which].concat();
        let message = found(&relay, to).await;
        assert_eq!(message["held_by"], json!([held_by]), "{message}");
        let (what, next) = (says(&message, "what"), says(&message, "next"));
        assert!(what.contains("is suspended"), "{what}");
        let command = format!("`postrider {}`", resume.join(" "));
        assert!(next.contains(&command), "{command}: {next}");
        for said in [&what, &next] {
            let promises = said.contains("turn comes") || said.contains("It is tried at");
            assert!(!promises, "{said}");
        }
        relay.command(&resume).await;
        let message = found(&relay, to).await;
        assert_eq!(message["held_by"], json!([]), "{message}");
    }
    relay.stop().await;
}

#[tokio::test]
async fn a_retry_tells_what_does_not_leave_all_the_same() {
    let relay = Inside::start().await;
    let place = of_vendor(&relay).await;
    put_off(&relay, &place, "ann@down.test").await;
    relay.command(&["vendor", "suspend", "wrench"]).await;
    let retry = ["queue", "retry-now", "--domain", "down.test"];
    for changed in [1, 0] {
        let told = relay.command(&retry).await;
        assert_eq!(
            (&told["changed"], &told["due"]),
            (&json!(changed), &json!(1))
        );
        let held = &told["held_by"][0];
        assert_eq!(held["recipients"], 1, "{told}");
        assert_eq!(held["release"], json!(["postrider vendor resume wrench"]));
    }
    let elsewhere = ["queue", "retry-now", "--domain", "nobody.test"];
    let told = relay.command(&elsewhere).await;
    assert_eq!((&told["due"], &told["held_by"]), (&json!(0), &json!([])));
    relay.stop().await;
}

#[tokio::test]
async fn what_waits_is_listed_by_tenant_and_cause_with_what_holds_it() {
    let relay = Inside::start().await;
    let place = of_vendor(&relay).await;
    let other = relay.another("Other").await;
    put_off(&relay, &place, "ann@down.test").await;
    put_off(&relay, &other, "bob@away.test").await;
    let lines = |listed: &Value| listed["waiting"]["lines"].as_array().unwrap().clone();
    let listed = relay.command(&["queue", "list"]).await;
    assert_eq!(lines(&listed).len(), 2, "{listed}");
    assert_eq!(listed["suspensions"], json!([]));
    relay.command(&["vendor", "suspend", "wrench"]).await;
    let listed = relay
        .command(&["queue", "list", "--vendor", "wrench"])
        .await;
    assert_eq!(listed["suspended_vendors"], json!(["wrench"]), "{listed}");
    let lines = lines(&listed);
    let [line] = lines.as_slice() else {
        panic!("{listed}");
    };
    assert_eq!(
        (&line["tenant"], &line["vendor"], &line["recipients"]),
        (&json!(place.tenant), &json!("wrench"), &json!(1))
    );
    assert_eq!(line["held_by"], json!(["vendor"]));
    assert!(line["why"].as_str().unwrap().contains("wrench"), "{line}");
    relay.command(&["vendor", "resume", "wrench"]).await;
    let shown = relay.command(&["tenant", "show", &place.tenant]).await;
    let key = shown["keys"][0]["id"].as_str().unwrap();
    relay.command(&["key", "suspend", key]).await;
    let listed = relay.command(&["queue", "list"]).await;
    let mut all = listed["waiting"]["lines"].as_array().unwrap().iter();
    let line = all.find(|line| line["tenant"] == json!(place.tenant));
    let way = json!([format!("postrider key resume {key}")]);
    assert_eq!(line.unwrap()["release"], way, "{listed}");
    relay.stop().await;
}
