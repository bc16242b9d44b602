//! `postrider dev --once`: one real message through the whole line, and a look at what arrived.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::internet::Internet;
use super::state::State;
use crate::print;
use crate::relay::Relay;

const WAIT: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(50);
const RECIPIENT: &str = "ann@example.org";

/// Sends, waits, prints. `Ok` only if the message was delivered over TLS and each of its
/// signatures verifies with the key that DNS gives.
pub(super) async fn run(relay: &Relay, internet: &Internet, state: &State) -> anyhow::Result<()> {
    let http = *relay.http.first().context("the HTTP door has no address")?;
    let key = state.api_key.as_deref().context("the sandbox has no key")?;
    let message = json!({
        "from": "Sandbox Garage <front-desk@garage.test>",
        "to": RECIPIENT,
        "subject": "One message, all the way",
        "text": "It came by HTTP, was signed, stored, and delivered by SMTP over TLS.",
    });
    let before = internet.newest();
    let sent = request(http, key, "POST", "/emails", Some(&message)).await?;
    let id = word(&sent, "id").with_context(|| format!("it was not accepted: {sent}"))?;
    let path = format!("/emails/{id}/events");
    let events = timeout(WAIT, settled(http, key, &path)).await;
    let events = events.context("it was not settled within a minute")??;
    print_timeline(&events)?;
    let arrived = internet.arrived_after(before, RECIPIENT).await;
    let Some(arrived) = arrived else {
        bail!("nothing arrived at the fake exchanger")
    };
    print::line(&arrived.shown())?;
    if last_type(&events) != Some("delivered") {
        bail!("it was not delivered");
    }
    arrived.check()
}

async fn settled(http: SocketAddr, key: &str, path: &str) -> anyhow::Result<Vec<Value>> {
    loop {
        let answer = request(http, key, "GET", path, None).await?;
        let events = answer
            .get("data")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        if matches!(
            last_type(&events),
            Some("delivered" | "bounced" | "failed" | "expired")
        ) {
            return Ok(events);
        }
        sleep(POLL).await;
    }
}

fn last_type(events: &[Value]) -> Option<&str> {
    events.last().and_then(|event| word(event, "type"))
}

fn word<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name).and_then(Value::as_str)
}

fn print_timeline(events: &[Value]) -> anyhow::Result<()> {
    print::line("Timeline")?;
    for event in events {
        let shown = |name| word(event, name).unwrap_or_default();
        let said = match event.get("reply").filter(|reply| !reply.is_null()) {
            Some(reply) => {
                let code = reply.get("code").unwrap_or(&Value::Null);
                format!("{code} {}", word(reply, "text").unwrap_or_default())
            }
            None => shown("note").to_owned(),
        };
        let line = format!("  {}  {:<12} {said}", shown("created_at"), shown("type"));
        print::line(line.trim_end())?;
    }
    Ok(())
}

// A whole HTTP exchange on a connection of its own. Enough for our own door, and for nothing else.
async fn request(
    http: SocketAddr,
    key: &str,
    method: &str,
    path: &str,
    body: Option<&Value>,
) -> anyhow::Result<Value> {
    let body = body.map(ToString::to_string).unwrap_or_default();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {http}\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let mut stream = TcpStream::connect(http).await?;
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let (_, json) = answer
        .split_once("\r\n\r\n")
        .context("the answer has no body")?;
    serde_json::from_str(json).with_context(|| format!("the answer is no JSON: {json}"))
}
