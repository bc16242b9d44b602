use postrider_model::{
    CredentialId, KeyDefaults, Language, Limits, Ramp, ReplyAddress, ReplyAddressId, ReplySource,
    TenantStatus, Vendor,
};
use postrider_store::DirectorySnapshot;

use super::*;

const ASKED: &str = "2026-01-30T08:00:00.000000Z";

fn address(text: &str) -> EmailAddress {
    EmailAddress::parse(text).unwrap()
}

fn tenant() -> Tenant {
    Tenant {
        id: TenantId::from_bytes([1; 16]),
        name: "Joe's Garage".to_owned(),
        slug: "joes-garage-7k2f".to_owned(),
        from: address("joes-garage-7k2f@send.relay.example"),
        reply_to: address("joe@joesgarage.example"),
        next_reply_to: None,
        status: TenantStatus::Active,
        stopped_by: None,
        limits: Limits::default(),
        language: Language::En,
        own_domain: false,
        notices: true,
        ramp: Ramp::PAST,
        is_house: false,
        vendor: Vendor::OPERATOR,
        licence: None,
        plan: None,
        created_at: Timestamp::from_micros(0),
    }
}

fn roster() -> Roster {
    use ReplyStatus::{Broken, Confirmed, Refused, Unconfirmed};
    let known = [
        ("joe@joesgarage.example", Confirmed),
        ("ann@joesgarage.example", Confirmed),
        ("joe@gmail.com", Confirmed),
        ("asked@elsewhere.example", Unconfirmed),
        ("asked@joesgarage.example", Unconfirmed),
        ("no@joesgarage.example", Refused),
        ("gone@joesgarage.example", Broken),
        ("typo@elsewhere.example", Broken),
    ];
    let entry = |(at, (text, status)): (usize, &(&str, ReplyStatus))| ReplyAddress {
        id: ReplyAddressId::from_bytes([u8::try_from(at).unwrap(); 16]),
        tenant: tenant().id,
        address: address(text),
        status: *status,
        source: ReplySource::Operator,
        confirmed_at: text.starts_with("gone").then(|| Timestamp::from_micros(0)),
        asked_at: Some(Timestamp::parse(ASKED).unwrap()),
        told_at: None,
        refused_at: None,
        attested_by: None,
        created_at: Timestamp::from_micros(0),
    };
    Roster::of(DirectorySnapshot {
        reply_addresses: known.iter().enumerate().map(entry).collect(),
        ..DirectorySnapshot::default()
    })
}

fn facts(from: &str, reply_to: &[&str]) -> Received {
    let header = format!("Reply-To: {}\r\nFrom: {from}\r\n\r\n", reply_to.join(", "));
    postrider_message::read(header.as_bytes()).unwrap()
}

fn printed(list: &[Mailbox]) -> Vec<String> {
    list.iter().map(ToString::to_string).collect()
}

// From, Reply-To, what stands in the end, and how many are refused.
const CHOICES: &[(&str, &[&str], &str, usize)] = &[
    ("", &[], "joe@joesgarage.example", 0),
    (
        "Ann <ann@joesgarage.example>",
        &[],
        "ann@joesgarage.example",
        0,
    ),
    (
        "Ann <ANN@joesgarage.example>",
        &[],
        "ANN@joesgarage.example",
        0,
    ),
    ("x@elsewhere.example", &[], "joe@joesgarage.example", 1),
    (
        "x@elsewhere.example",
        &["ann@joesgarage.example"],
        "ann@joesgarage.example",
        0,
    ),
    (
        "ann@joesgarage.example",
        &[
            "x@elsewhere.example",
            "joe@gmail.com",
            "y@elsewhere.example",
        ],
        "joe@gmail.com",
        2,
    ),
    (
        "ann@joesgarage.example",
        &["x@elsewhere.example"],
        "ann@joesgarage.example",
        1,
    ),
    (
        "x@elsewhere.example",
        &["Bank <x@elsewhere.example>", "\"B\" <X@elsewhere.example>"],
        "joe@joesgarage.example",
        1,
    ),
    (
        "",
        &["joe@gmail.com", "ann@joesgarage.example", "JOE@gmail.com"],
        "joe@gmail.com ann@joesgarage.example",
        0,
    ),
    ("new@joesgarage.example", &[], "joe@joesgarage.example", 1),
    (
        "joes-garage-7k2f@send.relay.example",
        &[],
        "joe@joesgarage.example",
        0,
    ),
    ("no@joesgarage.example", &[], "joe@joesgarage.example", 1),
    ("gone@joesgarage.example", &[], "joe@joesgarage.example", 1),
];

#[test]
fn only_confirmed_addresses_stand_as_reply_to() {
    let (roster, tenant) = (roster(), tenant());
    let book = Book {
        roster: &roster,
        tenant: &tenant,
        key: None,
        trust: Trust::Confirmed,
    };
    for (from, reply_to, want, refused) in CHOICES {
        let got = book.choose(&facts(from, reply_to)).unwrap();
        assert_eq!(printed(&got.to).join(" "), *want, "{from} {reply_to:?}");
        assert_eq!(got.refused.len(), *refused, "{from} {reply_to:?}");
        assert_eq!(got.note().is_some(), *refused > 0);
        assert!(got.of_own_domain.is_empty());
    }
}

#[test]
fn the_event_says_why_and_who_is_asked() {
    let (roster, tenant) = (roster(), tenant());
    let book = Book {
        roster: &roster,
        tenant: &tenant,
        key: None,
        trust: Trust::Confirmed,
    };
    for (from, why, asked) in [
        ("x@elsewhere.example", "it is asked by mail", true),
        (
            "asked@elsewhere.example",
            "it was asked by mail at 2026-01-30",
            true,
        ),
        ("no@joesgarage.example", "its owner has declined it", false),
        ("gone@joesgarage.example", "it takes no mail", false),
    ] {
        let got = book.choose(&facts(from, &[])).unwrap();
        let note = got.note().unwrap();
        assert!(note.contains(why) && note.contains(from), "{note}");
        assert!(
            note.ends_with("; replies go to joe@joesgarage.example"),
            "{note}"
        );
        assert_eq!(got.to_ask().count(), usize::from(asked), "{from}");
    }
}

#[test]
fn at_its_own_domain_a_tenant_needs_one_confirmation() {
    let roster = roster();
    let tenant = Tenant {
        own_domain: true,
        ..tenant()
    };
    let book = Book {
        roster: &roster,
        tenant: &tenant,
        key: None,
        trust: Trust::WhoCanBeTold,
    };
    for (from, is_used, is_told) in [
        ("new@joesgarage.example", true, true),
        ("asked@joesgarage.example", true, true),
        ("ann@joesgarage.example", true, false),
        ("no@joesgarage.example", false, false),
        ("gone@joesgarage.example", false, false),
        ("new@sub.joesgarage.example", false, false),
        ("neighbour@gmail.com", false, false),
        ("joe@gmail.com", true, false),
        ("x@elsewhere.example", false, false),
    ] {
        let got = book.choose(&facts(from, &[])).unwrap();
        assert_eq!(printed(&got.to) == [from], is_used, "{from}");
        assert_eq!(got.of_own_domain.len(), usize::from(is_told), "{from}");
    }
    // Without that it is as any other, but nobody asks it.
    let book = Book {
        trust: Trust::Confirmed,
        ..book
    };
    for (from, is_used) in [
        ("new@joesgarage.example", false),
        ("asked@joesgarage.example", false),
        ("ann@joesgarage.example", true),
    ] {
        let got = book.choose(&facts(from, &[])).unwrap();
        assert_eq!(printed(&got.to) == [from], is_used, "{from}");
        assert_eq!(got.of_own_domain, [], "{from}");
        assert_eq!(got.to_ask().count(), 0, "{from}");
        let note = got.note();
        let says = note.is_some_and(|note| note.contains("at your own domain"));
        assert_eq!(says, !is_used, "{from}");
    }
}

#[test]
fn a_key_has_a_reply_address_and_manners_of_its_own() {
    let (roster, tenant) = (roster(), tenant());
    let mut key = Credential::api(
        CredentialId::from_bytes([1; 16]),
        tenant.id,
        String::new(),
        [0; 32],
    );
    key.defaults = KeyDefaults {
        reply_to: Some(address("ann@joesgarage.example")),
        ..KeyDefaults::default()
    };
    let choose = |key: &Credential, from, reply_to: &[&str]| {
        let book = Book {
            roster: &roster,
            tenant: &tenant,
            key: Some(key),
            trust: Trust::Confirmed,
        };
        book.choose(&facts(from, reply_to))
    };
    for (from, reply_to, want) in [
        ("joe@joesgarage.example", vec![], "ann@joesgarage.example"),
        ("x@elsewhere.example", vec![], "ann@joesgarage.example"),
        ("", vec!["joe@gmail.com"], "joe@gmail.com"),
        ("", vec!["x@elsewhere.example"], "ann@joesgarage.example"),
    ] {
        let got = choose(&key, from, &reply_to).unwrap();
        assert_eq!(printed(&got.to), [want], "{from} {reply_to:?}");
    }
    key.unknown_reply_to = UnknownReplyTo::Refuse;
    let refused = choose(&key, "", &["x@elsewhere.example", "joe@gmail.com"]);
    assert!(
        matches!(&refused, Err(AcceptError::UnknownReplyTo { address }) if address.to_string() == "x@elsewhere.example"),
        "{refused:?}"
    );
    assert!(
        choose(&key, "x@elsewhere.example", &[]).is_ok(),
        "the key's own stands"
    );
}

#[test]
fn a_tenant_is_confirmed_by_its_default_address() {
    let roster = roster();
    for (reply_to, want) in [
        ("joe@joesgarage.example", true),
        ("gone@joesgarage.example", true),
        ("typo@elsewhere.example", false),
        ("asked@elsewhere.example", false),
        ("no@joesgarage.example", false),
        ("x@elsewhere.example", false),
    ] {
        let tenant = Tenant {
            reply_to: address(reply_to),
            ..tenant()
        };
        let book = Book {
            roster: &roster,
            tenant: &tenant,
            key: None,
            trust: Trust::Confirmed,
        };
        assert_eq!(book.is_confirmed(), want, "{reply_to}");
        let house = Tenant {
            is_house: true,
            ..tenant.clone()
        };
        let book = Book {
            tenant: &house,
            ..book
        };
        assert!(book.is_confirmed());
    }
    let tenant = tenant();
    let book = Book {
        roster: &roster,
        tenant: &tenant,
        key: None,
        trust: Trust::Confirmed,
    };
    for (domain, want) in [
        ("joesgarage.example", true),
        ("gmail.com", false),
        ("elsewhere.example", false),
        ("not a domain", false),
    ] {
        assert_eq!(book.shows_domain(domain), want, "{domain}");
    }
}
