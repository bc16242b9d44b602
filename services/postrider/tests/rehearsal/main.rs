//! From a bare server to the first real mail, as the guide's first page has it: every step by the
//! command line, no file edited by hand, between machines that have nothing in common but a wire.
//!
//! Each machine is a network namespace: the relay, a name server (NSD) that loads `zone.txt` as it
//! is, and a shop with Postfix, opendkim and opendmarc, which judge what arrives.
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

mod network;
mod shop;
mod walk;
