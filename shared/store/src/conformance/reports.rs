//! What was counted of mail.

use std::ops::Range;
use std::time::Duration;

use postrider_model::{
    EnhancedCode, EventKind, Provider, RecipientState, Reply, TenantId, Timestamp, Vendor,
    WaitCause, Waits,
};

use super::Ports;
use super::fixture::{
    add_tenant, at, commit, commit_all, deliver, delivered, message, message_to, new_tenant,
    settle, settlement,
};
use super::vendors::added;
use crate::{Counts, NewMessage, Outcome, Settled, Settlement, Times, Traffic, Whose};

pub(super) const MINUTE: u64 = 60;
pub(super) const HOUR: u64 = 60 * MINUTE;

/// From the beginning of a case, for so long.
pub(super) fn span(seconds: u64) -> Range<Timestamp> {
    at(0)..at(seconds)
}

pub(super) async fn total(ports: &Ports, seconds: u64) -> Traffic {
    let total = ports.reports.total(&span(seconds), &Whose::All).await;
    total.expect("a report")
}

pub(super) async fn of_tenant(ports: &Ports, span: &Range<Timestamp>, tenant: TenantId) -> Traffic {
    let lines = ports.reports.by_tenant(span, &Whose::All, u32::MAX).await;
    let (lines, left) = lines.expect("a report by tenant");
    assert_eq!(left, 0);
    let mut its_own = lines.into_iter().filter(|(id, _)| *id == tenant);
    let found = its_own.next().map(|(_, traffic)| traffic);
    assert_eq!(its_own.next(), None);
    found.unwrap_or_default()
}

/// What becomes of a message's first recipient, with one provider.
fn ended(message: &NewMessage, seconds: u64, state: RecipientState) -> Settlement {
    let end = Outcome::Final { state, attempts: 1 };
    Settlement {
        provider: Provider::Orange,
        ..settlement(message, seconds, EventKind::Bounced, end)
    }
}

pub(super) fn refused(message: &NewMessage, seconds: u64, words: &str) -> Settlement {
    let code = EnhancedCode(5, 1, 1);
    Settlement {
        reply: Some(Reply::new(550, Some(code), words.as_bytes())),
        ..ended(message, seconds, RecipientState::Failed)
    }
}

fn deferred(message: &NewMessage, seconds: u64) -> Settlement {
    let again = Outcome::Retry {
        due_at: at(seconds + HOUR),
        attempts: 1,
        cause: WaitCause::Retry,
    };
    Settlement {
        reply: Some(Reply::new(421, None, b"later")),
        provider: Provider::Google,
        ..settlement(message, seconds, EventKind::Deferred, again)
    }
}

pub async fn a_report_tells_what_was_sent(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    let mut some = message_to(tenant, &["ann@example.org", "bob@example.org"]);
    some.recipients[1].suppressed = true;
    let (one, two, three) = (message(tenant), message(tenant), message(tenant));
    for message in [&some, &one, &two, &three] {
        commit(ports, message).await;
    }
    deliver(ports, &some, 1).await;
    settle(ports, deferred(&one, 2)).await;
    settle(ports, ended(&one, 3, RecipientState::Expired)).await;
    settle(ports, refused(&two, 4, "no such user")).await;
    settle(ports, ended(&three, 5, RecipientState::Suppressed)).await;
    let want = Counts {
        accepted: 5,
        delivered: 1,
        deferred: 1,
        bounced: 1,
        expired: 1,
        suppressed: 2,
    };
    assert_eq!(total(ports, 10).await.counts, want);
    assert_eq!(of_tenant(ports, &span(10), tenant).await.counts, want);
    let lines = ports.reports.by_provider(&span(10)).await;
    let lines = lines.expect("a report by provider");
    let counts = lines.iter().map(|(p, traffic)| (*p, traffic.counts));
    let (google, orange, none) = (
        Counts {
            deferred: 1,
            ..Counts::default()
        },
        Counts {
            bounced: 1,
            expired: 1,
            suppressed: 1,
            ..Counts::default()
        },
        Counts {
            accepted: 5,
            delivered: 1,
            suppressed: 1,
            ..Counts::default()
        },
    );
    let want = [
        (Provider::None, none),
        (Provider::Google, google),
        (Provider::Orange, orange),
    ];
    assert_eq!(counts.collect::<Vec<_>>(), want);
}

pub async fn what_the_simulator_says_is_in_no_report(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    let mut mixed = message_to(tenant, &["ann@example.org", "bounced@simulator.test"]);
    mixed.recipients[1].simulated = true;
    mixed.recipients[1].suppressed = true;
    let (mut taken, mut refusing, mut waiting) =
        (message(tenant), message(tenant), message(tenant));
    for one in [&mut taken, &mut refusing, &mut waiting] {
        one.recipients[0].simulated = true;
    }
    for one in [&mixed, &taken, &refusing, &waiting] {
        commit(ports, one).await;
    }
    let simulated = |settlement| Settlement {
        simulated: true,
        ..settlement
    };
    let delivered = settlement(&taken, 1, EventKind::Delivered, delivered());
    settle(ports, simulated(delivered)).await;
    settle(ports, simulated(refused(&refusing, 2, "no such user"))).await;
    settle(ports, simulated(deferred(&waiting, 3))).await;
    let want = Counts {
        accepted: 1,
        ..Counts::default()
    };
    let seen = total(ports, 10).await;
    assert_eq!(seen.counts, want);
    assert_eq!(seen.times, Times::default());
    assert_eq!(of_tenant(ports, &span(10), tenant).await, seen);
    let refusals = ports.reports.refusals(&span(10), &Whose::All, 10).await;
    assert_eq!(refusals.expect("refusals"), []);
}

pub async fn times_to_delivery_are_told_within_their_class(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    // The time in which they could not leave is not theirs.
    let (asked, over_the_day, shut) = (WaitCause::Scheduled, WaitCause::WarmUp, WaitCause::NoRoute);
    for (seconds, waited, cause) in [
        (1, 0, asked),
        (3, 90_000, over_the_day),
        (3, 7_200, asked),
        (40, 90_000, shut),
        (4_000, 7_200, WaitCause::Held),
    ] {
        let message = message(tenant);
        commit(ports, &message).await;
        let mut waits = Waits::default();
        waits.add(cause, Duration::from_secs(waited));
        waits.add(WaitCause::Retry, Duration::from_secs(seconds - 1));
        waits.add(WaitCause::Attempt, Duration::from_secs(1));
        let settled = settlement(&message, 9, EventKind::Delivered, delivered());
        settle(ports, Settlement { waits, ..settled }).await;
    }
    for times in [
        total(ports, 10).await.times,
        of_tenant(ports, &span(10), tenant).await.times,
    ] {
        for (percent, truth, want) in [(20, 1, 1), (50, 3, 5), (80, 40, 60), (95, 4_000, 7_200)] {
            let told = times.percentile(percent).expect("deliveries");
            assert_eq!(told, Duration::from_secs(want), "{percent}");
            assert_eq!(told, Times::bound(Duration::from_secs(truth)), "{percent}");
        }
    }
}

pub async fn equal_refusals_are_counted_together(ports: &Ports) {
    let mine = added(ports, "acme").await;
    let (one, other) = (tenant_at(ports, &mine).await, add_tenant(ports).await);
    for (tenant, words) in [
        (one, "<ann@example.org>: user unknown (id 4711)"),
        (other, "<bob@example.org>: user unknown (id 1)"),
        (one, "<bob@example.org>: user unknown (id 12)"),
        (one, "mailbox full"),
        (one, "mailbox \0full"),
    ] {
        let message = message(tenant);
        commit(ports, &message).await;
        settle(ports, refused(&message, 5, words)).await;
    }
    let quiet = message(one);
    commit(ports, &quiet).await;
    let mut silent = deferred(&quiet, 6);
    silent.reply = None;
    silent.events[0].note = Some("no host could be reached: 192.0.2.7".to_owned());
    settle(ports, silent).await;
    let heard = ports.reports.refusals(&span(10), &Whose::All, 2).await;
    let heard = heard.expect("refusals");
    let texts: Vec<_> = heard.iter().map(|r| (r.text.as_str(), r.count)).collect();
    let unknown = "550 5.1.1 <address>: user unknown (id #)";
    assert_eq!(texts[0], (unknown, 3));
    assert_eq!(heard[0].provider, Provider::Orange);
    assert_eq!(texts.len(), 2);
    let of_one = Whose::Vendor(mine.id);
    let heard = ports.reports.refusals(&span(10), &of_one, 10).await;
    let heard = heard.expect("refusals");
    let texts: Vec<_> = heard.iter().map(|r| (r.text.as_str(), r.count)).collect();
    assert_eq!(texts[0], (unknown, 2));
    assert!(
        texts.contains(&("no host could be reached: <ip>", 1)),
        "{texts:?}"
    );
    assert_eq!(texts.len(), 4, "{texts:?}");
}

pub async fn a_settlement_that_is_told_twice_counts_once(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    let message = message(tenant);
    commit(ports, &message).await;
    commit(ports, &message).await;
    let end = refused(&message, 5, "no");
    settle(ports, end.clone()).await;
    settle(ports, end).await;
    let late = ended(&message, 6, RecipientState::Expired);
    assert_eq!(settle(ports, late).await, Settled::TooLate);
    let noted = Settlement {
        outcome: Outcome::Noted,
        ..settlement(&message, 7, EventKind::Ambiguous, delivered())
    };
    settle(ports, noted).await;
    let want = Counts {
        accepted: 1,
        bounced: 1,
        ..Counts::default()
    };
    assert_eq!(total(ports, 10).await.counts, want);
    let heard = ports.reports.refusals(&span(10), &Whose::All, 10).await;
    assert_eq!(heard.expect("refusals")[0].count, 1);
}

pub async fn a_report_of_a_vendor_has_nothing_of_others(ports: &Ports) {
    let mine = added(ports, "acme").await;
    let tenants = [
        tenant_at(ports, &mine).await,
        add_tenant(ports).await,
        tenant_at(ports, &mine).await,
    ];
    for (tenant, count) in tenants.iter().zip([1, 3, 2]) {
        for _ in 0..count {
            let message = message(*tenant);
            commit(ports, &message).await;
            deliver(ports, &message, 1).await;
        }
    }
    let reports = &ports.reports;
    let busiest = async |whose: Whose, most| {
        let lines = reports.by_tenant(&span(10), &whose, most).await;
        let (lines, left) = lines.expect("a report by tenant");
        assert!(lines.iter().all(|(_, t)| t.times.percentile(95).is_some()));
        let of = |(id, t): &(TenantId, Traffic)| (*id, t.counts.delivered);
        (lines.iter().map(of).collect::<Vec<_>>(), left)
    };
    let two = (vec![(tenants[1], 3), (tenants[2], 2)], 1);
    assert_eq!(busiest(Whose::All, 2).await, two);
    let its_own = (vec![(tenants[2], 2), (tenants[0], 1)], 0);
    assert_eq!(busiest(Whose::Vendor(mine.id), 9).await, its_own);
    let sum = async |whose| {
        let sum = reports.total(&span(10), &whose).await;
        sum.expect("a report").counts.delivered
    };
    assert_eq!(sum(Whose::Vendor(mine.id)).await, 3);
    let idle = added(ports, "idle").await;
    assert_eq!(sum(Whose::Vendor(idle.id)).await, 0);
}

pub async fn vendors_have_the_sums_of_their_tenants(ports: &Ports) {
    let mine = added(ports, "acme").await;
    let tenants = [
        tenant_at(ports, &mine).await,
        add_tenant(ports).await,
        tenant_at(ports, &mine).await,
    ];
    for (tenant, hours) in [(0, 0), (1, 0), (2, 0), (2, 1)] {
        let message = message(tenants[tenant]);
        commit(ports, &message).await;
        deliver(ports, &message, hours * HOUR + 1).await;
    }
    let lines = async |whose: Whose, most| {
        let lines = ports.reports.by_vendor(&span(2 * HOUR), &whose, most).await;
        lines.expect("a report by vendor")
    };
    let (all, left) = lines(Whose::All, 9).await;
    let told: Vec<_> = all
        .iter()
        .map(|(vendor, t)| (*vendor, t.counts.accepted, t.counts.delivered))
        .collect();
    let operator = Vendor::OPERATOR;
    assert_eq!(
        (told.as_slice(), left),
        (&[(Some(mine.id), 3, 3), (Some(operator), 1, 1)][..], 0)
    );
    assert!(all.iter().all(|(_, t)| t.times.percentile(50).is_some()));
    assert_eq!(lines(Whose::All, 1).await, (all[..1].to_vec(), 1));
    let its_own = Whose::Vendor(mine.id);
    assert_eq!(lines(its_own, 9).await, (all[..1].to_vec(), 0));
    // What its tenants sent stays its own when one of them is gone.
    while !ports
        .upkeep
        .erase(tenants[0])
        .await
        .expect("an erasure")
        .is_nothing()
    {}
    assert_eq!(lines(its_own, 9).await, (all[..1].to_vec(), 0));
}

/// A tenant of this vendor's.
async fn tenant_at(ports: &Ports, vendor: &Vendor) -> TenantId {
    let mut new = new_tenant();
    let id = new.tenant.id;
    new.tenant.vendor = vendor.id;
    ports.directory.add_tenant(new).await.expect("a tenant");
    id
}

pub async fn what_is_over_the_end_of_an_hour_counts_for_its_own(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    let message = message(tenant);
    commit(ports, &message).await;
    deliver(ports, &message, 2 * HOUR).await;
    let first = of_tenant(ports, &(at(0)..at(MINUTE)), tenant).await.counts;
    assert_eq!((first.accepted, first.delivered), (1, 0));
    let later = at(2 * HOUR)..at(3 * HOUR);
    let later = of_tenant(ports, &later, tenant).await.counts;
    assert_eq!((later.accepted, later.delivered), (0, 1));
}

pub async fn a_group_counts_as_single_messages_do(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    let group: Vec<_> = (0..3).map(|_| message(tenant)).collect();
    let done = ports.intake.commit_all(group.clone()).await;
    done.expect("a group");
    let again = ports.intake.commit_all(group).await;
    again.expect("the same group");
    assert_eq!(of_tenant(ports, &span(10), tenant).await.counts.accepted, 3);
    assert_eq!(total(ports, 10).await.counts.accepted, 3);
}

pub async fn many_at_once_are_all_counted(ports: &Ports) {
    let tenants = [add_tenant(ports).await, add_tenant(ports).await];
    let mail: Vec<_> = (0..200).map(|at| message(tenants[at % 2])).collect();
    commit_all(ports, &mail).await;
    let settled = mail.iter().map(|message| deliver(ports, message, 1));
    futures_util::future::join_all(settled).await;
    let all = total(ports, 10).await;
    assert_eq!((all.counts.accepted, all.counts.delivered), (200, 200));
    for tenant in tenants {
        let its_own = of_tenant(ports, &span(10), tenant).await.counts;
        assert_eq!((its_own.accepted, its_own.delivered), (100, 100));
    }
}
