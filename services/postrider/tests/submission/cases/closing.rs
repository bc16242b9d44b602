//! Doors that close while somebody speaks: nothing is acknowledged that is not kept.

use postrider_ingest::catalogue::Entry;
use postrider_store_postgres::cluster::{Cluster, ClusterError, Settings};

use tokio::io::AsyncWriteExt;

use crate::harness::tools::missing;
use crate::harness::{Database, Sandbox, until};
use crate::line::{Line, id_of};
use crate::scene::{Scene, refused};

const MESSAGE: &[u8] = b"Subject: x\r\n\r\ny\r\n";

#[tokio::test]
async fn a_tenant_that_is_suspended_in_the_middle_of_a_session_sends_nothing_more() {
    let scene = Scene::begin().await;
    let mut line = scene.line().await;
    let to = scene.to("before");
    id_of(&line.mail("a@b.test", &[&to], MESSAGE).await);
    for said in ["MAIL FROM:<a@b.test>", &format!("RCPT TO:<{to}>"), "DATA"] {
        assert!(line.say(said).await.starts_with(['2', '3']));
    }
    scene
        .place
        .command(&["tenant", "suspend", &scene.place.tenant]);
    until("the door knows", async || {
        (scene.place.get("/usage").await.status == 403).then_some(())
    })
    .await;
    let by = [
        ("by", "the service's operator"),
        ("contact", "postmaster@relay.test"),
    ];
    // Its content was begun before.
    let reply = line.content(MESSAGE).await;
    refused(&reply, &Entry::SUSPENDED, &by);
    let reply = line.say("MAIL FROM:<a@b.test>").await;
    refused(&reply, &Entry::SUSPENDED, &by);
    let mut line = Line::starttls(scene.smtp, "vm").await;
    line.say("AUTH LOGIN").await;
    line.say(&crate::line::pack(&scene.user)).await;
    let reply = line.say(&crate::line::pack(&scene.password)).await;
    refused(&reply, &Entry::SUSPENDED, &by);
    scene
        .place
        .command(&["tenant", "resume", &scene.place.tenant]);
    until("the door is open again", async || {
        (scene.place.get("/usage").await.status == 200).then_some(())
    })
    .await;
    let mut line = scene.line().await;
    id_of(&line.mail("a@b.test", &[&scene.to("after")], MESSAGE).await);
}

#[tokio::test]
async fn a_disk_without_room_is_452_and_nothing_is_kept() {
    let mut sandbox = Sandbox::prepared_on(Database::file()).await;
    sandbox.configure(
        "[log]",
        "[limits]\nfree_space_bytes = 9223372036854775807\n[log]",
    );
    sandbox.serve().await;
    let place = sandbox.place.clone();
    let scene = Scene::of(place, &[]).await;
    until("the doors are closed", async || {
        (scene.place.http.get("/readyz").await.status == 503).then_some(())
    })
    .await;
    let mut line = scene.line().await;
    let to = scene.to("full");
    let reply = line.mail("a@b.test", &[&to], MESSAGE).await;
    refused(&reply, &Entry::NO_SPACE, &[]);
    // The session goes on, and with it the program.
    assert!(line.say("NOOP").await.starts_with("250 "));
    assert_eq!(
        scene.place.get("/emails").await.json()["data"],
        serde_json::json!([])
    );
    sandbox.stop_relay().await;
    assert!(scene.place.received(&to).await.is_empty());
}

#[tokio::test]
async fn a_database_that_goes_in_the_middle_of_a_message_is_451_and_nothing_is_kept() {
    let cluster = match Cluster::own(Settings::default()).await {
        Err(ClusterError::Missing) => return missing("PostgreSQL: apt-get install postgresql"),
        made => made.unwrap(),
    };
    let sandbox = Sandbox::on(Database::on(&cluster).await).await;
    let scene = Scene::of(sandbox.place.clone(), &[]).await;
    let to = scene.to("gone");
    let mut line = scene.line().await;
    for said in ["MAIL FROM:<a@b.test>", &format!("RCPT TO:<{to}>"), "DATA"] {
        assert!(line.say(said).await.starts_with(['2', '3']));
    }
    cluster.stop_immediate().await.unwrap();
    refused(&line.content(MESSAGE).await, &Entry::UNAVAILABLE, &[]);
    cluster.start().await.unwrap();
    // The same session, as programs try again.
    let id = until("it is taken", async || {
        let reply = line.mail("a@b.test", &[&to], MESSAGE).await;
        reply.starts_with("250 ").then(|| id_of(&reply))
    })
    .await;
    scene.place.settled(&id).await;
    assert_eq!(scene.place.received(&to).await.len(), 1);
}

#[tokio::test]
async fn a_relay_that_stops_says_so_and_keeps_what_it_answered() {
    let mut sandbox = Sandbox::two_processes().await;
    let place = sandbox.place.clone();
    let scene = Scene::of(place, &[]).await;
    let (mut idle, mut line) = (scene.line().await, scene.line().await);
    let to = scene.to("kept");
    for said in ["MAIL FROM:<a@b.test>", &format!("RCPT TO:<{to}>"), "DATA"] {
        assert!(line.say(said).await.starts_with(['2', '3']));
    }
    sandbox.relay.as_ref().unwrap().terminate();
    refused(&idle.reply().await, &Entry::STOPPING, &[]);
    // The one in the middle of a message may end it.
    let id = id_of(&line.content(MESSAGE).await);
    refused(&line.reply().await, &Entry::STOPPING, &[]);
    let status = sandbox.relay.take().unwrap().end().await;
    assert!(status.success(), "{status}");
    sandbox.serve().await;
    assert!(scene.place.settled(&id).await.has("delivered"));
}

#[tokio::test]
async fn the_sandbox_shows_the_code_of_a_session_that_died_in_tls() {
    let sandbox = Sandbox::one_process().await;
    let said = std::fs::read_to_string(sandbox.place.folder.join("dev.json")).unwrap();
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    let smtp = said["smtp"].as_str().unwrap().parse().unwrap();
    let mut tcp = Line::before_tls(smtp, "vm").await;
    tcp.write_all(b"no handshake at all\r\n").await.unwrap();
    let dev = sandbox.relay.as_ref().unwrap();
    let line = until("the session's line", async || {
        let printed = dev.printed();
        let line = printed.lines().find(|line| line.contains("PR-117"));
        line.map(str::to_owned)
    })
    .await;
    let words = line.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
    let mut codes = words.filter(|word| word.len() == 7 && word.find('-') == Some(4));
    let code = codes.next().unwrap_or_else(|| panic!("no code: {line}"));
    let session = sandbox.place.command(&["session", code]);
    assert!(
        session["verdict"].as_str().unwrap().contains("PR-117"),
        "{session}"
    );
}
