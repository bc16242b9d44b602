//! Scenarios as data: one TOML file each in `loadtests/scenarios`.

use std::path::Path;

use anyhow::Context;
use postrider_model::{Limits, Stream};
use serde::Deserialize;

use crate::database::Kind;
use crate::plan::{burst, enrolling, fairness, fleet, flow, growth, heavy, seeing, slow, speed};
use crate::sink::Manners;

/// One scenario.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scenario {
    /// What it shows, in a sentence.
    pub(crate) about: String,
    pub(crate) databases: Vec<Kind>,
    /// How often each database is measured; the median counts.
    #[serde(default = "one")]
    pub(crate) runs: u32,
    #[serde(default)]
    pub(crate) sink: Manners,
    /// More lines of the relay's `[delivery]` table.
    #[serde(default)]
    pub(crate) delivery: String,
    /// What else is done in part, to be done soon.
    #[serde(skip)]
    pub(crate) is_full: bool,
    pub(crate) plan: Plan,
}

/// What is done.
#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub(crate) enum Plan {
    Flow(flow::Flow),
    Fairness(fairness::Fairness),
    Growth(growth::Growth),
    Fleet(fleet::Fleet),
    Speed(speed::Speed),
    Burst(burst::Burst),
    Heavy(heavy::Heavy),
    Slow(slow::Slow),
    Seeing(seeing::Seeing),
    Enrolling(enrolling::Enrolling),
}

impl Scenario {
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("there is no scenario {}", path.display()))?;
        toml::from_str(&text).with_context(|| format!("{} is refused", path.display()))
    }
}

/// Mail as clients send it.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Mail {
    /// Of the text, in bytes.
    pub(crate) size: usize,
    /// Of the file that goes with it, in bytes; 0: none.
    pub(crate) attachment: usize,
    pub(crate) bulk: bool,
    /// Connections that send it.
    pub(crate) clients: usize,
    /// Messages per second over all clients; 0: as fast as they are answered.
    pub(crate) rate: f64,
    /// With idempotency keys, and again until it is answered.
    pub(crate) keys: bool,
}

impl Default for Mail {
    fn default() -> Self {
        Self {
            size: 1_024,
            attachment: 0,
            bulk: false,
            clients: 50,
            rate: 0.0,
            keys: false,
        }
    }
}

impl Mail {
    pub(crate) fn stream(self) -> Stream {
        if self.bulk {
            Stream::Bulk
        } else {
            Stream::Transactional
        }
    }

    pub(crate) fn rate(self) -> Option<f64> {
        (self.rate > 0.0).then_some(self.rate)
    }
}

/// A tenant that nothing slows down.
pub(crate) fn unlimited() -> Limits {
    Limits {
        requests_per_second: 1_000_000,
        ..Limits::default()
    }
}

/// A tenant with this pace.
pub(crate) fn paced(per_minute: u32, burst: u32) -> Limits {
    Limits {
        per_minute,
        burst,
        ..unlimited()
    }
}

fn one() -> u32 {
    1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scenario_of_the_folder_is_read() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
        let mut count = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let scenario = Scenario::read(&entry.unwrap().path()).unwrap();
            assert!(!scenario.about.is_empty() && !scenario.databases.is_empty());
            count += 1;
        }
        assert!(count >= 4, "{count} scenarios");
    }

    #[test]
    fn a_key_that_is_not_known_is_refused() {
        let text = "about = \"x\"\ndatabases = [\"sqlite\"]\nrums = 3\n[plan]\nkind = \"flow\"\n";
        assert!(toml::from_str::<Scenario>(text).is_err());
    }
}
