//! Mail by its recipient, for an operator.

use postrider_model::{
    EnhancedCode, EventKind, RecipientState, Reply, Stream, Suppression, SuppressionReason,
    WaitCause,
};

use super::fixture::{
    add_tenant, address, at, commit, deliver, later, message_to, settle, settlement, suppression_id,
};
use super::{Ports, vendors};
use crate::{Outcome, Senders, Suppressing, Traced};

async fn trace(ports: &Ports, to: &str, senders: Senders, most: u8) -> Vec<Traced> {
    let traced = ports.trace.trace(&address(to), senders, most).await;
    traced.expect("a trace")
}

pub async fn mail_to_an_address_is_found_over_all_tenants_newest_first(ports: &Ports) {
    let (one, other) = (add_tenant(ports).await, add_tenant(ports).await);
    let mut sent = Vec::new();
    for tenant in [one, other, one] {
        let message = message_to(tenant, &["Ann@Example.org", "bob@example.org"]);
        commit(ports, &message).await;
        sent.push(message.id);
    }
    commit(ports, &message_to(other, &["cy@example.org"])).await;
    sent.sort();
    sent.reverse();
    let found = trace(ports, "ann@example.ORG", Senders::All, 10).await;
    let ids: Vec<_> = found.iter().map(|traced| traced.message).collect();
    assert_eq!(ids, sent);
    let newest = trace(ports, "ann@example.org", Senders::All, 2).await;
    assert_eq!(newest, found[..2]);
    let of_other = trace(ports, "bob@example.org", Senders::Tenant(other), 10).await;
    assert_eq!(of_other.len(), 1);
    assert_eq!(of_other[0].tenant, other);
    assert_eq!(of_other[0].recipient.address, address("bob@example.org"));
    assert_eq!(
        trace(ports, "nobody@example.org", Senders::All, 10).await,
        []
    );
}

pub async fn a_trace_tells_where_a_recipient_stands(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    let told = |traced: &Traced| {
        (
            traced.recipient.state,
            traced.last.clone().expect("an event"),
        )
    };

    let scheduled = later(tenant, 500);
    commit(ports, &scheduled).await;
    let found = trace(ports, "bob@example.net", Senders::All, 1).await;
    assert_eq!(found[0].summary, scheduled.summary);
    assert_eq!(found[0].recipient.due_at, Some(at(500)));
    assert_eq!(told(&found[0]).0, RecipientState::Scheduled);

    let waiting = message_to(tenant, &["cy@example.org"]);
    commit(ports, &waiting).await;
    let again = Outcome::Retry {
        due_at: at(300),
        attempts: 1,
        cause: WaitCause::Greylisting,
    };
    let reply = Reply::new(450, Some(EnhancedCode(4, 7, 1)), b"come back");
    let mut deferred = settlement(&waiting, 5, EventKind::Deferred, again);
    deferred.reply = Some(reply.clone());
    deferred.events[0].note = Some("greylisted".to_owned());
    settle(ports, deferred).await;
    let found = trace(ports, "cy@example.org", Senders::All, 1).await;
    let (state, last) = told(&found[0]);
    assert_eq!(
        (state, last.kind),
        (RecipientState::Queued, EventKind::Deferred)
    );
    assert_eq!((last.at, last.note.as_deref()), (at(5), Some("greylisted")));
    let recipient = &found[0].recipient;
    assert_eq!(recipient.last_reply, Some(reply));
    assert_eq!(
        (recipient.due_at, recipient.cause, recipient.attempts),
        (Some(at(300)), Some(WaitCause::Greylisting), 1)
    );

    let done = message_to(tenant, &["dee@example.org"]);
    commit(ports, &done).await;
    deliver(ports, &done, 7).await;
    let found = trace(ports, "dee@example.org", Senders::All, 1).await;
    let (state, last) = told(&found[0]);
    let end = (state, last.kind, found[0].recipient.due_at);
    assert_eq!(end, (RecipientState::Delivered, EventKind::Delivered, None));
    assert_eq!(found[0].expires_at, done.expires_at);
}

pub async fn suppressions_of_an_address_are_found_over_all_tenants(ports: &Ports) {
    let (one, other) = (add_tenant(ports).await, add_tenant(ports).await);
    for (tenant, to, since, until) in [
        (one, "Ann@example.org", 1, None),
        (other, "ann@example.org", 2, Some(at(100))),
        (one, "bob@example.org", 3, None),
    ] {
        let new = Suppression {
            id: suppression_id(),
            tenant,
            address: address(to),
            stream: None,
            reason: SuppressionReason::Manual,
            source: "the office".to_owned(),
            since: at(since),
            until,
        };
        let stands = ports.suppressions.suppress(tenant, vec![new]).await;
        stands.expect("a suppression");
    }
    let ann = address("ann@example.org");
    let of = async |senders, now| {
        let found = ports.trace.suppressions_of(&ann, senders, at(now)).await;
        let found = found.expect("suppressions");
        found.iter().map(|one| one.tenant).collect::<Vec<_>>()
    };
    assert_eq!(of(Senders::All, 50).await, [other, one]);
    assert_eq!(of(Senders::All, 100).await, [one]);
    assert_eq!(of(Senders::Tenant(other), 50).await, [other]);
    assert_eq!(of(Senders::Tenant(other), 100).await, []);
}

pub async fn a_vendor_is_told_of_its_own_tenants_alone(ports: &Ports) {
    let vendor = vendors::added(ports, "acme").await;
    let new = vendors::tenant_of(&vendor, "one");
    let (mine, other) = (new.tenant.id, add_tenant(ports).await);
    let added = ports.directory.add_tenant(new).await;
    added.expect("a tenant");
    let own = Senders::Vendor(vendor.id);
    let mut ids = Vec::new();
    for (tenant, stream) in [
        (mine, None),
        (other, None),
        (mine, Some(Stream::Bulk)),
        (mine, Some(Stream::Transactional)),
    ] {
        commit(ports, &message_to(tenant, &["ann@example.org"])).await;
        let new = Suppression {
            id: suppression_id(),
            tenant,
            address: address("ann@example.org"),
            stream,
            reason: SuppressionReason::Manual,
            source: "the office".to_owned(),
            since: at(1),
            until: stream.map(|_| at(100)),
        };
        ids.push(new.id);
        let stands = ports.suppressions.suppress(tenant, vec![new]).await;
        stands.expect("a suppression");
    }
    let found = trace(ports, "ann@example.org", own, 10).await;
    assert_eq!(found.len(), 3);
    assert!(found.iter().all(|traced| traced.tenant == mine));
    let ann = address("ann@example.org");
    let of_ann = ports.trace.suppressions_of(&ann, own, at(50)).await;
    assert_eq!(of_ann.expect("suppressions").len(), 3);
    let listed = async |senders, which, now, most| {
        let listed = ports
            .trace
            .suppressions_by(senders, which, at(now), most)
            .await;
        let listed = listed.expect("suppressions").into_iter();
        listed.map(|one| one.id).collect::<Vec<_>>()
    };
    let all = Suppressing::default();
    assert_eq!(listed(own, all, 50, 2).await, [ids[3], ids[2]]);
    let next = Suppressing {
        older_than: Some(ids[2]),
        ..all
    };
    assert_eq!(listed(own, next, 50, 2).await, [ids[0]]);
    assert_eq!(listed(own, all, 100, 9).await, [ids[0]], "ended");
    let bulk = Suppressing {
        stream: Some(Stream::Bulk),
        ..all
    };
    assert_eq!(listed(own, bulk, 50, 9).await, [ids[2], ids[0]]);
    let of_other = Senders::Tenant(other);
    assert_eq!(listed(of_other, all, 50, 9).await, [ids[1]]);
    assert_eq!(listed(Senders::All, all, 50, 9).await.len(), 4);
}
