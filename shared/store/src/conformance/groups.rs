//! Messages that are stored together, or not at all.

use futures_util::future::{join, join_all};
use postrider_model::{Event, EventKind, TenantId};

use super::Ports;
use super::fixture::{
    add_tenant, at, claim, commit, commit_all, email, kinds, later, live, message, message_to,
};
use crate::{
    Committed, MailFilter, MailPage, NewMessage, News, OverQuota, PageStart, Period, Quota,
    StoreError, Usage,
};

async fn together(ports: &Ports, group: &[NewMessage]) -> Result<Committed, StoreError> {
    ports.intake.commit_all(group.to_vec()).await
}

async fn stored(ports: &Ports, group: &[NewMessage]) -> Committed {
    together(ports, group).await.expect("a commit")
}

fn group(tenant: TenantId, count: usize) -> Vec<NewMessage> {
    (0..count).map(|_| message(tenant)).collect()
}

/// Under one key, claimed where it has to be.
fn claiming(tenant: TenantId, count: usize, key: &str) -> Vec<NewMessage> {
    let mut group = group(tenant, count);
    group[0].claim = Some(claim(&group[0], key));
    group
}

async fn used(ports: &Ports, tenant: TenantId) -> Usage {
    let usage = ports.mail.usage(tenant, at(0)).await;
    usage.expect("an answer")
}

pub async fn a_group_is_stored_whole(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    let mut given = group(tenant, 100);
    for (number, message) in (0_u8..).zip(&mut given) {
        message.body = vec![number; 400_000].into();
    }
    given[7] = later(tenant, 60);
    given[8] = message_to(tenant, &["a@x.example", "b@y.example"]);
    // Waits from before the commit: it must not sleep through it.
    let (news, done) = join(news(ports), stored(ports, &given)).await;
    assert_eq!(done, Committed::Stored);
    assert!(news > 0);
    assert_eq!(live(ports).await.len(), 102);
    assert_eq!(used(ports, tenant).await.day, 102);
    for message in &given {
        let body = ports.mail.body(tenant, message.id).await;
        assert!(body.expect("a body") == Some(message.body.clone()));
    }
    assert_eq!(kinds(ports, &given[99]).await, [EventKind::Accepted]);
    assert_eq!(kinds(ports, &given[7]).await, [EventKind::Scheduled; 2]);
    let page = MailPage {
        limit: 100,
        start: PageStart::Newest,
    };
    let all = MailFilter::default();
    let listed = ports.mail.list(tenant, &all, page).await;
    let listed = listed.expect("an answer").expect("a page");
    assert_eq!((listed.emails.len(), listed.more), (100, false));
}

/// How many rows were handed over, or told of.
async fn news(ports: &Ports) -> usize {
    loop {
        match ports.queue.news().await {
            News::Rows(rows) => return rows.len(),
            News::Look => return 1,
            News::Control => {}
        }
    }
}

pub async fn one_bad_message_leaves_nothing_of_its_group(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    let there = message(tenant);
    commit(ports, &there).await;
    let mut given = claiming(tenant, 10, "order-17");
    // Its recipient's id is another message's.
    given[9].recipients[0].id = there.recipients[0].id;
    given[9].events[0].recipient = there.recipients[0].id;
    let refused = together(ports, &given).await;
    assert!(
        matches!(refused, Err(StoreError::Rejected { .. })),
        "{refused:?}"
    );
    for message in &given {
        assert_eq!(email(ports, message).await, None);
    }
    assert_eq!(live(ports).await.len(), 1);
    assert_eq!(used(ports, tenant).await.day, 1);
    // Neither its key nor any of its ids is used up.
    let mut mended = given.clone();
    mended[9] = message(tenant);
    assert_eq!(stored(ports, &mended).await, Committed::Stored);
    assert_eq!(live(ports).await.len(), 11);
}

pub async fn a_group_that_contradicts_itself_is_refused(ports: &Ports) {
    let (tenant, other) = (add_tenant(ports).await, add_tenant(ports).await);
    let twice = message(tenant);
    let twice = vec![twice.clone(), twice];
    let of_two = vec![message(tenant), message(other)];
    let mut late_claim = group(tenant, 3);
    late_claim[1].claim = Some(claim(&late_claim[1], "order-17"));
    let to_nobody = vec![message(tenant), message_to(tenant, &[])];
    let mut stranger = group(tenant, 2);
    let event = Event::new(stranger[0].recipients[0].id, at(0), EventKind::Accepted);
    stranger[1].events.push(event);
    let of_nobody = group(TenantId::new(at(9), [9; 10]), 2);
    for wrong in [
        vec![],
        twice,
        of_two,
        late_claim,
        to_nobody,
        stranger,
        of_nobody,
    ] {
        let refused = together(ports, &wrong).await;
        assert!(
            matches!(refused, Err(StoreError::Rejected { .. })),
            "{refused:?}"
        );
    }
    assert_eq!(live(ports).await, []);
}

pub async fn a_repeated_group_is_stored_once(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    for given in [group(tenant, 5), claiming(tenant, 5, "order-17")] {
        let before = live(ports).await.len();
        assert_eq!(stored(ports, &given).await, Committed::Stored);
        let both = join(stored(ports, &given), stored(ports, &given)).await;
        assert_eq!(both, (Committed::Stored, Committed::Stored));
        assert_eq!(live(ports).await.len(), before + 5);
        assert_eq!(kinds(ports, &given[4]).await, [EventKind::Accepted]);
    }
    assert_eq!(used(ports, tenant).await.day, 10);
}

pub async fn of_many_groups_under_one_key_one_is_stored(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    let groups: Vec<_> = (0..20).map(|_| claiming(tenant, 3, "order-17")).collect();
    let done = join_all(groups.iter().map(|group| stored(ports, group))).await;
    let mut winners = groups
        .iter()
        .zip(&done)
        .filter(|(_, done)| **done == Committed::Stored);
    let (winner, _) = winners.next().expect("one is stored");
    assert!(winners.next().is_none(), "and no other");
    let answer = winner[0].claim.as_ref().map(|claim| claim.answer.clone());
    let answer = answer.expect("a claim");
    let told = done
        .iter()
        .filter(|done| **done == Committed::Claimed(answer.clone()));
    assert_eq!(told.count(), 19);
    assert_eq!(live(ports).await.len(), 3);
    for message in winner {
        assert!(email(ports, message).await.is_some());
    }
}

pub async fn a_group_over_quota_is_refused_whole(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    let quota = Quota {
        per_day: 10,
        per_month: 100,
        ..Quota::default()
    };
    let limited = |mut group: Vec<NewMessage>| {
        for message in &mut group {
            message.quota = quota;
        }
        group
    };
    assert_eq!(
        stored(ports, &limited(group(tenant, 8))).await,
        Committed::Stored
    );
    let over = stored(ports, &limited(claiming(tenant, 5, "order-17"))).await;
    let wanted = OverQuota {
        period: Period::Day,
        limit: 10,
        used: 8,
        more: 1,
    };
    assert_eq!(
        over,
        Committed::OverQuota(wanted),
        "as if none of it had come"
    );
    let used = used(ports, tenant).await;
    assert_eq!((used.day, used.month), (8, 8));
    assert_eq!(live(ports).await.len(), 8);
    let fits = limited(claiming(tenant, 2, "order-17"));
    assert_eq!(stored(ports, &fits).await, Committed::Stored);
    assert_eq!(
        stored(ports, &fits).await,
        Committed::Stored,
        "not counted twice"
    );
}

pub async fn a_quota_is_exact_under_many_groups_at_once(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    let groups: Vec<_> = (0..20)
        .map(|_| {
            let mut group = group(tenant, 5);
            for message in &mut group {
                message.quota.per_day = 53;
            }
            group
        })
        .collect();
    let done = join_all(groups.iter().map(|group| stored(ports, group))).await;
    let stored = done
        .iter()
        .filter(|done| **done == Committed::Stored)
        .count();
    assert_eq!(stored, 10);
    assert_eq!(used(ports, tenant).await.day, 50);
    assert_eq!(live(ports).await.len(), 50);
}

pub async fn groups_and_single_messages_do_not_meet(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    let single = group(tenant, 100);
    let groups: Vec<_> = (0..20).map(|_| group(tenant, 10)).collect();
    let grouped = join_all(groups.iter().map(|group| stored(ports, group)));
    let (single, grouped) = join(commit_all(ports, &single), grouped).await;
    for done in single {
        assert_eq!(done.expect("a commit"), Committed::Stored);
    }
    assert!(grouped.iter().all(|done| *done == Committed::Stored));
    assert_eq!(live(ports).await.len(), 300);
    assert_eq!(used(ports, tenant).await.day, 300);
}
