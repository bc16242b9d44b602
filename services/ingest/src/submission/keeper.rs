//! Keeps black boxes: takes them from the sessions, and writes them in batches. What it cannot
//! take is lost and counted: a black box is no promise, and no mail waits for it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use postrider_model::Session;
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

/// Where the sessions put them.
pub(crate) struct Keeper {
    send: mpsc::Sender<Session>,
    lost: Counter,
    strangers: Mutex<Strangers>,
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
    };
    (keeper, task)
}

impl Keeper {
    /// Never waits.
    pub(crate) fn keep(&self, session: Session) {
        let has_place = session.tenant.is_some() || self.strangers.lock().take(Instant::now());
        if !has_place || self.send.try_send(session).is_err() {
            self.lost.add(1);
        }
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
}
