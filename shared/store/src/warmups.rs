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
    /// it in all. On disk when it returns.
    async fn take(&self, of: &Allowance, want: u32, most: u32) -> Result<Granted, StoreError>;

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

/// Recipients that were taken of an allowance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Granted {
    /// By this call.
    pub now: u32,
    /// By all together, this call among them.
    pub in_all: u32,
}

impl Granted {
    /// What is taken where so many are already: up to `want`, up to `most` of them in all.
    pub fn of(already: u32, want: u32, most: u32) -> Self {
        let now = most.saturating_sub(already).min(want);
        Self {
            now,
            in_all: already.saturating_add(now),
        }
    }
}
