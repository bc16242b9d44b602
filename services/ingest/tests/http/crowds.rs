//! Clients that come in thousands and do nothing, while others send.

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::harness::{Relay, mail};

// Two thousand, or as many as a quarter of the files allows: each has two ends here.
fn many() -> usize {
    let files = postrider_runtime::raise_open_files().unwrap_or(u64::MAX);
    usize::try_from(files / 4).unwrap_or(usize::MAX).min(2_000)
}

// In turn: nothing, half a header, half a body, and a connection that is kept.
async fn slow(relay: &Relay, count: usize) -> Vec<TcpStream> {
    let half_a_body = format!(
        "POST /emails HTTP/1.1\r\nauthorization: Bearer {}\r\ncontent-length: 5000\r\n\r\n{{\"to\":",
        relay.key
    );
    let kinds = [
        "",
        "GET /healthz HTTP/1.1\r\nx: ",
        half_a_body.as_str(),
        "GET /healthz HTTP/1.1\r\n\r\n",
    ];
    let mut streams = Vec::with_capacity(count);
    for begun in kinds.iter().cycle().take(count) {
        let mut stream = TcpStream::connect(relay.address).await.unwrap();
        stream.write_all(begun.as_bytes()).await.unwrap();
        streams.push(stream);
    }
    streams
}

#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_slow_clients_leave_the_others_their_answers() {
    let relay = Relay::start().await;
    let slow = slow(&relay, many()).await;
    let begun = Instant::now();
    for _ in 0..50 {
        relay.send(mail("")).await.id();
        for stream in &slow {
            // Some of them are closed by now.
            let _dripped = stream.try_write(b"a");
        }
    }
    // Nobody's time was up before anybody was served.
    let least = postrider_http::Config::default().header_timeout;
    assert!(begun.elapsed() < least, "{:?}", begun.elapsed());
    drop(slow);
}

#[tokio::test]
async fn what_is_only_announced_holds_no_memory() {
    let relay = Relay::start().await;
    let mut announced = Vec::new();
    // Ten times the budget.
    for _ in 0..64 {
        let mut stream = TcpStream::connect(relay.address).await.unwrap();
        let head = format!(
            "POST /emails HTTP/1.1\r\nauthorization: Bearer {}\r\ncontent-length: 41943040\r\n\r\n{{",
            relay.key
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        announced.push(stream);
    }
    let large = mail(&format!(r#","html":"{}""#, "a".repeat(1024 * 1024)));
    let sent = tokio::time::timeout(Duration::from_secs(20), relay.send(large)).await;
    sent.unwrap().id();
}
