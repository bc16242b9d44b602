//! The SMTP door of the real binary: real clients as people configure them (`clients`), every
//! combination of a settings form (`forms`), the programs of the field with their habits
//! (`programs`), and what only the whole relay can show (`cases`).
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

mod arrived;
mod cases;
mod clients;
mod forms;
mod line;
mod programs;
mod scene;
