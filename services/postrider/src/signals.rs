//! SIGTERM and SIGINT begin the shutdown.

use postrider_runtime::Shutdown;
use tokio::signal::unix::{SignalKind, signal};

/// Begins the shutdown at the first SIGTERM or SIGINT. Returns when it has begun, by a signal or
/// otherwise.
pub(crate) async fn watch(shutdown: Shutdown) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => tracing::info!("stopping: SIGTERM"),
        _ = interrupt.recv() => tracing::info!("stopping: SIGINT"),
        () = shutdown.begun() => {}
    }
    shutdown.begin();
    Ok(())
}
