//! A key for tests: it writes to the simulator, and nowhere else, at both doors.

use postrider_ingest::catalogue::Entry;
use serde_json::json;

use crate::line::id_of;
use crate::scene::{Scene, refused};

const SIMULATOR: &str = "simulator.relay.test";
const MESSAGE: &[u8] = b"Subject: x\r\n\r\ny\r\n";

#[tokio::test]
async fn a_test_key_writes_to_the_simulator_and_nowhere_else_at_both_doors() {
    let tenant = Scene::begin().await.place;
    let scene = Scene::of(tenant, &["--test"]).await;
    let simulated = format!("delivered+{}@{SIMULATOR}", scene.word);
    let (outside, values) = (scene.to("ann"), [("simulator", SIMULATOR)]);

    let mut line = scene.line().await;
    for to in [vec![outside.as_str()], vec![&simulated, &outside]] {
        let reply = line.mail("a@b.test", &to, MESSAGE).await;
        refused(&reply, &Entry::TEST_KEY, &values);
    }
    let id = id_of(&line.mail("a@b.test", &[&simulated], MESSAGE).await);
    let timeline = scene.place.settled(&id).await;
    assert_eq!(timeline.end().unwrap()["type"], "delivered", "{timeline:?}");

    let made = scene
        .place
        .command(&["key", "create", &scene.place.tenant, "--test"]);
    let key = made["api_key"].as_str().unwrap();
    let tester = scene.place.as_tenant(key, &scene.place.tenant);
    let post = async |to: &str| {
        let message = json!({"to": to, "subject": "x", "text": "y"});
        crate::harness::until("the door knows the key", async || {
            let answer = tester.post(message.to_string()).await;
            (!answer.text().contains("PR-201")).then_some(answer)
        })
        .await
    };
    let refusal = post(&outside).await;
    assert_eq!(refusal.status, 403, "{}", refusal.text());
    assert!(
        refusal.text().contains("delivered@simulator.relay.test"),
        "{}",
        refusal.text()
    );
    let id = post(&simulated).await.id();
    let timeline = scene.place.settled(&id).await;
    assert_eq!(timeline.end().unwrap()["type"], "delivered", "{timeline:?}");
    // The tenant's other keys are as they were.
    let id = scene.place.send_to(&outside).await;
    assert!(scene.place.settled(&id).await.has("delivered"));
}
