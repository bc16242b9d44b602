//! What a scenario found: figures side by side, and a verdict on each thing it was about.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Serialize;

use crate::figures::median;

/// Figures by name, as one run gave them.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(transparent)]
pub(crate) struct Figures(BTreeMap<String, f64>);

impl Figures {
    pub(crate) fn set(&mut self, name: impl Into<String>, value: f64) {
        self.0.insert(name.into(), value);
    }

    pub(crate) fn get(&self, name: &str) -> f64 {
        self.0.get(name).copied().unwrap_or(f64::NAN)
    }

    /// One figure over another; NaN where there is none.
    pub(crate) fn ratio(&self, of: &str, to: &str) -> f64 {
        self.get(of) / self.get(to)
    }

    /// Takes in others under names that begin so.
    pub(crate) fn merge(&mut self, others: &Self, prefix: &str) {
        for (name, value) in &others.0 {
            self.set(format!("{prefix}{name}"), *value);
        }
    }

    /// The median of each over several runs.
    pub(crate) fn medians(runs: &[Self]) -> Self {
        let names = runs.iter().flat_map(|run| run.0.keys());
        let mut medians = Self::default();
        for name in names {
            let values = runs.iter().filter_map(|run| run.0.get(name)).copied();
            if let Some(value) = median(values.collect()) {
                medians.set(name, value);
            }
        }
        medians
    }
}

/// What is said on one criterion.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Verdict {
    pub(crate) criterion: String,
    pub(crate) holds: bool,
    /// A broken promise fails the scenario; a slow machine does not.
    pub(crate) is_promise: bool,
    pub(crate) found: String,
}

impl Verdict {
    pub(crate) fn is_broken(&self) -> bool {
        self.is_promise && !self.holds
    }

    pub(crate) fn promise(criterion: &str, holds: bool, found: String) -> Self {
        Self {
            criterion: criterion.to_owned(),
            holds,
            is_promise: true,
            found,
        }
    }

    pub(crate) fn figure(criterion: &str, holds: bool, found: String) -> Self {
        Self {
            is_promise: false,
            ..Self::promise(criterion, holds, found)
        }
    }
}

impl Verdict {
    fn text(&self, database: &str) -> String {
        let word = match (self.holds, self.is_promise) {
            (true, _) => "HOLDS",
            (false, true) => "BROKEN",
            (false, false) => "MISSED",
        };
        format!("{word:7} {database:9} {}: {}", self.criterion, self.found)
    }
}

fn line(name: &str, cells: impl Iterator<Item = String>) -> String {
    let cells: Vec<String> = cells.map(|cell| format!("{cell:>16}")).collect();
    format!("{name:60}{}", cells.concat())
}

/// What one run on one database found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Found {
    pub(crate) figures: Figures,
    pub(crate) verdicts: Vec<Verdict>,
}

/// A scenario's findings.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) scenario: String,
    pub(crate) about: String,
    pub(crate) databases: BTreeMap<&'static str, OfDatabase>,
}

#[derive(Debug, Default, Serialize)]
pub(crate) struct OfDatabase {
    pub(crate) medians: Figures,
    pub(crate) runs: Vec<Figures>,
    pub(crate) verdicts: Vec<Verdict>,
}

impl Report {
    pub(crate) fn add(&mut self, database: &'static str, found: Found) {
        let of = self.databases.entry(database).or_default();
        of.runs.push(found.figures);
        of.medians = Figures::medians(&of.runs);
        of.verdicts.extend(found.verdicts);
    }

    /// True where no promise was broken.
    pub(crate) fn holds(&self) -> bool {
        let verdicts = self.databases.values().flat_map(|of| &of.verdicts);
        verdicts
            .filter(|verdict| verdict.is_promise)
            .all(|verdict| verdict.holds)
    }

    /// The figures of all databases in one table, then the verdicts.
    pub(crate) fn text(&self) -> String {
        let all = || self.databases.values();
        let names: BTreeSet<&String> = all().flat_map(|of| of.medians.0.keys()).collect();
        let head = self
            .databases
            .iter()
            .map(|(database, of)| format!("{database} ({})", of.runs.len()));
        let mut lines = vec![
            format!("\n{}: {}", self.scenario, self.about),
            line("", head),
        ];
        for name in names {
            let value = |of: &OfDatabase| match of.medians.0.get(name) {
                Some(value) => format!("{value:.3}"),
                None => "-".to_owned(),
            };
            lines.push(line(name, all().map(value)));
        }
        for (database, of) in &self.databases {
            lines.extend(of.verdicts.iter().map(|verdict| verdict.text(database)));
        }
        lines.join("\n")
    }

    pub(crate) fn write(&self, folder: &Path) -> anyhow::Result<()> {
        std::fs::create_dir_all(folder)?;
        let path = folder.join(format!("bench-{}.json", self.scenario));
        Ok(std::fs::write(path, serde_json::to_vec_pretty(self)?)?)
    }
}

/// Says how far a scenario is.
#[expect(
    clippy::print_stdout,
    reason = "the harness is a program that prints its findings"
)]
pub(crate) fn say(text: &str) {
    println!("{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(value: f64, holds: bool, is_promise: bool) -> Found {
        let mut figures = Figures::default();
        figures.set("cost", value);
        let verdict = Verdict {
            is_promise,
            ..Verdict::promise("none is lost", holds, "0".to_owned())
        };
        Found {
            figures,
            verdicts: vec![verdict],
        }
    }

    #[test]
    fn a_broken_promise_fails_a_report_and_a_missed_figure_does_not() {
        for (holds, is_promise, want) in [
            (true, true, true),
            (false, false, true),
            (false, true, false),
        ] {
            let mut report = Report {
                scenario: "x".to_owned(),
                about: "x".to_owned(),
                databases: BTreeMap::new(),
            };
            for value in [1.0, 50.0, 3.0] {
                report.add("sqlite", found(value, holds, is_promise));
            }
            assert_eq!(report.holds(), want);
            assert!(report.text().contains("3.000"), "{}", report.text());
        }
    }
}
