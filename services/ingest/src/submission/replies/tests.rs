use postrider_model::AddressError;

use super::*;

fn refusals() -> Vec<Refusal> {
    let name = || "NOTIFY".to_owned();
    vec![
        Refusal::Http,
        Refusal::TlsRequired,
        Refusal::AuthNeedsTls,
        Refusal::TlsUnavailable,
        Refusal::TlsAlready,
        Refusal::BehindStartTls,
        Refusal::AuthRequired,
        Refusal::NoMechanism,
        Refusal::Mechanism(Some("CRAM-MD5")),
        Refusal::Mechanism(None),
        Refusal::Base64,
        Refusal::PlainForm,
        Refusal::OtherIdentity,
        Refusal::NoPassword,
        Refusal::SignInCancelled,
        Refusal::SignedInAlready,
        Refusal::TooManySignIns,
        Refusal::NoHello,
        Refusal::MailOpen,
        Refusal::NoMail,
        Refusal::NoRecipients,
        Refusal::Sender,
        Refusal::RecipientForm,
        Refusal::Recipient(AddressError::NoDomain),
        Refusal::Parameter {
            command: "RCPT",
            name: name(),
        },
        Refusal::ParameterValue {
            command: "MAIL",
            name: name(),
        },
        Refusal::TooManyRecipients { most: 1_000 },
        Refusal::TooLarge { most: 41_943_040 },
        Refusal::UnknownCommand,
        Refusal::NotOffered("BDAT"),
        Refusal::Argument("STARTTLS"),
        Refusal::LineTooLong { most: 2_048 },
        Refusal::BareLineFeed,
        Refusal::ControlCharacters,
        Refusal::ContentUnasked,
        Refusal::TooManyErrors,
    ]
}

fn wire(told: &Told, config: &SmtpConfig) -> String {
    let code = SessionCode::parse("7F3K-Q2").unwrap();
    told.reply(Some(code), config).wire_lines().join("\n")
}

#[test]
fn what_the_conversation_refuses_has_the_codes_of_the_protocol() {
    for refusal in refusals() {
        let smtp = of_refusal(&refusal, &SmtpConfig::default())
            .entry
            .smtp
            .unwrap();
        let want = (refusal.code(), refusal.enhanced());
        assert_eq!((smtp.code, smtp.enhanced), want, "{refusal:?}");
    }
}

#[test]
fn the_replies_as_they_are_read() {
    let config = SmtpConfig::default();
    let lines: Vec<_> = refusals()
        .iter()
        .map(|refusal| wire(&of_refusal(refusal, &config), &config))
        .collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn what_the_gate_refuses_as_it_is_read() {
    let config = SmtpConfig::default();
    let lines: Vec<_> = crate::refusal::tests::accept_errors()
        .iter()
        .map(|error| wire(&of_accept(error), &config))
        .collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn where_a_page_explains_them_the_first_and_the_last_line_have_the_code() {
    let config = SmtpConfig {
        documentation: Some("https://docs.example/refusals".to_owned()),
        ..SmtpConfig::default()
    };
    let values = [("by", "Acme"), ("contact", "help@acme.example")];
    let reply = wire(&told(Entry::SUSPENDED, &values), &config);
    assert_eq!(
        reply,
        "525-5.7.13 PR-208 This account is suspended by Acme: write to help@acme.example. (7F3K-Q2)\n\
         525 5.7.13 See https://docs.example/refusals#pr-208 (7F3K-Q2)"
    );
}
