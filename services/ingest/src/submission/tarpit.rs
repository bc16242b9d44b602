//! Wrong passwords wait for their answer: guessing is slow, and a program with an old password is
//! not locked out.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;
use std::time::Duration;

use parking_lot::Mutex;
use postrider_model::site_of;
use tokio::time::Instant;

/// Counts failures by client and password, and forgets them after a while.
pub(crate) struct Tarpit {
    step: Duration,
    failures: Mutex<HashMap<(IpAddr, u64), Failure>>,
}

#[derive(Clone, Copy)]
struct Failure {
    count: u32,
    last: Instant,
}

/// A failure counts so long.
const MEMORY: Duration = Duration::from_mins(10);
/// Failures that are remembered; beyond them each is a first one.
const REMEMBERED_MOST: usize = 20_000;
/// The longest wait, in steps.
const STEPS_MOST: u32 = 3;

impl Tarpit {
    pub(crate) fn new(step: Duration) -> Self {
        let failures = Mutex::default();
        Self { step, failures }
    }

    /// What this failure waits.
    pub(crate) fn failed(&self, client: IpAddr, password: &str, now: Instant) -> Duration {
        // Of the password only a number is kept that cannot be turned back.
        let mut hasher = DefaultHasher::new();
        password.hash(&mut hasher);
        let key = (site_of(client), hasher.finish());
        let mut failures = self.failures.lock();
        if failures.len() >= REMEMBERED_MOST {
            failures.retain(|_, failure| now.duration_since(failure.last) < MEMORY);
        }
        let mut failure = Failure {
            count: 0,
            last: now,
        };
        if let Some(known) = failures.get(&key)
            && now.duration_since(known.last) < MEMORY
        {
            failure.count = known.count;
        }
        failure.count = (failure.count + 1).min(STEPS_MOST);
        if failures.len() < REMEMBERED_MOST || failures.contains_key(&key) {
            failures.insert(key, failure);
        }
        self.step * failure.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_time_it_waits_longer_up_to_a_bound_and_it_is_forgotten() {
        let tarpit = Tarpit::new(Duration::from_secs(1));
        let client = "192.0.2.1".parse().unwrap();
        let now = Instant::now();
        let wrong = |now| tarpit.failed(client, "wrong", now).as_secs();
        assert_eq!(
            [wrong(now), wrong(now), wrong(now), wrong(now)],
            [1, 2, 3, 3]
        );
        assert_eq!(tarpit.failed(client, "other", now).as_secs(), 1);
        assert_eq!(wrong(now + MEMORY), 1);
    }
}
