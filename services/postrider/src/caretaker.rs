//! What goes on beside the line: the roster kept fresh, the disk watched, old things dropped, the
//! log moved into the database, forgotten verbs closed.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use postrider_gate::Gate;
use postrider_model::ControlId;
use postrider_runtime::{Clock, Shutdown};
use postrider_store::{ControlVerb, Controls, Directory, Roster, StoreError, Upkeep};
use postrider_telemetry::{Counter, Gauge, Registry};
use tokio::time::Instant;

/// A quarter of a second: a revoked key is refused within one.
pub(crate) const ROSTER_EVERY: Duration = Duration::from_millis(250);
const SPACE_EVERY: Duration = Duration::from_secs(1);
const CHECKPOINT_EVERY: Duration = Duration::from_secs(2);
const RETENTION_EVERY: Duration = Duration::from_mins(1);
/// Between two batches of retention: the writer belongs to the mail.
const RETENTION_PAUSE: Duration = Duration::from_millis(200);

const CONTROLS_EVERY: Duration = Duration::from_secs(30);
/// How long a verb about the queue may stand before this process's eyes. Its command raises it anew
/// every two minutes; one that is older was left by a command that died, and stops mail for nobody.
const CONTROL_MOST: Duration = Duration::from_mins(10);

/// How long things are kept, and how much space must stay free.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keep {
    pub(crate) body_life: Duration,
    pub(crate) message_life: Duration,
    /// In bytes.
    pub(crate) free_space: u64,
}

/// Reads the directory anew whenever it has changed. One so large that this takes long is read half
/// of the time at most: an import changes it all the while.
pub(crate) async fn keep_roster(roster: Roster, directory: Arc<dyn Directory>, shutdown: Shutdown) {
    let mut every = tokio::time::interval(ROSTER_EVERY);
    loop {
        tokio::select! {
            biased;
            () = shutdown.begun() => return,
            _ = every.tick() => {}
        }
        let began = Instant::now();
        if let Err(fault) = roster.refresh(&*directory).await {
            tracing::error!(
                error = &fault as &dyn std::error::Error,
                "the directory cannot be read; the last known state goes on"
            );
        }
        every.reset_after(began.elapsed().max(ROSTER_EVERY));
    }
}

/// Closes the gate while the free space is below its mark.
pub(crate) async fn watch_space(
    upkeep: Arc<dyn Upkeep>,
    gate: Arc<Gate>,
    keep: Keep,
    metrics: Registry,
    shutdown: Shutdown,
) {
    let free_bytes = metrics.gauge(
        "postrider_store_free_bytes",
        "Free space where the database grows.",
    );
    let mut every = tokio::time::interval(SPACE_EVERY);
    loop {
        tokio::select! {
            biased;
            () = shutdown.begun() => return,
            _ = every.tick() => {}
        }
        match upkeep.free_space().await {
            Ok(free) => {
                free_bytes.set(i64::try_from(free).unwrap_or(i64::MAX));
                judge_space(&gate, free, keep.free_space);
            }
            Err(fault) => tracing::error!(
                error = &fault as &dyn std::error::Error,
                "the free space cannot be read"
            ),
        }
    }
}

fn judge_space(gate: &Gate, free: u64, mark: u64) {
    let short = free < mark;
    if short != gate.space_is_short() {
        gate.set_space_is_short(short);
        if short {
            tracing::error!(
                free,
                mark,
                "the doors are closed: the free space is below its mark"
            );
        } else {
            tracing::info!(free, mark, "the doors are open again: there is space");
        }
    }
}

/// Moves committed pages from the log into the database file.
pub(crate) async fn checkpoint(upkeep: Arc<dyn Upkeep>, shutdown: Shutdown) {
    let mut every = tokio::time::interval(CHECKPOINT_EVERY);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = shutdown.begun() => return,
            _ = every.tick() => {}
        }
        if let Err(fault) = upkeep.checkpoint().await {
            tracing::warn!(
                error = &fault as &dyn std::error::Error,
                "a checkpoint failed; the log grows until one succeeds"
            );
        }
    }
}

struct Dropped {
    bodies: Counter,
    messages: Counter,
    failing: Gauge,
}

/// Drops what is past its life, a small batch at a time.
pub(crate) async fn retain(
    upkeep: Arc<dyn Upkeep>,
    keep: Keep,
    clock: Clock,
    metrics: Registry,
    shutdown: Shutdown,
) {
    let dropped = Dropped {
        bodies: metrics.counter(
            "postrider_retention_bodies_total",
            "Bodies dropped by retention.",
        ),
        messages: metrics.counter(
            "postrider_retention_messages_total",
            "Messages dropped by retention.",
        ),
        failing: metrics.gauge("postrider_retention_failing", "1 while retention fails."),
    };
    let mut pause = Duration::ZERO;
    loop {
        tokio::select! {
            biased;
            () = shutdown.begun() => return,
            () = tokio::time::sleep(pause) => {}
        }
        pause = match upkeep
            .retain(clock.now(), keep.body_life, keep.message_life)
            .await
        {
            Ok(removed) => {
                dropped.bodies.add(removed.bodies);
                dropped.messages.add(removed.messages);
                dropped.failing.set(0);
                if removed.is_nothing() {
                    RETENTION_EVERY
                } else {
                    RETENTION_PAUSE
                }
            }
            Err(fault) => {
                tracing::error!(error = &fault as &dyn std::error::Error, "retention failed");
                dropped.failing.set(1);
                RETENTION_EVERY
            }
        };
    }
}

/// Closes verbs about the queue whose command died. Suspensions stand until they are closed. Goes
/// by how long it has seen them stand itself: the clocks of two machines may be hours apart.
pub(crate) async fn close_controls(controls: Arc<dyn Controls>, shutdown: Shutdown) {
    let mut every = tokio::time::interval(CONTROLS_EVERY);
    let mut seen = Seen::default();
    loop {
        tokio::select! {
            biased;
            () = shutdown.begun() => return,
            _ = every.tick() => {}
        }
        if let Err(fault) = close_forgotten(&*controls, &mut seen, CONTROL_MOST).await {
            tracing::warn!(
                error = &fault as &dyn std::error::Error,
                "forgotten verbs about the queue cannot be closed"
            );
        }
    }
}

/// Since when verbs were seen to stand.
#[derive(Default)]
pub(crate) struct Seen(HashMap<ControlId, Instant>);

/// Closes verbs that were seen to stand for so long.
pub(crate) async fn close_forgotten(
    controls: &dyn Controls,
    seen: &mut Seen,
    most: Duration,
) -> Result<(), StoreError> {
    let mut standing = controls.controls().await?;
    standing.retain(|control| control.verb != ControlVerb::Suspend);
    let ids: HashSet<_> = standing.iter().map(|control| control.id).collect();
    seen.0.retain(|id, _| ids.contains(id));
    for control in standing {
        let since = *seen.0.entry(control.id).or_insert_with(Instant::now);
        if since.elapsed() < most {
            continue;
        }
        match controls.close(control.id).await {
            Ok(()) => tracing::warn!(
                verb = control.verb.as_str(),
                "a verb about the queue was left open by a command that died: it is closed, repeat it"
            ),
            // Another process was quicker.
            Err(StoreError::NotFound { .. }) => {}
            Err(fault) => return Err(fault),
        }
    }
    Ok(())
}
