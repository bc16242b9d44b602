//! SIGTERM and SIGINT begin the shutdown.

use postrider_runtime::Shutdown;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Both signals, caught from the moment this is made: before anybody is told that we run.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub(crate) fn catch() -> anyhow::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Begins the shutdown at the first signal. Returns when it has begun, by a signal or
    /// otherwise.
    pub(crate) async fn watch(mut self, shutdown: Shutdown) {
        tokio::select! {
            _ = self.terminate.recv() => tracing::info!("stopping: SIGTERM"),
            _ = self.interrupt.recv() => tracing::info!("stopping: SIGINT"),
            () = shutdown.begun() => {}
        }
        shutdown.begin();
    }
}
