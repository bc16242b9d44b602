use postrider_model::{
    ControlId, Credential, CredentialStatus, EmailAddress, Language, Limits, Ramp, ReplyAddress,
    ReplyAddressId, ReplySource, ReplyStatus, Tenant, Vendor, VendorId, VendorStatus,
};
use postrider_store::DirectorySnapshot;

use super::*;

fn tenant(status: TenantStatus) -> Tenant {
    let address = |text| EmailAddress::parse(text).unwrap();
    Tenant {
        id: TenantId::from_bytes([1; 16]),
        name: "Eva".to_owned(),
        slug: "eva".to_owned(),
        from: address("eva@send.relay.example"),
        reply_to: address("eva@eva.example"),
        next_reply_to: None,
        status,
        stopped_by: None,
        limits: Limits::default(),
        language: Language::En,
        own_domain: false,
        notices: true,
        ramp: Ramp::PAST,
        is_house: false,
        vendor: VendorId::from_bytes([2; 16]),
        licence: None,
        plan: None,
        created_at: Timestamp::from_micros(0),
    }
}

/// For tests of what is told of a tenant.
pub(crate) fn eva() -> Tenant {
    tenant(TenantStatus::Active)
}

fn vendor(status: VendorStatus) -> Vendor {
    Vendor {
        id: VendorId::from_bytes([2; 16]),
        slug: "wrench".to_owned(),
        name: "Wrench".to_owned(),
        contact: None,
        status,
        per_day: 0,
        tenant_limits: Limits::default(),
        languages: vec![Language::En],
        created_at: Timestamp::from_micros(0),
    }
}

/// What is stopped: the tenant, its vendor, its key, and these of the queue.
fn holds(stopped: (bool, bool, bool), scopes: Vec<Scope>) -> Holds {
    let (by_tenant, by_vendor, by_key) = stopped;
    let mut key = Credential::api(
        key(),
        tenant(TenantStatus::Active).id,
        String::new(),
        [3; 32],
    );
    if by_key {
        key.status = CredentialStatus::Suspended;
    }
    let snapshot = DirectorySnapshot {
        tenants: vec![tenant(if by_tenant {
            TenantStatus::Suspended
        } else {
            TenantStatus::Active
        })],
        vendors: vec![vendor(if by_vendor {
            VendorStatus::Suspended
        } else {
            VendorStatus::Active
        })],
        credentials: vec![key],
        ..DirectorySnapshot::default()
    };
    let controls = scopes.into_iter().map(|scope| Control {
        id: ControlId::from_bytes([4; 16]),
        verb: ControlVerb::Suspend,
        scope,
        at: Timestamp::from_micros(7),
    });
    Holds {
        roster: Roster::of(snapshot),
        suspensions: controls.collect(),
        outlook: Outlook {
            simulator: Some(simulator()),
            way_out: Some(WayOut::open()),
        },
    }
}

fn simulator() -> Domain {
    Domain::parse("simulator.relay.example").unwrap()
}

/// Ours is closed for this reason; or, without one, it is not known how many there are.
fn closed(why: Option<&str>) -> Holds {
    let mut holds = holds((false, false, false), vec![]);
    holds.outlook.way_out = why.map(|why| WayOut::with_barrier(Some(why.to_owned())).0);
    holds
}

fn key() -> CredentialId {
    CredentialId::from_bytes([3; 16])
}

fn message() -> MessageId {
    MessageId::from_bytes([5; 16])
}

fn over(holds: &Holds) -> Vec<String> {
    let domain = Domain::parse("example.org").unwrap();
    let mail = Mail {
        message: Some(message()),
        domain: Some(&domain),
        key: Some(key()),
        ..Mail::of(tenant(TenantStatus::Active).id)
    };
    holds.over(&mail).iter().map(Hold::release).collect()
}

#[test]
fn each_that_stops_mail_is_named_with_the_command_that_lets_it_go() {
    let none = (false, false, false);
    let domain = |name| Scope::Domain(Domain::parse(name).unwrap());
    let queue = |scope| holds(none, vec![scope]);
    let id = tenant(TenantStatus::Active).id;
    for (holds, want) in [
        (holds(none, vec![]), ""),
        (
            holds((true, false, false), vec![]),
            "postrider tenant resume eva",
        ),
        (
            holds((false, true, false), vec![]),
            "postrider vendor resume wrench",
        ),
        (
            holds((false, false, true), vec![]),
            "postrider key resume 03030303-0303-0303-0303-030303030303",
        ),
        (
            queue(Scope::Tenant(id)),
            "postrider queue resume --tenant eva",
        ),
        (
            queue(Scope::Vendor(VendorId::from_bytes([2; 16]))),
            "postrider queue resume --vendor wrench",
        ),
        (
            queue(domain("example.org")),
            "postrider queue resume --domain example.org",
        ),
        (
            queue(Scope::Message(message())),
            "postrider queue resume --message 05050505-0505-0505-0505-050505050505",
        ),
        (queue(domain("example.net")), ""),
        (queue(Scope::Message(MessageId::from_bytes([6; 16]))), ""),
        (queue(Scope::Tenant(TenantId::from_bytes([9; 16]))), ""),
        (queue(Scope::Vendor(VendorId::from_bytes([9; 16]))), ""),
    ] {
        let found = over(&holds);
        assert_eq!(found.join("|"), want);
    }
    let all = holds((true, true, true), vec![Scope::Tenant(id)]);
    assert_eq!(over(&all).len(), 4);
}

#[test]
fn a_key_is_named_as_a_list_of_keys_shows_it() {
    for (prefix, user, want) in [
        ("pr_live_ab12", None, "the key pr_live_ab12… that"),
        ("7F3K", Some("eva"), "the key 7F3K… of the user eva that"),
        ("", Some("eva"), "the key of the user eva that"),
        (
            "",
            None,
            "the key 03030303-0303-0303-0303-030303030303 that",
        ),
    ] {
        let id = tenant(TenantStatus::Active).id;
        let mut known = Credential::api(key(), id, prefix.to_owned(), [3; 32]);
        known.user = user.map(str::to_owned);
        let mut holds = holds((false, false, false), vec![]);
        holds.roster = Roster::of(DirectorySnapshot {
            credentials: vec![known],
            ..DirectorySnapshot::default()
        });
        let said = holds.of_key(key()).sentence();
        assert!(said.starts_with(want), "{said}");
    }
}

#[test]
fn mail_that_names_somebody_who_said_no_is_held_for_that() {
    let mut holds = holds((false, false, false), vec![]);
    let id = tenant(TenantStatus::Active).id;
    let address = EmailAddress::parse("Ann@shop.example").unwrap();
    let refused = ReplyAddress {
        id: ReplyAddressId::from_bytes([6; 16]),
        tenant: id,
        address,
        status: ReplyStatus::Refused,
        source: ReplySource::Tenant,
        confirmed_at: None,
        asked_at: None,
        told_at: None,
        refused_at: None,
        attested_by: None,
        created_at: Timestamp::from_micros(0),
    };
    holds.roster = Roster::of(DirectorySnapshot {
        tenants: vec![tenant(TenantStatus::Active)],
        vendors: vec![vendor(VendorStatus::Active)],
        reply_addresses: vec![refused],
        ..DirectorySnapshot::default()
    });
    for (reply_to, want) in [
        ("ann@shop.example", true),
        ("ANN@shop.example", true),
        ("joe@shop.example", false),
    ] {
        let answers = [EmailAddress::parse(reply_to).unwrap()];
        let found = holds.over(&Mail {
            answers: &answers,
            ..Mail::of(id)
        });
        let words: Vec<_> = found.iter().map(Hold::word).collect();
        assert_eq!(words == ["owner"], want, "{reply_to:?}: {found:?}");
        for hold in &found {
            let release = hold.release().to_lowercase();
            assert!(
                release.starts_with("postrider reply confirm eva ann@"),
                "{release}"
            );
            assert!(hold.sentence().contains("does not know eva"));
            let remedy = hold.remedy(message());
            let cancel = format!("`postrider queue cancel --message {}`", message());
            assert!(remedy.contains(&cancel), "{remedy}");
        }
    }
    let answers = [EmailAddress::parse("ann@shop.example").unwrap()];
    let simulator = simulator();
    let mut mail = Mail {
        answers: &answers,
        ..Mail::of(id)
    };
    assert_eq!(holds.disowned(&mail), ["ann@shop.example"]);
    mail.domain = Some(&simulator);
    assert_eq!(holds.over(&mail), [], "a simulator's reader meets nobody");
    assert!(holds.disowned(&mail).is_empty());
}

#[test]
fn a_closed_way_out_holds_all_that_would_leave_by_it() {
    let holds = closed(Some("no PTR"));
    assert_eq!(over(&holds), ["postrider doctor"]);
    let simulator = simulator();
    let mail = Mail {
        domain: Some(&simulator),
        cause: Some(WaitCause::Retry),
        ..Mail::of(tenant(TenantStatus::Active).id)
    };
    assert_eq!(holds.over(&mail), [], "that meets nobody outside");
    assert_eq!(holds.apart().domains, [simulator], "and is counted apart");
}

#[test]
fn where_the_way_out_is_not_known_what_was_noted_tells() {
    let holds = closed(None);
    let shut = "nothing may leave this relay (no PTR)";
    let perhaps = "nothing may leave this relay, or DNS has just not told where its mail goes";
    let no_route = Some(WaitCause::NoRoute);
    let simulator = simulator();
    for (cause, note, is_due, want) in [
        (no_route, Some("4.3.5 no PTR"), true, shut),
        (no_route, Some("4.4.3 DNS gives no answer"), true, ""),
        (Some(WaitCause::Retry), Some("4.3.5 no PTR"), true, ""),
        (no_route, None, true, perhaps),
        (no_route, None, false, ""),
        (Some(WaitCause::Turn), None, true, ""),
        (None, None, false, ""),
    ] {
        let mail = Mail {
            cause,
            note,
            is_due,
            ..Mail::of(tenant(TenantStatus::Active).id)
        };
        assert_eq!(together(&holds.over(&mail)), want, "{cause:?} {note:?}");
        let to_simulator = Mail {
            domain: Some(&simulator),
            ..mail
        };
        assert_eq!(holds.over(&to_simulator), []);
    }
}

#[test]
fn what_was_counted_and_turned_back_is_held_by_the_doctor() {
    let queued = |is_due| Queued {
        tenant: tenant(TenantStatus::Active).id,
        cause: WaitCause::NoRoute,
        is_due,
        message: None,
        domain: None,
        credential: None,
        recipients: 400,
    };
    let words = |queued: &Queued| {
        let over = closed(None).over(&Mail::counted(queued));
        over.iter().map(Hold::word).collect::<Vec<_>>()
    };
    assert_eq!(words(&queued(true)), ["doctor"]);
    assert!(words(&queued(false)).is_empty());
}

#[test]
fn a_door_is_told_of_suspensions_of_the_queue_with_their_domain() {
    let domain = Domain::parse("example.org").unwrap();
    let id = tenant(TenantStatus::Active).id;
    let scopes = vec![
        Scope::Domain(domain.clone()),
        Scope::Tenant(id),
        Scope::Message(MessageId::from_bytes([6; 16])),
    ];
    let holds = holds((false, false, false), scopes);
    let since = Timestamp::from_micros(7);
    let want = [(Some(domain), since), (None, since)];
    assert_eq!(holds.concerning(id, message()), want);
}
