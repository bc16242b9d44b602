//! What came of the attempts: kept on disk, so that a restart does not ask again too soon, and read
//! by the doctor.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use postrider_acme::{AcmeError, Reason, Refusal};
use postrider_model::Timestamp;
use postrider_runtime::Rng;
use serde::{Deserialize, Serialize};

use super::due;
use crate::config::Config;
use crate::folder;

/// A pause is longer or shorter by so much, so that not all relays ask at the same time.
const SPREAD_PERCENT: u32 = 20;

/// `acme/attempts.json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Attempts {
    /// When the authority gave a certificate last.
    pub(crate) succeeded_at: Option<Timestamp>,
    /// Since then.
    pub(crate) failure: Option<Failure>,
}

/// The last attempt of those that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failure {
    pub(crate) at: Timestamp,
    /// Nobody is asked before.
    pub(crate) again_at: Timestamp,
    /// One after the other.
    pub(crate) count: u32,
    /// The directory and the names that were asked for: others need not wait.
    pub(crate) about: String,
    /// In the authority's words, where it said no.
    pub(crate) said: String,
    pub(crate) remedy: String,
}

/// What an attempt failed by.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The authority said no.
    Refused(Refusal),
    /// It could not be asked, or what it gave could not be used.
    Failed(AcmeError),
    /// What it gave could not be written.
    Unwritten(anyhow::Error),
}

impl Trouble {
    pub(crate) fn said(&self) -> String {
        match self {
            Self::Refused(refusal) => refusal.to_string(),
            Self::Failed(fault) => chain(fault),
            Self::Unwritten(fault) => format!("{fault:#}"),
        }
    }

    pub(crate) fn remedy(&self) -> &'static str {
        match self {
            Self::Refused(refusal) => refusal.remedy(),
            Self::Failed(fault) => fault.remedy(),
            Self::Unwritten(_) => {
                "let this process write in the folder acme beside the configuration"
            }
        }
    }

    /// How long the authority wants to be left alone.
    fn at_least(&self) -> Duration {
        match self {
            Self::Refused(refusal) if refusal.reason == Reason::RateLimited => {
                refusal.retry_after.unwrap_or(Duration::ZERO)
            }
            _ => Duration::ZERO,
        }
    }
}

fn chain(fault: &dyn std::error::Error) -> String {
    let mut text = fault.to_string();
    let mut source = fault.source();
    while let Some(inner) = source {
        let inner_text = format!(": {inner}");
        text.push_str(&inner_text);
        source = inner.source();
    }
    text
}

impl Attempts {
    pub(crate) fn path(config: &Config) -> PathBuf {
        config.acme_folder().join("attempts.json")
    }

    /// None where there is no such file, or where it cannot be read: then it is as if nothing had
    /// been tried.
    pub(crate) fn read(path: &Path) -> Self {
        let text = std::fs::read(path).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    pub(crate) fn write(&self, path: &Path) -> anyhow::Result<()> {
        let text = serde_json::to_vec_pretty(self).context("acme")?;
        folder::write_atomically(path, &text)
    }

    /// Whether the authority may be asked for this.
    pub(crate) fn allow(&self, about: &str, now: Timestamp) -> bool {
        let Some(failure) = &self.failure else {
            return true;
        };
        // What was noted in the future was noted by a clock that has been set since.
        let is_over = failure.again_at <= now || now < failure.at;
        is_over || failure.about != about
    }

    pub(crate) fn succeeded(now: Timestamp) -> Self {
        Self {
            succeeded_at: Some(now),
            failure: None,
        }
    }

    /// With one failure more.
    pub(crate) fn failed(self, about: &str, trouble: &Trouble, now: Timestamp, rng: &Rng) -> Self {
        let before = self.failure.map_or(0, |failure| failure.count);
        let count = before.saturating_add(1);
        let pause = rng.jitter(due::pause(count), SPREAD_PERCENT);
        let failure = Failure {
            at: now,
            again_at: now.after(pause.max(trouble.at_least())),
            count,
            about: about.to_owned(),
            said: trouble.said(),
            remedy: trouble.remedy().to_owned(),
        };
        Self {
            succeeded_at: self.succeeded_at,
            failure: Some(failure),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(reason: Reason, retry_after: Option<u64>) -> Trouble {
        Trouble::Refused(Refusal {
            reason,
            word: "word".to_owned(),
            detail: "detail".to_owned(),
            name: None,
            retry_after: retry_after.map(Duration::from_mins),
        })
    }

    #[test]
    fn nobody_is_asked_again_before_the_pause_is_over_whatever_restarts() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("attempts.json");
        let (rng, start) = (
            Rng::seeded(1),
            Timestamp::parse("2026-01-01T00:00:00Z").unwrap(),
        );
        let mut attempts = Attempts::read(&path);
        assert!(attempts.allow("names", start));
        for (trouble, least, most) in [
            (refused(Reason::Dns, None), 48, 72),
            (refused(Reason::Connection, None), 96, 144),
            // What it says beside another «no» is about polling.
            (refused(Reason::Dns, Some(9_000)), 192, 288),
            (refused(Reason::RateLimited, Some(600)), 36_000, 36_000),
            (
                refused(Reason::RateLimited, Some(0)),
                960 * 8 / 10,
                960 * 12 / 10,
            ),
        ] {
            attempts = attempts.failed("names", &trouble, start, &rng);
            attempts.write(&path).unwrap();
            attempts = Attempts::read(&path);
            let failure = attempts.failure.as_ref().unwrap();
            let pause = failure.again_at.since(start).as_secs();
            assert!((least..=most).contains(&pause), "{trouble:?}: {pause}");
            assert!(!attempts.allow("names", start.after(Duration::from_secs(least - 1))));
            assert!(attempts.allow("names", start.after(Duration::from_secs(most))));
            assert!(attempts.allow("other names", start));
            assert!(attempts.allow("names", start.before(Duration::from_secs(1))));
        }
        assert_eq!(attempts.failure.unwrap().count, 5);
        assert!(Attempts::succeeded(start).allow("names", start));
    }
}
