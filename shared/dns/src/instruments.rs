//! What the resolver counts.

use hickory_resolver::proto::rr::RecordType;
use postrider_telemetry::{CounterBy2, Histogram, Registry, label};

use crate::Failure;

label!(
    /// What was asked for.
    pub(crate) Asked is "type" {
        Mx = "mx",
        A = "a",
        Aaaa = "aaaa",
        Txt = "txt",
    }
);

label!(
    /// What came of a question.
    pub(crate) Outcome is "outcome" {
        /// An answer of any kind that was still remembered.
        Remembered = "remembered",
        Found = "found",
        NoRecords = "no_records",
        NoSuchName = "no_such_name",
        Failed = "failed",
    }
);

#[derive(Clone, Debug)]
pub(crate) struct Instruments {
    pub(crate) lookups: CounterBy2<Asked, Outcome>,
    /// Of what was not remembered.
    pub(crate) seconds: Histogram,
}

impl Instruments {
    pub(crate) fn new(registry: &Registry) -> Self {
        Self {
            lookups: registry.counter_by2(
                "postrider_dns_lookups_total",
                "Questions to DNS, by what was asked for and what came of it.",
            ),
            seconds: registry.histogram(
                "postrider_dns_lookup_seconds",
                "Duration of a question that no remembered answer was there for.",
                &[
                    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1., 2.5, 5., 10., 20.,
                ],
            ),
        }
    }
}

impl Asked {
    /// `None` for a type that is never asked for.
    pub(crate) fn of(kind: RecordType) -> Option<Self> {
        match kind {
            RecordType::MX => Some(Self::Mx),
            RecordType::A => Some(Self::A),
            RecordType::AAAA => Some(Self::Aaaa),
            RecordType::TXT => Some(Self::Txt),
            _ => None,
        }
    }
}

impl Outcome {
    pub(crate) fn of<T>(found: &Result<T, Failure>) -> Self {
        match found {
            Ok(_) => Self::Found,
            Err(Failure::NoRecords) => Self::NoRecords,
            Err(Failure::NoSuchName) => Self::NoSuchName,
            Err(Failure::Temporary(_)) => Self::Failed,
        }
    }
}
