//! Answers kept for a while. Bounded; the time is an argument.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use tokio::time::Instant;

/// How long a good answer is kept, whatever its TTL says.
const POSITIVE: (Duration, Duration) = (Duration::from_secs(30), Duration::from_hours(1));
/// How long a negative answer is kept at most (RFC 2308 §5 leaves the bound to us).
const NEGATIVE_MOST: Duration = Duration::from_mins(5);

/// A TTL of records, within our bounds.
pub(crate) fn positive(ttl: u32) -> Duration {
    Duration::from_secs(ttl.into()).clamp(POSITIVE.0, POSITIVE.1)
}

/// A TTL of a negative answer, within our bound. RFC 2308 §5: without an SOA, not kept at all.
pub(crate) fn negative(ttl: Option<u32>) -> Duration {
    Duration::from_secs(ttl.unwrap_or(0).into()).min(NEGATIVE_MOST)
}

/// A map of two generations: when the young one is full it becomes the old one, and what was
/// old is forgotten. Each step costs the same, however full it is.
#[derive(Debug)]
pub(crate) struct Cache<K, V> {
    young: HashMap<K, (V, Instant)>,
    old: HashMap<K, (V, Instant)>,
    per_generation: usize,
}

impl<K: Hash + Eq + Clone, V: Clone> Cache<K, V> {
    /// Holds at most `most` answers.
    pub(crate) fn new(most: usize) -> Self {
        Self {
            young: HashMap::new(),
            old: HashMap::new(),
            per_generation: (most / 2).max(1),
        }
    }

    pub(crate) fn get(&mut self, key: &K, now: Instant) -> Option<V> {
        if let Some((value, until)) = self.young.get(key) {
            return (now < *until).then(|| value.clone());
        }
        let (value, until) = self.old.remove(key)?;
        if now >= until {
            return None;
        }
        self.keep(key.clone(), value.clone(), until);
        Some(value)
    }

    pub(crate) fn put(&mut self, key: K, value: V, now: Instant, keep: Duration) {
        self.old.remove(&key);
        if keep.is_zero() {
            self.young.remove(&key);
        } else {
            self.keep(key, value, now + keep);
        }
    }

    fn keep(&mut self, key: K, value: V, until: Instant) {
        if self.young.len() >= self.per_generation && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, (value, until));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ttls_are_kept_within_their_bounds() {
        for (ttl, want) in [(0, 30), (29, 30), (300, 300), (86_400, 3_600)] {
            assert_eq!(positive(ttl).as_secs(), want, "{ttl}");
        }
        for (ttl, want) in [(None, 0), (Some(10), 10), (Some(86_400), 300)] {
            assert_eq!(negative(ttl).as_secs(), want, "{ttl:?}");
        }
    }

    #[test]
    fn an_answer_is_given_until_it_is_old() {
        let mut cache = Cache::new(10);
        let start = Instant::now();
        cache.put("a", 1, start, Duration::from_secs(30));
        cache.put("b", 2, start, Duration::ZERO);
        let after = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(cache.get(&"a", after(29)), Some(1));
        assert_eq!(cache.get(&"a", after(30)), None);
        assert_eq!(cache.get(&"b", start), None);
    }

    #[test]
    fn it_never_holds_more_than_its_bound_and_keeps_what_is_asked_for() {
        let mut cache = Cache::new(100);
        let start = Instant::now();
        for n in 0..10_000_u32 {
            cache.put(n, n, start, Duration::from_secs(30));
            assert!(cache.young.len() + cache.old.len() <= 100);
            assert_eq!(cache.get(&0, start), Some(0), "after {n}");
        }
    }
}
