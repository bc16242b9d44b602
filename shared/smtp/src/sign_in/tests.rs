use super::*;

fn pack(text: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(text)
}

/// A whole exchange: what follows AUTH, then the answers. The result, and the challenges met.
fn exchange(arguments: &str, answers: &[&str]) -> (Result<SignIn, Refusal>, Vec<&'static str>) {
    let mut asked = Vec::new();
    let mut answers = answers.iter();
    let mut step = begin(arguments.as_bytes());
    loop {
        match step {
            Err(refusal) => return (Err(refusal), asked),
            Ok(Step::Done(sign_in)) => return (Ok(sign_in), asked),
            Ok(Step::Ask(exchange)) => {
                asked.push(exchange.challenge());
                let answer = answers.next().expect("the client has no more to say");
                step = exchange.answered(answer.as_bytes());
            }
        }
    }
}

fn joe(mechanism: Mechanism) -> SignIn {
    SignIn {
        mechanism,
        user: "joe".to_owned(),
        password: Password("7F3K-Q2".to_owned()),
    }
}

const USER: &str = "VXNlcm5hbWU6";
const PASSWORD: &str = "UGFzc3dvcmQ6";

#[test]
fn plain_is_taken_with_and_without_an_initial_response() {
    let packed = pack(b"\0joe\x007F3K-Q2");
    for (arguments, answers, asked) in [
        (format!(" PLAIN {packed}"), vec![], vec![]),
        (format!(" plain  {packed} "), vec![], vec![]),
        (" PLAIN".to_owned(), vec![packed.as_str()], vec![""]),
        (" PLAIN =".to_owned(), vec![packed.as_str()], vec![""]),
    ] {
        let got = exchange(&arguments, &answers);
        assert_eq!(got, (Ok(joe(Mechanism::Plain)), asked), "{arguments}");
    }
}

#[test]
fn login_is_taken_in_all_its_forms() {
    let (user, password) = (pack(b"joe"), pack(b"7F3K-Q2"));
    for (arguments, answers, asked) in [
        (
            " LOGIN".to_owned(),
            vec![user.as_str(), &password],
            vec![USER, PASSWORD],
        ),
        (
            " Login".to_owned(),
            vec![user.as_str(), &password],
            vec![USER, PASSWORD],
        ),
        (
            format!(" LOGIN {user}"),
            vec![password.as_str()],
            vec![PASSWORD],
        ),
    ] {
        let got = exchange(&arguments, &answers);
        assert_eq!(got, (Ok(joe(Mechanism::Login)), asked), "{arguments}");
    }
    // No user name at all: the password is the key.
    for (arguments, answers) in [
        (" LOGIN =", vec![&*password]),
        (" LOGIN", vec!["", &password]),
    ] {
        let (got, _) = exchange(arguments, &answers);
        assert_eq!(got.unwrap().user, "", "{arguments}");
    }
}

#[test]
fn white_space_and_padding_do_not_matter() {
    for (plain, packed) in [
        ("as packed", "AGpvZQA3RjNLLVEy"),
        ("with spaces", "AGpv ZQA3 RjNL\tLVEy"),
        ("with padding too much", "AGpvZQA3RjNLLVEy=="),
    ] {
        assert_eq!(
            exchange(" PLAIN", &[packed]).0,
            Ok(joe(Mechanism::Plain)),
            "{plain}"
        );
    }
    for password in [
        b" 7F3K-Q2".as_slice(),
        b"7F3K-Q2\r\n",
        b"\t7F3K-Q2 \0",
        "\u{feff}7F3K-Q2\u{a0}".as_bytes(),
    ] {
        let packed = pack(password);
        let bare = packed.trim_end_matches('=');
        for answer in [packed.as_str(), bare] {
            let (got, _) = exchange(" LOGIN am9l", &[answer]);
            assert_eq!(got, Ok(joe(Mechanism::Login)), "{password:?} as {answer}");
        }
    }
}

#[test]
fn the_identity_may_be_empty_or_the_user() {
    let with = |identity: &str| {
        exchange(
            " PLAIN",
            &[&pack(format!("{identity}\0joe\x007F3K-Q2").as_bytes())],
        )
        .0
    };
    assert_eq!(with(""), Ok(joe(Mechanism::Plain)));
    assert_eq!(with("joe"), Ok(joe(Mechanism::Plain)));
    assert_eq!(with("ann"), Err(Refusal::OtherIdentity));
}

#[test]
fn what_cannot_be_taken_says_what_is_wrong() {
    let no_password = pack(b"\0joe\0");
    let one_part = pack(b"joe");
    let two_parts = pack(b"joe\x007F3K-Q2");
    for (arguments, answers, want) in [
        ("", vec![], Refusal::NoMechanism),
        (" ", vec![], Refusal::NoMechanism),
        (" CRAM-MD5", vec![], Refusal::Mechanism(Some("CRAM-MD5"))),
        (
            " ntlm TlRMTVNTUAAB",
            vec![],
            Refusal::Mechanism(Some("NTLM")),
        ),
        (
            " XOAUTH2 dXNlcj0=",
            vec![],
            Refusal::Mechanism(Some("XOAUTH2")),
        ),
        (" HUNTER2", vec![], Refusal::Mechanism(None)),
        (" PLAIN", vec!["*"], Refusal::SignInCancelled),
        (" LOGIN", vec!["*"], Refusal::SignInCancelled),
        (" LOGIN", vec!["am9l", "*"], Refusal::SignInCancelled),
        (" PLAIN *", vec![], Refusal::SignInCancelled),
        (" PLAIN", vec!["not base64!"], Refusal::Base64),
        (" PLAIN", vec!["a"], Refusal::Base64),
        (" LOGIN", vec!["\u{e9}"], Refusal::Base64),
        (" PLAIN", vec![""], Refusal::PlainForm),
        (" PLAIN", vec![&one_part], Refusal::PlainForm),
        (" PLAIN", vec![&two_parts], Refusal::PlainForm),
        (" PLAIN", vec![&no_password], Refusal::NoPassword),
        (" LOGIN am9l", vec![""], Refusal::NoPassword),
        (" LOGIN am9l", vec!["="], Refusal::NoPassword),
        (" LOGIN am9l", vec!["IA=="], Refusal::NoPassword),
    ] {
        assert_eq!(
            exchange(arguments, &answers).0,
            Err(want),
            "{arguments:?} {answers:?}"
        );
    }
}

#[test]
fn a_password_is_not_printed() {
    assert!(!format!("{:?}", joe(Mechanism::Plain)).contains("7F3K"));
}

proptest::proptest! {
    #[test]
    fn any_user_and_password_come_through_both_mechanisms(user in "[!-~é]{0,30}", password in "[!-~é]{1,60}") {
        let plain = pack(format!("\0{user}\0{password}").as_bytes());
        let (by_plain, _) = exchange(" PLAIN", &[&plain]);
        let (by_login, _) = exchange(" LOGIN", &[&pack(user.as_bytes()), &pack(password.as_bytes())]);
        for got in [by_plain.unwrap(), by_login.unwrap()] {
            proptest::prop_assert_eq!(&got.user, &user);
            proptest::prop_assert_eq!(got.password.expose(), &password);
        }
    }

    #[test]
    fn no_answer_makes_it_stumble(answer in proptest::collection::vec(proptest::arbitrary::any::<u8>(), 0..60)) {
        for exchange in [Exchange::Plain, Exchange::LoginUser, Exchange::LoginPassword { user: String::new() }] {
            drop(exchange.answered(&answer));
        }
    }
}
