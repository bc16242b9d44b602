//! Hosts whose TLS is known to be broken.
//!
//! Opportunistic TLS that cannot be agreed on is still better undone than mail undelivered
//! (RFC 7435 §3). When a host may be remembered here is decided elsewhere: not at a message's
//! first attempt.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use parking_lot::Mutex;
use postrider_model::Timestamp;

const KEPT_FOR: Duration = Duration::from_hours(24);
const MOST: usize = 10_000;

/// Addresses that are spoken to in plain text for a day.
#[derive(Debug, Default)]
pub(crate) struct PlaintextMemory(Mutex<HashMap<IpAddr, Timestamp>>);

impl PlaintextMemory {
    /// From now on plain text for this address, for a day.
    pub(crate) fn remember(&self, address: IpAddr, now: Timestamp) {
        let mut since = self.0.lock();
        if since.len() >= MOST && !since.contains_key(&address) {
            since.retain(|_, since| is_recent(*since, now));
        }
        if since.len() >= MOST && !since.contains_key(&address) {
            let oldest = since.iter().min_by_key(|(_, since)| **since);
            if let Some(oldest) = oldest.map(|(address, _)| *address) {
                since.remove(&oldest);
            }
        }
        since.insert(address, now);
    }

    /// True where this address is to be spoken to in plain text.
    pub(crate) fn holds(&self, address: IpAddr, now: Timestamp) -> bool {
        let since = self.0.lock();
        since
            .get(&address)
            .is_some_and(|since| is_recent(*since, now))
    }
}

fn is_recent(since: Timestamp, now: Timestamp) -> bool {
    now.since(since) < KEPT_FOR
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn an_address_is_remembered_for_a_day() {
        let memory = PlaintextMemory::default();
        let now = Timestamp::from_micros(0);
        let (known, other) = (IpAddr::from([127, 0, 0, 1]), IpAddr::from([127, 0, 0, 2]));
        memory.remember(known, now);
        assert!(memory.holds(known, now.after(Duration::from_hours(23))));
        assert!(!memory.holds(known, now.after(KEPT_FOR)));
        assert!(!memory.holds(other, now));
    }

    #[test]
    fn the_oldest_is_forgotten_when_there_are_too_many() {
        let memory = PlaintextMemory::default();
        let address = |number: u32| IpAddr::V4(Ipv4Addr::from_bits(number));
        let at = |number: u32| Timestamp::from_micros(i64::from(number));
        for number in 0..10_001 {
            memory.remember(address(number), at(number));
        }
        assert_eq!(memory.0.lock().len(), MOST);
        assert!(!memory.holds(address(0), at(10_001)));
        assert!(memory.holds(address(1), at(10_001)));
        assert!(memory.holds(address(10_000), at(10_001)));
    }
}
