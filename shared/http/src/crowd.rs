//! Who is connected. Where there is no seat for another, it is not the newcomer who goes: it is
//! whoever keeps us waiting the longest, of those from where the most have come.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;
use postrider_model::site_of;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::Config;

/// The open connections of one listener.
pub(crate) struct Crowd {
    most: usize,
    most_of_one: usize,
    begun: Instant,
    seats: Mutex<Seats>,
    /// Told when a connection has nothing to do any more.
    rested: Arc<Notify>,
}

#[derive(Default)]
struct Seats {
    next: u64,
    taken: HashMap<u64, Seat>,
    by_client: HashMap<IpAddr, usize>,
}

struct Seat {
    client: IpAddr,
    traffic: Arc<Traffic>,
}

/// A connection's seat; free when this is dropped.
pub(crate) struct Place {
    crowd: Arc<Crowd>,
    number: u64,
    pub(crate) traffic: Arc<Traffic>,
}

impl Crowd {
    pub(crate) fn new(config: &Config) -> Arc<Self> {
        Arc::new(Self {
            most: config.max_connections,
            most_of_one: config.max_connections_of_one,
            begun: Instant::now(),
            seats: Mutex::default(),
            rested: Arc::default(),
        })
    }

    /// Gives a newcomer a seat: a free one, or that of somebody who only waits and has to get up for
    /// it. `None` where all are at work. A client that has its share gets up for itself first.
    pub(crate) fn seat(self: &Arc<Self>, ip: IpAddr) -> Option<Place> {
        let client = site_of(ip);
        let mut seats = self.seats.lock();
        let of_client = seats.by_client.get(&client).copied().unwrap_or(0);
        let has_share = of_client >= self.most_of_one;
        let gave_way = has_share && seats.ask_one_to_leave(Some(client));
        let is_free = gave_way || seats.taken.len() < self.most;
        if !is_free && !seats.ask_one_to_leave(None) {
            return None;
        }
        let traffic = Arc::new(Traffic::new(self.begun, Arc::clone(&self.rested)));
        let number = seats.take(client, Arc::clone(&traffic));
        drop(seats);
        Some(Place {
            crowd: Arc::clone(self),
            number,
            traffic,
        })
    }

    /// Ends when some connection has come to rest: it may give its seat to a newcomer.
    pub(crate) async fn rested(&self) {
        self.rested.notified().await;
    }

    /// Makes so many get up who only wait, as far as there are.
    pub(crate) fn shed(&self, count: usize) {
        let seats = self.seats.lock();
        for _ in 0..count {
            if !seats.ask_one_to_leave(None) {
                break;
            }
        }
    }
}

impl Seats {
    // All that only wait: of this client, or of all.
    fn waiting(&self, client: Option<IpAddr>) -> impl Iterator<Item = &Seat> {
        self.taken.values().filter(move |seat| {
            let is_asked = client.is_none_or(|client| client == seat.client);
            is_asked && seat.traffic.is_waiting() && !seat.traffic.is_leaving()
        })
    }

    fn take(&mut self, client: IpAddr, traffic: Arc<Traffic>) -> u64 {
        *self.by_client.entry(client).or_default() += 1;
        let number = self.next;
        self.next += 1;
        self.taken.insert(number, Seat { client, traffic });
        number
    }

    // Whoever waits longest, of those that have the most seats; false where nobody waits. He may
    // begin meanwhile: then he is answered, and leaves behind it.
    fn ask_one_to_leave(&self, client: Option<IpAddr>) -> bool {
        let longest = self.waiting(client).max_by_key(|seat| {
            let of_client = self.by_client.get(&seat.client).copied().unwrap_or(0);
            (of_client, Reverse(seat.traffic.since()))
        });
        if let Some(seat) = longest {
            seat.traffic.leave.cancel();
        }
        longest.is_some()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut seats = self.crowd.seats.lock();
        let Some(seat) = seats.taken.remove(&self.number) else {
            return;
        };
        if let Some(count) = seats.by_client.get_mut(&seat.client) {
            *count -= 1;
            if *count == 0 {
                seats.by_client.remove(&seat.client);
            }
        }
    }
}

/// What goes on on one connection.
pub(crate) struct Traffic {
    requests: AtomicU64,
    ended: AtomicU64,
    /// Since when it waits for its client, in microseconds after `begun`.
    since: AtomicU64,
    begun: Instant,
    rested: Arc<Notify>,
    leave: CancellationToken,
    linger: AtomicBool,
}

/// A request that is being answered.
pub(crate) struct Open<'a>(&'a Traffic);

impl Traffic {
    fn new(begun: Instant, rested: Arc<Notify>) -> Self {
        let traffic = Self {
            requests: AtomicU64::default(),
            ended: AtomicU64::default(),
            since: AtomicU64::default(),
            begun,
            rested,
            leave: CancellationToken::new(),
            linger: AtomicBool::default(),
        };
        traffic.rest();
        traffic
    }

    pub(crate) fn begin(&self) -> Open<'_> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        Open(self)
    }

    fn rest(&self) {
        let since = self.begun.elapsed().as_micros();
        let since = u64::try_from(since).unwrap_or(u64::MAX);
        self.since.store(since, Ordering::Relaxed);
    }

    fn since(&self) -> u64 {
        self.since.load(Ordering::Relaxed)
    }

    // For a handshake, for a header, for the next request: for nothing of ours.
    fn is_waiting(&self) -> bool {
        self.ended.load(Ordering::Relaxed) == self.requests.load(Ordering::Relaxed)
    }

    fn is_leaving(&self) -> bool {
        self.leave.is_cancelled()
    }

    /// Ends when the connection is to be closed as soon as it can be.
    pub(crate) async fn left(&self) {
        self.leave.cancelled().await;
    }

    /// Ends when the connection is to be closed at once, whatever its client is about to say.
    pub(crate) async fn cut(&self) {
        self.leave.cancelled().await;
        // A request has come in between: it is answered.
        if !self.is_waiting() {
            std::future::pending::<()>().await;
        }
    }

    /// From here on the client may still be writing when we close: its bytes are to be read and
    /// thrown away for a while, or it sees a reset instead of the answer.
    pub(crate) fn linger(&self) {
        self.linger.store(true, Ordering::Relaxed);
    }

    pub(crate) fn lingers(&self) -> bool {
        self.linger.load(Ordering::Relaxed)
    }

    /// True where no request is open and none has begun since this was asked with the same `seen`.
    pub(crate) fn nothing_since(&self, seen: &mut u64) -> bool {
        let requests = self.requests.load(Ordering::Relaxed);
        let before = std::mem::replace(seen, requests);
        before == requests && self.is_waiting()
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.rest();
        self.0.ended.fetch_add(1, Ordering::Relaxed);
        self.0.rested.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crowd(most: usize, most_of_one: usize) -> Arc<Crowd> {
        Crowd::new(&Config {
            max_connections: most,
            max_connections_of_one: most_of_one,
            ..Config::default()
        })
    }

    fn enter(crowd: &Arc<Crowd>, ip: &str) -> Place {
        crowd.seat(ip.parse().unwrap()).unwrap()
    }

    fn leaving(places: &[Place]) -> Vec<bool> {
        places
            .iter()
            .map(|place| place.traffic.is_leaving())
            .collect()
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_longest_where_the_most_are_gets_up() {
        let crowd = crowd(4, 100);
        let mut places = Vec::new();
        // .1 has waited longest; .2 has more seats.
        for ip in ["192.0.2.1", "192.0.2.2", "192.0.2.2", "::ffff:192.0.2.2"] {
            places.push(enter(&crowd, ip));
            tokio::time::advance(std::time::Duration::from_secs(1)).await;
        }
        assert_eq!(leaving(&places), [false; 4]);
        // The oldest of .2 is answering a request.
        let busy = Arc::clone(&places[1].traffic);
        let open = busy.begin();
        places.push(enter(&crowd, "192.0.2.3"));
        assert_eq!(leaving(&places), [false, false, true, false, false]);
        places.remove(2);
        // It has rested a moment only now, and the other of .2 has waited longer.
        drop(open);
        places.push(enter(&crowd, "192.0.2.4"));
        assert_eq!(leaving(&places), [false, false, true, false, false]);
    }

    #[tokio::test]
    async fn one_client_makes_room_for_itself_and_a_site_is_one_client() {
        let crowd = crowd(100, 2);
        let enter = |ip: &str| enter(&crowd, ip);
        let places = [
            enter("2001:db8::1"),
            enter("2001:db8::2"),
            enter("2001:db8:0:1::1"),
        ];
        assert_eq!(leaving(&places), [false; 3]);
        let more = enter("2001:db8::3");
        assert_eq!(leaving(&places), [true, false, false]);
        assert!(!more.traffic.is_leaving());
    }

    #[tokio::test]
    async fn who_is_at_work_is_never_asked_to_leave() {
        let crowd = crowd(1, 1);
        let place = enter(&crowd, "192.0.2.1");
        let open = place.traffic.begin();
        crowd.shed(10);
        let newcomer = "192.0.2.2".parse().unwrap();
        assert!(!place.traffic.is_leaving() && crowd.seat(newcomer).is_none());
        assert_eq!(crowd.seats.lock().by_client.len(), 1);
        drop(open);
        crowd.rested().await;
        let _newcomer = enter(&crowd, "192.0.2.2");
        assert!(place.traffic.is_leaving());
    }

    #[tokio::test]
    async fn a_client_whose_own_are_all_at_work_takes_the_seat_of_one_who_waits() {
        let crowd = crowd(2, 1);
        let places = [enter(&crowd, "192.0.2.1"), enter(&crowd, "192.0.2.2")];
        let _open = places[0].traffic.begin();
        let _newcomer = enter(&crowd, "192.0.2.1");
        assert_eq!(leaving(&places), [false, true]);
    }
}
