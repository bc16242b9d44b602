//! What the gate counts.

use std::time::Duration;

use postrider_model::Stream;
use postrider_store::{NewMessage, Period};
use postrider_telemetry::{Counter, CounterBy2, Histogram, HistogramBy, Registry, label};

label!(
    /// By which door a message came.
    pub Door is "door" {
        /// The HTTP API.
        Http = "http",
        /// SMTP submission.
        Smtp = "smtp",
        /// The operator's `postrider send`.
        Command = "command",
        /// What Postrider writes itself.
        House = "house",
    }
);

/// The gate's part of the metrics page.
#[derive(Clone, Debug)]
pub(crate) struct Instruments {
    messages: CounterBy2<Stream, Door>,
    recipients: CounterBy2<Stream, Door>,
    pub(crate) over_quota: Counter,
    pub(crate) resealed: Counter,
    accept_seconds: HistogramBy<Door>,
    pub(crate) seal_seconds: Histogram,
}

impl Instruments {
    pub(crate) fn new(registry: &Registry) -> Self {
        Self {
            messages: registry.counter_by2(
                "postrider_gate_messages_accepted_total",
                "Messages that were acknowledged.",
            ),
            recipients: registry.counter_by2(
                "postrider_gate_recipients_accepted_total",
                "Recipients of messages that were acknowledged.",
            ),
            over_quota: registry.counter(
                "postrider_gate_over_quota_total",
                "Requests refused because their tenant's quota was used up.",
            ),
            resealed: registry.counter(
                "postrider_gate_messages_resealed_total",
                "Messages signed anew because their signatures were about to end or a key was revoked.",
            ),
            accept_seconds: registry.histogram_by(
                "postrider_gate_accept_seconds",
                "From the whole request at the door to the commit on disk.",
                &[
                    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0,
                ],
            ),
            seal_seconds: registry.histogram(
                "postrider_gate_seal_seconds",
                "Admission, stamp and signatures of one message.",
                &[
                    0.000_25, 0.000_5, 0.001, 0.002, 0.004, 0.01, 0.025, 0.1, 0.5,
                ],
            ),
        }
    }

    pub(crate) fn accepted(&self, message: &Counted) {
        let Counted {
            stream,
            door,
            recipients,
            ..
        } = *message;
        self.messages.add(stream, door, 1);
        self.recipients.add(stream, door, recipients as u64);
    }

    pub(crate) fn took(&self, door: Door, span: Duration) {
        self.accept_seconds.span(door, span);
    }
}

/// What is counted of a message once it is on disk.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counted {
    stream: Stream,
    door: Door,
    recipients: usize,
    /// Without the simulator's.
    real: usize,
}

impl Counted {
    pub(crate) fn of(message: &NewMessage, door: Door) -> Self {
        Self {
            stream: message.summary.stream,
            door,
            recipients: message.recipients.len(),
            real: message.real(),
        }
    }

    /// How many recipients count for this period.
    pub(crate) fn for_period(&self, period: Period) -> usize {
        match period {
            Period::RampDay => self.real,
            _ => self.recipients,
        }
    }
}
