//! One turn of a load, and the figures it gives.

use crate::ledger::{Entry, answer_spread, arrival_spread, start_spread};
use crate::meter::Used;
use crate::report::Figures;
use crate::source::Told;

/// One turn of a load.
pub(super) struct Turn {
    pub(super) told: Told,
    pub(super) is_whole: bool,
    pub(super) server: Used,
    pub(super) database: Used,
    pub(super) commits: Option<f64>,
    pub(super) syncs: Option<f64>,
    pub(super) entries: Vec<Entry>,
}

impl Turn {
    #[expect(
        clippy::cast_precision_loss,
        reason = "counts and microseconds of one run"
    )]
    pub(super) fn note(&self, figures: &mut Figures, name: &str) {
        let messages = self.told.accepted.max(1) as f64;
        let mut set = |what: &str, value: f64| figures.set(format!("{name}: {what}"), value);
        let began = self.entries.iter().map(|entry| entry.posted).min();
        let rate = |moment: fn(&Entry) -> u64| {
            let last = self.entries.iter().map(moment).max().unwrap_or(0);
            messages * 1e6 / last.saturating_sub(began.unwrap_or(0)).max(1) as f64
        };
        set("messages", messages);
        set(
            "not taken at once",
            (self.told.put_off + self.told.refused + self.told.unanswered) as f64,
        );
        set("accepted per second", rate(|entry| entry.acknowledged));
        set("delivered per second", rate(|entry| entry.arrived));
        let (server, database) = (
            self.server.cpu_micros as f64,
            self.database.cpu_micros as f64,
        );
        set("CPU µs/message", server / messages);
        set("database CPU µs/message", database / messages);
        let written = self.server.written_bytes + self.database.written_bytes;
        set("bytes written/message", written as f64 / messages);
        if let Some(commits) = self.commits {
            set("commits/message", commits / messages);
        }
        if let Some(syncs) = self.syncs {
            set("fsyncs/message", syncs / messages);
        }
        self.note_spreads(figures, name);
    }

    pub(super) fn note_spreads(&self, figures: &mut Figures, name: &str) {
        for (what, spread) in [
            ("acknowledged", answer_spread(&self.entries)),
            ("acknowledged to RCPT", start_spread(&self.entries)),
            ("delivered", arrival_spread(&self.entries)),
        ] {
            figures.set(format!("{name}: {what} ms p50"), spread.p50);
            figures.set(format!("{name}: {what} ms p99"), spread.p99);
        }
    }
}
