//! The server over real sockets.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends where what it stands on breaks"
)]

mod bodies;
mod ends;
mod harness;
mod plain;
mod tls;
