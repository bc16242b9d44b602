//! Who does not wait for the doctor loses nothing: mail is taken, and stays until the last record is there.

use serde_json::Value;

use super::scene::{Scene, word};
use crate::harness::until;

impl Scene {
    fn init(&self) {
        let mut words = vec!["init", self.operator.data(), "--domain", "relay.example"];
        let surroundings = self.surroundings();
        words.extend(["--contact", "ann@corp.example"]);
        words.extend(["--reports", "dmarc@corp.example", "--ip"]);
        words.extend(surroundings.iter().map(String::as_str));
        let made = self.operator.asks(&words);
        assert!(made.is_ok(), "{made:?}");
    }

    /// A tenant's user name and password, once the relay is there: before, a command would have the
    /// database open by itself.
    async fn password(&self) -> Value {
        let (operator, own) = (&self.operator, self.own_address());
        let door = ["--server", &own, "--port", "587", "--quit-after", "EHLO"];
        let door = [&["swaks"][..], &door].concat();
        let open = async || self.network.relay.run(&door).status.success().then_some(());
        until("the SMTP door is open", open).await;
        let mut words = vec!["tenant", "add", "--name", "Joe's Garage", "--vouched"];
        words.extend(["--reply-to", "joe@shop.example"]);
        let tenant = operator.does(&words);
        operator.does(&["key", "create", word(&tenant, "slug"), "--smtp"])
    }

    /// The shop's program hands in a mail.
    fn sends(&self, password: &Value) {
        let own = self.own_address();
        let mut words = vec!["swaks", "--server", &own, "--port", "587", "-tls"];
        words.extend(["--auth", "PLAIN", "--auth-user", word(password, "user")]);
        words.extend(["--auth-password", word(password, "password")]);
        words.extend(["--helo", "till.garage.example"]);
        words.extend(["--from", "joe@shop.example", "--to", "bob@shop.example"]);
        words.extend(["--body", "It is ready.", "--header", "Subject: Too early"]);
        let sent = self.network.relay.run(&words);
        let said = String::from_utf8_lossy(&sent.stdout);
        assert!(sent.status.success(), "{said}");
    }
}

/// Reports go to another organisation, which does not say that it takes them.
fn may_not_be_reported(report: &Value) {
    let findings = report["findings"].as_array().unwrap().iter();
    let foreign =
        findings.filter(|one| word(one, "about").ends_with("_report._dmarc.corp.example"));
    let foreign: Vec<_> = foreign.collect();
    assert_eq!(foreign.len(), 3, "{report}");
    for finding in foreign {
        assert_eq!(finding["level"], "soft", "{finding}");
        let remedy = word(finding, "remedy");
        assert!(remedy.contains("by whom the reports go to"), "{finding}");
    }
}

#[tokio::test]
async fn mail_that_was_handed_in_too_early_waits_for_the_last_record_and_leaves_by_itself() {
    let Some(scene) = Scene::new() else { return };
    let operator = &scene.operator;
    let mut names = scene.without_records();
    scene.init();
    scene.is_all_red().await;
    let _serving = operator.serves();
    let password = scene.password().await;
    scene.sends(&password);

    names.stop();
    let mut names = scene.with_zone();
    let hard = until("the zone is seen", async || {
        let hard = operator.hard_findings();
        (hard.len() <= 1).then_some(hard)
    });
    assert_eq!(hard.await, [format!("ptr {}", scene.own_address())]);
    let mail = scene.shop.arrived("");
    assert_eq!(mail, None, "it left under a hard finding");

    names.stop();
    let _names = scene.with_zone_and_ptr();
    let green = operator.asks(&["doctor", "--wait", "--data", operator.data()]);
    let green = green.unwrap_or_else(|red| panic!("{red}"));
    may_not_be_reported(&green);
    let mail = until("the mail arrives", async || {
        scene.shop.arrived("Subject: Too early")
    });
    scene.is_trusted(&mail.await);
}
