//! Keeps black boxes: takes them from the sessions, and writes them in batches. What it cannot
//! take is lost and counted: a black box is no promise, and no mail waits for it.

use std::collections::BTreeMap;
use std::sync::Arc;

use postrider_model::Session;
use postrider_store::Sessions;
use postrider_telemetry::Counter;
use tokio::sync::mpsc;

/// Black boxes that wait to be written; each has 32 KiB at most.
const WAITING_MOST: usize = 2_048;
/// Written in one transaction.
const BATCH_MOST: usize = 256;

/// Where the sessions put them.
#[derive(Clone)]
pub(crate) struct Keeper {
    send: mpsc::Sender<Session>,
    lost: Counter,
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
    (Keeper { send, lost }, task)
}

impl Keeper {
    /// Never waits.
    pub(crate) fn keep(&self, session: Session) {
        if self.send.try_send(session).is_err() {
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
