//! A token bucket in whole numbers: never more than `burst` plus the rate times the time.

use std::time::Duration;

use postrider_model::Timestamp;

/// A token is a minute's microseconds, so that `per_minute` of them arrive in a minute exactly.
const TOKEN: u64 = 60_000_000;

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

    /// How many first attempts may start now under (`per_minute`, `burst`). A clock that goes
    /// back adds nothing, and time counts on from there.
    pub(super) fn tokens(&mut self, now: Timestamp, (per_minute, burst): (u32, u32)) -> u64 {
        if per_minute == 0 {
            return u64::MAX;
        }
        let passed = u64::try_from(now.since(self.at).as_micros()).unwrap_or(u64::MAX);
        let gained = passed.saturating_mul(per_minute.into());
        self.level = self
            .level
            .saturating_add(gained)
            .min(capacity(per_minute, burst));
        self.at = now;
        self.level / TOKEN
    }

    pub(super) fn spend(&mut self, tokens: usize, (per_minute, _): (u32, u32)) {
        if per_minute > 0 {
            let spent = u64::try_from(tokens)
                .unwrap_or(u64::MAX)
                .saturating_mul(TOKEN);
            self.level = self.level.saturating_sub(spent);
        }
    }

    /// When there will be a token; asked right after `tokens` said there is none.
    pub(super) fn next_token(&self, now: Timestamp, (per_minute, _): (u32, u32)) -> Timestamp {
        let missing = TOKEN.saturating_sub(self.level);
        now.after(Duration::from_micros(
            missing.div_ceil(u64::from(per_minute.max(1))),
        ))
    }
}

fn capacity(per_minute: u32, burst: u32) -> u64 {
    let burst = if burst == 0 {
        (per_minute / 6).max(1)
    } else {
        burst
    };
    u64::from(burst) * TOKEN
}
