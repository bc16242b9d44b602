//! What the queue's owner reads.

use std::collections::HashMap;

use futures_util::future::{FutureExt as _, join};
use postrider_model::{EventKind, WaitCause};

use super::Ports;
use super::fixture::{
    add_tenant, at, commit, commit_all, deliver, live, message, message_id, message_to,
    recipient_id, settle, settlement,
};
use crate::{ChangeSeq, Outcome, QueueRow};

async fn load(ports: &Ports, since: ChangeSeq, limit: u32) -> Vec<QueueRow> {
    let rows = ports.queue.load_changed(since, limit).await;
    rows.expect("a page of the queue")
}

pub async fn every_live_recipient_is_loaded_in_order_a_page_at_a_time(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    let to = ["a@x.example", "b@y.example", "c@x.example"];
    let messages: Vec<_> = (0..30).map(|_| message_to(tenant, &to)).collect();
    commit_all(ports, &messages).await;

    let (mut since, mut loaded) = (ChangeSeq::START, HashMap::new());
    loop {
        let page = load(ports, since, 7).await;
        assert!(page.len() <= 7);
        let Some(last) = page.last() else { break };
        assert!(page.is_sorted_by_key(|row| row.seq), "in change order");
        assert!(page.iter().all(|row| row.seq > since), "nothing twice");
        since = last.seq;
        loaded.extend(page.into_iter().map(|row| (row.recipient, row)));
    }
    assert_eq!(loaded.len(), 90);
    for message in &messages {
        for recipient in &message.recipients {
            let row = &loaded[&recipient.id];
            assert_eq!((row.message, row.tenant), (message.id, tenant));
            assert_eq!(&row.domain, recipient.address.domain());
            assert_eq!(row.accepted_at, message.accepted_at);
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
    let newest = live(ports).await[1].seq;
    assert_eq!(load(ports, newest, 10).await, []);

    let retry = Outcome::Retry {
        due_at: at(300),
        attempts: 1,
        cause: WaitCause::Greylisting,
    };
    settle(ports, settlement(&first, 5, EventKind::Deferred, retry)).await;
    let rows = load(ports, newest, 10).await;
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].recipient, first.recipients[0].id);
    assert_eq!((rows[0].due_at, rows[0].attempts), (at(300), 1));
    assert_eq!(rows[0].cause, WaitCause::Greylisting);
    let all = live(ports).await;
    assert_eq!(all.len(), 2, "each live row stands once");
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

pub async fn changed_wakes_after_a_commit(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    let changed = ports.queue.changed(ChangeSeq::START);
    assert!(changed.now_or_never().is_none(), "nothing yet");
    let first = message(tenant);
    // Waits from before the commit: it must not sleep through it.
    let ((), _) = join(ports.queue.changed(ChangeSeq::START), commit(ports, &first)).await;
    let rows = live(ports).await;
    assert_eq!(rows.len(), 1);
    let changed = ports.queue.changed(rows[0].seq);
    assert!(changed.now_or_never().is_none(), "nothing newer");
    ports.queue.changed(ChangeSeq::START).await;
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
    assert_eq!(opened.body, given.body);
    assert!(opened.smtputf8);
    assert_eq!(opened.accepted_at, given.accepted_at);
    assert_eq!(opened.expires_at, given.expires_at);
    let found: Vec<_> = opened.recipients.iter().map(|r| r.id).collect();
    assert_eq!(found, [b.id]);
    assert_eq!(opened.recipients[0].address, b.address);
    assert_eq!(opened.recipients[0].return_path, b.return_path);
    assert_eq!(opened.recipients[0].attempts, 0);

    let both = ports.queue.open(given.id, &[c.id, b.id]).await;
    let both = both.expect("an answer").expect("the message");
    assert_eq!(both.recipients.len(), 2);
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
