//! Reply addresses: how they come in, who is asked about them, and what they answer.

use std::time::Duration;

use futures_util::future::join_all;
use postrider_model::{ReplyAddress, ReplySource, ReplyStatus, TenantId, Timestamp};

use super::Ports;
use super::fixture::{DAY, add_tenant, address, at, reply_address_id};
use crate::{AskCaps, Observed, StoreError};

pub(super) const WEEK: Duration = Duration::from_hours(7 * 24);
pub(super) const CAPS: AskCaps = AskCaps {
    per_day: 5,
    pause: WEEK,
    letters_per_day: 0,
    letters_in_a_row: 0,
    rest: WEEK,
};

pub(super) fn seen(tenant: TenantId, text: &str, at: Timestamp) -> ReplyAddress {
    ReplyAddress {
        id: reply_address_id(),
        tenant,
        address: address(text),
        status: ReplyStatus::Unconfirmed,
        source: ReplySource::Observed,
        confirmed_at: None,
        asked_at: None,
        told_at: None,
        refused_at: None,
        attested_by: None,
        created_at: at,
    }
}

pub(super) async fn observe(ports: &Ports, seen: ReplyAddress) -> Observed {
    let observed = ports.directory.observe_reply_address(seen, CAPS).await;
    observed.expect("an answer")
}

pub(super) async fn known(ports: &Ports, tenant: TenantId, text: &str) -> Option<ReplyAddress> {
    let snapshot = ports.directory.snapshot().await.expect("the directory");
    let folded = address(text).folded();
    let mut addresses = snapshot.reply_addresses.into_iter();
    addresses.find(|a| a.tenant == tenant && a.address.folded() == folded)
}

pub(super) async fn generation(ports: &Ports) -> u64 {
    ports.directory.generation().await.expect("a generation")
}

pub async fn an_address_in_a_tenants_mail_is_asked_once(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    let first = seen(tenant, "zoe@joesgarage.example", at(0));
    let before = generation(ports).await;
    let observed = observe(ports, first.clone()).await;
    let wanted = ReplyAddress {
        asked_at: Some(at(0)),
        told_at: Some(at(0)),
        ..first
    };
    assert!(observed.ask);
    assert_eq!(observed.address.as_ref(), Some(&wanted));
    assert_eq!(
        known(ports, tenant, "zoe@joesgarage.example").await,
        Some(wanted.clone())
    );
    let after = generation(ports).await;
    assert!(after > before);
    // Seen again, in another case: it is the same, and nothing happens.
    let again = observe(ports, seen(tenant, "ZOE@joesgarage.example", at(60))).await;
    assert!(!again.ask);
    assert_eq!(again.address, Some(wanted));
    assert_eq!(generation(ports).await, after);
    // After a week it may be asked again.
    let late = at(0).after(WEEK);
    let again = observe(ports, seen(tenant, "zoe@joesgarage.example", late)).await;
    assert!(again.ask);
    assert_eq!(again.address.and_then(|a| a.asked_at), Some(late));
}

pub async fn a_mailbox_is_asked_once_over_all_tenants(ports: &Ports) {
    let tenants = join_all((0..6).map(|_| add_tenant(ports))).await;
    let observed = tenants
        .iter()
        .map(|tenant| observe(ports, seen(*tenant, "victim@example.org", at(0))));
    let observed = join_all(observed).await;
    assert_eq!(observed.iter().filter(|o| o.ask).count(), 1);
    for (tenant, observed) in tenants.into_iter().zip(observed) {
        let address = observed.address.expect("written down");
        assert_eq!(address.asked_at, Some(at(0)), "for whichever tenant");
        let found = known(ports, tenant, "victim@example.org").await;
        assert_eq!(found.as_ref(), Some(&address));
        assert_eq!(address.told_at, observed.ask.then(|| at(0)), "for its own");
    }
}

pub async fn a_key_brings_in_five_addresses_a_day(ports: &Ports) {
    let (tenant, other) = (add_tenant(ports).await, add_tenant(ports).await);
    let texts: Vec<String> = (0..12).map(|n| format!("s{n}@example.org")).collect();
    let observed = texts
        .iter()
        .map(|text| observe(ports, seen(tenant, text, at(0))));
    let observed = join_all(observed).await;
    let taken: Vec<bool> = observed.iter().map(|o| o.address.is_some()).collect();
    assert_eq!(taken.iter().filter(|taken| **taken).count(), 5);
    assert!(observed.iter().all(|o| o.ask == o.address.is_some()));
    for (text, taken) in texts.iter().zip(&taken) {
        assert_eq!(known(ports, tenant, text).await.is_some(), *taken);
    }
    // Those that are there are no new ones; those at its own domain are.
    let there = texts.iter().zip(&taken).find(|(_, taken)| **taken);
    let (text, _) = there.expect("one that was taken");
    let again = observe(ports, seen(tenant, text, at(1))).await;
    assert!(again.address.is_some() && !again.ask);
    let colleague = ReplyAddress {
        status: ReplyStatus::Confirmed,
        source: ReplySource::Domain,
        ..seen(tenant, "max@joesgarage.example", at(1))
    };
    assert_eq!(observe(ports, colleague).await.address, None);
    // What the tenant enters itself is not its key's; another tenant has its own five.
    let entered = ReplyAddress {
        source: ReplySource::Tenant,
        ..seen(tenant, "entered@example.org", at(2))
    };
    assert!(observe(ports, entered).await.ask);
    let others = observe(ports, seen(other, "x@example.org", at(2))).await;
    assert!(others.ask);
    let tomorrow = seen(tenant, "y@example.org", at(0).after(DAY));
    assert!(observe(ports, tomorrow).await.ask);
}

pub async fn a_colleague_at_its_own_domain_is_told_once(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    let colleague = ReplyAddress {
        status: ReplyStatus::Confirmed,
        source: ReplySource::Domain,
        confirmed_at: Some(at(0)),
        ..seen(tenant, "max@joesgarage.example", at(0))
    };
    let first = observe(ports, colleague.clone()).await;
    assert!(first.ask);
    let again = observe(
        ports,
        seen(tenant, "max@joesgarage.example", at(0).after(2 * WEEK)),
    )
    .await;
    assert!(!again.ask, "it is confirmed");
    assert_eq!(again.address, first.address);
}

pub async fn who_says_not_ours_is_left_in_peace_and_counts(ports: &Ports) {
    let (tenant, other) = (add_tenant(ports).await, add_tenant(ports).await);
    for tenant in [tenant, other] {
        observe(ports, seen(tenant, "zoe@example.org", at(0))).await;
    }
    let refuse = |at| {
        let address = address("zoe@example.org");
        async move {
            let directory = &ports.directory;
            let refused = ReplyStatus::Refused;
            directory
                .set_reply_status(tenant, &address, refused, at)
                .await
                .expect("a refusal");
        }
    };
    refuse(at(60)).await;
    refuse(at(120)).await;
    let usage = |tenant| ports.mail.usage(tenant, at(0));
    assert_eq!(usage(tenant).await.expect("an answer").complaints, 1);
    assert_eq!(usage(other).await.expect("an answer").complaints, 0);
    let late = at(0).after(2 * WEEK);
    let again = observe(ports, seen(tenant, "zoe@example.org", late)).await;
    assert!(!again.ask);
    let status = again.address.map(|address| address.status);
    assert_eq!(status, Some(ReplyStatus::Refused));
    let others = observe(ports, seen(other, "zoe@example.org", late)).await;
    assert!(others.ask, "another tenant may be hers");
}

pub async fn an_owner_who_said_no_has_said_so_for_good(ports: &Ports) {
    use ReplyStatus::{Confirmed, Refused};
    let tenant = add_tenant(ports).await;
    let (text, mailbox) = ("zoe@example.org", address("ZOE@example.org"));
    observe(ports, seen(tenant, text, at(0))).await;
    for (answer, want, changes) in [
        (Confirmed, Confirmed, true),
        (Confirmed, Confirmed, false),
        (Refused, Refused, true),
        (Confirmed, Refused, false),
        (Refused, Refused, false),
        (Confirmed, Refused, false),
    ] {
        let before = generation(ports).await;
        let directory = &ports.directory;
        let stands = directory.answer_reply_address(tenant, &mailbox, answer, at(60));
        assert_eq!(stands.await.expect("an answer"), want);
        let found = known(ports, tenant, text).await.expect("the address");
        assert_eq!((found.status, found.confirmed_at), (want, Some(at(60))));
        let refused_at = (want == Refused).then(|| at(60));
        assert_eq!(found.refused_at, refused_at, "{answer:?}");
        assert_eq!(generation(ports).await > before, changes, "{answer:?}");
    }
    // Said again, it is what was said then.
    let again = ports
        .directory
        .set_reply_status(tenant, &mailbox, Refused, at(65));
    again.await.expect("the same status");
    let found = known(ports, tenant, text).await.expect("the address");
    assert_eq!(found.refused_at, Some(at(60)));
    let usage = ports.mail.usage(tenant, at(0)).await;
    assert_eq!(usage.expect("an answer").complaints, 1);
    // Nobody makes it unsaid: without its row the address could be entered and vouched for.
    let removed = ports.directory.remove_reply_address(tenant, &mailbox).await;
    assert!(
        matches!(removed, Err(StoreError::Rejected { .. })),
        "{removed:?}"
    );
    let found = known(ports, tenant, text).await.expect("the address");
    assert_eq!(found.status, Refused);
    // An operator may know better.
    let confirmed = ports
        .directory
        .set_reply_status(tenant, &mailbox, Confirmed, at(70));
    confirmed.await.expect("another status");
    let found = known(ports, tenant, text).await.expect("the address");
    assert_eq!((found.status, found.refused_at), (Confirmed, None));
    let removed = ports.directory.remove_reply_address(tenant, &mailbox);
    removed.await.expect("it is gone");
    let other = add_tenant(ports).await;
    let nobodys = ports
        .directory
        .answer_reply_address(other, &mailbox, Refused, at(80));
    assert!(matches!(nobodys.await, Err(StoreError::NotFound { .. })));
}

pub async fn an_address_remembers_when_it_was_confirmed(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    let text = "zoe@example.org";
    observe(ports, seen(tenant, text, at(0))).await;
    let set = |status, at| {
        let address = address(text);
        async move {
            let directory = &ports.directory;
            let set = directory.set_reply_status(tenant, &address, status, at);
            set.await.expect("another status");
        }
    };
    for (status, when, want) in [
        (ReplyStatus::Confirmed, at(10), Some(at(10))),
        (ReplyStatus::Broken, at(20), Some(at(10))),
        (ReplyStatus::Confirmed, at(30), Some(at(30))),
    ] {
        set(status, when).await;
        let found = known(ports, tenant, text).await.expect("the address");
        assert_eq!((found.status, found.confirmed_at), (status, want));
    }
}

pub async fn a_mailbox_that_breaks_is_broken_for_all_but_whom_it_refused(ports: &Ports) {
    let (a, b, c, d) = (
        add_tenant(ports).await,
        add_tenant(ports).await,
        add_tenant(ports).await,
        add_tenant(ports).await,
    );
    let text = "zoe@example.org";
    for tenant in [a, b, c, d] {
        observe(ports, seen(tenant, text, at(0))).await;
    }
    for (tenant, confirmed) in [
        (a, ReplyStatus::Confirmed),
        (b, ReplyStatus::Confirmed),
        (d, ReplyStatus::Refused),
    ] {
        let set = ports
            .directory
            .set_reply_status(tenant, &address(text), confirmed, at(1))
            .await;
        set.expect("a confirmation");
    }
    let before = generation(ports).await;
    let mailbox = address("ZOE@example.org");
    let broken = ports.directory.break_reply_address(&mailbox).await;
    let mut broken = broken.expect("an answer");
    let mut wanted = vec![a, b, c];
    broken.sort();
    wanted.sort();
    assert_eq!(broken, wanted);
    assert!(generation(ports).await > before);
    for (tenant, want) in [
        (a, ReplyStatus::Broken),
        (b, ReplyStatus::Broken),
        // The letter that asked it came back.
        (c, ReplyStatus::Broken),
        (d, ReplyStatus::Refused),
    ] {
        let found = known(ports, tenant, text).await.expect("the address");
        assert_eq!(found.status, want);
    }
    let before = generation(ports).await;
    let again = ports.directory.break_reply_address(&address(text)).await;
    assert_eq!(again.expect("an answer"), []);
    assert_eq!(generation(ports).await, before);
    let nobody = TenantId::new(at(9), [9; 10]);
    let refused = ports
        .directory
        .observe_reply_address(seen(nobody, text, at(1)), CAPS)
        .await;
    assert!(matches!(refused, Err(StoreError::NotFound { .. })));
}
