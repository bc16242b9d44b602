//! What delivery counts.

use postrider_model::{EventKind, WaitCause};
use postrider_telemetry::{Counter, CounterBy, Gauge, GaugeBy, Histogram, Registry};

/// Delivery's part of the metrics page.
#[derive(Clone, Debug)]
pub(crate) struct Instruments {
    /// Results by what they were: delivered, deferred, bounced, failed, expired, ambiguous.
    pub(crate) results: CounterBy,
    pub(crate) in_flight: Gauge,
    /// Live recipients in memory by the cause of their wait.
    pub(crate) waiting: GaugeBy,
    pub(crate) attempt_seconds: Histogram,
    pub(crate) connections: Counter,
    pub(crate) settle_failures: Counter,
    pub(crate) unsettled: Gauge,
    pub(crate) owner: OwnerInstruments,
}

impl Instruments {
    pub(crate) fn new(registry: &Registry) -> Self {
        let kinds: Vec<_> = [
            EventKind::Delivered,
            EventKind::Deferred,
            EventKind::Bounced,
            EventKind::Failed,
            EventKind::Expired,
            EventKind::Held,
            EventKind::Ambiguous,
        ]
        .map(EventKind::as_str)
        .to_vec();
        let causes: Vec<_> = WaitCause::ALL.iter().map(|cause| cause.as_str()).collect();
        Self {
            results: registry.counter_by(
                "postrider_delivery_results_total",
                "Results of attempts, by recipient.",
                "result",
                &kinds,
            ),
            in_flight: registry.gauge(
                "postrider_delivery_attempts_in_flight",
                "Attempts under way.",
            ),
            waiting: registry.gauge_by(
                "postrider_delivery_waiting_recipients",
                "Recipients that wait, by cause.",
                "cause",
                &causes,
            ),
            attempt_seconds: registry.histogram(
                "postrider_delivery_attempt_seconds",
                "From the start of an attempt to its last result on disk.",
                &[
                    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
                    300.0, 900.0,
                ],
            ),
            connections: registry.counter(
                "postrider_delivery_connections_total",
                "Sessions opened with exchangers.",
            ),
            settle_failures: registry.counter(
                "postrider_delivery_settle_failures_total",
                "Results that the database did not take at once.",
            ),
            unsettled: registry.gauge(
                "postrider_delivery_unsettled_results",
                "Results that wait for the database: at 10,000 nothing more is begun.",
            ),
            owner: OwnerInstruments::new(registry),
        }
    }
}

/// What a node counts as an owner of shards.
#[derive(Clone, Debug)]
pub(crate) struct OwnerInstruments {
    pub(crate) shards: Gauge,
    pub(crate) beat_age: Gauge,
    pub(crate) spilled_lanes: Gauge,
    pub(crate) refills: Counter,
    pub(crate) sweep_found: Counter,
    pub(crate) controls: Counter,
    pub(crate) resealed: Counter,
}

impl OwnerInstruments {
    fn new(registry: &Registry) -> Self {
        Self {
            shards: registry.gauge(
                "postrider_delivery_shards",
                "Shards of the queue that this node works on.",
            ),
            beat_age: registry.gauge(
                "postrider_delivery_heartbeat_age_milliseconds",
                "How long ago the last heartbeat that arrived was sent; -1 before the first.",
            ),
            spilled_lanes: registry.gauge(
                "postrider_delivery_spilled_lanes",
                "Lanes of tenants that have more rows than their share of memory.",
            ),
            refills: registry.counter(
                "postrider_delivery_refills_total",
                "Pages read of spilled lanes.",
            ),
            sweep_found: registry.counter(
                "postrider_delivery_sweep_found_total",
                "Recipients that only the sweep found: a fault, each of them.",
            ),
            controls: registry.counter(
                "postrider_delivery_controls_total",
                "Verbs about the queue that were obeyed.",
            ),
            resealed: registry.counter(
                "postrider_delivery_resealed_total",
                "Messages that were sealed again before an attempt.",
            ),
        }
    }
}
