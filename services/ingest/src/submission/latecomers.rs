//! Programs that are slow to start TLS: whoever met our greeting with a handshake is given more
//! time when it comes again, and it will, since it does not know what went wrong.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use parking_lot::Mutex;
use postrider_model::site_of;
use tokio::time::Instant;

/// Where they come from, and to which port.
#[derive(Default)]
pub(crate) struct Latecomers(Mutex<HashMap<(IpAddr, u16), Instant>>);

/// What they are given.
const PATIENCE: Duration = Duration::from_secs(3);
/// For how long that is remembered.
const MEMORY: Duration = Duration::from_hours(24);
const REMEMBERED_MOST: usize = 10_000;

impl Latecomers {
    /// How long this client may speak first, where others have `usual`.
    pub(crate) fn wait(&self, from: (IpAddr, u16), usual: Duration, now: Instant) -> Duration {
        let late = self.0.lock().get(&place(from)).copied();
        let is_late = late.is_some_and(|at| now.duration_since(at) < MEMORY);
        if is_late { usual.max(PATIENCE) } else { usual }
    }

    /// It began a handshake after we had greeted it.
    pub(crate) fn was_late(&self, from: (IpAddr, u16), now: Instant) {
        let mut late = self.0.lock();
        if late.len() >= REMEMBERED_MOST {
            late.retain(|_, at| now.duration_since(*at) < MEMORY);
        }
        if late.len() < REMEMBERED_MOST {
            late.insert(place(from), now);
        }
    }

    /// It waits for our greeting: the program behind this address is another now.
    pub(crate) fn waits(&self, from: (IpAddr, u16)) {
        self.0.lock().remove(&place(from));
    }
}

fn place((ip, port): (IpAddr, u16)) -> (IpAddr, u16) {
    (site_of(ip), port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_late_has_more_time_until_it_waits_for_us() {
        let (latecomers, now) = (Latecomers::default(), Instant::now());
        let usual = Duration::from_millis(150);
        let here = ("192.0.2.1".parse().unwrap(), 587);
        let wait = |from, now| latecomers.wait(from, usual, now);
        assert_eq!(wait(here, now), usual);
        latecomers.was_late(here, now);
        assert_eq!(wait(here, now), PATIENCE);
        assert_eq!(wait((here.0, 2525), now), usual);
        assert_eq!(wait(here, now + MEMORY), usual);
        latecomers.waits(here);
        assert_eq!(wait(here, now), usual);
    }
}
