//! The SMTP door over real sockets, before a real gate and SQLite. Nothing is delivered here.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends where what it stands on breaks"
)]

mod boxes;
mod claimed;
mod forms;
mod harness;
mod hostile;
mod latecomers;
mod limits;
mod line;
mod sending;
mod talkers;
