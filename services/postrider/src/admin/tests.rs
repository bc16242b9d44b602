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
    let core = Core::open(&config, &Machine::real()).await.unwrap();
    (folder, core)
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
