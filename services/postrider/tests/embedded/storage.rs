//! A disk that is full or fails, and a database that is gone: an answer that is true, and nothing
//! that was acknowledged is lost.

use crate::durable::strace;
use crate::harness::{Database, Sandbox, unique, until};

#[tokio::test]
async fn below_the_free_space_mark_the_doors_are_closed_and_open_again_above_it() {
    let mut sandbox = Sandbox::prepared_on(Database::file()).await;
    let place = sandbox.place.clone();
    sandbox.configure(
        "[log]",
        "[limits]\nfree_space_bytes = 9223372036854775807\n[log]",
    );
    sandbox.serve().await;
    until("the doors are closed", async || {
        (place.http.get("/readyz").await.status == 503).then_some(())
    })
    .await;
    let recipient = format!("ann-{}@example.org", unique());
    let body = format!(r#"{{"to":"{recipient}","subject":"x","text":"y"}}"#);
    let json = place.post(&body).await;
    let raw = place
        .post_raw(&[&recipient], b"Subject: x\r\n\r\ny\r\n")
        .await;
    for answer in [json, raw] {
        let (status, name, message) = answer.refusal();
        assert_eq!((status, name.as_str()), (503, "application_error"));
        assert!(message.contains("no room"), "{message}");
        assert!(answer.field("retry-after").unwrap().parse::<u32>().unwrap() > 0);
    }
    // Reading goes on.
    assert_eq!(
        place
            .get("/emails/0190a5b0-0000-7000-8000-000000000000")
            .await
            .status,
        404
    );
    assert_eq!(place.http.get("/healthz").await.status, 200);
    sandbox.stop_relay().await;
    sandbox.configure(
        "free_space_bytes = 9223372036854775807",
        "free_space_bytes = 0",
    );
    sandbox.serve().await;
    until("the doors are open", async || {
        (place.http.get("/readyz").await.status == 200).then_some(())
    })
    .await;
    place.settled(&place.post(&body).await.id()).await;
    place.received_once(&recipient).await;
}

/// Sends until something else than a 2xx comes; gives the ids of the acknowledged.
async fn acknowledged(sandbox: &Sandbox, most: usize, bytes: usize) -> (Vec<String>, Option<u16>) {
    let mut ids = Vec::new();
    let body = "y".repeat(bytes);
    for n in 0..most {
        let text = format!(r#"{{"to":"ann{n}@example.org","subject":"x","text":"{body}"}}"#);
        let fields = [("authorization", format!("Bearer {}", sandbox.place.key))];
        let fields: Vec<_> = fields
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let request = crate::harness::client::request("POST", "/emails", &fields, text.as_bytes());
        match sandbox.place.http.say(&request).await {
            Some(answer) if answer.status == 200 => ids.push(answer.id()),
            Some(answer) => return (ids, Some(answer.refusal().0)),
            None => return (ids, None),
        }
    }
    panic!("{most} messages were taken: nothing failed")
}

async fn all_are_there(sandbox: &Sandbox, ids: &[String]) {
    assert!(!ids.is_empty(), "some were taken before");
    for id in ids {
        let timeline = sandbox.place.settled(id).await;
        assert_eq!(timeline.end().unwrap()["type"], "delivered", "{id}");
    }
}

/// One that goes into its row, and one that lies beside the database.
const SIZES: [usize; 2] = [1, 60_000];

#[tokio::test]
async fn a_disk_whose_sync_fails_acknowledges_nothing_more_and_ends_the_process() {
    for bytes in SIZES {
        a_sync_fails(bytes).await;
    }
}

async fn a_sync_fails(bytes: usize) {
    let Some(mut strace) = strace("a disk whose sync fails") else {
        return;
    };
    let mut sandbox = Sandbox::prepared_on(Database::file()).await;
    strace.extend(["-e".into(), "trace=fdatasync".into()]);
    strace.extend(["-e".into(), "inject=fdatasync:error=EIO:when=40+".into()]);
    sandbox.serve_under("strace", &strace).await;
    let (ids, answered) = acknowledged(&sandbox, 200, bytes).await;
    assert!(
        answered.is_none_or(|status| status == 503 || status == 500),
        "{answered:?}"
    );
    // A page that was not synced may be dropped silently: only a restart can tell what is there.
    let status = sandbox.relay.as_mut().unwrap().end().await;
    assert!(!status.success(), "{status}");
    sandbox.relay = None;
    sandbox.serve().await;
    all_are_there(&sandbox, &ids).await;
}

#[tokio::test]
async fn a_full_disk_is_a_503_and_what_was_taken_stays() {
    for bytes in SIZES {
        a_disk_is_full(bytes).await;
    }
}

async fn a_disk_is_full(bytes: usize) {
    let Some(mut strace) = strace("a full disk") else {
        return;
    };
    let mut sandbox = Sandbox::prepared_on(Database::file()).await;
    strace.extend(["-e".into(), "trace=pwrite64".into()]);
    strace.extend(["-e".into(), "inject=pwrite64:error=ENOSPC:when=400+".into()]);
    sandbox.serve_under("strace", &strace).await;
    let (ids, answered) = acknowledged(&sandbox, 500, bytes).await;
    assert_eq!(answered, Some(503));
    let place = sandbox.place.clone();
    let answer = place
        .post(r#"{"to":"a@b.test","subject":"x","text":"y"}"#)
        .await;
    assert_eq!(answer.refusal().0, 503);
    assert!(answer.field("retry-after").unwrap().parse::<u32>().unwrap() > 0);
    // The process stands and reads go on.
    assert_eq!(place.email(&ids[0]).await["id"], ids[0]);
    sandbox.relay.take().unwrap().kill().await;
    sandbox.serve().await;
    all_are_there(&sandbox, &ids).await;
}
