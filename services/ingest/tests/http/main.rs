//! The HTTP door over real sockets, before a real gate and SQLite. Nothing is delivered here.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends where what it stands on breaks"
)]

mod bad_input;
mod cancelling;
mod harness;
mod quotas;
mod resealing;
mod scheduling;
mod sending;
mod showing;
mod waiting;
