//! `scheduled_at` and `stream`, from the request to the queue.

use postrider_model::{Stream, WaitCause};
use postrider_store::{Cursor, Queue, Shard};

use crate::harness::{Relay, mail};

fn at(when: &str) -> String {
    mail(&format!(r#","scheduled_at":"{when}""#))
}

#[tokio::test]
async fn times_are_taken_as_the_contract_says() {
    let relay = Relay::start().await;
    for (given, want) in [
        ("2026-02-01T08:00:00+01:00", "2026-02-01T07:00:00.000000Z"),
        ("2026-02-01T08:00:00.250Z", "2026-02-01T08:00:00.250000Z"),
        ("2026-02-01T08:00:00+0000", "2026-02-01T08:00:00.000000Z"),
        ("in 1 min", "2026-01-31T08:01:00.000000Z"),
        ("in 1 minute", "2026-01-31T08:01:00.000000Z"),
        ("in 90 minutes", "2026-01-31T09:30:00.000000Z"),
        ("in 1 hour", "2026-01-31T09:00:00.000000Z"),
        ("in 5 hours", "2026-01-31T13:00:00.000000Z"),
        ("in 1 day", "2026-02-01T08:00:00.000000Z"),
        ("in 30 days", "2026-03-02T08:00:00.000000Z"),
    ] {
        let email = relay.email(&relay.send(at(given)).await.id()).await;
        assert_eq!(email["last_event"], "scheduled", "{given}");
        assert_eq!(email["scheduled_at"], want, "{given}");
        let recipient = &email["recipients"][0];
        assert_eq!(recipient["state"], "scheduled", "{given}");
        assert_eq!(recipient["due_at"], want, "{given}");
        assert_eq!(recipient["cause"], "scheduled", "{given}");
    }
    for now in [
        "2026-01-31T08:00:00Z",
        "1999-01-31T08:00:00Z",
        "in 0 minutes",
    ] {
        let email = relay.email(&relay.send(at(now)).await.id()).await;
        assert_eq!(email["last_event"], "queued", "{now}");
        assert_eq!(email["recipients"][0]["state"], "queued", "{now}");
    }
}

#[tokio::test]
async fn other_times_are_refused_by_name() {
    let relay = Relay::start().await;
    for wrong in [
        "2026-03-02T08:00:01Z",
        "in 31 days",
        "in 99999999999 days",
        "2026-02-01T08:00:00",
        "2026-02-01",
        "tomorrow",
        "tomorrow at 8am",
        "in an hour",
        "in 5 mins",
        "in 30 seconds",
        "in 1 week",
        "",
    ] {
        let refused = relay.send(at(wrong)).await;
        assert_eq!(refused.refusal(), (422, "invalid_parameter"), "{wrong}");
        assert_eq!(
            refused.json["errors"][0]["field"], "scheduled_at",
            "{wrong}"
        );
    }
    let early = relay
        .send(mail(
            r#","scheduled_at":"in 2 hours","expires_at":"2026-01-31T10:00:00Z""#,
        ))
        .await;
    assert_eq!(early.refusal(), (422, "invalid_parameter"));
    assert_eq!(early.json["errors"][0]["field"], "expires_at");
}

#[tokio::test]
async fn lane_and_time_reach_the_queue() {
    let relay = Relay::start().await;
    relay.send(mail("")).await.id();
    relay
        .send(mail(r#","stream":"bulk","scheduled_at":"in 1 hour""#))
        .await
        .id();
    let shards = [Shard::of(relay.tenant.id)];
    let page = relay.store.load_changed(&shards, &Cursor::START, 10).await;
    let rows = page.unwrap().rows;
    let told: Vec<_> = rows.iter().map(|row| (row.stream, row.cause)).collect();
    let want = [
        (Stream::Transactional, WaitCause::Turn),
        (Stream::Bulk, WaitCause::Scheduled),
    ];
    assert_eq!(told, want);
    assert_eq!(rows[1].due_at.since(relay.clock.now()).as_secs(), 3_600);
}
