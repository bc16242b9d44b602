//! The whole relay, from outside: the real binary as one process (`postrider dev`) and as two
//! (`fakenet` and `serve`), and the relay inside the test where a clock or a remote is scripted.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends where what it stands on breaks"
)]

#[path = "../harness/mod.rs"]
#[expect(dead_code, reason = "other test programs use the rest")]
mod harness;

/// Makes tests of functions over a `Place`: each runs against both arrangements of the binary.
macro_rules! in_both_arrangements {
    ($($name:ident),+ $(,)?) => {
        mod one_process {
            $(#[tokio::test]
            async fn $name() {
                super::$name(crate::harness::one_process().await).await;
            })+
        }
        mod two_processes {
            $(#[tokio::test]
            async fn $name() {
                super::$name(crate::harness::two_processes().await).await;
            })+
        }
    };
}

mod acme;
mod admin_api;
mod bad_input;
mod batches;
mod certificates;
mod commands;
mod delivered;
mod enrolment;
mod habits;
mod holds;
mod idempotency;
mod identity;
mod keys;
mod limits;
mod lists;
mod logs;
mod memory;
mod metrics;
mod notices;
mod owners;
mod promises;
mod raw;
mod remotes;
mod sandbox;
mod scheduled;
mod seeing;
mod simulator;
mod spilled;
mod traces;
mod verbs;
mod waits;
mod warming;
mod zones;
