//! The whole of delivery, from a real database to scripted exchangers on real sockets.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod beats;
mod ends;
mod families;
mod faulty;
mod keys;
mod memory;
mod missing;
mod node;
mod owners;
mod place;
mod remotes;
mod verbs;
mod waits;
mod warming;
mod way_out;
