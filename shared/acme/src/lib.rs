//! Certificates from an authority that speaks ACME (RFC 8555): an account, an order for names, the
//! proof by HTTP that they are ours (§8.3), a chain for a key of our own.
//!
//! ```text
//! Account::open → Account::obtain   order → Answers, which the door on port 80 shows → chain, key
//! ```
//!
//! When a certificate is due, where it lies and who is told is decided above; no file is touched
//! here. The only crate that names `instant-acme`. The authority's «no» is a `Verdict`, not an error.

mod account;
mod answers;
mod caller;
mod fault;
mod order;
mod refusal;

pub use account::{Account, Authority, Opened};
pub use answers::Answers;
pub use fault::AcmeError;
pub use order::Verdict;
pub use refusal::{Reason, Refusal};
