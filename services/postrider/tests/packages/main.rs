//! What lies in `infra` for those who run the relay: figures that are named exist, units and containers
//! are what they claim, a backup is restored, and the guide's commands work as they are written.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test ends where what it stands on breaks"
)]

#[path = "../harness/tools.rs"]
mod tools;

mod figures;
mod guide;
mod units;
