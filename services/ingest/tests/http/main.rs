//! The HTTP door over real sockets, before a real gate and SQLite. Nothing is delivered here.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends where what it stands on breaks"
)]

mod bad_input;
mod batches;
mod cancelling;
mod contract;
mod crowds;
mod enrolling;
mod harness;
mod judge;
mod listing;
mod packed;
mod pages;
mod quotas;
mod rescheduling;
mod resealing;
mod scheduling;
mod sending;
mod sessions;
mod showing;
mod suppressions;
mod waiting;
