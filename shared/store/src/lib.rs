//! The ports to the database, as traits: what the line needs kept, never how.
//!
//! Each method is a use case and owns its transaction. The dialects stand in `store-sqlite`
//! (and later `store-postgres`), in the same files and order; one conformance suite
//! (feature `conformance`) runs on each. No SQL here, no I/O, no policy.

#[cfg(feature = "conformance")]
pub mod conformance;
mod directory;
mod error;
mod intake;
mod mail;
mod queue;
mod roster;
mod upkeep;

pub use directory::{Directory, DirectorySnapshot, NewTenant};
pub use error::StoreError;
pub use intake::{Answer, Claim, ClaimScope, Committed, Intake, NewMessage, NewRecipient, Summary};
pub use mail::{Mail, StoredEmail, StoredEvent, StoredRecipient};
pub use queue::{
    ChangeSeq, OpenMessage, OpenRecipient, Outcome, Queue, QueueRow, Settled, Settlement,
};
pub use roster::Roster;
pub use upkeep::{Removed, Upkeep};
