//! Who is connected to the submission ports: so many in all, and so many from one address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use parking_lot::Mutex;

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
}

/// A connection's seat; free when this is dropped.
pub(crate) struct Seat {
    crowd: Arc<Crowd>,
    client: IpAddr,
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
        let client = client_of(ip);
        let mut seats = self.seats.lock();
        if seats.taken >= self.most {
            return Err(Full::All);
        }
        let of_client = seats.by_client.entry(client).or_default();
        if *of_client >= self.most_of_one {
            return Err(Full::OfOne);
        }
        *of_client += 1;
        seats.taken += 1;
        let crowd = Arc::clone(self);
        Ok(Seat { crowd, client })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut seats = self.crowd.seats.lock();
        seats.taken -= 1;
        if let Some(count) = seats.by_client.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                seats.by_client.remove(&self.client);
            }
        }
    }
}

/// One site has at least a /64 (RFC 6177 §2): it counts as one client.
pub(crate) fn client_of(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.into(),
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64).into(),
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
}
