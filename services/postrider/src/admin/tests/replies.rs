//! Reply addresses: which are taken, and what an owner's no comes to.

use postrider_model::ReplyStatus;
use serde_json::{Value, json};

use super::alone;

#[tokio::test(flavor = "multi_thread")]
async fn replies_go_to_no_address_of_the_relay_itself() {
    let (_folder, core) = alone().await;
    let tenant = core.add_joe(true).await;
    let (own, short) = ("joe@relay.example", "joe@localhost");
    let add = |to: &str| json!({"verb": "tenant_add", "name": "Joe", "reply_to": to});
    let reply = |to: &str| json!({"verb": "reply_to_add", "tenant": tenant, "address": to});
    for (verb, says) in [
        (
            add(own),
            "--reply-to: replies cannot go to joe@relay.example",
        ),
        (add(short), "localhost has no dot"),
        (
            reply(own),
            "ADDRESS: replies cannot go to joe@relay.example",
        ),
        (reply(short), "localhost has no dot"),
    ] {
        let said = core.asked(verb).await.unwrap_err();
        assert!(said.contains(says), "{said}");
    }
    let row = |licence: &str, to: &str| json!({"licence": licence, "name": "Joe", "reply_to": to, "language": null, "plan": null, "attested": false});
    for (to, outcome) in [
        ("joe@joes.test", "added"),
        (own, "bad"),
        ("joe@joes.test", "same"),
    ] {
        let rows = [row("L1", to), row("L2", short)];
        let import = json!({"verb": "tenant_import", "vendor": "operator", "rows": rows});
        let done = core.asked(import).await.unwrap();
        let wanted = (&json!(outcome), &json!("bad"));
        assert_eq!((&done[0]["outcome"], &done[1]["outcome"]), wanted, "{done}");
    }
    core.database.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_whose_owner_says_no_is_shown_with_the_way_on() {
    let (_folder, core) = alone().await;
    let tenant = core.add_joe(true).await;
    let known = core.shown(&tenant).await;
    assert_eq!(
        (&known["reply_to_status"], &known["stopped_because"]),
        (&json!("confirmed"), &Value::Null)
    );
    let id = core.roster.tenant_named(&tenant).unwrap().id;
    let (joe, now) = (
        "joe@joes.test".parse().unwrap(),
        core.office.provision.clock.now(),
    );
    let directory = &core.database.directory;
    let said = directory.answer_reply_address(id, &joe, ReplyStatus::Refused, now);
    said.await.unwrap();
    core.roster.refresh(&**directory).await.unwrap();
    let stopped = core.shown(&tenant).await;
    assert_eq!(stopped["reply_to_status"], "refused");
    let why = stopped["stopped_because"].as_str().unwrap();
    let way = format!("`postrider reply confirm {tenant} joe@joes.test`");
    assert!(why.contains(&way), "{why}");
    // Under another default it may write, and what waits is told of all the same.
    let other = json!({"verb": "reply_to_add", "tenant": tenant, "address": "ann@joes.test"});
    core.asked(other).await.unwrap();
    let ann = "ann@joes.test".parse().unwrap();
    let directory = &core.database.directory;
    let said = directory.answer_reply_address(id, &ann, ReplyStatus::Refused, now);
    said.await.unwrap();
    let said = directory.set_reply_status(id, &joe, ReplyStatus::Confirmed, now);
    said.await.unwrap();
    core.roster.refresh(&**directory).await.unwrap();
    let goes_on = core.shown(&tenant).await;
    assert_eq!(goes_on["stopped_because"], Value::Null);
    let [held] = goes_on["held_for_owners"].as_array().unwrap().as_slice() else {
        panic!("{goes_on}");
    };
    let way = format!("`postrider reply confirm {tenant} ann@joes.test`");
    assert!(held.as_str().unwrap().ends_with(&way), "{held}");
    core.database.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_around_an_owners_no_by_ending_the_ramp_or_taking_the_row_away() {
    let (_folder, core) = alone().await;
    let tenant = core.add_joe(false).await;
    let id = core.roster.tenant_named(&tenant).unwrap().id;
    let directory = &core.database.directory;
    let now = core.office.provision.clock.now();
    let joe = "joe@joes.test".parse().unwrap();
    let said = directory.answer_reply_address(id, &joe, ReplyStatus::Refused, now);
    said.await.unwrap();
    let ann = json!({"verb": "reply_to_add", "tenant": tenant, "address": "ann@joes.test"});
    core.asked(ann).await.unwrap();
    let said = "ann@joes.test".parse().unwrap();
    let said = directory.answer_reply_address(id, &said, ReplyStatus::Refused, now);
    said.await.unwrap();
    let vouch = json!({"verb": "tenant_set", "tenant": tenant, "language": "fr", "vouched": true});
    let remove = json!({"verb": "reply_to_remove", "tenant": tenant, "address": "ann@joes.test"});
    for (verb, whose) in [(&vouch, "joe@joes.test"), (&remove, "ann@joes.test")] {
        let refused = core.asked(verb.clone()).await.unwrap_err();
        let way = format!("`postrider reply confirm {tenant} {whose}`");
        assert!(refused.contains(&way), "{refused}");
    }
    let still = core.shown(&tenant).await;
    assert_eq!(still["reply_to_status"], "refused");
    assert_ne!(still["language"], "fr", "all of it or nothing");
    for whose in ["joe@joes.test", "ann@joes.test"] {
        let confirm = json!({"verb": "reply_to_confirm", "tenant": tenant, "address": whose});
        core.asked(confirm).await.unwrap();
    }
    assert_eq!(core.asked(vouch).await.unwrap()["language"], "fr");
    core.asked(remove).await.unwrap();
    core.database.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_is_told_how_an_address_stands_and_has_it_asked_again() {
    let (_folder, core) = alone().await;
    let tenant = core.add_joe(true).await;
    let about =
        |verb: &str, address: &str| json!({"verb": verb, "tenant": tenant, "address": address});
    let ask = || about("reply_to_ask", "ANN@joes.test");
    let add = || about("reply_to_add", "Ann@joes.test");
    let unknown = core.asked(ask()).await.unwrap_err();
    assert!(unknown.contains("`postrider reply add"), "{unknown}");
    core.asked(add()).await.unwrap();
    let known = core.asked(add()).await.unwrap_err();
    assert!(known.contains("already: it is asked as soon"), "{known}");
    let nobody = core.asked(ask()).await.unwrap_err();
    assert!(nobody.contains("nobody to write as"), "{nobody}");
    core.office.ensure_house().await.unwrap();
    let asked = core.asked(ask()).await.unwrap();
    assert_eq!(
        asked,
        json!({"address": "Ann@joes.test", "status": "asked"})
    );
    let twice = core.asked(ask()).await.unwrap_err();
    assert!(twice.contains("less than ten minutes"), "{twice}");
    let known = core.asked(add()).await.unwrap_err();
    assert!(
        known.contains("it was asked at 2") && known.contains("`postrider reply ask"),
        "{known}"
    );
    core.asked(about("reply_to_confirm", "ann@joes.test"))
        .await
        .unwrap();
    for again in [ask(), add()] {
        let refused = core.asked(again).await.unwrap_err();
        assert!(refused.contains("it is confirmed"), "{refused}");
    }
    core.database.close().await;
}
