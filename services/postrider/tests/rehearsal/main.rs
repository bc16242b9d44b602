//! From a bare server to the first real mail, as the guide's first page has it: every step by the
//! command line, no file edited by hand, between machines that have nothing in common but a wire.
//!
//! ```text
//! walk       the guide's first page, from its first command to its last
//! by_hand    the same for a person, who types it all
//! barrier    the same server, impatient: mail is handed in before the records are there
//! guide      the page's commands, typed at the machine that each is for
//! scene      what stands before the first step, and what an operator asks
//! network    machines as network namespaces
//! authority  who gives certificates: pebble
//! shop       the servers of others: NSD, and Postfix with opendkim and opendmarc as judges
//! ```
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

mod authority;
mod barrier;
mod by_hand;
mod guide;
mod network;
mod scene;
mod shop;
mod walk;
