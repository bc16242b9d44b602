//! A process that may open no more files for a while: alone in its program, since the limit is the
//! program's.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use postrider_store::conformance::Ports;
use postrider_store::conformance::fixture::{add_tenant, commit, message};
use postrider_store::{Committed, NewMessage, StoreError};
use postrider_store_sqlite::{SqliteOptions, SqliteStore};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

#[tokio::test]
async fn a_segment_that_cannot_be_made_costs_none_of_those_there_are() {
    let folder = tempfile::tempdir().unwrap();
    let options = SqliteOptions {
        fresh_bytes: 0,
        // Each large body wants a segment of its own.
        segment_bytes: 1,
        ..SqliteOptions::default()
    };
    let store = SqliteStore::open(&folder.path().join("relay.db"), options).await;
    let ports = Ports::of(store.unwrap(), ());
    let tenant = add_tenant(&ports).await;
    let large = |byte: u8| {
        let mut large = message(tenant);
        large.body = vec![byte; 100_000].into();
        large
    };
    let mut kept = vec![large(1), large(2)];
    for message in &kept {
        commit(&ports, message).await;
    }
    are_whole(&ports, &kept).await;

    let usual = getrlimit(Resource::Nofile);
    let open = std::fs::read_dir("/proc/self/fd").unwrap().count() as u64;
    let none_more = Rlimit {
        current: Some(open - 1),
        ..usual
    };
    setrlimit(Resource::Nofile, none_more).unwrap();
    let refused = large(3);
    for _ in 0..3 {
        let answer = ports.intake.commit(refused.clone()).await;
        assert!(
            matches!(answer, Err(StoreError::Unavailable(_))),
            "{answer:?}"
        );
    }
    setrlimit(Resource::Nofile, usual).unwrap();

    assert_eq!(commit(&ports, &refused).await, Committed::Stored);
    kept.push(refused);
    are_whole(&ports, &kept).await;
}

async fn are_whole(ports: &Ports, messages: &[NewMessage]) {
    for message in messages {
        let body = ports.mail.body(message.tenant, message.id).await.unwrap();
        assert!(body.as_ref() == Some(&message.body));
    }
}
