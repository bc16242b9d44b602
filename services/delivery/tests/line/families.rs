//! A host with both address families that refuses us by policy over one of them.

use postrider_fakenet::{Phase, Script};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::place::Place;

/// Refuses the first recipient by policy, takes one recipient at a time, over IPv6.
async fn by_ipv6(listener: TcpListener) {
    let (stream, _) = listener.accept().await.unwrap();
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    write.write_all(b"220 six\r\n").await.unwrap();
    while let Some(line) = lines.next_line().await.unwrap() {
        let answer: &[u8] = match line.get(..4) {
            Some("EHLO") => b"250-six\r\n250 LIMITS RCPTMAX=1\r\n",
            Some("RCPT") if line.contains("ann@") => b"550 5.7.1 not from there\r\n",
            Some("DATA") => b"354 go on\r\n",
            Some("QUIT") => return,
            Some("MAIL" | "RCPT" | "RSET") => b"250 2.0.0 well\r\n",
            _ if line == "." => b"250 2.0.0 kept by six\r\n",
            _ => b"",
        };
        write.write_all(answer).await.unwrap();
    }
}

#[tokio::test]
async fn a_refusal_by_policy_over_one_family_is_asked_again_over_the_other_for_that_recipient() {
    let place = Place::start_with(|config| {
        config.allow_destinations.push("::1/128".parse().unwrap());
    })
    .await;
    let zone = place.net.domain("dual.test");
    let script = Script::new().always(Phase::FinalDot, "251 2.0.0 kept by four");
    let four = zone.mx(script);
    let six = format!("[::1]:{}", place.net.smtp_port());
    let listener = TcpListener::bind(six).await.unwrap();
    let both = ["::1".parse().unwrap(), four.address().ip()];
    zone.host_addresses("mx.dual.test", &both);
    let mut message = place.to(&["ann@dual.test", "bob@dual.test"]);
    message.recipients[1].return_path = message.recipients[0].return_path.clone();
    let sent = place.commit(message).await;
    let mut served = JoinSet::new();
    served.spawn(by_ipv6(listener));
    let mut words = place.words(&sent, 2).await;
    words.sort();
    assert_eq!(words, ["ann delivered 251", "bob delivered 250"]);
    place.stop().await;
}
