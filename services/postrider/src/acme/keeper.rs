//! Looks whether a certificate is due, and has it.

use std::path::PathBuf;
use std::time::Duration;

use postrider_acme::{Account, AcmeError, Answers, Authority, Reason, Refusal, Verdict};
use postrider_model::Timestamp;
use postrider_runtime::{Clock, Rng, Shutdown};
use postrider_telemetry::{CounterBy, Gauge, Registry};
use postrider_tls::KeyKind;

use super::attempts::{Attempts, Trouble};
use super::due::{Due, why_file};
use super::write_pair;
use crate::folder;

/// How soon it is seen that a certificate is due: also one that somebody removed.
const LOOK_EVERY: Duration = Duration::from_secs(10);

postrider_telemetry::label! {
    /// Why an attempt came to nothing.
    pub(crate) TroubleWord is "reason" { Refused = "refused", Failed = "failed" }
}

/// What is shown of it.
pub(crate) struct Gauges {
    last_success: Gauge,
    failures: CounterBy<TroubleWord>,
}

impl Gauges {
    pub(crate) fn new(metrics: &Registry) -> Self {
        Self {
            last_success: metrics.gauge(
                "postrider_acme_last_success_timestamp_seconds",
                "When the authority gave a certificate last, in seconds since 1970; 0 where it never did.",
            ),
            failures: metrics.counter_by(
                "postrider_acme_failures_total",
                "Attempts to have a certificate that came to nothing, by whether the authority refused.",
            ),
        }
    }
}

/// Has certificates, and what that takes.
pub(crate) struct Keeper {
    pub(crate) authority: Authority,
    pub(crate) contact: String,
    pub(crate) names: Vec<String>,
    /// Where they are written, which is where doors look.
    pub(crate) files: Vec<(KeyKind, PathBuf)>,
    /// The account's key.
    pub(crate) account: PathBuf,
    pub(crate) attempts: PathBuf,
    pub(crate) answers: Answers,
    pub(crate) clock: Clock,
    pub(crate) rng: Rng,
    pub(crate) gauges: Gauges,
}

impl Keeper {
    /// Until shutdown begins. The doors show what they have meanwhile.
    pub(crate) async fn keep(self, shutdown: Shutdown) {
        self.show(&Attempts::read(&self.attempts));
        loop {
            tokio::select! {
                biased;
                () = shutdown.begun() => return,
                // An order that is cut off expires; nothing is half written.
                () = self.look() => {}
            }
            tokio::select! {
                biased;
                () = shutdown.begun() => return,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    async fn look(&self) {
        let due = self.due(self.clock.now());
        if due.is_empty() {
            return;
        }
        let (about, before) = (self.about(), Attempts::read(&self.attempts));
        if !before.allow(&about, self.clock.now()) {
            return;
        }
        let came = self.attempt(&due).await;
        let now = self.clock.now();
        let after = match came {
            Ok(()) => Attempts::succeeded(now),
            Err(trouble) => {
                let after = before.failed(&about, &trouble, now, &self.rng);
                self.tell(&trouble, &after);
                after
            }
        };
        self.show(&after);
        if let Err(fault) = after.write(&self.attempts) {
            tracing::error!(
                error = &*fault as &dyn std::error::Error,
                "what came of the attempt to have a certificate is not on disk: after a restart it is made again at once"
            );
        }
    }

    /// Which of them are to be replaced, and why.
    fn due(&self, now: Timestamp) -> Vec<(KeyKind, &PathBuf, Due)> {
        let files = self.files.iter();
        let due = files.filter_map(|(kind, file)| {
            let why = why_file(file, &self.names, now)?;
            Some((*kind, file, why))
        });
        due.collect()
    }

    fn about(&self) -> String {
        format!("{} {}", self.authority.directory, self.names.join(" "))
    }

    async fn attempt(&self, due: &[(KeyKind, &PathBuf, Due)]) -> Result<(), Trouble> {
        let account = self.account().await?;
        for (kind, file, why) in due {
            let key = format!("{kind:?}").to_lowercase();
            tracing::info!(key, why = why.word(), "a certificate is asked for");
            let issued = account.obtain(&self.names, *kind, &self.answers).await;
            let issued = self.granted(issued)?;
            write_pair(file, &issued).map_err(Trouble::Unwritten)?;
            tracing::info!(key, "the authority gave a certificate");
        }
        Ok(())
    }

    /// The account of the last time, or a new one, which is on disk before it is used.
    async fn account(&self) -> Result<Account, Trouble> {
        let kept = std::fs::read_to_string(&self.account).ok();
        let opened = Account::open(&self.authority, &self.contact, kept.as_deref()).await;
        let opened = self.granted(opened)?;
        if let Some(text) = opened.keep {
            folder::write_atomically(&self.account, text.as_bytes()).map_err(Trouble::Unwritten)?;
        }
        Ok(opened.account)
    }

    fn granted<T>(&self, answer: Result<Verdict<T>, AcmeError>) -> Result<T, Trouble> {
        match answer {
            Ok(Verdict::Granted(granted)) => Ok(granted),
            Ok(Verdict::Refused(refusal)) => {
                self.forget_account(&refusal);
                Err(Trouble::Refused(refusal))
            }
            Err(fault) => Err(Trouble::Failed(fault)),
        }
    }

    /// The authority does not know it any more: the next attempt makes another.
    fn forget_account(&self, refusal: &Refusal) {
        if refusal.reason == Reason::AccountGone {
            // What stays there is refused again.
            let _stays = std::fs::remove_file(&self.account);
        }
    }

    fn tell(&self, trouble: &Trouble, after: &Attempts) {
        let again_at = after.failure.as_ref().map(|failure| failure.again_at);
        let again_at = again_at.map(tracing::field::display);
        let remedy = trouble.remedy();
        match trouble {
            Trouble::Refused(refusal) => {
                self.gauges.failures.add(TroubleWord::Refused, 1);
                tracing::warn!(again_at, remedy, "no certificate: {refusal}");
            }
            Trouble::Failed(fault) => {
                self.gauges.failures.add(TroubleWord::Failed, 1);
                let error = fault as &dyn std::error::Error;
                tracing::warn!(
                    again_at,
                    remedy,
                    error,
                    "no certificate: the attempt failed"
                );
            }
            Trouble::Unwritten(fault) => {
                self.gauges.failures.add(TroubleWord::Failed, 1);
                let error = &**fault as &dyn std::error::Error;
                tracing::error!(
                    again_at,
                    remedy,
                    error,
                    "no certificate: it cannot be written"
                );
            }
        }
    }

    fn show(&self, attempts: &Attempts) {
        let last = attempts.succeeded_at.map_or(0, Timestamp::as_seconds);
        self.gauges.last_success.set(last);
    }
}
