//! The pool with scripted exchangers over loopback.

use std::io;

use postrider_model::EmailAddress;

use super::*;
use crate::session::script::{Act, acceptor, dial, listen, patient, play, play_both};
use crate::session::{End, Mail, Timeouts};

const OK: &str = "250 ok\r\n";
const BARE: &str = "250 mx.example.org\r\n";
const TLS: &str = "250-mx.example.org\r\n250 STARTTLS\r\n";

fn pool(limits: PoolLimits) -> Pool {
    let opener = Opener {
        hello: "relay.example.com".to_owned(),
        timeouts: Timeouts {
            quit: Duration::from_millis(50),
            ..patient()
        },
        connector: postrider_tls::opportunistic(),
    };
    Pool::new(opener, limits)
}

fn keeping() -> PoolLimits {
    PoolLimits {
        idle: Duration::from_hours(1),
        ..PoolLimits::default()
    }
}

fn hello(ehlo: &'static str) -> Vec<Act> {
    vec![Act::Say("220 hi\r\n"), Act::Hear("EHLO"), Act::Say(ehlo)]
}

fn message() -> Vec<Act> {
    vec![
        Act::Hear("MAIL"),
        Act::Say(OK),
        Act::Hear("RCPT"),
        Act::Say(OK),
        Act::Hear("DATA"),
        Act::Say("354 go\r\n"),
        Act::Message,
        Act::Say(OK),
    ]
}

async fn lease(pool: &Pool, peer: &Peer, mode: TlsMode) -> Result<Lease, OpenFailure> {
    let slot = pool.try_reserve(peer.clone()).unwrap();
    pool.connect(slot, mode, dial(peer)).await
}

/// Only a connection that is open already will do.
async fn idle_lease(pool: &Pool, peer: &Peer, mode: TlsMode) -> Option<Lease> {
    let slot = pool.try_reserve(peer.clone()).unwrap();
    let none = async { Err::<TcpStream, _>(io::Error::other("must not dial")) };
    pool.connect(slot, mode, none).await.ok()
}

async fn send(lease: &mut Lease) {
    let address = EmailAddress::parse("ann@example.org").unwrap();
    let mail = Mail {
        return_path: &address,
        recipients: std::slice::from_ref(&address),
        body: b"hi\r\n",
        smtputf8: false,
    };
    let done = lease.connection.transaction(&mail, &mut |_| Ok(())).await;
    assert!(matches!(done.end, End::Answered), "{done:?}");
}

#[tokio::test]
async fn a_connection_serves_again_and_says_quit_at_the_end() {
    let (listener, peer) = listen().await;
    let mut script = hello(BARE);
    script.extend(message());
    script.extend(message());
    script.push(Act::Hear("QUIT"));
    let client = async {
        let pool = pool(keeping());
        let mut first = lease(&pool, &peer, TlsMode::Opportunistic).await.unwrap();
        let phases = first.connection.facts().opening.0.len();
        assert_eq!(phases, 3, "connect, greeting, EHLO");
        send(&mut first).await;
        pool.give_back(first);
        let other = Peer {
            host: "mx2.example.org".to_owned(),
            ..peer.clone()
        };
        let mut second = idle_lease(&pool, &other, TlsMode::Plaintext).await.unwrap();
        assert_eq!(second.connection.facts().mx.host, "mx2.example.org");
        assert!(second.connection.facts().opening.0.is_empty());
        send(&mut second).await;
        pool.give_back(second);
        pool.close_all().await;
        assert!(pool.0.state.lock().addresses.is_empty());
    };
    tokio::join!(play(&listener, script), client);
}

#[tokio::test]
async fn a_connection_on_which_the_remote_spoke_or_hung_up_is_not_used_again() {
    for last in [
        vec![Act::Say("421 idle too long\r\n")],
        vec![Act::Say("4"), Act::Wait],
        vec![],
    ] {
        let (listener, peer) = listen().await;
        let pool = pool(keeping());
        let mut script = hello(BARE);
        script.extend(message());
        let (done, ready) = tokio::sync::oneshot::channel();
        script.push(Act::Stall(ready));
        script.extend(last);
        let (spoke, mut heard) = tokio::sync::oneshot::channel();
        let server = async {
            play(&listener, script).await;
            spoke.send(()).ok();
        };
        let client = async {
            let mut first = lease(&pool, &peer, TlsMode::Opportunistic).await.unwrap();
            send(&mut first).await;
            pool.give_back(first);
            done.send(()).unwrap();
            // Until the runtime has seen what the remote did.
            loop {
                let slot = pool.try_reserve(peer.clone()).unwrap();
                let none = async { Err::<TcpStream, _>(io::Error::other("no more")) };
                match pool.connect(slot, TlsMode::Opportunistic, none).await {
                    Ok(lease) => pool.give_back(lease),
                    Err(failure) => break assert_eq!(failure.phase, Phase::Connect),
                }
                tokio::task::yield_now().await;
            }
            pool.close_all().await;
        };
        tokio::join!(server, client);
        assert!(heard.try_recv().is_ok());
    }
}

#[tokio::test]
async fn a_connection_is_kept_for_what_came_of_tls_on_it() {
    let (listener, peer) = listen().await;
    let mut encrypted = hello(TLS);
    encrypted.extend([Act::Hear("STARTTLS"), Act::Say("220 go\r\n")]);
    encrypted.extend([Act::Secure(acceptor()), Act::Hear("EHLO"), Act::Say(BARE)]);
    encrypted.extend(message());
    encrypted.extend(message());
    encrypted.push(Act::Hear("QUIT"));
    let mut declined = hello(TLS);
    declined.extend(message());
    declined.push(Act::Hear("QUIT"));
    let client = async {
        let pool = pool(keeping());
        let mut secret = lease(&pool, &peer, TlsMode::Opportunistic).await.unwrap();
        let facts = secret.connection.facts().tls.clone().unwrap();
        assert_eq!(
            (facts.version.as_str(), facts.verdict.as_str()),
            ("TLSv1.3", "unverified")
        );
        send(&mut secret).await;
        pool.give_back(secret);
        assert!(idle_lease(&pool, &peer, TlsMode::Plaintext).await.is_none());
        let mut plain = lease(&pool, &peer, TlsMode::Plaintext).await.unwrap();
        assert!(plain.connection.facts().tls.is_none());
        send(&mut plain).await;
        pool.give_back(plain);
        let mut again = idle_lease(&pool, &peer, TlsMode::Opportunistic)
            .await
            .unwrap();
        assert!(again.connection.facts().tls.is_some());
        send(&mut again).await;
        pool.give_back(again);
        pool.close_all().await;
    };
    tokio::join!(play_both(&listener, encrypted, declined), client);
}

#[tokio::test]
async fn connections_to_one_address_are_counted_and_idle_ones_make_room() {
    let (listener, peer) = listen().await;
    let limits = PoolLimits {
        per_address: 1,
        ..keeping()
    };
    let pool = pool(limits);
    let mut first = hello(TLS);
    first.extend([Act::Hear("STARTTLS"), Act::Say("220 go\r\n")]);
    first.extend([Act::Secure(acceptor()), Act::Hear("EHLO"), Act::Say(BARE)]);
    first.extend([Act::Hear("QUIT"), Act::Say("221 bye\r\n")]);
    let second = hello(TLS);
    let client = async {
        let secret = lease(&pool, &peer, TlsMode::Opportunistic).await.unwrap();
        assert!(pool.try_reserve(peer.clone()).is_none());
        let elsewhere = Peer {
            address: "127.0.0.9:1".parse().unwrap(),
            ..peer.clone()
        };
        assert!(pool.try_reserve(elsewhere).is_some());
        pool.give_back(secret);
        // The idle one cannot serve in plain text: it goes.
        let plain = lease(&pool, &peer, TlsMode::Plaintext).await.unwrap();
        assert_eq!(pool.0.state.lock().idle, 0);
        assert!(pool.try_reserve(peer.clone()).is_none());
        drop(plain);
        assert!(pool.try_reserve(peer.clone()).is_some());
        pool.close_all().await;
    };
    tokio::join!(play_both(&listener, first, second), client);
}

#[tokio::test]
async fn what_has_served_enough_or_has_no_place_is_closed_with_quit() {
    for limits in [
        PoolLimits {
            messages: 1,
            ..keeping()
        },
        PoolLimits {
            age: Duration::ZERO,
            ..keeping()
        },
        PoolLimits {
            idle_most: 0,
            ..keeping()
        },
        PoolLimits {
            idle: Duration::ZERO,
            ..keeping()
        },
    ] {
        let (listener, peer) = listen().await;
        let mut script = hello(BARE);
        script.extend(message());
        // No answer to QUIT: that changes nothing, and its time is short.
        script.extend([Act::Hear("QUIT"), Act::Wait]);
        let pool = pool(limits);
        let client = async {
            let mut lease = lease(&pool, &peer, TlsMode::Opportunistic).await.unwrap();
            send(&mut lease).await;
            pool.give_back(lease);
        };
        tokio::join!(play(&listener, script), client);
        pool.close_all().await;
        assert!(pool.0.state.lock().addresses.is_empty());
    }
}

#[tokio::test]
async fn a_failure_to_connect_gives_the_slot_back() {
    let (_listener, peer) = listen().await;
    let pool = pool(PoolLimits {
        per_address: 1,
        ..keeping()
    });
    for _ in 0..3 {
        assert!(
            idle_lease(&pool, &peer, TlsMode::Opportunistic)
                .await
                .is_none()
        );
    }
    assert!(pool.0.state.lock().addresses.is_empty());
}

#[tokio::test]
async fn nothing_is_kept_after_the_pool_was_closed() {
    let (listener, peer) = listen().await;
    let mut script = hello(BARE);
    script.extend([Act::Hear("QUIT"), Act::Say("221 bye\r\n")]);
    let pool = pool(keeping());
    let client = async {
        let lease = lease(&pool, &peer, TlsMode::Opportunistic).await.unwrap();
        pool.close_all().await;
        pool.give_back(lease);
        pool.close_all().await;
    };
    tokio::join!(play(&listener, script), client);
}
