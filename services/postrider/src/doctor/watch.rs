//! The doctor of a running relay: it looks again and again, shows what it finds as metrics, and
//! holds the barrier before delivery.

use std::sync::Arc;
use std::time::Duration;

use postrider_delivery::{Barrier, WayOut};
use postrider_runtime::Shutdown;
use postrider_telemetry::{Gauge, Registry};
use tokio::sync::oneshot;

use super::Doctor;
use super::finding::{Finding, Level, Report};
use crate::admin::Office;

/// How soon it is looked again while mail may not leave.
const WHILE_CLOSED: Duration = Duration::from_secs(15);
/// In so many looks one after the other a hard finding must stand before what was open is closed.
const CLOSED_AFTER: u32 = 2;
const NOT_YET: &str =
    "mail does not leave this relay yet: `postrider doctor` is looking for the first time";

/// What was found last.
#[derive(Clone, Debug)]
pub(crate) struct Gauges {
    hard: Gauge,
    soft: Gauge,
}

impl Gauges {
    pub(crate) fn new(metrics: &Registry) -> Self {
        Self {
            hard: metrics.gauge(
                "postrider_doctor_hard_findings",
                "Hard findings: for which no mail leaves.",
            ),
            soft: metrics.gauge(
                "postrider_doctor_soft_findings",
                "Soft findings: worth mending, and mail leaves all the same.",
            ),
        }
    }
}

/// What a running relay's doctor works with.
pub(crate) struct Watch {
    doctor: Doctor,
    office: Arc<Office>,
    barrier: Barrier,
    /// Whether mail leaves whatever is found.
    despite: bool,
    every: Duration,
    gauges: Gauges,
    examined: Option<oneshot::Sender<()>>,
}

/// What delivery is given of it.
pub(crate) struct Held {
    pub(crate) way_out: WayOut,
    /// Ends when it was looked for the first time.
    pub(crate) examined: oneshot::Receiver<()>,
}

impl Watch {
    /// Mail waits until it was looked for the first time.
    pub(crate) fn new(doctor: Doctor, office: Arc<Office>, gauges: Gauges) -> (Self, Held) {
        let config = &doctor.config;
        let despite = config.delivery.despite_findings;
        let (way_out, barrier) = WayOut::with_barrier((!despite).then(|| NOT_YET.to_owned()));
        let (examined, first) = oneshot::channel();
        let watch = Self {
            despite,
            every: Duration::from_secs(60 * config.doctor.every_minutes),
            doctor,
            office,
            barrier,
            gauges,
            examined: Some(examined),
        };
        let held = Held {
            way_out,
            examined: first,
        };
        (watch, held)
    }
}

/// Looks until shutdown.
pub(crate) async fn keep_examining(mut watch: Watch, shutdown: Shutdown) {
    let mut state = State::default();
    loop {
        watch.office.keep_records().await;
        let report = tokio::select! {
            biased;
            () = shutdown.begun() => return,
            report = watch.doctor.examine() => report,
        };
        match report {
            Ok(report) => watch.take(&report, &mut state),
            Err(fault) => {
                tracing::error!(fault = format!("{fault:#}"), "the doctor cannot look");
                // Nothing is known, so that nothing that was open is closed.
                let unseen = Finding::hard("doctor", "", &format!("{fault:#}")).uncertain();
                watch.take(&Report::new(vec![unseen]), &mut state);
            }
        }
        if let Some(examined) = watch.examined.take() {
            // Nobody waits for it where delivery has failed already.
            let _nobody = examined.send(());
        }
        let pause = if state.is_open && state.bad == 0 {
            watch.every
        } else {
            WHILE_CLOSED
        };
        tokio::select! {
            biased;
            () = shutdown.begun() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// What came of the looks before.
#[derive(Debug, Default)]
struct State {
    is_open: bool,
    /// Looks one after the other that found something hard for certain.
    bad: u32,
    /// Whether something was held up since this process began.
    has_held: bool,
    told: Option<String>,
}

impl State {
    /// Whether mail may leave after this look. A resolver that is away closes nothing that was open,
    /// and opens nothing.
    fn judge(&mut self, report: &Report) -> bool {
        self.bad = if report.is_certainly_bad() {
            self.bad + 1
        } else {
            0
        };
        self.is_open = if report.may_leave() {
            true
        } else {
            self.is_open && self.bad < CLOSED_AFTER
        };
        self.is_open
    }
}

impl Watch {
    fn take(&self, report: &Report, state: &mut State) {
        self.gauges.hard.set(count(report, Level::Hard));
        self.gauges.soft.set(count(report, Level::Soft));
        let is_open = state.judge(report);
        let reason = (!report.may_leave()).then(|| report.reason());
        if reason != state.told {
            tell(report, self.despite);
            state.told.clone_from(&reason);
        }
        if is_open {
            self.barrier.open();
        } else if !self.despite {
            self.barrier.close(reason.as_deref().unwrap_or(NOT_YET));
            state.has_held = true;
        }
        if is_open && std::mem::take(&mut state.has_held) {
            tracing::info!("no hard findings any more: mail may leave");
        }
    }
}

fn count(report: &Report, level: Level) -> i64 {
    i64::try_from(report.count(level)).unwrap_or(i64::MAX)
}

fn tell(report: &Report, despite: bool) {
    let hard = report.findings.iter();
    for finding in hard.filter(|finding| finding.level == Level::Hard) {
        let Finding {
            id,
            about,
            seen,
            remedy,
            ..
        } = finding;
        tracing::warn!(id, about, seen, remedy, "a hard finding");
    }
    if !report.may_leave() && despite {
        tracing::warn!("delivery.despite_findings: mail leaves all the same");
    } else if !report.may_leave() {
        tracing::error!("mail is accepted and waits: `postrider doctor` says what to do");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_open_is_closed_by_what_is_certain_and_stays() {
        let hard = || Finding::hard("dkim", "k1", "gone");
        let (good, bad, unknown) = (
            Report::default(),
            Report::new(vec![hard()]),
            Report::new(vec![hard().uncertain()]),
        );
        let mut state = State::default();
        for (report, is_open) in [
            (&unknown, false),
            (&good, true),
            (&unknown, true),
            (&unknown, true),
            (&bad, true),
            (&unknown, true),
            (&bad, true),
            (&bad, false),
            (&unknown, false),
            (&good, true),
        ] {
            assert_eq!(state.judge(report), is_open, "{state:?}");
        }
    }
}
