//! The official SDKs for Node, Python and Rust against a relay, over TLS, told nothing but another
//! base URL and a key: each walks through the same story (`story`), and what it was told is checked
//! (`checks`). Between SDK and relay stands a proxy that records what was really sent, and the
//! contract that the relay serves judges all of it.
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

mod checks;
mod proxy;
mod story;
mod traps;

mod node;
mod python;
mod rust;
