//! The port of warm-up: since when an address of ours sends, and how much of a day's allowance it
//! has used. Facts of addresses, not of processes: a restart changes neither, and nodes behind one
//! address count together.

use async_trait::async_trait;

use crate::StoreError;

/// What addresses that mail leaves from have sent.
#[async_trait]
pub trait Warmups: Send + Sync {
    /// The UTC day on which this address was first seen; `today` where it never was, and from
    /// then on that.
    async fn sends_since(&self, egress: &str, today: i64) -> Result<i64, StoreError>;

    /// Takes up to `want` recipients of an allowance, as long as no more than `most` are taken of
    /// it in all; gives how many. On disk when it returns.
    async fn take(&self, of: &Allowance, want: u32, most: u32) -> Result<u32, StoreError>;

    /// Gives back what was taken and not used.
    async fn give_back(&self, of: &Allowance, unused: u32) -> Result<(), StoreError>;
}

/// What one address may send to one provider on one day.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Allowance {
    /// The address, or another name under which one counts.
    pub egress: String,
    /// A word from a bounded set: whose exchangers take the mail.
    pub provider: String,
    /// `Timestamp::day`.
    pub day: i64,
}
