use postrider_model::DomainError;

use super::*;

fn address(text: &str) -> EmailAddress {
    EmailAddress::parse(text).unwrap()
}

#[test]
fn commands_are_known_in_any_case_and_by_whole_words() {
    for (line, want, rest) in [
        ("EHLO vm", Verb::Ehlo, " vm"),
        ("ehlo [127.0.0.1]", Verb::Ehlo, " [127.0.0.1]"),
        ("EHLO", Verb::Ehlo, ""),
        ("HELO ", Verb::Helo, ""),
        (" mail FROM:<a@b>", Verb::Mail, " FROM:<a@b>"),
        ("MAIL\tFROM:<a@b>", Verb::Mail, "\tFROM:<a@b>"),
        ("StartTls", Verb::StartTls, ""),
        ("quit  ", Verb::Quit, ""),
        ("BDAT 5 LAST", Verb::NotOffered("BDAT"), " 5 LAST"),
        ("lhlo x", Verb::NotOffered("LHLO"), " x"),
        (
            "XCLIENT ADDR=1.2.3.4",
            Verb::NotOffered("XCLIENT"),
            " ADDR=1.2.3.4",
        ),
        ("GET / HTTP/1.1", Verb::Http, " / HTTP/1.1"),
        ("POST /x HTTP/1.1", Verb::Http, " /x HTTP/1.1"),
        ("get / HTTP/1.1", Verb::Unknown, " / HTTP/1.1"),
        ("GET", Verb::Unknown, ""),
        ("DATA: x", Verb::Unknown, ": x"),
        ("Mail-Followup-To: x", Verb::Unknown, "-Followup-To: x"),
        ("MAILFROM:<a@b>", Verb::Unknown, ":<a@b>"),
        ("AUTH=PLAIN x", Verb::Unknown, "=PLAIN x"),
        ("", Verb::Unknown, ""),
        (".", Verb::Unknown, "."),
        ("\u{e9}", Verb::Unknown, "\u{e9}"),
    ] {
        assert_eq!(
            Verb::of(line.as_bytes()),
            (want, rest.as_bytes()),
            "{line:?}"
        );
    }
}

#[test]
fn senders_are_taken_whatever_they_are() {
    for (line, want) in [
        (" FROM:<>", Sender::Null),
        (
            " FROM:<Ann@Example.org>",
            Sender::Address(address("Ann@example.org")),
        ),
        (
            " FROM:<@relay.example:a@b.example>",
            Sender::Address(address("a@b.example")),
        ),
        (" FROM:<root>", Sender::Other("root".to_owned())),
        (
            " FROM:<joe@[192.0.2.1]>",
            Sender::Other("joe@[192.0.2.1]".to_owned()),
        ),
        (
            " FROM:<a@b@c.example>",
            Sender::Other("a@b@c.example".to_owned()),
        ),
    ] {
        assert_eq!(mail(line.as_bytes()).unwrap().from, want, "{line:?}");
    }
    assert_eq!(mail(b" FROM:").unwrap_err(), Refusal::Sender);
    assert_eq!(mail(b"").unwrap_err(), Refusal::Sender);
    // Latin-1.
    assert!(matches!(
        mail(b" FROM:<\xe9@b.example>").unwrap().from,
        Sender::Address(_) | Sender::Other(_)
    ));
}

#[test]
fn parameters_of_mail_are_read_in_any_case_and_order() {
    let said = |text: &str| mail(format!(" FROM:<a@b.example> {text}").as_bytes());
    for (text, size, body, smtputf8) in [
        ("", None, Body::SevenBit, false),
        ("SIZE=525", Some(525), Body::SevenBit, false),
        ("size=525", Some(525), Body::SevenBit, false),
        ("size=00", Some(0), Body::SevenBit, false),
        ("BODY=8BITMIME SMTPUTF8", None, Body::EightBit, true),
        (
            "smtputf8 body=8bitmime Size=7",
            Some(7),
            Body::EightBit,
            true,
        ),
        ("BODY=7BIT", None, Body::SevenBit, false),
        ("AUTH=<>", None, Body::SevenBit, false),
        (
            "AUTH=e+3Dmc2@example.com SIZE=1",
            Some(1),
            Body::SevenBit,
            false,
        ),
        (
            "SIZE=99999999999999999999999",
            Some(u64::MAX),
            Body::SevenBit,
            false,
        ),
    ] {
        let mail = said(text).unwrap();
        assert_eq!(
            (mail.size, mail.body, mail.smtputf8),
            (size, body, smtputf8),
            "{text:?}"
        );
    }
    for (text, name) in [
        ("RET=HDRS", "RET"),
        ("envid=1", "ENVID"),
        ("FOO", "FOO"),
        ("REQUIRETLS", "REQUIRETLS"),
    ] {
        let want = Refusal::Parameter {
            command: "MAIL",
            name: name.to_owned(),
        };
        assert_eq!(said(text).unwrap_err(), want, "{text:?}");
    }
    for (text, name) in [
        ("SIZE=", "SIZE"),
        ("SIZE", "SIZE"),
        ("SIZE=-1", "SIZE"),
        ("BODY=BINARYMIME", "BODY"),
        ("SMTPUTF8=1", "SMTPUTF8"),
    ] {
        let want = Refusal::ParameterValue {
            command: "MAIL",
            name: name.to_owned(),
        };
        assert_eq!(said(text).unwrap_err(), want, "{text:?}");
    }
}

#[test]
fn recipients_are_addresses_or_refused_with_the_reason() {
    for (line, want) in [
        (" TO:<Bob@Example.org>", "Bob@example.org"),
        (" to: bob@example.org", "bob@example.org"),
        (
            " TO:<\"quoted user\"@d.example>",
            "\"quoted user\"@d.example",
        ),
        (" TO:<\"a@b\"@d.example>", "\"a@b\"@d.example"),
        (" TO:<@a.example,@b.example:c@d.example>", "c@d.example"),
        (" TO:<a%b.example@d.example>", "a%b.example@d.example"),
        (" TO:<дед@почта.example>", "дед@xn--80a1acny.example"),
    ] {
        assert_eq!(
            recipient(line.as_bytes()).unwrap().to_string(),
            want,
            "{line:?}"
        );
    }
    for (line, want) in [
        (" TO:<>", Refusal::Recipient(AddressError::Empty)),
        (" TO:<postmaster>", Refusal::Recipient(AddressError::NoAt)),
        (
            " TO:<a@[192.0.2.1]>",
            Refusal::Recipient(AddressError::Domain(DomainError::Literal)),
        ),
        (
            " TO:<a@b@c.example>",
            Refusal::Recipient(AddressError::BadCharacter('@')),
        ),
        (" TO:<a!b@>", Refusal::Recipient(AddressError::NoDomain)),
        (" TO:", Refusal::RecipientForm),
        (" FROM:<a@b.example>", Refusal::RecipientForm),
        ("", Refusal::RecipientForm),
        (
            " TO:<a@b.example> NOTIFY=NEVER",
            Refusal::Parameter {
                command: "RCPT",
                name: "NOTIFY".to_owned(),
            },
        ),
    ] {
        assert_eq!(recipient(line.as_bytes()).unwrap_err(), want, "{line:?}");
    }
    let latin = recipient(b" TO:<ren\xe9@b.example>").unwrap_err();
    assert_eq!(
        latin,
        Refusal::Recipient(AddressError::BadCharacter('\u{fffd}'))
    );
}

#[test]
fn a_name_of_a_parameter_is_shown_in_part_where_it_is_endless() {
    let line = format!(" FROM:<a@b.example> {}", "x".repeat(900));
    let Refusal::Parameter { name, .. } = mail(line.as_bytes()).unwrap_err() else {
        panic!("taken");
    };
    assert_eq!(name, "X".repeat(32));
}

proptest::proptest! {
    #[test]
    fn no_line_makes_the_parser_stumble(line in proptest::collection::vec(proptest::arbitrary::any::<u8>(), 0..120)) {
        let (_, rest) = Verb::of(&line);
        drop((mail(rest), recipient(rest)));
    }

    #[test]
    fn every_address_is_read_as_it_is_printed(local in "[!-~]{1,20}") {
        let domain = postrider_model::Domain::parse("example.org").unwrap();
        let address = EmailAddress::new(local, domain).unwrap();
        let line = format!(" TO:<{address}>");
        proptest::prop_assert_eq!(recipient(line.as_bytes()).unwrap(), address);
    }
}
