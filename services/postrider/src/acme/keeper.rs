//! Looks whether a certificate is due, and has it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use postrider_acme::{Account, AcmeError, Answers, Authority, Reason, Refusal, Verdict};
use postrider_model::Timestamp;
use postrider_runtime::{Clock, Rng, Shutdown};
use postrider_telemetry::{CounterBy, Gauge, Registry};
use postrider_tls::KeyKind;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::attempts::Attempts;
use super::due::{Due, Early, why};
use super::files::{on_disk, shown, text_of, write_pair};
use super::notes::Notes;
use super::port::Shut;
use super::trouble::Trouble;
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
    failing_since: Gauge,
    failures: CounterBy<TroubleWord>,
    pub(crate) shut: Gauge,
}

impl Gauges {
    pub(crate) fn new(metrics: &Registry) -> Self {
        Self {
            last_success: metrics.gauge(
                "postrider_acme_last_success_timestamp_seconds",
                "When the authority last gave all certificates that were due, in seconds since 1970; 0 where it never did.",
            ),
            failing_since: metrics.gauge(
                "postrider_acme_failing_since_timestamp_seconds",
                "When the first of the attempts that failed one after the other was, in seconds since 1970; 0 where none did.",
            ),
            failures: metrics.counter_by(
                "postrider_acme_failures_total",
                "Attempts to have a certificate that came to nothing, by whether the authority refused.",
            ),
            shut: metrics.gauge(
                "postrider_acme_addresses_shut",
                "Addresses of acme.listen at which this process cannot listen.",
            ),
        }
    }
}

/// Has certificates, and what that takes.
pub(crate) struct Keeper {
    pub(crate) authority: Authority,
    pub(crate) contact: String,
    pub(crate) names: Vec<String>,
    /// `Config::acme_about`.
    pub(crate) about: String,
    /// Where they are written, which is where doors look.
    pub(crate) files: Vec<(KeyKind, PathBuf)>,
    /// The account's key.
    pub(crate) account: PathBuf,
    pub(crate) attempts: PathBuf,
    pub(crate) answers: Answers,
    /// Where an authority would find nobody.
    pub(crate) shut: watch::Receiver<Vec<Shut>>,
    pub(crate) early: Early,
    pub(crate) clock: Clock,
    pub(crate) rng: Rng,
    pub(crate) gauges: Gauges,
}

/// A file whose certificate is to be replaced.
struct Wanted {
    kind: KeyKind,
    file: PathBuf,
    why: Due,
}

impl Keeper {
    /// Until shutdown begins. The doors show what they have meanwhile.
    pub(crate) async fn keep(self, shutdown: Shutdown) {
        let me = Arc::new(self);
        let mut notes = Notes::new(me.attempts.clone());
        // What cannot be read is told when something is due.
        let _unread = notes.look().await;
        me.show(notes.known());
        loop {
            let is_over = tokio::select! {
                biased;
                () = shutdown.begun() => true,
                // An order that is cut off expires; nothing is half written.
                () = me.look(&mut notes) => false,
            };
            if is_over {
                me.kept(notes.take_back().await);
                return;
            }
            tokio::select! {
                biased;
                () = shutdown.begun() => return,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    async fn look(self: &Arc<Self>, notes: &mut Notes) {
        let due = match self.due(self.clock.now()).await {
            Ok(due) if due.is_empty() => return self.settle(notes).await,
            due => due,
        };
        // Authorities count what they could not prove: none is asked while it would find nobody.
        if !self.shut.borrow().is_empty() {
            return;
        }
        let read = notes.look().await;
        if !notes.known().allow(&self.about, self.clock.now()) {
            return notes.tell_pause();
        }
        let came = match read.and(due) {
            Ok(due) => self.ask(due, notes).await,
            Err(fault) => Err(Trouble::Disk(fault)),
        };
        let now = self.clock.now();
        let after = match came {
            Ok(()) => Attempts::succeeded(now),
            Err(trouble) => {
                let after = notes.known().failed(&self.about, &trouble, now, &self.rng);
                self.tell(&trouble, &after);
                after
            }
        };
        self.show(&after);
        self.kept(notes.end(after).await);
    }

    // Somebody else may have put one there.
    async fn settle(&self, notes: &mut Notes) {
        if notes.known().failure.is_some() {
            let settled = notes.known().settled();
            self.show(&settled);
            self.kept(notes.end(settled).await);
        }
    }

    fn kept(&self, written: anyhow::Result<()>) {
        if let Err(fault) = written {
            tracing::error!(
                error = &*fault as &dyn std::error::Error,
                file = %self.attempts.display(),
                "what came of the attempt to have a certificate is not on disk: only this process knows when it may ask again"
            );
        }
    }

    /// Which of them are to be replaced, and why.
    async fn due(self: &Arc<Self>, now: Timestamp) -> anyhow::Result<Vec<Wanted>> {
        let me = Arc::clone(self);
        on_disk(move || {
            let mut wanted = Vec::new();
            for (kind, file) in &me.files {
                let text = text_of(file)?;
                let certificate = text.as_deref().and_then(shown);
                if let Some(why) = why(certificate.as_ref(), &me.names, me.early, now) {
                    let (kind, file) = (*kind, file.clone());
                    wanted.push(Wanted { kind, file, why });
                }
            }
            Ok(wanted)
        })
        .await
    }

    /// In a task of its own: what ends it in a panic ends one attempt.
    async fn ask(self: &Arc<Self>, due: Vec<Wanted>, notes: &mut Notes) -> Result<(), Trouble> {
        let begun = notes.begin(&self.about, self.clock.now(), &self.rng).await;
        begun.map_err(Trouble::Disk)?;
        let me = Arc::clone(self);
        let mut attempt = JoinSet::new();
        attempt.spawn(async move { me.attempt(&due).await });
        match attempt.join_next().await {
            Some(Ok(came)) => came,
            Some(Err(fault)) => Err(Trouble::Broken(fault)),
            None => Ok(()),
        }
    }

    /// The first trouble, where there was any.
    async fn attempt(self: &Arc<Self>, due: &[Wanted]) -> Result<(), Trouble> {
        let account = self.account().await?;
        let mut came = Ok(());
        for wanted in due {
            if let Err(trouble) = self.obtain(&account, wanted).await {
                let is_last = !trouble.is_about_key();
                came = came.and(Err(trouble));
                if is_last {
                    break;
                }
            }
        }
        came
    }

    async fn obtain(self: &Arc<Self>, account: &Account, wanted: &Wanted) -> Result<(), Trouble> {
        let key = format!("{:?}", wanted.kind).to_lowercase();
        let why_now = wanted.why.word();
        tracing::info!(key, why = why_now, "a certificate is asked for");
        let issued = account
            .obtain(&self.names, wanted.kind, &self.answers)
            .await;
        let issued = self.granted(issued)?;
        let certificate =
            shown(format!("{}\n{}", issued.certificate_pem, issued.key_pem).as_bytes());
        let file = wanted.file.clone();
        let written = on_disk(move || write_pair(&file, &issued)).await;
        written.map_err(Trouble::Disk)?;
        tracing::info!(key, "the authority gave a certificate");
        // Else it would be asked for again at once, and for ever.
        let now = self.clock.now();
        let still_due = why(certificate.as_ref(), &self.names, self.early, now);
        still_due.map_or(Ok(()), |why| Err(Trouble::StillDue(why)))
    }

    /// The account of the last time, or a new one, which is on disk before it is used.
    async fn account(self: &Arc<Self>) -> Result<Account, Trouble> {
        let file = self.account.clone();
        let kept = on_disk(move || text_of(&file)).await;
        let kept = kept.map_err(Trouble::Disk)?;
        let kept = kept.map(|text| String::from_utf8_lossy(&text).into_owned());
        let opened = Account::open(&self.authority, &self.contact, kept.as_deref()).await;
        let opened = self.granted(opened)?;
        if let Some(text) = opened.keep {
            let file = self.account.clone();
            let written = on_disk(move || folder::write_atomically(&file, text.as_bytes())).await;
            written.map_err(Trouble::Disk)?;
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
        let (remedy, said) = (trouble.remedy(), trouble.said());
        let word = match trouble {
            Trouble::Refused(_) => TroubleWord::Refused,
            _ => TroubleWord::Failed,
        };
        self.gauges.failures.add(word, 1);
        match trouble.fault() {
            None => tracing::warn!(again_at, remedy, "no certificate: {said}"),
            Some(error) => tracing::warn!(
                again_at,
                remedy,
                error,
                "no certificate: the attempt failed"
            ),
        }
    }

    fn show(&self, attempts: &Attempts) {
        let last = attempts.succeeded_at.map_or(0, Timestamp::as_seconds);
        self.gauges.last_success.set(last);
        let failure = attempts.failure.as_ref();
        let since = failure.map_or(0, |failure| failure.since.as_seconds());
        self.gauges.failing_since.set(since);
    }
}

#[cfg(test)]
mod tests;
