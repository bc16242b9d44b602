//! What only the database in the relay's own folder promises: seen from outside, by the system
//! calls of the process, by a disk that is full or fails, and by its lock.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends where what it stands on breaks"
)]

#[path = "../harness/mod.rs"]
#[expect(dead_code, unused_imports, reason = "other test programs use the rest")]
mod harness;

mod durable;
mod folder;
mod storage;
