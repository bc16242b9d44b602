//! Who is connected to the submission ports: so many in all, and so many from one address. Where
//! there is no seat for another, whoever has not signed in for the longest gives way.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use postrider_model::site_of;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// A client that wants to sign in has done it in this time, as a rule; before it nobody gives way.
const TIME_TO_SIGN_IN: Duration = Duration::from_secs(5);

/// The connections of all ports.
pub(crate) struct Crowd {
    most: usize,
    most_of_one: usize,
    seats: Mutex<Seats>,
}

#[derive(Default)]
struct Seats {
    taken: usize,
    by_client: HashMap<IpAddr, usize>,
    next: u64,
    /// Who has not signed in, in the order in which they came.
    strangers: BTreeMap<u64, Stranger>,
}

struct Stranger {
    client: IpAddr,
    since: Instant,
    leave: CancellationToken,
}

/// A connection's seat; free when this is dropped.
pub(crate) struct Seat {
    crowd: Arc<Crowd>,
    client: IpAddr,
    number: u64,
    leave: CancellationToken,
    is_known: AtomicBool,
}

/// Why there is no seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    All,
    OfOne,
}

impl Crowd {
    pub(crate) fn new(most: usize, most_of_one: usize) -> Arc<Self> {
        let seats = Mutex::default();
        Arc::new(Self {
            most,
            most_of_one,
            seats,
        })
    }

    pub(crate) fn enter(self: &Arc<Self>, ip: IpAddr) -> Result<Seat, Full> {
        let client = site_of(ip);
        let mut seats = self.seats.lock();
        let of_client = seats.by_client.get(&client).copied().unwrap_or(0);
        let is_share_taken = of_client >= self.most_of_one;
        if is_share_taken && !seats.make_room(|stranger| stranger == client) {
            return Err(Full::OfOne);
        }
        // One who leaves is enough for one who comes.
        if !is_share_taken && seats.taken >= self.most && !seats.make_room(|_| true) {
            return Err(Full::All);
        }
        *seats.by_client.entry(client).or_default() += 1;
        seats.taken += 1;
        seats.next += 1;
        let (number, leave) = (seats.next, CancellationToken::new());
        let stranger = Stranger {
            client,
            since: Instant::now(),
            leave: leave.clone(),
        };
        seats.strangers.insert(number, stranger);
        Ok(Seat {
            crowd: Arc::clone(self),
            client,
            number,
            leave,
            is_known: AtomicBool::new(false),
        })
    }
}

impl Seats {
    /// Asks the one of these to leave that has not signed in for the longest; false where there is
    /// none who had the time to. Its seat is free a moment later than it is given.
    fn make_room(&mut self, among: impl Fn(IpAddr) -> bool) -> bool {
        let late = |stranger: &Stranger| stranger.since.elapsed() >= TIME_TO_SIGN_IN;
        let mut waiting = self.strangers.iter().take_while(|(_, one)| late(one));
        let Some(number) = waiting.find(|(_, one)| among(one.client)).map(|(n, _)| *n) else {
            return false;
        };
        if let Some(stranger) = self.strangers.remove(&number) {
            stranger.leave.cancel();
        }
        true
    }
}

impl Seat {
    /// Its client signed in: it gives way to nobody any more, even if it was asked a moment ago. What
    /// it hands over must not be broken off.
    pub(crate) fn keep(&self) {
        self.is_known.store(true, Ordering::Relaxed);
        self.crowd.seats.lock().strangers.remove(&self.number);
    }

    /// Returns when its client is to go. Waited for by the task that calls `keep`, and by no other.
    pub(crate) async fn asked_to_leave(&self) {
        self.leave.cancelled().await;
        if self.is_known.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut seats = self.crowd.seats.lock();
        seats.taken -= 1;
        seats.strangers.remove(&self.number);
        if let Some(count) = seats.by_client.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                seats.by_client.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_site_has_its_share_and_gives_it_back() {
        let crowd = Crowd::new(4, 2);
        let enter = |ip: &str| crowd.enter(ip.parse().unwrap());
        let first = enter("2001:db8::1").unwrap();
        let _second = enter("2001:db8::2").unwrap();
        assert_eq!(enter("2001:db8::3").err(), Some(Full::OfOne));
        drop(first);
        let _third = enter("2001:db8::3").unwrap();
        let _fourth = enter("192.0.2.1").unwrap();
        let _fifth = enter("::ffff:192.0.2.1").unwrap();
        assert_eq!(enter("192.0.2.9").err(), Some(Full::All));
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_sign_in_gives_way_to_a_newcomer() {
        let crowd = Crowd::new(3, 2);
        let enter = |ip: &str| crowd.enter(ip.parse().unwrap()).ok();
        let signed_in = enter("192.0.2.1").unwrap();
        signed_in.keep();
        let silent = enter("192.0.2.2").unwrap();
        let later = enter("192.0.2.2").unwrap();
        assert!(enter("192.0.2.3").is_none(), "they had no time yet");
        tokio::time::advance(TIME_TO_SIGN_IN).await;
        let newcomer = enter("192.0.2.3").unwrap();
        silent.asked_to_leave().await;
        assert!(!later.leave.is_cancelled() && !signed_in.leave.is_cancelled());
        drop(silent);
        let _of_the_same = enter("192.0.2.2").unwrap();
        later.asked_to_leave().await;
        drop(later);
        newcomer.keep();
        tokio::time::advance(TIME_TO_SIGN_IN).await;
        let _next = enter("192.0.2.4").unwrap();
        assert!(enter("192.0.2.5").is_none(), "nobody waits any more");
    }

    #[tokio::test(start_paused = true)]
    async fn who_signs_in_while_it_is_asked_to_leave_stays() {
        let crowd = Crowd::new(1, 1);
        let enter = |ip: &str| crowd.enter(ip.parse().unwrap()).ok();
        let slow = enter("192.0.2.1").unwrap();
        tokio::time::advance(TIME_TO_SIGN_IN).await;
        let _newcomer = enter("192.0.2.2").unwrap();
        assert!(slow.leave.is_cancelled());
        slow.keep();
        let asked = tokio::time::timeout(TIME_TO_SIGN_IN, slow.asked_to_leave());
        assert!(asked.await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn one_gives_way_to_one() {
        let crowd = Crowd::new(2, 2);
        let enter = || crowd.enter("192.0.2.1".parse().unwrap()).ok();
        let (first, second) = (enter().unwrap(), enter().unwrap());
        tokio::time::advance(TIME_TO_SIGN_IN).await;
        let _newcomer = enter().unwrap();
        assert!(first.leave.is_cancelled() && !second.leave.is_cancelled());
    }
}
