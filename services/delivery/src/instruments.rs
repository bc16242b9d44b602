//! What delivery counts.

use std::time::Duration;

use postrider_model::{EventKind, Provider, WaitCause};
use postrider_telemetry::{
    Counter, CounterBy, CounterBy2, FloatGauge, Gauge, GaugeBy, GaugeBy2, Histogram, HistogramBy,
    Registry, SecondsBy, label,
};

use crate::refusal::Class;
use crate::stages::{Stage, Stages};

label!(
    /// What an attempt came to for a recipient.
    pub(crate) ResultKind is "result" {
        Delivered = "delivered",
        Deferred = "deferred",
        Bounced = "bounced",
        Failed = "failed",
        Expired = "expired",
        Held = "held",
        Ambiguous = "ambiguous",
    }
);

label!(
    /// Where a waiting recipient stands.
    pub(crate) State is "state" {
        Scheduled = "scheduled",
        Queued = "queued",
        Held = "held",
    }
);

label!(
    /// What came of asking for a connection.
    pub(crate) Opening is "outcome" {
        /// A new one, inside TLS.
        Encrypted = "encrypted",
        /// A new one, in plain text.
        Plain = "plain",
        /// One that was open already.
        Reused = "reused",
        /// All that we allow ourselves to this address are in use.
        AtCap = "at_cap",
        /// Nobody answered at the address.
        Unreachable = "unreachable",
        /// The host answered and would not serve us.
        Refused = "refused",
        TlsFailed = "tls_failed",
        /// The host fell silent or hung up, or spoke no SMTP.
        Broken = "broken",
    }
);

label!(
    /// Whose word a message waits for that was set aside.
    pub(crate) Word is "word" { Key = "key", Owner = "owner" }
);

label!(
    /// What an open connection does.
    pub(crate) Use is "state" { InUse = "in_use", Idle = "idle" }
);

/// Delivery's part of the metrics page.
#[derive(Clone, Debug)]
pub(crate) struct Instruments {
    pub(crate) outcomes: OutcomeInstruments,
    pub(crate) in_flight: Gauge,
    /// Live recipients in memory.
    waiting: GaugeBy2<State, WaitCause>,
    /// Messages in memory, as they were found when they were opened.
    pub(crate) set_aside: GaugeBy<Word>,
    pub(crate) oldest_due: FloatGauge,
    pub(crate) attempt_seconds: Histogram,
    stage_seconds: HistogramBy<Stage>,
    pub(crate) openings: CounterBy<Opening>,
    pub(crate) connections: GaugeBy<Use>,
    pub(crate) settle_failures: Counter,
    pub(crate) unsettled: Gauge,
    pub(crate) owner: OwnerInstruments,
}

/// For what takes from milliseconds to minutes.
const SPANS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0, 300.0,
];

impl Instruments {
    pub(crate) fn new(registry: &Registry) -> Self {
        Self {
            outcomes: OutcomeInstruments::new(registry),
            in_flight: registry.gauge(
                "postrider_delivery_attempts_in_flight",
                "Attempts under way.",
            ),
            waiting: registry.gauge_by2(
                "postrider_delivery_waiting_recipients",
                "Recipients in this node's memory, by state and cause of waiting.",
                |state, cause| state == State::of(cause),
            ),
            set_aside: registry.gauge_by(
                "postrider_delivery_set_aside_messages",
                "Messages in this node's memory that wait for somebody's word.",
            ),
            oldest_due: registry.float_gauge(
                "postrider_delivery_oldest_due_seconds",
                "How long the mail that has waited longest has been due; 0 where none is due.",
            ),
            attempt_seconds: registry.histogram(
                "postrider_delivery_attempt_seconds",
                "From the start of an attempt to its last result on disk.",
                &[
                    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
                    300.0, 900.0,
                ],
            ),
            stage_seconds: registry.histogram_by(
                "postrider_delivery_phase_seconds",
                "Duration of the phases of attempts.",
                SPANS,
            ),
            openings: registry.counter_by(
                "postrider_delivery_sessions_total",
                "Sessions with exchangers that were asked for.",
            ),
            connections: registry.gauge_by(
                "postrider_delivery_connections",
                "Connections to exchangers that are open.",
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

    /// How many wait for a cause.
    pub(crate) fn waiting(&self, cause: WaitCause, count: usize) {
        self.waiting.count(State::of(cause), cause, count);
    }

    pub(crate) fn settled_in(&self, span: Duration) {
        self.stage_seconds.span(Stage::Settle, span);
    }

    pub(crate) fn took(&self, stages: &Stages) {
        for (stage, span) in stages.iter() {
            self.stage_seconds.span(stage, span);
        }
    }
}

impl State {
    fn of(cause: WaitCause) -> Self {
        match cause {
            WaitCause::Scheduled => Self::Scheduled,
            WaitCause::Held => Self::Held,
            WaitCause::Turn
            | WaitCause::TenantPace
            | WaitCause::DestinationCap
            | WaitCause::DestinationBackoff
            | WaitCause::WarmUp
            | WaitCause::Greylisting
            | WaitCause::Retry
            | WaitCause::NoRoute
            | WaitCause::Attempt => Self::Queued,
        }
    }
}

impl ResultKind {
    /// `None` for what is no attempt's result.
    pub(crate) fn of(kind: EventKind) -> Option<Self> {
        match kind {
            EventKind::Delivered => Some(Self::Delivered),
            EventKind::Deferred => Some(Self::Deferred),
            EventKind::Bounced => Some(Self::Bounced),
            EventKind::Failed => Some(Self::Failed),
            EventKind::Expired => Some(Self::Expired),
            EventKind::Held => Some(Self::Held),
            EventKind::Ambiguous => Some(Self::Ambiguous),
            _ => None,
        }
    }
}

/// What is counted of what becomes of recipients.
#[derive(Clone, Debug)]
pub(crate) struct OutcomeInstruments {
    pub(crate) results: CounterBy2<Provider, ResultKind>,
    /// Why, of all that were not delivered.
    pub(crate) refusals: CounterBy2<Provider, Class>,
    /// What recipients waited for, added up as their attempts end.
    pub(crate) waited: SecondsBy<WaitCause>,
    pub(crate) first_attempt_seconds: Histogram,
}

impl OutcomeInstruments {
    fn new(registry: &Registry) -> Self {
        Self {
            results: registry.counter_by2(
                "postrider_delivery_results_total",
                "Results of attempts, by recipient.",
            ),
            refusals: registry.counter_by2(
                "postrider_delivery_refusals_total",
                "Attempts that did not deliver, by recipient and reason.",
            ),
            waited: registry.seconds_by(
                "postrider_delivery_waited_seconds_total",
                "Time that recipients waited, by cause, added when an attempt ends.",
            ),
            first_attempt_seconds: registry.histogram(
                "postrider_delivery_first_attempt_seconds",
                "From when a recipient could first leave to its delivery, of those that the first attempt delivered.",
                &[
                    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
                    300.0, 1_800.0, 7_200.0,
                ],
            ),
        }
    }
}

/// What a node counts as an owner of shards.
#[derive(Clone, Debug)]
pub(crate) struct OwnerInstruments {
    pub(crate) shards: Gauge,
    pub(crate) beat_age: FloatGauge,
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
            beat_age: registry.float_gauge(
                "postrider_delivery_heartbeat_age_seconds",
                "How long ago the last heartbeat that arrived was sent; before the first, since the start.",
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
