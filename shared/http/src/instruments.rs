//! What a server counts of its connections. What is asked and answered the door counts.

use postrider_telemetry::{CounterBy, Gauge, Registry, label};

label!(
    /// What became of a connection.
    pub(crate) Outcome is "outcome" {
        /// It came in: all of them are counted here first.
        Accepted = "accepted",
        /// Its seat was needed while it waited for its client.
        GaveWay = "gave_way",
        /// It came to no TLS handshake in the time it had, or to a failed one.
        NoHandshake = "no_handshake",
        /// The system had no descriptor or buffer for it.
        NotAccepted = "not_accepted",
    }
);

/// The figures of one or several listeners together. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Instruments {
    pub(crate) open: Gauge,
    pub(crate) connections: CounterBy<Outcome>,
}

impl Instruments {
    /// To be made once for a registry.
    pub fn new(registry: &Registry) -> Self {
        Self {
            open: registry.gauge(
                "postrider_http_connections_open",
                "Connections of clients that are open.",
            ),
            connections: registry.counter_by(
                "postrider_http_connections_total",
                "Connections of clients, and what became of them.",
            ),
        }
    }
}
