//! A point at which an exchanger waits for the test: deterministic, without sleeping.

use std::sync::Arc;

use tokio::sync::{Semaphore, watch};

/// Signals when an exchanger comes to it, and holds it there until the test lets it through.
/// Clones are the same gate.
#[derive(Clone, Debug)]
pub struct Gate(Arc<Hinge>);

#[derive(Debug)]
struct Hinge {
    arrived: watch::Sender<usize>,
    passes: Semaphore,
}

impl Default for Gate {
    fn default() -> Self {
        Self(Arc::new(Hinge {
            arrived: watch::Sender::new(0),
            passes: Semaphore::new(0),
        }))
    }
}

impl Gate {
    /// A closed gate.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns once somebody has come to the gate, now or before.
    pub async fn reached(&self) {
        self.reached_times(1).await;
    }

    /// Returns once the gate was come to `times` times in all.
    pub async fn reached_times(&self, times: usize) {
        // The sender lives in `self`, so this only ends by the count being reached.
        let mut seen = self.0.arrived.subscribe();
        let _reached = seen.wait_for(|&n| n >= times).await;
    }

    /// Lets one through: who waits, or the next to come.
    pub fn release(&self) {
        self.0.passes.add_permits(1);
    }

    /// Lets everybody through from here on.
    pub fn open(&self) {
        self.0.passes.close();
    }

    pub(crate) async fn pass(&self) {
        self.0.arrived.send_modify(|n| *n += 1);
        // A closed semaphore is an open gate.
        if let Ok(permit) = self.0.passes.acquire().await {
            permit.forget();
        }
    }
}
