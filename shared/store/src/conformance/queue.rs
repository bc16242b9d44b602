//! What the queue's owner reads.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::future::join;
use postrider_model::{EventKind, WaitCause, Waits};

use super::Ports;
use super::fixture::{
    add_tenant, at, changed_since, commit, commit_all, cursor, deliver, in_another_shard, live,
    message, message_id, message_to, recipient_id, settle, settlement,
};
use crate::{Changes, Cursor, News, Outcome, QueueRow, Settlement, Shard};

async fn load(ports: &Ports, since: &Cursor, limit: u32) -> Changes {
    let shards: Vec<Shard> = Shard::all().collect();
    let page = ports.queue.load_changed(&shards, since, limit).await;
    page.expect("a page of the queue")
}

pub async fn every_live_recipient_is_loaded_a_page_at_a_time(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    let to = ["a@x.example", "b@y.example", "c@x.example"];
    let messages: Vec<_> = (0..30).map(|_| message_to(tenant, &to)).collect();
    commit_all(ports, &messages).await;

    let (mut since, mut loaded) = (Cursor::START, HashMap::new());
    loop {
        let page = load(ports, &since, 7).await;
        assert!(page.rows.len() <= 7);
        assert!(!page.more || page.next != since, "each page leads on");
        for row in page.rows {
            let again = loaded.insert(row.recipient, row);
            assert!(again.is_none(), "nothing twice while nothing changes");
        }
        since = page.next;
        if !page.more {
            break;
        }
    }
    assert_eq!(loaded.len(), 90);
    for message in &messages {
        for recipient in &message.recipients {
            let row = &loaded[&recipient.id];
            assert_eq!((row.message, row.tenant), (message.id, tenant));
            assert_eq!(row.stream, message.summary.stream);
            assert_eq!(&row.domain, recipient.address.domain());
            assert_eq!(row.accepted_at, message.accepted_at);
            assert_eq!(row.since, message.accepted_at);
            assert_eq!(row.due_at, message.due_at);
            assert_eq!(row.expires_at, message.expires_at);
            assert_eq!((row.attempts, row.cause), (0, WaitCause::Turn));
        }
    }
}

pub async fn a_rescheduled_recipient_is_loaded_again(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    let (first, second) = (message(tenant), message(tenant));
    commit(ports, &first).await;
    commit(ports, &second).await;
    let newest = cursor(ports).await;
    assert_eq!(changed_since(ports, &newest).await, []);

    let retry = Outcome::Retry {
        due_at: at(300),
        attempts: 1,
        cause: WaitCause::Greylisting,
    };
    settle(ports, settlement(&first, 5, EventKind::Deferred, retry)).await;
    let rows = changed_since(ports, &newest).await;
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].recipient, first.recipients[0].id);
    assert_eq!((rows[0].due_at, rows[0].attempts), (at(300), 1));
    assert_eq!(rows[0].cause, WaitCause::Greylisting);
    assert_eq!(rows[0].since, at(5));
    let all = live(ports).await;
    assert_eq!(all.len(), 2, "each live row stands once");
}

pub async fn what_is_in_other_shards_is_not_loaded(ports: &Ports) {
    let one = add_tenant(ports).await;
    let two = in_another_shard(ports, one).await;
    let (mine, others) = (message(one), message(two));
    commit(ports, &mine).await;
    commit(ports, &others).await;
    let shards = [Shard::of(one)];
    let page = ports.queue.load_changed(&shards, &Cursor::START, 10).await;
    let page = page.expect("a page of the queue");
    let found: Vec<_> = page.rows.iter().map(|row| row.message).collect();
    assert_eq!(found, [mine.id]);
    let none = ports.queue.load_changed(&[], &Cursor::START, 10).await;
    assert_eq!(none.expect("a page of the queue").rows, []);
}

pub async fn what_ended_is_never_loaded(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    let (first, second) = (message(tenant), message(tenant));
    commit(ports, &first).await;
    commit(ports, &second).await;
    deliver(ports, &first, 5).await;
    let rows = live(ports).await;
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].message, second.id);
}

pub async fn committed_rows_are_handed_over_from_memory(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    let given = message_to(tenant, &["a@x.example", "b@y.example"]);
    // Waits from before the commit: it must not sleep through it.
    let (rows, _) = join(handed_over(ports, 2), commit(ports, &given)).await;
    let mut found = live(ports).await;
    found.sort_by_key(QueueRow::place);
    assert_eq!(rows, found, "as they would be read");
}

/// Waits for news of `count` rows; gives them by place.
async fn handed_over(ports: &Ports, count: usize) -> Vec<QueueRow> {
    let mut rows: Vec<QueueRow> = Vec::new();
    while rows.len() < count {
        // Word of something else may come between.
        if let News::Rows(more) = ports.queue.news().await {
            rows.extend(more);
        }
    }
    rows.sort_by_key(QueueRow::place);
    rows
}

pub async fn opening_gives_the_bytes_and_the_live_recipients(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    let mut given = message_to(tenant, &["a@x.example", "b@x.example", "c@x.example"]);
    given.smtputf8 = true;
    commit(ports, &given).await;
    deliver(ports, &given, 5).await;

    let [a, b, c] = &given.recipients[..] else {
        panic!("three recipients");
    };
    // A is delivered, and C was not asked for.
    let opened = ports.queue.open(given.id, &[a.id, b.id]).await;
    let opened = opened.expect("an answer").expect("the message");
    assert_eq!((opened.id, opened.tenant), (given.id, tenant));
    assert_eq!(opened.body.as_ref(), Some(&given.body));
    assert_eq!(opened.size, given.body.len() as u64);
    assert!(opened.smtputf8);
    assert_eq!(opened.accepted_at, given.accepted_at);
    assert_eq!(opened.expires_at, given.expires_at);
    assert_eq!(opened.selectors, given.selectors);
    assert_eq!(opened.sealed_until, given.sealed_until);
    let found: Vec<_> = opened.recipients.iter().map(|r| r.id).collect();
    assert_eq!(found, [b.id]);
    assert_eq!(opened.recipients[0].address, b.address);
    assert_eq!(opened.recipients[0].return_path, b.return_path);
    assert_eq!(opened.recipients[0].attempts, 0);

    let both = ports.queue.open(given.id, &[c.id, b.id]).await;
    let both = both.expect("an answer").expect("the message");
    assert_eq!(both.recipients.len(), 2);
}

pub async fn opening_tells_what_a_recipient_has_waited_for(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    let given = message(tenant);
    commit(ports, &given).await;
    let retry = Outcome::Retry {
        due_at: at(60),
        attempts: 1,
        cause: WaitCause::Greylisting,
    };
    let mut waits = Waits::default();
    waits.add(WaitCause::Turn, Duration::from_secs(4));
    waits.add(WaitCause::Attempt, Duration::from_secs(1));
    let again = settlement(&given, 5, EventKind::Deferred, retry);
    let again = Settlement {
        waits: waits.clone(),
        ..again
    };
    settle(ports, again).await;
    let opened = ports.queue.open(given.id, &[given.recipients[0].id]).await;
    let opened = opened.expect("an answer").expect("the message");
    assert_eq!(opened.recipients[0].attempts, 1);
    assert_eq!(opened.recipients[0].waits, waits);
}

pub async fn opening_what_is_not_there_gives_nothing(ports: &Ports) {
    let given = message(add_tenant(ports).await);
    commit(ports, &given).await;
    let nothing = ports.queue.open(message_id(), &[recipient_id()]).await;
    assert!(nothing.expect("an answer").is_none());
    let nobody = ports.queue.open(given.id, &[recipient_id()]).await;
    let nobody = nobody.expect("an answer").expect("the message");
    assert_eq!(nobody.recipients, []);
}
