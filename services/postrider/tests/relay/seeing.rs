//! What became of mail, as an operator asks: counts, and one address.

use serde_json::{Value, json};

use crate::harness::{Place, unique, until};

in_both_arrangements!(
    a_report_counts_what_was_sent,
    a_vendors_line_is_the_sum_of_its_tenants_without_the_simulator,
    what_is_asked_about_a_vendor_is_of_its_tenants_alone,
    why_it_did_not_arrive_is_told_from_the_address_alone,
    what_nobody_sent_is_not_found,
);

/// A tenant's line in a report. Processes write what they counted every ten seconds.
async fn line_when(place: &Place, fits: impl Fn(&Value) -> bool) -> Value {
    let tenant = place.tenant.clone();
    until("the report has it", async || {
        let report = place.command(&["report", "--by", "tenant", "--limit", "100000"]);
        let lines = report["lines"].as_array().unwrap();
        let line = lines.iter().find(|line| line["tenant"] == tenant.as_str());
        line.filter(|line| fits(line)).cloned()
    })
    .await
}

async fn a_report_counts_what_was_sent(place: &Place) {
    let tenant = place.another("Seen").await;
    let word = unique();
    let to = [
        format!("ann-{word}@example.org"),
        format!("bounced@{word}.test"),
    ];
    for to in &to {
        let id = tenant.send_to(to).await;
        tenant.settled(&id).await;
    }
    let line = line_when(&tenant, |line| {
        line["bounced"] == 1 && line["delivered"] == 1
    })
    .await;
    assert_eq!(line["accepted"], 2, "{line}");
    assert_eq!(
        (&line["deferred"], &line["expired"]),
        (&json!(0), &json!(0))
    );
    assert!(line["p95_seconds"].as_f64().unwrap() <= 60.0, "{line}");
    assert_eq!(line["p50_seconds"], line["p95_seconds"]);

    let report = place.command(&["report", "--since", "1h", "--by", "provider"]);
    let refused = report["refusals"].as_array().unwrap();
    assert!(
        refused
            .iter()
            .any(|one| one["text"] == "550 5.1.1 no such user here"),
        "{report}"
    );
    let (total, lines) = (&report["total"], report["lines"].as_array().unwrap());
    assert!(total["accepted"].as_u64().unwrap() >= 2);
    for name in ["delivered", "bounced"] {
        let sum: u64 = lines.iter().map(|line| line[name].as_u64().unwrap()).sum();
        assert_eq!(sum, total[name], "{name}");
    }
}

async fn a_vendors_line_is_the_sum_of_its_tenants_without_the_simulator(place: &Place) {
    let word = unique();
    let vendor = format!("seen-{word}");
    let contact = ["--name", "Seen", "--contact", "help@vendor.test"];
    place.command(&[&["vendor", "add", &vendor], &contact[..]].concat());
    let mut shops = Vec::new();
    for name in ["One", "Two"] {
        let words = [
            "tenant",
            "add",
            "--name",
            name,
            "--reply-to",
            "owner@shop.test",
        ];
        let made = place.command(&[&words[..], &["--vendor", &vendor]].concat());
        let said = |name: &str| made[name].as_str().unwrap();
        shops.push(place.as_tenant(said("api_key"), said("slug")));
    }
    for (shop, to) in [
        (&shops[0], format!("ann-{word}@example.org")),
        (&shops[1], format!("bob-{word}@example.org")),
        (&shops[0], "delivered@simulator.relay.test".to_owned()),
        (&shops[1], "bounced@simulator.relay.test".to_owned()),
    ] {
        let id = shop.send_to(&to).await;
        shop.settled(&id).await;
    }
    let line = until("both are counted", async || {
        let report = place.command(&["report", "--by", "vendor", "--limit", "100000"]);
        let lines = report["lines"].as_array().unwrap().iter();
        let mut its_own = lines.filter(|line| line["vendor"] == vendor.as_str());
        its_own
            .next()
            .filter(|line| line["delivered"] == 2)
            .cloned()
    })
    .await;
    // What the simulator said was counted no later than what came after it: it is not there.
    assert_eq!(
        (&line["accepted"], &line["bounced"]),
        (&json!(2), &json!(0)),
        "{line}"
    );
    assert_eq!(line["name"], "Seen");
}

async fn why_it_did_not_arrive_is_told_from_the_address_alone(place: &Place) {
    let tenant = place.another("Asked").await;
    let to = format!("bounced@{}.test", unique());
    let id = tenant.send_to(&to).await;
    tenant.settled(&id).await;
    let found = place.command(&["find", &to.to_uppercase()]);
    let message = &found["messages"][0];
    assert_eq!(
        (&message["id"], &message["tenant"]),
        (&json!(id), &json!(tenant.tenant))
    );
    assert_eq!(
        (&message["state"], &message["attempts"]),
        (&json!("failed"), &json!(1))
    );
    let reply = message["reply"].as_str().unwrap();
    assert!(
        reply.starts_with("550 5.1.1 no such user here"),
        "{message}"
    );
    let meaning = message["meaning"].as_str().unwrap();
    assert!(meaning.contains("no such mailbox"), "{message}");
    let what = message["what"].as_str().unwrap();
    assert!(what.starts_with("Refused for good"), "{message}");
    assert!(
        message["next"]
            .as_str()
            .unwrap()
            .starts_with("It is not tried again")
    );
    assert_eq!(found["suppressions"][0]["reason"], "hard_bounce");
    assert_eq!(found["suppressions"][0]["tenant"], tenant.tenant.as_str());

    let other = place.another("Another").await;
    let of_other = place.try_command(&["find", &to, "--tenant", &other.tenant]);
    let of_other: Value = serde_json::from_slice(&of_other.stdout).unwrap();
    assert_eq!(
        (&of_other["messages"], &of_other["suppressions"]),
        (&json!([]), &json!([]))
    );
}

async fn shop_of(place: &Place, vendor: &str) -> Place {
    let add = [
        "tenant",
        "add",
        "--name",
        "Shop",
        "--reply-to",
        "o@shop.test",
        "--vouched",
    ];
    let made = place.command(&[&add[..], &["--vendor", vendor]].concat());
    let text = |name: &str| made[name].as_str().unwrap().to_owned();
    let shop = place.as_tenant(&text("api_key"), &text("slug"));
    until("the new tenant", async || {
        (shop.get("/usage").await.status == 200).then_some(())
    })
    .await;
    shop
}

async fn what_is_asked_about_a_vendor_is_of_its_tenants_alone(place: &Place) {
    let word = unique();
    let vendor = format!("asked-{word}");
    let contact = ["--name", "Asked", "--contact", "help@vendor.test"];
    place.command(&[&["vendor", "add", &vendor], &contact[..]].concat());
    let to = format!("bounced@{word}.test");
    let shop = shop_of(place, &vendor).await;
    let other = place.another("Other").await;
    for tenant in [&other, &shop] {
        tenant.settled(&tenant.send_to(&to).await).await;
    }
    let found = place.command(&["find", &to, "--vendor", &vendor]);
    let tenants = |list: &Value| -> Vec<Value> {
        let list = list.as_array().unwrap().iter();
        list.map(|one| one["tenant"].clone()).collect()
    };
    assert_eq!(tenants(&found["messages"]), [json!(shop.tenant)]);
    assert_eq!(tenants(&found["suppressions"]), [json!(shop.tenant)]);
    for more in [&["--address", &to][..], &["--stream", "bulk"], &[]] {
        let words = ["suppression", "list", "--vendor", &vendor];
        let listed = place.command(&[&words[..], more].concat());
        assert_eq!(
            tenants(&listed["suppressions"]),
            [json!(shop.tenant)],
            "{more:?}"
        );
        assert_eq!(listed["more"], false);
    }
    let report = until("the report has it", async || {
        let report = place.command(&["report", "--by", "tenant", "--vendor", &vendor]);
        (report["total"]["bounced"] == 1).then_some(report)
    })
    .await;
    assert_eq!(tenants(&report["lines"]), [json!(shop.tenant)]);
    vendors_that_are_not_there_are_told(place, &vendor, &to);
}

fn vendors_that_are_not_there_are_told(place: &Place, vendor: &str, to: &str) {
    for (words, says) in [
        (
            &["report", "--by", "provider", "--vendor", vendor][..],
            "--by tenant",
        ),
        (&["report", "--vendor", "nobody"], "vendor list"),
        (&["find", to, "--vendor", "nobody"], "vendor list"),
        (
            &["suppression", "list", "--vendor", "nobody"],
            "vendor list",
        ),
        (&["suppression", "list"], "--vendor"),
    ] {
        let refused = place.try_command(words);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(
            !refused.status.success() && said.contains(says),
            "{words:?}: {said}"
        );
    }
}

async fn what_nobody_sent_is_not_found(place: &Place) {
    let none = place.try_command(&["find", &format!("nobody-{}@example.org", unique())]);
    assert_eq!(none.status.code(), Some(1));
    let found: Value = serde_json::from_slice(&none.stdout).unwrap();
    assert_eq!(
        (&found["messages"], &found["more"]),
        (&json!([]), &json!(false))
    );
    assert!(none.stderr.is_empty(), "it is an answer, no fault");
    let unknown = place.try_command(&["find", "bob@example.org", "--tenant", "nobody-0000"]);
    let said = String::from_utf8_lossy(&unknown.stderr).into_owned();
    assert!(
        said.contains("there is no tenant \"nobody-0000\""),
        "{said}"
    );
}
