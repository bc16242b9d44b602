//! The ports on PostgreSQL: one file per port, in the order of `store-sqlite`.
//!
//! Several processes write at once, so what SQLite's one writer gives for nothing is said here: rows
//! are locked in one order, messages and settlements are group-committed on connections of their
//! own (`committer`), leases go by the database's clock, and new rows are found by the snapshot that
//! did not show them (`cursor`). Mail lies in parts of a day each (`partitions`). A commit is on disk
//! when its caller is answered. No policy here, and no other crate speaks SQL to PostgreSQL.

mod arrival;
mod batch;
mod bounces;
mod cancel;
mod claims;
#[cfg(feature = "cluster")]
pub mod cluster;
mod committer;
mod contacts;
mod controls;
mod counting;
mod credentials;
mod cursor;
mod directory;
mod enrolments;
mod events;
mod failures;
mod fault;
mod generation;
mod instruments;
mod intake;
mod levels;
mod limits;
mod listener;
mod listing;
mod looks;
mod mail;
mod newcomers;
mod nodes;
mod office;
mod open;
mod pages;
mod partitions;
mod past;
mod queue;
mod queued;
mod quota;
mod reply_addresses;
mod reports;
mod reschedule;
mod reseal;
mod rows;
mod sessions;
mod settle;
mod snapshot;
mod standing;
mod store;
mod subjects;
mod suppressions;
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

/// For tests: what a list asks the server.
#[cfg(feature = "cluster")]
pub use listing::statement as list_statement;
pub use open::{OpenError, PostgresOptions};
pub use store::PostgresStore;
