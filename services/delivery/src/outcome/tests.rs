use postrider_model::{EnhancedCode, Reply};
use proptest::prelude::*;

use super::*;

const PHASES: &[Phase] = &[
    Phase::Connect,
    Phase::Greeting,
    Phase::Hello,
    Phase::Starttls,
    Phase::Handshake,
    Phase::MailFrom,
    Phase::RcptTo,
    Phase::Data,
    Phase::Body,
    Phase::FinalDot,
    Phase::Rset,
    Phase::Quit,
];

const USUAL: Verdict = Verdict::Retry(Hint::Usual);
const GREYLIST: Verdict = Verdict::Retry(Hint::Greylist);
const NEXT: Verdict = Verdict::NextHost(WithoutOther::Retry);

fn reply(text: &str) -> Reply {
    let (code, rest) = text.split_once(' ').unwrap_or((text, ""));
    let enhanced = EnhancedCode::parse(rest);
    Reply::new(code.parse().unwrap(), enhanced, b"")
}

fn plain() -> Context {
    Context {
        age: Duration::from_mins(1),
        accepted: 0,
        other_family: OtherFamily::None,
    }
}

#[test]
fn each_reply_has_its_verdict() {
    for (phase, given, want) in [
        (Phase::Greeting, "220", Verdict::Proceed),
        (Phase::Greeting, "421 4.3.2", NEXT),
        (Phase::Greeting, "450", NEXT),
        (Phase::Greeting, "554 5.7.1", NEXT),
        (Phase::Greeting, "550", NEXT),
        (Phase::Greeting, "354", NEXT),
        (Phase::Hello, "250", Verdict::Proceed),
        (Phase::Hello, "500", Verdict::SayHelo),
        (Phase::Hello, "502", Verdict::SayHelo),
        (Phase::Hello, "504", Verdict::SayHelo),
        (Phase::Hello, "550", Verdict::SayHelo),
        (Phase::Hello, "501", NEXT),
        (Phase::Hello, "554", NEXT),
        (Phase::Hello, "421", NEXT),
        (Phase::Starttls, "220", Verdict::Proceed),
        (Phase::Starttls, "454", NEXT),
        (Phase::Starttls, "501", NEXT),
        (Phase::MailFrom, "250", Verdict::Proceed),
        (Phase::MailFrom, "451 4.7.1", GREYLIST),
        (Phase::MailFrom, "421", USUAL),
        (Phase::MailFrom, "550 5.7.1", Verdict::Fail),
        (Phase::MailFrom, "552 5.3.4", Verdict::Fail),
        (Phase::RcptTo, "250", Verdict::Proceed),
        (Phase::RcptTo, "251", Verdict::Proceed),
        (Phase::RcptTo, "354", USUAL),
        (Phase::RcptTo, "450", USUAL),
        (Phase::RcptTo, "450 4.7.1", GREYLIST),
        (Phase::RcptTo, "451 4.7.1", GREYLIST),
        (Phase::RcptTo, "452 4.7.1", USUAL),
        (Phase::RcptTo, "451 4.7.0", USUAL),
        (Phase::RcptTo, "451 4.3.0", USUAL),
        (Phase::RcptTo, "421 4.7.1", USUAL),
        (Phase::RcptTo, "452", USUAL),
        (Phase::RcptTo, "552", USUAL),
        (Phase::RcptTo, "552 5.2.2", USUAL),
        (Phase::RcptTo, "552 5.3.4", Verdict::Fail),
        (Phase::RcptTo, "550 5.1.1", Verdict::Fail),
        (Phase::RcptTo, "550 4.7.1", Verdict::Fail),
        (Phase::RcptTo, "553", Verdict::Fail),
        (Phase::Data, "354", Verdict::Proceed),
        (Phase::Data, "250", USUAL),
        (Phase::Data, "554 5.5.1", Verdict::Fail),
        (Phase::Data, "421", USUAL),
        (Phase::FinalDot, "250 2.0.0", Verdict::Delivered),
        (Phase::FinalDot, "354", USUAL),
        (Phase::FinalDot, "421 4.3.2", USUAL),
        (Phase::FinalDot, "451 4.7.1", GREYLIST),
        (Phase::FinalDot, "452", USUAL),
        (Phase::FinalDot, "552", Verdict::Fail),
        (Phase::FinalDot, "552 5.2.2", USUAL),
        (Phase::FinalDot, "554 5.7.26", Verdict::Fail),
        (Phase::FinalDot, "000", USUAL),
        (Phase::FinalDot, "999", USUAL),
        (Phase::Rset, "250", Verdict::Proceed),
    ] {
        let verdict = judge(phase, &reply(given), &plain());
        assert_eq!(verdict, want, "{phase:?} {given}");
    }
}

#[test]
fn too_many_recipients_is_no_failure_once_one_was_accepted() {
    let context = Context {
        accepted: 1,
        ..plain()
    };
    for (given, want) in [
        ("452 4.5.3", Verdict::Resend),
        ("452", Verdict::Resend),
        ("552", Verdict::Resend),
        ("552 5.5.3", Verdict::Resend),
        ("452 4.2.2", USUAL),
        ("452 4.3.1", USUAL),
        ("552 5.2.2", USUAL),
        ("552 5.3.4", Verdict::Fail),
        ("550 5.5.3", Verdict::Fail),
    ] {
        let verdict = judge(Phase::RcptTo, &reply(given), &context);
        assert_eq!(verdict, want, "{given}");
    }
    let verdict = judge(Phase::FinalDot, &reply("452 4.5.3"), &context);
    assert_eq!(verdict, USUAL);
}

#[test]
fn a_refusing_greeting_is_believed_after_a_day() {
    for (age, given, want) in [
        (Duration::from_hours(23), "554", NEXT),
        (
            Duration::from_hours(24),
            "554",
            Verdict::NextHost(WithoutOther::Fail),
        ),
        (Duration::from_hours(24), "421", NEXT),
        (Duration::from_hours(24), "454", NEXT),
    ] {
        let context = Context { age, ..plain() };
        let verdict = judge(Phase::Greeting, &reply(given), &context);
        assert_eq!(verdict, want, "{age:?} {given}");
    }
}

#[test]
fn a_policy_refusal_makes_us_try_the_other_address_family_once() {
    let context = Context {
        other_family: OtherFamily::Untried,
        ..plain()
    };
    for phase in [Phase::MailFrom, Phase::RcptTo, Phase::Data, Phase::FinalDot] {
        for (given, want) in [
            ("550 5.7.1", Verdict::OtherFamily),
            ("554 5.7.26", Verdict::OtherFamily),
            ("550 5.1.1", Verdict::Fail),
            ("550", Verdict::Fail),
            ("451 4.7.0", USUAL),
        ] {
            let verdict = judge(phase, &reply(given), &context);
            assert_eq!(verdict, want, "{phase:?} {given}");
        }
    }
}

proptest! {
    #[test]
    fn only_a_2yz_at_the_dot_delivers_and_only_a_5yz_fails(
        phase in proptest::sample::select(PHASES),
        code in 0_u16..1_000,
        enhanced in proptest::option::of((2_u8..6, 0_u16..9, 0_u16..30)),
        accepted in 0_usize..3,
    ) {
        let enhanced = enhanced.map(|(class, subject, detail)| EnhancedCode(class, subject, detail));
        let context = Context { accepted, ..plain() };
        match judge(phase, &Reply::new(code, enhanced, b""), &context) {
            Verdict::Delivered => prop_assert!(phase == Phase::FinalDot && code / 100 == 2),
            Verdict::Fail => prop_assert!(code / 100 == 5),
            Verdict::Resend => prop_assert!(accepted > 0 && phase == Phase::RcptTo),
            _ => {}
        }
    }
}

#[test]
fn only_a_mailbox_that_is_not_there_is_not_written_to_again() {
    for (code, want) in [
        (EnhancedCode(5, 1, 1), true),
        (EnhancedCode(5, 1, 2), true),
        (EnhancedCode(5, 1, 10), true),
        (EnhancedCode(4, 1, 1), false),
        (EnhancedCode(5, 1, 3), false),
        (EnhancedCode(5, 1, 8), false),
        (EnhancedCode(5, 2, 1), false),
        (EnhancedCode(5, 7, 1), false),
    ] {
        assert_eq!(says_no_mailbox(code), want, "{code:?}");
    }
}
