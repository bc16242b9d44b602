//! Whether mail may leave this machine at all. Who decides it stands above; here it is only asked
//! before a host is visited, and by the schedule, where what was turned back waits until it opens.

use std::sync::Arc;

use postrider_model::EnhancedCode;
use tokio::sync::watch;

use crate::route::{Host, NoRoute, Route};

/// Tells whether mail may leave, and in words why not. Cheap to clone; clones tell the same.
#[derive(Clone, Debug)]
pub struct WayOut(watch::Receiver<Option<Arc<str>>>);

/// Closes and opens a way out.
#[derive(Debug)]
pub struct Barrier(watch::Sender<Option<Arc<str>>>);

impl WayOut {
    /// One that is always open.
    pub fn open() -> Self {
        Self::with_barrier(None).0
    }

    /// One that is open, or closed for this reason, until the barrier says something else.
    pub fn with_barrier(closed: Option<String>) -> (Self, Barrier) {
        let (sender, receiver) = watch::channel(closed.map(Arc::from));
        (Self(receiver), Barrier(sender))
    }

    /// Whether it is closed now.
    pub(crate) fn is_closed(&self) -> bool {
        self.0.borrow().is_some()
    }

    /// Why it is closed now; `None` while it is open.
    pub fn reason(&self) -> Option<Arc<str>> {
        self.0.borrow().clone()
    }

    /// Returns when the barrier said something. May be dropped at any time.
    pub(crate) async fn changed(&mut self) {
        if self.0.changed().await.is_err() {
            // Nobody will say anything any more.
            std::future::pending::<()>().await;
        }
    }

    /// A route, or that it is shut: it leaves this machine and the way out is closed.
    pub(crate) fn filtered(&self, route: Route) -> Route {
        let leaves = |host: &Host| host.addresses.iter().any(|ip| !ip.is_loopback());
        match (&route, self.0.borrow().as_deref()) {
            (Route::Hosts(hosts), Some(why)) if hosts.iter().any(leaves) => {
                // RFC 3463 §3.4: the system is not configured as it must be.
                Route::Shut(NoRoute::new(EnhancedCode(4, 3, 5), why))
            }
            _ => route,
        }
    }
}

impl Barrier {
    /// From here on nothing begins to leave, for this reason.
    pub fn close(&self, why: &str) {
        self.0.send_replace(Some(Arc::from(why)));
    }

    /// From here on mail may leave, and what waited for it goes.
    pub fn open(&self) {
        self.0.send_replace(None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leaves_the_machine_has_no_route_while_the_way_out_is_closed() {
        let to = |ip: &str| {
            Route::Hosts(vec![Host {
                name: "mx.example".to_owned(),
                preference: 10,
                addresses: vec![ip.parse().unwrap()],
            }])
        };
        let (way_out, barrier) = WayOut::with_barrier(Some("a finding stands".to_owned()));
        let Route::Shut(why) = way_out.filtered(to("192.0.2.1")) else {
            panic!("it leaves");
        };
        assert_eq!(why.note, "4.3.5 a finding stands");
        assert_eq!(way_out.filtered(to("127.0.0.1")), to("127.0.0.1"));
        assert!(way_out.is_closed());
        barrier.open();
        assert!(!way_out.is_closed());
        assert_eq!(way_out.filtered(to("192.0.2.1")), to("192.0.2.1"));
        barrier.close("again");
        assert!(matches!(way_out.filtered(to("192.0.2.1")), Route::Shut(_)));
        assert_eq!(WayOut::open().filtered(to("192.0.2.1")), to("192.0.2.1"));
    }
}
