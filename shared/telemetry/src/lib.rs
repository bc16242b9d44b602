//! Logs and metrics: the tracing set-up and the Prometheus registry.
//!
//! Each service makes its own instruments here, named `postrider_<service>_<noun>_<unit>`.
//! Labels are bounded sets known when the instrument is made: never a tenant, a domain or an
//! address. No mail here.

mod logs;
mod metrics;

pub use logs::{LogFormat, LogsError, check_filter, start_logs};
pub use metrics::{Counter, CounterBy, Gauge, GaugeBy, Histogram, HistogramBy, Registry};
