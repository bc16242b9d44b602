//! As fast as a program can, whatever the tenant's pace: it is paced at delivery, and told nothing.

use tokio::task::JoinSet;

use crate::harness::until;
use crate::line::Line;
use crate::scene::{Scene, field};

const ALL: usize = 2_000;
const AT_ONCE: usize = 40;

async fn paced() -> Scene {
    let place = field().await.0.another("Batch Garage").await;
    let limit = ["tenant", "limit", &place.tenant, "--per-minute", "60"];
    place.command(&limit);
    Scene::of(place, &[]).await
}

fn message(scene: &Scene, n: usize) -> (String, String) {
    let to = format!("n{n}-{}@paced.test", scene.word);
    let message = format!("To: {to}\r\nSubject: Statement {n}\r\n\r\nEnclosed.\r\n");
    (to, message)
}

/// All are there, and most of them wait.
async fn waits(scene: &Scene) {
    let usage = until("all are counted", async || {
        let usage = scene.place.get("/usage").await.json();
        let text = usage.to_string();
        text.contains("2000").then_some(text)
    })
    .await;
    assert!(usage.contains("2000"), "{usage}");
    let came = scene.place.mailbox.get("/dev/mailbox").await.text();
    let came = came.matches(&scene.word).count();
    assert!(came < ALL, "{came} of {ALL} came: nothing paced them");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_mails_over_one_connection_see_only_2yz() {
    let scene = paced().await;
    let mut line = scene.line().await;
    for n in 0..ALL {
        let (to, message) = message(&scene, n);
        // Pipelined, as quick programs do.
        let said = format!("MAIL FROM:<a@b.test>\r\nRCPT TO:<{to}>\r\nDATA\r\n");
        line.send(said.as_bytes()).await;
        for want in ["250 ", "250 ", "354 "] {
            let reply = line.reply().await;
            assert!(reply.starts_with(want), "{n}: {reply}");
        }
        let reply = line.content(message.as_bytes()).await;
        assert!(reply.starts_with("250 2.0.0 queued as "), "{n}: {reply}");
    }
    waits(&scene).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_mails_over_as_many_connections_see_only_2yz() {
    let scene = std::sync::Arc::new(paced().await);
    let mut senders = JoinSet::new();
    for sender in 0..AT_ONCE {
        let scene = std::sync::Arc::clone(&scene);
        senders.spawn(async move {
            for n in (sender..ALL).step_by(AT_ONCE) {
                let (to, message) = message(&scene, n);
                let mut line = Line::implicit(scene.implicit).await;
                line.say("EHLO vm").await;
                line.login(&scene.user, &scene.password).await;
                let reply = line.mail("a@b.test", &[&to], message.as_bytes()).await;
                assert!(reply.starts_with("250 2.0.0 queued as "), "{n}: {reply}");
                assert!(line.say("QUIT").await.starts_with("221 "));
            }
        });
    }
    while let Some(ended) = senders.join_next().await {
        ended.unwrap();
    }
    waits(&scene).await;
}
