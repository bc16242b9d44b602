//! A token bucket in whole numbers: never more than `burst` plus the rate times the time.

use std::time::Duration;

use postrider_model::Timestamp;

/// A token is a minute's microseconds, so that `per_minute` of them arrive in a minute exactly.
const TOKEN: u64 = 60_000_000;

/// How fast tokens come, and how many are kept. `per_minute` 0 is no limit; `burst` 0 is ten
/// seconds' worth, at least 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Rate {
    pub(super) per_minute: u32,
    pub(super) burst: u32,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    /// In parts of `TOKEN`.
    level: u64,
    at: Timestamp,
}

impl Bucket {
    pub(super) fn empty_at(at: Timestamp) -> Self {
        Self { level: 0, at }
    }

    /// With what the owner before left in it.
    pub(super) fn with(level: u64, at: Timestamp) -> Self {
        Self { level, at }
    }

    /// What is in it, in parts of a token.
    pub(super) fn level(&self) -> u64 {
        self.level
    }

    /// How many first attempts may start now. A clock that goes back adds nothing, and time
    /// counts on from there.
    pub(super) fn tokens(&mut self, now: Timestamp, rate: Rate) -> u64 {
        if rate.per_minute == 0 {
            return u64::MAX;
        }
        let passed = u64::try_from(now.since(self.at).as_micros()).unwrap_or(u64::MAX);
        let gained = passed.saturating_mul(rate.per_minute.into());
        self.level = self.level.saturating_add(gained).min(capacity(rate));
        self.at = now;
        self.level / TOKEN
    }

    pub(super) fn spend(&mut self, tokens: u64, rate: Rate) {
        if rate.per_minute > 0 {
            self.level = self.level.saturating_sub(tokens.saturating_mul(TOKEN));
        }
    }

    /// When there will be `want` tokens; asked right after `tokens` said there are fewer.
    pub(super) fn when(&self, want: u64, now: Timestamp, rate: Rate) -> Timestamp {
        if rate.per_minute == 0 {
            return now;
        }
        let missing = want.saturating_mul(TOKEN).saturating_sub(self.level);
        now.after(Duration::from_micros(
            missing.div_ceil(u64::from(rate.per_minute)),
        ))
    }
}

fn capacity(rate: Rate) -> u64 {
    let burst = if rate.burst == 0 {
        (rate.per_minute / 6).max(1)
    } else {
        rate.burst
    };
    u64::from(burst) * TOKEN
}
