//! Who a message is from and whom it may go to: the gate on a database, without a door.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends where what it stands on breaks"
)]

mod bulk;
mod harness;
mod keys;
mod limits;
mod names;
mod once;
mod replies;
mod telling;
