//! Ids of messages, in the order in which this process makes them: lists go by them.

use parking_lot::Mutex;
use postrider_model::{MessageId, Timestamp};
use postrider_runtime::Rng;

/// A clock that goes back by less than this does not take the ids with it.
const BACK_MOST: i64 = 60_000;
/// Twelve bits (`rand_a`).
const COUNTER_MOST: u16 = 0xfff;

/// UUIDs of version 7 that rise within a millisecond too (RFC 9562 §6.2, a counter in `rand_a` that begins
/// anywhere in the lower half of its range). What is random in the 62 bits behind it tells the ids
/// of several processes apart.
#[derive(Debug, Default)]
pub(crate) struct MessageIds(Mutex<Last>);

#[derive(Clone, Copy, Debug, Default)]
struct Last {
    /// Since 1970.
    millis: i64,
    counter: u16,
}

impl MessageIds {
    /// The next one.
    pub(crate) fn next(&self, now: Timestamp, rng: &Rng) -> MessageId {
        let mut random: [u8; 10] = rng.bytes();
        let [high, low, ..] = &mut random;
        let Last { millis, counter } = self.0.lock().step(now, u16::from_be_bytes([*high, *low]));
        // The upper four bits are the version's.
        [*high, *low] = counter.to_be_bytes();
        MessageId::new(Timestamp::from_micros(millis.saturating_mul(1_000)), random)
    }
}

impl Last {
    fn step(&mut self, now: Timestamp, random: u16) -> Self {
        let millis = now.as_micros() / 1_000;
        let goes_on = (0..BACK_MOST).contains(&(self.millis - millis));
        *self = match *self {
            Self { millis, counter } if goes_on && counter < COUNTER_MOST => Self {
                millis,
                counter: counter + 1,
            },
            last => Self {
                millis: if goes_on { last.millis + 1 } else { millis },
                counter: random & (COUNTER_MOST >> 1),
            },
        };
        *self
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

    #[test]
    fn ids_of_a_millisecond_rise_however_many_there_are() {
        let (ids, rng) = (MessageIds::default(), Rng::system());
        let made: Vec<_> = (0..10_000).map(|_| ids.next(NOW, &rng)).collect();
        assert!(made.is_sorted_by(|a, b| a < b));
        let later = NOW.after(Duration::from_millis(10));
        assert!(made.last() < Some(&MessageId::new(later, [0; 10])));
    }

    #[test]
    fn ids_of_two_processes_differ_where_their_counters_are_equal() {
        let mut made: Vec<_> = (0..2)
            .flat_map(|_| {
                let ids = MessageIds::default();
                (0..4_000).map(move |_| ids.next(NOW, &Rng::system()))
            })
            .collect();
        made.sort_unstable();
        made.dedup();
        assert_eq!(made.len(), 8_000);
    }

    #[test]
    fn a_clock_that_goes_back_a_little_is_not_followed_and_one_that_was_set_is() {
        let (ids, rng) = (MessageIds::default(), Rng::system());
        let first = ids.next(NOW, &rng);
        let second = ids.next(NOW.before(Duration::from_secs(30)), &rng);
        assert!(first < second);
        let set = NOW.before(Duration::from_hours(1));
        let third = ids.next(set, &rng);
        assert!(third < MessageId::new(set.after(Duration::from_millis(1)), [0; 10]));
    }
}
