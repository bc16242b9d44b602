use postrider_fakenet::Simulator;
use postrider_runtime::Clock;

use crate::client::Client;

const FROM: &str = "ann@sender.example";

fn start() -> Simulator {
    Simulator::start("simulator.relay.test", 1_000, Clock::system()).unwrap()
}

#[tokio::test]
async fn the_simulator_answers_by_its_words_and_refuses_others_with_a_list_of_them() {
    let simulator = start();
    assert!(simulator.address().ip().is_loopback());
    let mut client = Client::dial(simulator.address()).await;
    assert!(client.reply().await.starts_with("220 simulator.relay.test"));
    client.say("EHLO client.example").await;
    for (to, want) in [
        ("delivered", "250 2.0.0"),
        ("Delivered+order-7", "250 2.0.0"),
        ("bounced+x", "550 5.1.1"),
        ("deferred", "451 4.3.0"),
        ("greylisted", "451 4.7.1"),
        ("full", "452 4.2.2"),
        ("ann", "550 5.1.1"),
        ("delivered-not", "550 5.1.1"),
        ("+delivered", "550 5.1.1"),
    ] {
        let reply = client
            .mail(FROM, &format!("{to}@simulator.relay.test"))
            .await;
        assert!(reply.starts_with(want), "{to}: {reply}");
        client.say("RSET").await;
    }
    let reply = client.mail(FROM, "ann@simulator.relay.test").await;
    for word in Simulator::words() {
        assert!(reply.contains(&format!("{word}@")), "{word}: {reply}");
    }
    assert_eq!(simulator.counts().received, 2);
    simulator.shutdown().await;
}

#[tokio::test]
async fn the_simulator_takes_no_more_than_it_was_told_and_is_gone_after_its_end() {
    let simulator = start();
    let mut client = Client::dial(simulator.address()).await;
    client.reply().await;
    assert!(
        client
            .say("EHLO client.example")
            .await
            .contains("SIZE 1000")
    );
    let size = client.say("MAIL FROM:<a@b.example> SIZE=1001").await;
    assert!(size.starts_with("552 5.3.4"), "{size}");
    simulator.shutdown().await;
    assert!(client.is_closed().await);
    assert!(
        tokio::net::TcpStream::connect(simulator.address())
            .await
            .is_err()
    );
}
