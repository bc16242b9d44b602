//! Shutdown in three steps: stop taking, drain until the deadline, drop.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// The sign to stop, seen by every task. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Shutdown {
    stop: CancellationToken,
    drain: Duration,
}

impl Shutdown {
    /// `drain`: how long tasks may go on with what they have begun after `begin`.
    pub fn new(drain: Duration) -> Self {
        Self {
            stop: CancellationToken::new(),
            drain,
        }
    }

    /// Step one: nobody takes new work from here on.
    pub fn begin(&self) {
        self.stop.cancel();
    }

    pub fn has_begun(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// Returns once `begin` was called. May be cancelled at any point.
    pub async fn begun(&self) {
        self.stop.cancelled().await;
    }

    /// Step two's length: what a task waits at most for its own work to end.
    pub fn drain(&self) -> Duration {
        self.drain
    }
}
