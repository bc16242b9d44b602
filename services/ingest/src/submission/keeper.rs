//! Keeps black boxes: takes them from the sessions, and writes them in batches. What it cannot
//! take is lost and counted: a black box is no promise, and no mail waits for it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use postrider_model::{Session, TenantId};
use postrider_store::Sessions;
use postrider_telemetry::Counter;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Black boxes that wait to be written; each has 32 KiB at most.
const WAITING_MOST: usize = 2_048;
/// Written in one transaction.
const BATCH_MOST: usize = 256;

/// Of sessions in which nobody signed in, so many are kept at once, and one more in each of these
/// spans: a crowd of robots must not fill the disk (two million a week at most).
const STRANGERS_MOST: u32 = 1_000;
const STRANGER_EACH: Duration = Duration::from_millis(300);

/// Of one tenant's sessions so many are kept of an hour in which nothing was refused, and so many
/// in which something was: a program that connects thousands of times a minute must not fill the
/// disk, nor hide what went wrong between.
const OF_TENANT_MOST: u32 = 500;
const HOUR: Duration = Duration::from_hours(1);
/// Above this many tenants those whose hour is over are dropped.
const TENANTS_MOST: usize = 10_000;

/// Where the sessions put them.
pub(crate) struct Keeper {
    send: mpsc::Sender<Session>,
    lost: Counter,
    strangers: Mutex<Strangers>,
    tenants: Mutex<HashMap<TenantId, Hour>>,
}

/// How a session that is to be kept went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Course {
    Smooth,
    /// Something was refused, or it broke off.
    Rough,
}

/// What one tenant had of an hour.
#[derive(Clone, Copy)]
struct Hour {
    since: Instant,
    smooth: u32,
    rough: u32,
}

impl Hour {
    fn new(now: Instant) -> Self {
        Self {
            since: now,
            smooth: 0,
            rough: 0,
        }
    }

    fn is_over(&self, now: Instant) -> bool {
        now.duration_since(self.since) >= HOUR
    }

    fn take(&mut self, course: Course, now: Instant) -> bool {
        if self.is_over(now) {
            *self = Self::new(now);
        }
        let taken = match course {
            Course::Smooth => &mut self.smooth,
            Course::Rough => &mut self.rough,
        };
        let has_place = *taken < OF_TENANT_MOST;
        *taken += u32::from(has_place);
        has_place
    }
}

/// A bucket of places for strangers.
struct Strangers {
    places: u32,
    since: Instant,
}

impl Strangers {
    fn take(&mut self, now: Instant) -> bool {
        let spans = now.duration_since(self.since).as_millis() / STRANGER_EACH.as_millis();
        let spans = u32::try_from(spans).unwrap_or(u32::MAX);
        if spans > 0 {
            self.places = self.places.saturating_add(spans).min(STRANGERS_MOST);
            self.since = now;
        }
        let has_place = self.places > 0;
        self.places = self.places.saturating_sub(1);
        has_place
    }
}

/// What writes them.
pub(crate) struct KeeperTask {
    store: Arc<dyn Sessions>,
    receive: mpsc::Receiver<Session>,
    lost: Counter,
}

pub(crate) fn keeper(store: Arc<dyn Sessions>, lost: Counter) -> (Keeper, KeeperTask) {
    let (send, receive) = mpsc::channel(WAITING_MOST);
    let task = KeeperTask {
        store,
        receive,
        lost: lost.clone(),
    };
    let strangers = Mutex::new(Strangers {
        places: STRANGERS_MOST,
        since: Instant::now(),
    });
    let keeper = Keeper {
        send,
        lost,
        strangers,
        tenants: Mutex::default(),
    };
    (keeper, task)
}

impl Keeper {
    /// Never waits. `has_place` is the session's own, false at first: it takes one once, however
    /// often it is kept as it goes on.
    pub(crate) fn keep(&self, session: Session, course: Course, has_place: &mut bool) {
        *has_place = *has_place || self.take(session.tenant, course, Instant::now());
        if !*has_place || self.send.try_send(session).is_err() {
            self.lost.add(1);
        }
    }

    fn take(&self, tenant: Option<TenantId>, course: Course, now: Instant) -> bool {
        let Some(tenant) = tenant else {
            return self.strangers.lock().take(now);
        };
        let mut tenants = self.tenants.lock();
        if tenants.len() >= TENANTS_MOST {
            tenants.retain(|_, hour| !hour.is_over(now));
        }
        let hour = tenants.entry(tenant).or_insert_with(|| Hour::new(now));
        hour.take(course, now)
    }
}

impl KeeperTask {
    /// Returns when the last session is over and written.
    pub(crate) async fn run(mut self) {
        let mut taken = Vec::new();
        while self.receive.recv_many(&mut taken, BATCH_MOST).await > 0 {
            // Of one session only the last state; the store wants no code twice.
            let batch: BTreeMap<_, _> = taken
                .drain(..)
                .map(|session| (session.code, session))
                .collect();
            let count = batch.len() as u64;
            match self.store.keep(batch.into_values().collect()).await {
                // Another session drew the same code before: that one stays.
                Ok(taken_codes) => self.lost.add(taken_codes.len() as u64),
                Err(error) => {
                    self.lost.add(count);
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        count,
                        "records of submission sessions were lost"
                    );
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use postrider_model::SessionCode;
    use postrider_store::StoreError;
    use postrider_telemetry::Registry;

    use super::*;

    #[test]
    fn strangers_have_a_bound_that_fills_up_again() {
        let now = Instant::now();
        let mut strangers = Strangers {
            places: 2,
            since: now,
        };
        assert_eq!([(); 3].map(|()| strangers.take(now)), [true, true, false]);
        let later = now + 2 * STRANGER_EACH;
        assert_eq!([(); 3].map(|()| strangers.take(later)), [true, true, false]);
    }

    #[test]
    fn a_tenant_that_connects_all_the_time_keeps_so_many_and_what_was_refused_beside() {
        let store = Arc::new(Nowhere);
        let lost = Registry::new().counter("lost_total", "Lost.");
        let (keeper, _task) = keeper(store, lost);
        let (one, other) = (
            Some(TenantId::from_bytes([1; 16])),
            Some(TenantId::from_bytes([2; 16])),
        );
        let now = Instant::now();
        let kept = |tenant, course, now| {
            let all = (0..2_000).map(|_| u32::from(keeper.take(tenant, course, now)));
            all.sum::<u32>()
        };
        assert_eq!(kept(one, Course::Smooth, now), OF_TENANT_MOST);
        assert_eq!(kept(one, Course::Rough, now), OF_TENANT_MOST);
        assert_eq!(kept(other, Course::Smooth, now), OF_TENANT_MOST);
        let soon = now + HOUR - Duration::from_secs(1);
        assert_eq!(kept(one, Course::Smooth, soon), 0);
        assert_eq!(kept(one, Course::Rough, soon), 0);
        assert_eq!(kept(one, Course::Smooth, now + HOUR), OF_TENANT_MOST);
    }

    struct Nowhere;

    #[async_trait]
    impl Sessions for Nowhere {
        async fn keep(&self, _: Vec<Session>) -> Result<Vec<SessionCode>, StoreError> {
            Ok(Vec::new())
        }

        async fn session(
            &self,
            _: TenantId,
            _: SessionCode,
        ) -> Result<Option<Session>, StoreError> {
            Ok(None)
        }

        async fn strangers_session(&self, _: SessionCode) -> Result<Option<Session>, StoreError> {
            Ok(None)
        }

        async fn any_session(&self, _: SessionCode) -> Result<Option<Session>, StoreError> {
            Ok(None)
        }
    }
}
