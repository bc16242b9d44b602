use std::path::Path;

use postrider_dns::{DnsConfig, Resolver};
use postrider_tls::trusting_the_web;

use super::super::attempts::Failure;
use super::*;

/// One whose library ends in a panic where it reads this address, which no configuration takes.
fn breaking(folder: &Path, clock: &Clock, metrics: &Registry) -> Keeper {
    let dns = DnsConfig {
        servers: vec!["127.0.0.1:9".parse().unwrap()],
        timeout: Duration::from_secs(1),
        attempts: 1,
    };
    Keeper {
        authority: Authority {
            directory: "https://ca.example/a b".to_owned(),
            resolver: Resolver::new(dns, metrics).unwrap(),
            connector: trusting_the_web().unwrap(),
        },
        contact: String::new(),
        names: vec!["relay.example".to_owned()],
        about: "it".to_owned(),
        files: vec![(KeyKind::Ecdsa, folder.join("ecdsa.pem"))],
        account: folder.join("account.json"),
        attempts: folder.join("attempts.json"),
        answers: Answers::default(),
        shut: watch::Sender::new(Vec::new()).subscribe(),
        early: Early::drawn(&Rng::seeded(1)),
        clock: clock.clone(),
        rng: Rng::seeded(1),
        gauges: Gauges::new(metrics),
    }
}

/// The failure with this number, once its attempt is over.
async fn failure(attempts: &Path, number: u32) -> Failure {
    for _ in 0..1_000 {
        let read = Attempts::read(attempts).unwrap().unwrap_or_default();
        let over = |one: &Failure| one.count == number && one.said.contains("panicked");
        if let Some(failure) = read.failure.filter(over) {
            return failure;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    panic!("no failure {number}");
}

#[tokio::test(start_paused = true)]
async fn a_panic_ends_one_attempt_which_is_told_and_made_again_later() {
    let folder = tempfile::TempDir::new().unwrap();
    let clock = Clock::held(Timestamp::parse("2026-01-01T00:00:00Z").unwrap());
    let metrics = Registry::new();
    let keeper = breaking(folder.path(), &clock, &metrics);
    let attempts = keeper.attempts.clone();
    let shutdown = Shutdown::new(Duration::from_secs(1));
    let mut task = JoinSet::new();
    task.spawn(keeper.keep(shutdown.clone()));

    let first = failure(&attempts, 1).await;
    assert!(first.remedy.contains("acme.directory"), "{first:?}");
    let pause = first.again_at.since(clock.now());
    assert!((48..=72).contains(&pause.as_secs()), "{pause:?}");
    clock.advance(pause);
    let second = failure(&attempts, 2).await;
    assert!(second.again_at.since(clock.now()) > pause, "{second:?}");
    let failed = [("reason", "failed")];
    assert_eq!(metrics.total("postrider_acme_failures_total", &failed), 2);

    shutdown.begin();
    task.join_next().await.unwrap().unwrap();
}
