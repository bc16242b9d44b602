//! Every combination that a person can choose in a settings form ends in a message that is taken
//! or in exactly the sentence that names the box to change.

use crate::harness::{Relay, mail, pack};
use crate::line::{Line, code_of};

#[derive(Clone, Copy, Debug)]
enum Tls {
    None,
    Implicit,
    Explicit,
}

#[derive(Clone, Copy, Debug)]
enum Auth {
    None,
    UserOnly,
    WrongPassword,
    Login,
    Plain,
    CramMd5,
    Ntlm,
    XOauth2,
}

const AUTHS: [Auth; 8] = [
    Auth::None,
    Auth::UserOnly,
    Auth::WrongPassword,
    Auth::Login,
    Auth::Plain,
    Auth::CramMd5,
    Auth::Ntlm,
    Auth::XOauth2,
];

/// What the form leads to: the id of the entry, or `250`.
fn want(tls: Tls, auth: Auth) -> &'static str {
    match (tls, auth) {
        (Tls::None, Auth::None) => "PR-102",
        (Tls::None, _) => "PR-103",
        (_, Auth::None) => "PR-204",
        (_, Auth::UserOnly) => "PR-202",
        (_, Auth::WrongPassword) => "PR-201",
        (_, Auth::Login | Auth::Plain) => "250",
        (_, Auth::CramMd5 | Auth::Ntlm | Auth::XOauth2) => "PR-203",
    }
}

async fn sign_in(line: &mut Line, relay: &Relay, auth: Auth) -> String {
    let first = match auth {
        Auth::None => return String::new(),
        Auth::Plain => relay.auth_plain(),
        Auth::CramMd5 => "AUTH CRAM-MD5".to_owned(),
        Auth::Ntlm => "AUTH NTLM TlRMTVNTUAABAAAA".to_owned(),
        Auth::XOauth2 => "AUTH XOAUTH2 dXNlcj1qb2UB".to_owned(),
        Auth::UserOnly | Auth::WrongPassword | Auth::Login => "AUTH LOGIN".to_owned(),
    };
    let mut reply = line.say(&first).await;
    let password = match auth {
        Auth::WrongPassword => "0000-0000-0000-0000-0000-0000",
        Auth::Login => &relay.password,
        _ => "",
    };
    for answer in [pack("joe"), pack(password)] {
        if reply.starts_with("334") {
            reply = line.say(&answer).await;
        }
    }
    reply
}

// As most programs do it: what is refused is shown, and they leave.
async fn send(relay: &Relay, line: &mut Line, auth: Auth) -> String {
    line.say("EHLO vm").await;
    let reply = sign_in(line, relay, auth).await;
    if reply.starts_with(['4', '5']) {
        return reply;
    }
    for said in [
        "MAIL FROM:<joe@joesgarage.example>",
        "RCPT TO:<ann@example.org>",
        "DATA",
    ] {
        let reply = line.say(said).await;
        if reply.starts_with(['4', '5']) {
            return reply;
        }
    }
    line.send(mail().as_bytes()).await;
    line.say(".").await
}

#[tokio::test]
async fn every_form_ends_in_a_message_or_in_the_box_to_change() {
    let relay = Relay::start().await;
    for address in [relay.slow, relay.quick] {
        for tls in [Tls::None, Tls::Implicit, Tls::Explicit] {
            // Three seconds of silence for each: two of them say enough.
            let slow = address == relay.slow;
            for auth in AUTHS {
                if slow
                    && !matches!(tls, Tls::Implicit)
                    && !matches!(auth, Auth::Login | Auth::None)
                {
                    continue;
                }
                let mut line = match tls {
                    Tls::None => Line::plain(address).await,
                    Tls::Implicit => Line::implicit(address).await,
                    Tls::Explicit => Line::starttls(address).await,
                };
                let reply = send(&relay, &mut line, auth).await;
                let want = want(tls, auth);
                let got = reply.split(' ').find(|word| word.starts_with("PR-"));
                assert_eq!(
                    got.unwrap_or(&reply[..3]),
                    want,
                    "{tls:?} {auth:?}: {reply}"
                );
                // Every one of them can be looked up.
                assert_eq!(code_of(&reply).len(), 7, "{reply}");
            }
        }
    }
}
