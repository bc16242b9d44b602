//! Several processes on one PostgreSQL: doors and delivery nodes that die, are paused, are
//! restarted, and a database that does the same. Nothing that was acknowledged is lost, what came
//! twice is named, and a tenant's pace holds whoever owns its shard.
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

mod house;
mod ledger;
mod shell;

mod database;
mod nodes;
mod together;
mod way_out;
