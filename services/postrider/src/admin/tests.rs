mod replies;

use postrider_model::ReplyStatus;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Verb, show};
use crate::config::Config;
use crate::core::{Core, furnish};
use crate::relay::Machine;

/// A relay's folder that no process serves.
async fn alone() -> (TempDir, Core) {
    let folder = tempfile::tempdir().unwrap();
    let config = Config::parse("", folder.path()).unwrap();
    furnish(&config).await.unwrap();
    let core = opened(&folder, "").await;
    (folder, core)
}

/// A folder that was furnished, with this configuration.
async fn opened(folder: &TempDir, text: &str) -> Core {
    let config = Config::parse(text, folder.path()).unwrap();
    Core::open(&config, &Machine::real()).await.unwrap()
}

impl Core {
    /// Carries out a verb as it comes over the socket.
    async fn asked(&self, verb: Value) -> Result<Value, String> {
        let verb: Verb = serde_json::from_value(verb).unwrap();
        let again = serde_json::to_string(&verb).unwrap();
        assert_eq!(serde_json::from_str::<Verb>(&again).unwrap(), verb);
        let done = self.office.execute(verb).await;
        done.map_err(|fault| format!("{fault:#}"))
    }

    async fn add_joe(&self, vouched: bool) -> String {
        let add = json!({"verb": "tenant_add", "name": "Joe", "reply_to": "joe@joes.test", "vouched": vouched});
        let made = self.asked(add).await.unwrap();
        made["slug"].as_str().unwrap().to_owned()
    }

    async fn shown(&self, tenant: &str) -> Value {
        let show = json!({"verb": "tenant_show", "tenant": tenant});
        self.asked(show).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_that_nobody_vouches_for_ramps_and_is_not_confirmed() {
    let (_folder, core) = alone().await;
    let tenant = core.add_joe(false).await;
    let new = core.shown(&tenant).await;
    assert_eq!(new["ramp"]["per_day"], 50);
    assert_eq!(new["reply_addresses"][0]["status"], "unconfirmed");
    assert_eq!(new["usage"]["new_recipients_in_hour"]["limit"], 25);
    let unconfirmed = json!({"used": 0, "limit": 20});
    assert_eq!(new["usage"]["unconfirmed"], unconfirmed);
    assert_eq!(new["usage"]["monthly"]["limit"], Value::Null);
    let set = json!({"verb": "tenant_set", "tenant": tenant, "language": "fr", "own_domain": true, "vouched": true});
    let known = core.asked(set).await.unwrap();
    assert_eq!(
        (&known["ramp"], &known["language"]),
        (&Value::Null, &json!("fr"))
    );
    assert_eq!(known["reply_addresses"][0]["status"], "confirmed");
    assert_eq!(known["own_domain"], true);
    assert_eq!(known["usage"]["unconfirmed"], Value::Null);
    let other = core.add_joe(true).await;
    assert_eq!(core.shown(&other).await["ramp"], Value::Null);
    core.database.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_shown_this_one_time_and_in_groups_of_four() {
    let (_folder, core) = alone().await;
    let tenant = core.add_joe(true).await;
    let create = json!({
        "verb": "key_create", "tenant": tenant, "kind": "smtp", "user": "ann", "note": "desk",
        "networks": ["203.0.113.7/24"], "per_day": 200,
        "defaults": {"stream": "bulk", "reply_to": "JOE@joes.test", "expires_after": {"secs": 14_400, "nanos": 0}},
    });
    let made = core.asked(create).await.unwrap();
    let password = made["password"].as_str().unwrap();
    let groups: Vec<_> = password.split('-').map(str::len).collect();
    assert_eq!(groups, [4; 6]);
    assert_eq!(
        (&made["user"], &made["kind"]),
        (&json!("ann"), &json!("smtp"))
    );
    assert_eq!(made["networks"], json!(["203.0.113.0/24"]));
    assert_eq!(
        (&made["stream"], &made["expires_after"]),
        (&json!("bulk"), &json!("4h"))
    );
    let list = json!({"verb": "key_list", "tenant": tenant});
    let listed = core.asked(list).await.unwrap().to_string();
    let bare = password.replace('-', "");
    assert!(listed.contains(&bare[..5]), "{listed}");
    assert!(
        !listed.contains(&bare[5..]) && !listed.contains(password),
        "{listed}"
    );
    core.database.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_could_not_be_used_is_refused_with_the_remedy() {
    let (_folder, core) = alone().await;
    let tenant = core.add_joe(true).await;
    for (more, says) in [
        (json!({"user": "a name with spaces"}), "--user"),
        (json!({"user": "abcdefghijklmnopqrstu"}), "1 to 20"),
        (json!({"expires_at": "2020-01-01T00:00:00Z"}), "--expires"),
        (
            json!({"defaults": {"reply_to": "eve@elsewhere.test"}}),
            "postrider reply add",
        ),
        (
            json!({"defaults": {"expires_after": {"secs": 4 * 86_400, "nanos": 0}}}),
            "--expires-after is 4d: mail is given up after 3d",
        ),
    ] {
        let create = json!({"verb": "key_create", "tenant": tenant, "kind": "smtp"});
        let refused = core.asked(show::joined(create, more)).await.unwrap_err();
        assert!(refused.contains(says), "{refused}");
    }
    core.database.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_whose_reply_address_is_not_confirmed_says_so() {
    let (_folder, core) = alone().await;
    let tenant = core.add_joe(true).await;
    let about = |verb: &str| json!({"verb": verb, "tenant": tenant, "address": "ann@joes.test"});
    core.asked(about("reply_to_add")).await.unwrap();
    let defaults = json!({"reply_to": "ann@joes.test"});
    let create = json!({"verb": "key_create", "tenant": tenant, "defaults": defaults});
    let made = core.asked(create.clone()).await.unwrap();
    let remark = made["remark"].as_str().unwrap();
    assert!(remark.contains("replies go to joe@joes.test"), "{remark}");
    core.asked(about("reply_to_confirm")).await.unwrap();
    let made = core.asked(create).await.unwrap();
    assert_eq!(made["remark"], Value::Null);
    core.database.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suppression_is_listed_until_it_is_lifted() {
    let (_folder, core) = alone().await;
    let (tenant, other) = (core.add_joe(true).await, core.add_joe(true).await);
    let about =
        |tenant: &str, act: Value| json!({"verb": "suppression", "tenant": tenant, "act": act});
    let add = json!({"add": {"address": "bob@example.org", "stream": "bulk", "note": "asked on the telephone"}});
    let added = core.asked(about(&tenant, add)).await.unwrap();
    assert_eq!(
        (&added["reason"], &added["stream"]),
        (&json!("manual"), &json!("bulk"))
    );
    let list = || json!({"list": {"stream": null, "address": null, "after": null}});
    let listed = core.asked(about(&tenant, list())).await.unwrap();
    assert_eq!(
        listed["suppressions"][0]["source"],
        "asked on the telephone"
    );
    let of_other = core.asked(about(&other, list())).await.unwrap();
    assert_eq!(of_other["suppressions"], json!([]));
    let end = || json!({"lift": {"address": "BOB@example.org"}});
    core.asked(about(&other, end())).await.unwrap_err();
    core.asked(about(&tenant, end())).await.unwrap();
    let again = core.asked(about(&tenant, end())).await.unwrap_err();
    assert!(again.contains("is not suppressed"), "{again}");
    core.database.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replies_to_our_own_mail_go_to_the_contact_of_today() {
    let (folder, mut core) = alone().await;
    let mut houses = Vec::new();
    for contact in [
        "ann@corp.test",
        "bob@corp.test",
        "Bob@corp.test",
        "ann@corp.test",
    ] {
        core.database.close().await;
        core = opened(&folder, &format!("[operator]\ncontact = \"{contact}\"\n")).await;
        core.office.ensure_house().await.unwrap();
        core.office.follow_contact().await;
        let house = core.roster.house().unwrap();
        assert!(house.reply_to.to_string().eq_ignore_ascii_case(contact));
        assert!(core.roster.is_confirmed(house.id, &house.reply_to));
        houses.push(house.id);
    }
    houses.dedup();
    assert_eq!(houses.len(), 1, "the house is one");
    let told = core.asked(json!({"verb": "audit"})).await.unwrap();
    let told: Vec<_> = told.as_array().unwrap().iter().collect();
    let moved = |one: &&&Value| one["verb"] == "house_reply_to";
    assert_eq!(told.iter().filter(moved).count(), 2, "{told:?}");
    assert_eq!(told[0]["actor"], "operator.contact");
    let detail = json!({"before": "bob@corp.test", "reply_to": "ann@corp.test"});
    assert_eq!(told[0]["detail"], detail);
    core.database.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contact_that_said_no_stops_nothing_and_a_command_moves_no_replies() {
    let (folder, core) = alone().await;
    core.database.close().await;
    let text = |contact: &str| format!("[operator]\ncontact = \"{contact}\"\n");
    let core = opened(&folder, &text("ann@corp.test")).await;
    core.office.ensure_house().await.unwrap();
    let about =
        |verb: &str| json!({"verb": verb, "tenant": "postrider", "address": "bob@corp.test"});
    core.asked(about("reply_to_add")).await.unwrap();
    let house = core.roster.house().unwrap().id;
    let (bob, now) = (
        "bob@corp.test".parse().unwrap(),
        core.office.provision.clock.now(),
    );
    let directory = &core.database.directory;
    let said = directory.answer_reply_address(house, &bob, ReplyStatus::Refused, now);
    said.await.unwrap();
    core.database.close().await;
    let core = opened(&folder, &text("bob@corp.test")).await;
    let goes_to = |core: &Core| core.roster.house().unwrap().reply_to.to_string();
    core.office.follow_contact().await;
    assert_eq!(goes_to(&core), "ann@corp.test", "their word stands");
    core.asked(about("reply_to_confirm")).await.unwrap();
    core.office.ensure_house().await.unwrap();
    assert_eq!(goes_to(&core), "ann@corp.test", "as `send --trace` asks");
    core.office.follow_contact().await;
    assert_eq!(goes_to(&core), "bob@corp.test");
    core.database.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_house_is_made_once_and_is_no_customer() {
    let (_folder, core) = alone().await;
    core.office.ensure_house().await.unwrap();
    core.office.ensure_house().await.unwrap();
    assert_eq!(core.roster.house().unwrap().slug, "postrider");
    assert_eq!(
        core.asked(json!({"verb": "tenant_list"})).await,
        Ok(json!([]))
    );
    let session = json!({"verb": "session", "code": "7f3k q2"});
    let unknown = core.asked(session).await.unwrap_err();
    assert!(unknown.contains("7F3K-Q2"), "{unknown}");
    core.database.close().await;
}
