//! Sessions with scripted exchangers over loopback.

mod broken;
mod open;
mod whole;

use std::io;

use postrider_model::EmailAddress;
use tokio::net::TcpListener;

use super::script::{Act, Heard, dial, listen, patient, play};
use super::*;

const HELLO: &str = "relay.example.com";

fn address(text: &str) -> EmailAddress {
    EmailAddress::parse(text).unwrap()
}

fn people(names: &[&str]) -> Vec<EmailAddress> {
    names
        .iter()
        .map(|name| address(&format!("{name}@example.org")))
        .collect()
}

/// Greeting and EHLO with these extensions.
fn hello(ehlo: &'static str) -> Vec<Act> {
    vec![
        Act::Say("220 mx.example.org ESMTP\r\n"),
        Act::Hear("EHLO relay.example.com"),
        Act::Say(ehlo),
    ]
}

const BARE: &str = "250 mx.example.org\r\n";
const PIPELINING: &str = "250-mx.example.org\r\n250-PIPELINING\r\n250 SIZE 1000\r\n";

async fn greet(peer: Peer, timeouts: Timeouts) -> Result<Session<Plain>, OpenFailure> {
    let stream = dial(&peer).await.unwrap();
    let mut session = Session::greeted(stream, peer, timeouts).await?;
    session.hello(HELLO).await?;
    Ok(session)
}

/// One message to these people over a fresh session; then the script goes on to its end.
async fn send(script: Vec<Act>, names: &[&str], body: &[u8]) -> (Heard, Transaction) {
    send_within(patient(), script, names, body).await
}

async fn send_within(
    timeouts: Timeouts,
    script: Vec<Act>,
    names: &[&str],
    body: &[u8],
) -> (Heard, Transaction) {
    let (listener, peer) = listen().await;
    let recipients = people(names);
    let return_path = address("bounce@relay.example.com");
    let client = async {
        let mut session = greet(peer, timeouts).await.unwrap();
        let mail = Mail {
            return_path: &return_path,
            recipients: &recipients,
            body,
            smtputf8: false,
        };
        let done = session.transaction(&mail, &mut |_| Ok(())).await;
        session.quit().await;
        done
    };
    tokio::join!(play(&listener, script), client)
}

/// Phase and code of each recipient's answer.
fn codes(done: &Transaction) -> Vec<Option<(Phase, u16)>> {
    let answers = done.answers.iter();
    answers
        .map(|answer| {
            answer
                .as_ref()
                .map(|answer| (answer.phase, answer.reply.code))
        })
        .collect()
}

fn cause(cause: &Fault) -> String {
    let whole = format!("{cause:?}");
    whole.split('(').next().unwrap_or_default().to_owned()
}

/// `Answered`, `Broken DATA Closed`, `Ambiguous TimedOut`.
fn ended(done: &Transaction) -> String {
    match &done.end {
        End::Broken { phase, cause: why } => format!("Broken {} {}", phase.as_str(), cause(why)),
        End::Ambiguous { cause: why } => format!("Ambiguous {}", cause(why)),
        other => format!("{other:?}"),
    }
}
