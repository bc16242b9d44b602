//! Where a tenant's mail does not go.

use std::slice::from_ref;
use std::time::Duration;

use postrider_model::{
    EventKind, RecipientState, Reply, Stream, Suppression, SuppressionReason, TenantId, Timestamp,
};

use super::Ports;
use super::fixture::{
    DAY, add_tenant, address, at, commit, delivered, email, kinds, message, message_to, settle,
    settlement, suppression_id,
};
use crate::{
    NewMessage, Outcome, Settled, Settlement, StoreError, Suppressed, SuppressionFilter,
    SuppressionPage, SuppressionStart,
};

fn manual(tenant: TenantId, text: &str, stream: Option<Stream>) -> Suppression {
    Suppression {
        id: suppression_id(),
        tenant,
        address: address(text),
        stream,
        reason: SuppressionReason::Manual,
        source: "the office, by «telephone»".to_owned(),
        since: at(0),
        until: None,
    }
}

fn until(new: Suppression, since: u64, until: u64) -> Suppression {
    Suppression {
        reason: SuppressionReason::HardBounce,
        since: at(since),
        until: Some(at(until)),
        ..new
    }
}

async fn suppress(ports: &Ports, new: &[Suppression]) -> Vec<Suppression> {
    let done = ports.suppressions.suppress(new[0].tenant, new.to_vec());
    done.await.expect("suppressions")
}

async fn among(
    ports: &Ports,
    (tenant, stream): (TenantId, Stream),
    texts: &[&str],
    now: Timestamp,
) -> Vec<String> {
    let addresses: Vec<_> = texts.iter().map(|text| address(text)).collect();
    let found = ports
        .suppressions
        .among(tenant, stream, &addresses, now)
        .await;
    let found = found.expect("an answer");
    found.iter().map(ToString::to_string).collect()
}

async fn of(ports: &Ports, tenant: TenantId, text: &str, now: u64) -> Vec<Suppression> {
    let which = Suppressed::Address(address(text));
    let found = ports
        .suppressions
        .suppression(tenant, &which, at(now))
        .await;
    found.expect("an answer")
}

pub async fn mail_of_its_stream_does_not_go_there(ports: &Ports) {
    let (tenant, other) = (add_tenant(ports).await, add_tenant(ports).await);
    let new = [
        manual(tenant, "all@x.example", None),
        manual(tenant, "Bulk@x.example", Some(Stream::Bulk)),
        manual(tenant, "both@x.example", None),
        manual(tenant, "both@x.example", Some(Stream::Bulk)),
        manual(tenant, "\"a b\"@x.example", Some(Stream::Transactional)),
    ];
    assert_eq!(suppress(ports, &new).await, new);
    let asked = [
        "both@x.example",
        "free@x.example",
        "bulk@x.example",
        "all@x.example",
        "\"A b\"@x.example",
    ];
    let bulk = among(ports, (tenant, Stream::Bulk), &asked, at(1)).await;
    assert_eq!(bulk, [asked[0], asked[2], asked[3]]);
    let transactional = (tenant, Stream::Transactional);
    let found = among(ports, transactional, &asked, at(1)).await;
    assert_eq!(found, [asked[0], asked[3], asked[4]]);
    assert_eq!(
        among(ports, (other, Stream::Bulk), &asked, at(1)).await,
        [""; 0],
        "another tenant's"
    );
    assert_eq!(among(ports, transactional, &[], at(1)).await, [""; 0]);
}

pub async fn many_who_ask_at_once_are_each_answered_their_own(ports: &Ports) {
    let mut asked = Vec::new();
    for n in 0..10 {
        let tenant = add_tenant(ports).await;
        let bulk = Some(Stream::Bulk);
        let ends = until(manual(tenant, "ends@x.example", None), 0, 100 + n);
        let new = [manual(tenant, &format!("n{n}@x.example"), bulk), ends];
        suppress(ports, &new).await;
        asked.push((tenant, n));
    }
    let texts: Vec<String> = (0..10).map(|n| format!("n{n}@x.example")).collect();
    let mut texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    texts.push("ends@x.example");
    let texts = &texts;
    // Some do not wait for their answer.
    for (tenant, _) in &asked {
        let mut given_up = Box::pin(among(ports, (*tenant, Stream::Bulk), texts, at(1)));
        let _asked = futures_util::poll!(given_up.as_mut());
    }
    let all = asked.iter().cycle().take(60).map(|(tenant, n)| async move {
        let bulk = among(ports, (*tenant, Stream::Bulk), texts, at(100 + n)).await;
        let one = (*tenant, Stream::Transactional);
        (*n, bulk, among(ports, one, texts, at(99 + n)).await)
    });
    for (n, bulk, transactional) in futures_util::future::join_all(all).await {
        assert_eq!(bulk, [format!("n{n}@x.example")]);
        assert_eq!(transactional, ["ends@x.example"]);
    }
}

pub async fn a_suppression_ends_by_itself(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    let new = until(manual(tenant, "a@x.example", None), 0, 100);
    suppress(ports, from_ref(&new)).await;
    let transactional = (tenant, Stream::Transactional);
    let asked = ["a@x.example"];
    assert_eq!(among(ports, transactional, &asked, at(99)).await, asked);
    assert_eq!(among(ports, transactional, &asked, at(100)).await, [""; 0]);
    assert_eq!(of(ports, tenant, "a@x.example", 99).await, from_ref(&new));
    assert_eq!(of(ports, tenant, "a@x.example", 100).await, []);
    let by_id = Suppressed::Id(new.id);
    let found = ports
        .suppressions
        .suppression(tenant, &by_id, at(100))
        .await;
    assert_eq!(found.expect("an answer"), []);
}

pub async fn of_two_the_one_that_lasts_longer_stands(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    let first = until(manual(tenant, "a@x.example", None), 0, 100);
    suppress(ports, from_ref(&first)).await;
    // As long, or shorter: nothing changes.
    for until_at in [100, 50] {
        let again = Suppression {
            source: "another remote".to_owned(),
            ..until(manual(tenant, "A@x.example", None), 10, until_at)
        };
        assert_eq!(suppress(ports, &[again]).await, from_ref(&first));
    }
    // Longer: it is the other one under the first one's id.
    let longer = until(manual(tenant, "A@x.example", None), 20, 200);
    let wanted = Suppression {
        id: first.id,
        ..longer.clone()
    };
    assert_eq!(suppress(ports, &[longer]).await, from_ref(&wanted));
    // It has ended: a shorter one takes its place.
    let short = until(manual(tenant, "a@x.example", None), 200, 210);
    let wanted = Suppression {
        id: first.id,
        ..short.clone()
    };
    assert_eq!(suppress(ports, &[short]).await, [wanted]);
    // Without an end, and then nothing changes any more.
    let ever = manual(tenant, "a@x.example", None);
    let wanted = Suppression {
        id: first.id,
        ..ever.clone()
    };
    assert_eq!(suppress(ports, &[ever]).await, from_ref(&wanted));
    let bounced = until(manual(tenant, "a@x.example", None), 220, 900);
    assert_eq!(suppress(ports, &[bounced]).await, [wanted]);
}

pub async fn a_suppression_is_lifted_at_once(ports: &Ports) {
    let (tenant, other) = (add_tenant(ports).await, add_tenant(ports).await);
    let [a, b] = [None, Some(Stream::Bulk)].map(|s| manual(tenant, "a@x.example", s));
    let c = manual(tenant, "c@x.example", None);
    let d = until(manual(tenant, "d@x.example", None), 0, 1);
    suppress(ports, &[a.clone(), b.clone(), c.clone(), d.clone()]).await;
    let which = [
        Suppressed::Address(address("A@x.example")),
        Suppressed::Id(d.id),
        Suppressed::Address(address("nobody@x.example")),
        Suppressed::Id(suppression_id()),
    ];
    let lift = |tenant| ports.suppressions.lift(tenant, &which);
    assert_eq!(lift(other).await.expect("an answer"), []);
    let mut lifted = lift(tenant).await.expect("an answer");
    lifted.sort_by_key(|lifted| lifted.id);
    let mut wanted = vec![a, b, d];
    wanted.sort_by_key(|lifted| lifted.id);
    assert_eq!(lifted, wanted);
    assert_eq!(lift(tenant).await.expect("an answer"), []);
    assert_eq!(of(ports, tenant, "a@x.example", 1).await, []);
    assert_eq!(of(ports, tenant, "c@x.example", 1).await, [c]);
}

pub async fn suppressions_are_listed_newest_first_a_page_at_a_time(ports: &Ports) {
    let (tenant, other) = (add_tenant(ports).await, add_tenant(ports).await);
    let streams = [None, Some(Stream::Bulk), Some(Stream::Transactional)];
    let mut all: Vec<Suppression> = (0..9)
        .map(|n| manual(tenant, &format!("n{n}@x.example"), streams[n % 3]))
        .collect();
    let ended = until(manual(tenant, "ended@x.example", None), 0, 1);
    let others = manual(other, "n0@x.example", None);
    suppress(ports, &all).await;
    suppress(ports, from_ref(&ended)).await;
    suppress(ports, from_ref(&others)).await;
    all.sort_by_key(|listed| std::cmp::Reverse(listed.id));
    let page = |filter: SuppressionFilter, start| {
        let page = SuppressionPage { limit: 4, start };
        async move {
            let listed = ports
                .suppressions
                .suppressions(tenant, filter, page, at(10))
                .await;
            listed.expect("a list")
        }
    };
    let any = SuppressionFilter::default();
    let first = page(any, SuppressionStart::Newest).await.expect("a page");
    assert_eq!(
        (first.suppressions.as_slice(), first.more),
        (&all[..4], true)
    );
    let last = SuppressionStart::After(all[4].id);
    let last = page(any, last).await.expect("a page");
    assert_eq!(
        (last.suppressions.as_slice(), last.more),
        (&all[5..], false)
    );
    let back = SuppressionStart::Before(all[5].id);
    let back = page(any, back).await.expect("a page");
    assert_eq!(
        (back.suppressions.as_slice(), back.more),
        (&all[1..5], true)
    );
    let bulk = SuppressionFilter {
        stream: Some(Stream::Bulk),
    };
    let listed = page(bulk, SuppressionStart::Newest).await.expect("a page");
    let keeps_back = |listed: &&Suppression| listed.stream != Some(Stream::Transactional);
    let wanted: Vec<_> = all.iter().filter(keeps_back).cloned().collect();
    assert_eq!(
        (listed.suppressions.as_slice(), listed.more),
        (&wanted[..4], true)
    );
    // One that has ended is a place all the same; another tenant's is none.
    let behind = SuppressionStart::After(ended.id);
    assert!(page(any, behind).await.is_some());
    let behind = SuppressionStart::After(others.id);
    assert_eq!(page(any, behind).await, None);
}

pub async fn a_complaint_counts_against_its_tenant_once(ports: &Ports) {
    let (tenant, other) = (add_tenant(ports).await, add_tenant(ports).await);
    let complaint = |text| Suppression {
        reason: SuppressionReason::Complaint,
        ..manual(tenant, text, None)
    };
    let new = [complaint("a@x.example"), complaint("b@x.example")];
    suppress(ports, &new).await;
    suppress(ports, &[complaint("a@x.example")]).await;
    suppress(ports, &[manual(tenant, "c@x.example", None)]).await;
    let usage = |tenant, at| ports.mail.usage(tenant, at);
    let today = usage(tenant, at(0)).await.expect("an answer");
    assert_eq!((today.complaints, today.day), (2, 0));
    let tomorrow = usage(tenant, at(0).after(DAY)).await.expect("an answer");
    assert_eq!(tomorrow.complaints, 0);
    assert_eq!(usage(other, at(0)).await.expect("an answer").complaints, 0);
}

pub async fn suppressions_that_contradict_themselves_are_refused(ports: &Ports) {
    let (tenant, other) = (add_tenant(ports).await, add_tenant(ports).await);
    let one = manual(tenant, "a@x.example", None);
    let twice = vec![one.clone(), manual(tenant, "A@x.example", None)];
    for (of, new) in [(tenant, twice), (other, vec![one])] {
        let refused = ports.suppressions.suppress(of, new).await;
        assert!(
            matches!(refused, Err(StoreError::Rejected { .. })),
            "{refused:?}"
        );
    }
    assert_eq!(of(ports, tenant, "a@x.example", 0).await, []);
    let nobody = TenantId::new(at(9), [9; 10]);
    let new = vec![manual(nobody, "a@x.example", None)];
    let refused = ports.suppressions.suppress(nobody, new).await;
    assert!(matches!(refused, Err(StoreError::NotFound { .. })));
}

const MONTH: Duration = Duration::from_hours(30 * 24);

fn bounced(message: &NewMessage, seconds: u64) -> Settlement {
    let end = Outcome::Final {
        state: RecipientState::Failed,
        attempts: 1,
    };
    let enhanced = postrider_model::EnhancedCode(5, 1, 1);
    Settlement {
        reply: Some(Reply::new(550, Some(enhanced), b"no such user\nhere")),
        suppress_until: Some(at(seconds).after(MONTH)),
        ..settlement(message, seconds, EventKind::Bounced, end)
    }
}

pub async fn a_mailbox_that_is_not_there_is_written_to_no_more(ports: &Ports) {
    let (tenant, other) = (add_tenant(ports).await, add_tenant(ports).await);
    let sent = message_to(tenant, &["\"No Body\"@example.org", "ann@example.org"]);
    commit(ports, &sent).await;
    assert_eq!(settle(ports, bounced(&sent, 5)).await, Settled::Recorded);
    let asked = ["\"no body\"@example.org", "ann@example.org"];
    for stream in [Stream::Bulk, Stream::Transactional] {
        let found = among(ports, (tenant, stream), &asked, at(6)).await;
        assert_eq!(found, asked[..1]);
        let found = among(ports, (other, stream), &asked, at(6)).await;
        assert_eq!(found, [""; 0]);
    }
    let found = of(ports, tenant, asked[0], 6).await;
    let found = found.first().expect("a suppression");
    assert_eq!(found.reason, SuppressionReason::HardBounce);
    assert_eq!((found.stream, found.since), (None, at(5)));
    assert_eq!(found.until, Some(at(5).after(MONTH)));
    let source = format!("{}: 550 5.1.1 no such user here", sent.id);
    assert_eq!(found.source, source);
    let usage = || ports.mail.usage(tenant, at(5));
    assert_eq!(usage().await.expect("an answer").hard_bounces, 1);
    // Told again, as after a lost connection: it bounced once.
    assert_eq!(settle(ports, bounced(&sent, 5)).await, Settled::Recorded);
    // Too late: it bounced before, and does not now.
    assert_eq!(settle(ports, bounced(&sent, 9)).await, Settled::TooLate);
    assert_eq!(usage().await.expect("an answer").hard_bounces, 1);
}

pub async fn hard_bounces_of_one_batch_are_all_counted(ports: &Ports) {
    let (tenant, other) = (add_tenant(ports).await, add_tenant(ports).await);
    let mut all = Vec::new();
    for n in 0..20 {
        let of = if n % 2 == 0 { tenant } else { other };
        let sent = message_to(of, &[&format!("n{}@example.org", n / 4)]);
        commit(ports, &sent).await;
        all.push(sent);
    }
    let one = message(tenant);
    commit(ports, &one).await;
    let mut settlements: Vec<_> = all.iter().map(|sent| bounced(sent, 5)).collect();
    settlements.push(settlement(&one, 5, EventKind::Delivered, delivered()));
    let settled = settlements.into_iter().map(|s| ports.queue.settle(s));
    for done in futures_util::future::join_all(settled).await {
        assert_eq!(done.expect("a settlement"), Settled::Recorded);
    }
    for tenant in [tenant, other] {
        let usage = ports.mail.usage(tenant, at(5)).await.expect("an answer");
        assert_eq!(usage.hard_bounces, 10);
        for n in 0..5 {
            let found = of(ports, tenant, &format!("n{n}@example.org"), 6).await;
            assert_eq!(found.len(), 1, "{n}");
        }
    }
    assert_eq!(of(ports, tenant, "ann@example.org", 6).await, []);
    let delivered = email(ports, &one).await.expect("the message");
    assert_eq!(delivered.recipients[0].state, RecipientState::Delivered);
    assert_eq!(
        kinds(ports, &all[0]).await.last(),
        Some(&EventKind::Bounced)
    );
}
