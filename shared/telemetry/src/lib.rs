//! Logs and metrics: the tracing set-up and the Prometheus registry.
//!
//! Each service makes its own instruments here, named `postrider_<service>_<noun>_<unit>`, counters
//! with `_total`, in seconds and bytes. Labels are bounded sets known when the instrument is made:
//! never a tenant, a domain or an address. `infra/metrics.md` lists them all. No mail here.

mod label;
mod logs;
mod metrics;

pub use label::Label;
pub use logs::{LogFormat, LogsError, check_filter, start_logs};
pub use metrics::{
    Counter, CounterBy, CounterBy2, FloatGauge, Gauge, GaugeBy, GaugeBy2, Held, Histogram,
    HistogramBy, Registry, SecondsBy,
};
