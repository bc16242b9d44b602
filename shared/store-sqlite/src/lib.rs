//! The ports on SQLite: one file per port, one writer, a pool of readers.
//!
//! All writing goes through one task with one connection (`committer`), which takes whatever
//! waits into one transaction. Readers see committed states only and never stop it; checkpoints
//! run on a connection of their own. A commit is on disk when its caller is answered
//! (WAL, `synchronous = FULL`). No policy here, and no other crate speaks SQL to SQLite.

mod arrival;
mod batch;
mod bounces;
mod cancel;
mod checkpoint;
mod claims;
mod committer;
mod contacts;
mod controls;
mod counting;
mod credentials;
mod directory;
mod enrolments;
mod events;
mod failures;
mod fault;
mod generation;
mod group;
mod instruments;
mod intake;
mod levels;
mod limits;
mod listing;
mod mail;
mod newcomers;
mod news;
mod nodes;
mod office;
mod open;
mod output;
mod pages;
mod past;
mod queue;
mod queued;
mod quota;
mod recent;
mod reply_addresses;
mod reports;
mod reschedule;
mod reseal;
mod rows;
mod sessions;
mod settle;
mod snapshot;
mod spool;
mod spooled;
mod standing;
mod store;
mod subjects;
mod suppressions;
mod suspects;
mod tags;
mod tally;
mod tenants;
mod trace;
mod transaction;
mod updates;
mod upkeep;
mod vendors;
mod verbs;
mod volumes;
mod waiting;
mod warmups;
mod writer;
mod writes;

pub use open::{OpenError, SqliteOptions, Synchronous, migrate};
pub use store::SqliteStore;
