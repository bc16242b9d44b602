//! How often the admin API is asked: by one token, and from one address with tokens that open
//! nothing. It keeps a program that runs wild, or one that tries tokens, from taking the others' turn.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use parking_lot::Mutex;
use postrider_model::{AdminTokenId, Timestamp};

/// Requests of one token per second; after a pause so many may come at once.
const OF_A_TOKEN: Pace = Pace {
    most: 100,
    each: Duration::from_millis(10),
};
/// Requests with wrong tokens from one address: 300 a minute.
const WRONG: Pace = Pace {
    most: 300,
    each: Duration::from_millis(200),
};
/// Callers that are remembered of each kind.
const CALLERS_MOST: usize = 10_000;

/// What is counted, in this process.
#[derive(Default)]
pub(super) struct Paces {
    tokens: Counted<AdminTokenId>,
    wrong: Counted<IpAddr>,
}

/// So many at once, and one more after each such time.
#[derive(Clone, Copy)]
struct Pace {
    most: u32,
    each: Duration,
}

/// When each caller has its whole burst again; who has is not remembered.
struct Counted<K>(Mutex<HashMap<K, Timestamp>>);

impl<K> Default for Counted<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl Paces {
    /// Counts a request with a good token. `Err`: how long until it may ask again.
    pub(super) fn asked(&self, token: AdminTokenId, now: Timestamp) -> Result<(), Duration> {
        self.tokens.take(token, OF_A_TOKEN, now)
    }

    /// Counts a request with a token that opens nothing. Who has an IPv6 network has as many addresses
    /// as it likes: a /64 counts as one.
    pub(super) fn failed(&self, peer: IpAddr, now: Timestamp) -> Result<(), Duration> {
        let network = match peer.to_canonical() {
            IpAddr::V6(six) => {
                let [a, b, c, d, ..] = six.segments();
                IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
            }
            four @ IpAddr::V4(_) => four,
        };
        self.wrong.take(network, WRONG, now)
    }
}

impl<K: Eq + Hash> Counted<K> {
    fn take(&self, caller: K, pace: Pace, now: Timestamp) -> Result<(), Duration> {
        let mut callers = self.0.lock();
        if callers.len() >= CALLERS_MOST {
            callers.retain(|_, whole| *whole > now);
        }
        // So many that none has rested: all begin anew, for the memory of it is bounded.
        if callers.len() >= CALLERS_MOST {
            callers.clear();
        }
        let whole = callers.entry(caller).or_insert(now);
        // Nobody owes more than a burst: what lies further ahead is of a clock that was set back.
        let burst = pace.each * pace.most;
        *whole = (*whole).clamp(now, now.after(burst));
        let next = whole.after(pace.each);
        let wait = next.since(now).saturating_sub(burst);
        if !wait.is_zero() {
            return Err(wait);
        }
        *whole = next;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_one_at_a_time() {
        let (paces, start) = (Paces::default(), Timestamp::from_micros(1_000_000_000));
        let of = |peer: &str, span: u64| {
            let now = start.after(Duration::from_millis(span));
            let peer = peer.parse().unwrap();
            (0..1_000)
                .map(|_| paces.failed(peer, now))
                .take_while(Result::is_ok)
                .count()
        };
        assert_eq!(of("192.0.2.1", 0), 300);
        assert_eq!(of("192.0.2.1", 199), 0);
        assert_eq!(of("192.0.2.1", 400), 2);
        assert_eq!(of("::ffff:192.0.2.1", 400), 0, "the same");
        assert_eq!(of("192.0.2.2", 400), 300);
        assert_eq!(of("192.0.2.1", 3_600_000), 300);
        assert_eq!(of("2001:db8::1", 0), 300);
        assert_eq!(of("2001:db8::2", 0), 0);
        assert_eq!(of("2001:db8:0:1::1", 0), 300);
        let token = AdminTokenId::from_bytes([1; 16]);
        let asked = (0..1_000).filter(|_| paces.asked(token, start).is_ok());
        assert_eq!(asked.count(), 100);
        assert_eq!(paces.asked(token, start), Err(Duration::from_millis(10)));
    }

    #[test]
    fn a_clock_that_is_set_back_costs_no_more_than_a_turn() {
        let (paces, start) = (Paces::default(), Timestamp::from_micros(10_000_000_000));
        let token = AdminTokenId::from_bytes([1; 16]);
        while paces.asked(token, start).is_ok() {}
        let before = start.before(Duration::from_hours(1));
        assert_eq!(paces.asked(token, before), Err(OF_A_TOKEN.each));
        let next = before.after(OF_A_TOKEN.each);
        assert_eq!(paces.asked(token, next), Ok(()));
    }

    #[test]
    fn the_memory_of_callers_is_bounded() {
        let (counted, now) = (Counted::default(), Timestamp::from_micros(0));
        for caller in 0..3 * CALLERS_MOST {
            assert!(counted.take(caller, WRONG, now).is_ok());
        }
        assert!(counted.0.lock().len() <= CALLERS_MOST);
    }
}
