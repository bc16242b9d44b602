//! Mail lies in parts of a day, made on demand and dropped by retention.

use std::time::Duration;

use postrider_model::{EventKind, MessageId, RecipientId, Timestamp};
use postrider_store::conformance::fixture::{
    DAY, add_tenant, at, commit, deliver, email, message, number, settle, settlement,
};
use postrider_store::{Committed, NewMessage, Outcome, Removed};

use crate::Relay;

impl Relay {
    async fn parts(&self) -> Vec<String> {
        let names = "SELECT c.relname::text FROM pg_inherits AS i
            JOIN pg_class AS c ON c.oid = i.inhrelid
            WHERE i.inhparent IN ('messages'::regclass, 'message_tags'::regclass,
                'bodies'::regclass, 'recipients'::regclass, 'events'::regclass) ORDER BY 1";
        let mut shell = self.shell().await;
        sqlx::query_scalar(names)
            .fetch_all(&mut shell)
            .await
            .unwrap()
    }

    async fn retain(&self, now: Timestamp) -> u64 {
        let (body, life) = (DAY, 30 * DAY);
        let mut messages = 0;
        loop {
            let removed = self.ports.upkeep.retain(now, body, life).await.unwrap();
            messages += removed.messages;
            if removed == Removed::default() {
                return messages;
            }
        }
    }
}

/// A message whose ids were made at `made`.
fn message_of(tenant: postrider_model::TenantId, made: Timestamp) -> NewMessage {
    let mut given = message(tenant);
    let mut random = [0; 10];
    random[..8].copy_from_slice(&number().to_be_bytes());
    given.id = MessageId::new(made, random);
    given.recipients[0].id = RecipientId::new(made, random);
    given.events[0].recipient = given.recipients[0].id;
    (given.accepted_at, given.due_at) = (made, made);
    given
}

fn parts_of(parts: &[String], time: Timestamp) -> usize {
    let day = format!("_p{}", time.day());
    parts.iter().filter(|name| name.ends_with(&day)).count()
}

#[tokio::test]
async fn a_clock_that_is_off_loses_no_mail() {
    let relay = Relay::start().await;
    let tenant = add_tenant(&relay.ports).await;
    for made in [
        Timestamp::from_micros(0),
        at(0).before(900 * DAY),
        at(0).after(40_000 * DAY),
    ] {
        let given = message_of(tenant, made);
        assert_eq!(commit(&relay.ports, &given).await, Committed::Stored);
        assert!(email(&relay.ports, &given).await.is_some(), "{made}");
        assert_eq!(parts_of(&relay.parts().await, made), 5);
    }
}

#[tokio::test]
async fn a_day_is_dropped_when_nobody_in_it_is_alive() {
    let relay = Relay::start().await;
    let ports = &relay.ports;
    let tenant = add_tenant(ports).await;
    let (gone, queued, held) = (at(0), at(0).after(DAY), at(0).after(2 * DAY));
    for made in [gone, queued, held] {
        let given = message_of(tenant, made);
        commit(ports, &given).await;
        deliver(ports, &given, 5).await;
    }
    let waiting = message_of(tenant, queued);
    commit(ports, &waiting).await;
    let stopped = message_of(tenant, held);
    commit(ports, &stopped).await;
    let stop = settlement(&stopped, 5, EventKind::Held, Outcome::Held { attempts: 1 });
    settle(ports, stop).await;

    let end = held.after(33 * DAY);
    assert_eq!(relay.retain(end).await, 3);
    let names = relay.parts().await;
    let left = [gone, queued, held].map(|day| parts_of(&names, day));
    assert_eq!(left, [0, 5, 5]);
    assert!(email(ports, &waiting).await.is_some() && email(ports, &stopped).await.is_some());

    deliver(ports, &waiting, 9).await;
    assert_eq!(relay.retain(end).await, 1);
    assert_eq!(parts_of(&relay.parts().await, queued), 0);
}

#[tokio::test]
async fn mail_of_a_day_that_another_process_dropped_is_stored_all_the_same() {
    let relay = Relay::start().await;
    let other = relay.second().await;
    let tenant = add_tenant(&relay.ports).await;
    let old = message_of(tenant, at(0));
    commit(&relay.ports, &old).await;
    commit(&other, &message_of(tenant, at(1))).await;
    for given in [&old] {
        deliver(&relay.ports, given, 5).await;
    }
    let mut shell = relay.shell().await;
    sqlx::raw_sql("DELETE FROM queue")
        .execute(&mut shell)
        .await
        .unwrap();
    relay.retain(at(0).after(40 * DAY)).await;
    assert_eq!(parts_of(&relay.parts().await, at(0)), 0);
    // It believes that the part is there.
    let again = message_of(tenant, at(2));
    assert_eq!(commit(&other, &again).await, Committed::Stored);
    assert!(email(&relay.ports, &again).await.is_some());
}

#[tokio::test]
async fn a_reader_that_stands_still_keeps_a_day_and_delays_nobody() {
    let relay = Relay::start().await;
    let tenant = add_tenant(&relay.ports).await;
    let old = message_of(tenant, at(0));
    commit(&relay.ports, &old).await;
    deliver(&relay.ports, &old, 5).await;
    let mut reader = relay.shell().await;
    let read = "BEGIN; SELECT count(*) FROM messages";
    sqlx::raw_sql(read).execute(&mut reader).await.unwrap();
    let began = std::time::Instant::now();
    let end = at(0).after(40 * DAY);
    let removed = relay.ports.upkeep.retain(end, DAY, 30 * DAY).await.unwrap();
    assert!(removed.messages <= 1);
    commit(&relay.ports, &message(tenant)).await;
    assert!(began.elapsed() < Duration::from_secs(5));
    assert_eq!(parts_of(&relay.parts().await, at(0)), 5);
    sqlx::raw_sql("COMMIT").execute(&mut reader).await.unwrap();
}
