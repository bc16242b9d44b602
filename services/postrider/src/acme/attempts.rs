//! What came of the attempts: kept on disk, so that a restart does not ask again too soon, and read
//! by the doctor.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use postrider_model::Timestamp;
use postrider_runtime::Rng;
use serde::{Deserialize, Serialize};

use super::due;
use super::files::text_of;
use super::trouble::Trouble;
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
    /// When the first of them was.
    pub(crate) since: Timestamp,
    pub(crate) at: Timestamp,
    /// Nobody is asked before.
    pub(crate) again_at: Timestamp,
    /// One after the other.
    pub(crate) count: u32,
    /// What it depended on, `Config::acme_about`: with another the next one need not wait.
    pub(crate) about: String,
    /// In the authority's words, where it said no.
    pub(crate) said: String,
    pub(crate) remedy: String,
}

impl Attempts {
    pub(crate) fn path(config: &Config) -> PathBuf {
        config.acme_folder().join("attempts.json")
    }

    /// None where there is no such file.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Option<Self>> {
        let Some(text) = text_of(path)? else {
            return Ok(None);
        };
        let read = serde_json::from_slice(&text);
        let read = read.with_context(|| format!("{} is damaged: remove it", path.display()))?;
        Ok(Some(read))
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

    /// Nothing is wanted any more, whoever gave it.
    pub(super) fn settled(&self) -> Self {
        Self {
            succeeded_at: self.succeeded_at,
            failure: None,
        }
    }

    /// With an attempt that is not over. It stays as a failure where the process dies.
    pub(super) fn begun(&self, about: &str, now: Timestamp, rng: &Rng) -> Self {
        let said = "an attempt was begun, and its end is not known";
        let remedy = "look whether the relay runs: it ends within some minutes";
        self.and_failed(about, now, rng, (said.to_owned(), remedy, Duration::ZERO))
    }

    /// With one failure more.
    pub(super) fn failed(&self, about: &str, trouble: &Trouble, now: Timestamp, rng: &Rng) -> Self {
        let words = (trouble.said(), trouble.remedy(), trouble.at_least());
        self.and_failed(about, now, rng, words)
    }

    fn and_failed(
        &self,
        about: &str,
        now: Timestamp,
        rng: &Rng,
        (said, remedy, at_least): (String, &str, Duration),
    ) -> Self {
        // What was tried with another configuration says nothing of this one.
        let before = self.failure.as_ref();
        let before = before.filter(|failure| failure.about == about);
        let count = before.map_or(0, |failure| failure.count).saturating_add(1);
        let pause = rng.jitter(due::pause(count), SPREAD_PERCENT);
        let failure = Failure {
            since: before.map_or(now, |failure| failure.since),
            at: now,
            again_at: now.after(pause.max(at_least)),
            count,
            about: about.to_owned(),
            said,
            remedy: remedy.to_owned(),
        };
        Self {
            succeeded_at: self.succeeded_at,
            failure: Some(failure),
        }
    }

    /// Of what is remembered and what is on disk that which makes wait for longer.
    pub(super) fn or_later(self, other: Self) -> Self {
        let again_at = |of: &Self| of.failure.as_ref().map(|failure| failure.again_at);
        let is_later = again_at(&other) > again_at(&self);
        Self {
            succeeded_at: self.succeeded_at.max(other.succeeded_at),
            failure: if is_later {
                other.failure
            } else {
                self.failure
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use postrider_acme::{Reason, Refusal};

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
        assert_eq!(Attempts::read(&path).unwrap(), None);
        let mut attempts = Attempts::default();
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
            attempts = Attempts::read(&path).unwrap().unwrap();
            let failure = attempts.failure.as_ref().unwrap();
            let pause = failure.again_at.since(start).as_secs();
            assert!((least..=most).contains(&pause), "{trouble:?}: {pause}");
            assert!(!attempts.allow("names", start.after(Duration::from_secs(least - 1))));
            assert!(attempts.allow("names", start.after(Duration::from_secs(most))));
            assert!(attempts.allow("other names", start));
            assert!(attempts.allow("names", start.before(Duration::from_secs(1))));
        }
        let later = start.after(Duration::from_hours(1));
        let sixth = attempts.begun("names", later, &rng).failure.unwrap();
        assert_eq!((sixth.count, sixth.since, sixth.at), (6, start, later));
        let other = refused(Reason::Dns, None);
        let other = attempts.failed("other names", &other, later, &rng);
        let first = other.failure.as_ref().unwrap();
        assert_eq!((first.count, first.since), (1, later));
        assert!(Attempts::succeeded(start).allow("names", start));
        std::fs::write(&path, "{").unwrap();
        assert!(Attempts::read(&path).is_err());
    }
}
