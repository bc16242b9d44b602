//! What came of the attempts, on disk and in memory: where the disk takes nothing, pauses are kept
//! all the same.

use std::path::PathBuf;

use postrider_model::Timestamp;
use postrider_runtime::Rng;

use super::attempts::Attempts;
use super::files::on_disk;

/// `acme/attempts.json`, and what is remembered of it.
pub(super) struct Notes {
    path: PathBuf,
    known: Attempts,
    /// The file was there when it was looked at last.
    is_there: bool,
    /// What stood there before the attempt that is not over.
    before: Option<Attempts>,
    /// The end of the pause that the log has.
    told: Option<Timestamp>,
}

impl Notes {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            known: Attempts::default(),
            is_there: false,
            before: None,
            told: None,
        }
    }

    /// Of the attempts that are over.
    pub(super) fn known(&self) -> &Attempts {
        &self.known
    }

    /// Reads what is on disk. A file that somebody removed since the last time is his word that
    /// nobody need wait; one that could never be written is not.
    pub(super) async fn look(&mut self) -> anyhow::Result<()> {
        let path = self.path.clone();
        let read = on_disk(move || Attempts::read(&path)).await?;
        let was_there = std::mem::replace(&mut self.is_there, read.is_some());
        let known = std::mem::take(&mut self.known);
        self.known = match read {
            Some(read) => known.or_later(read),
            None if was_there => Attempts::default(),
            None => known,
        };
        Ok(())
    }

    /// An attempt begins. Where this cannot be written it must not: a process that is ended in it,
    /// again and again, would ask without any pause.
    pub(super) async fn begin(
        &mut self,
        about: &str,
        now: Timestamp,
        rng: &Rng,
    ) -> anyhow::Result<()> {
        self.before = Some(self.known.clone());
        let written = self.write(self.known.begun(about, now, rng)).await;
        if written.is_err() {
            self.before = None;
        }
        written
    }

    /// Says once that nobody is asked now: after a restart nothing else does.
    pub(super) fn tell_pause(&mut self) {
        let Some(failure) = &self.known.failure else {
            return;
        };
        if self.told != Some(failure.again_at) {
            self.told = Some(failure.again_at);
            let (again_at, said) = (failure.again_at, failure.said.as_str());
            tracing::info!(%again_at, said, "a certificate is due, and the authority is left alone until then");
        }
    }

    /// It is over, and was told. Remembered also where it cannot be written.
    pub(super) async fn end(&mut self, after: Attempts) -> anyhow::Result<()> {
        self.before = None;
        self.told = after.failure.as_ref().map(|failure| failure.again_at);
        self.known = after.clone();
        self.write(after).await
    }

    /// It was cut off by an orderly end of the process, which is nobody's failure.
    pub(super) async fn take_back(&mut self) -> anyhow::Result<()> {
        match self.before.take() {
            Some(before) => self.write(before).await,
            None => Ok(()),
        }
    }

    async fn write(&mut self, attempts: Attempts) -> anyhow::Result<()> {
        let path = self.path.clone();
        on_disk(move || attempts.write(&path)).await?;
        self.is_there = true;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::acme::trouble::Trouble;

    fn start() -> Timestamp {
        Timestamp::parse("2026-01-01T00:00:00Z").unwrap()
    }

    fn failed(notes: &Notes) -> Attempts {
        let trouble = Trouble::Disk(anyhow::anyhow!("full"));
        notes
            .known()
            .failed("names", &trouble, start(), &Rng::seeded(1))
    }

    #[tokio::test]
    async fn a_disk_that_takes_nothing_does_not_make_anybody_ask_again() {
        let folder = tempfile::TempDir::new().unwrap();
        // No folder is there: nothing can be written, and nothing is there to be read.
        let mut notes = Notes::new(folder.path().join("acme/attempts.json"));
        notes.look().await.unwrap();
        let begun = notes.begin("names", start(), &Rng::seeded(1)).await;
        begun.unwrap_err();
        notes.end(failed(&notes)).await.unwrap_err();
        notes.look().await.unwrap();
        assert!(!notes.known().allow("names", start()));

        // Later it can, and somebody removes it.
        std::fs::create_dir(folder.path().join("acme")).unwrap();
        notes.end(failed(&notes)).await.unwrap();
        notes.look().await.unwrap();
        assert_eq!(notes.known().failure.as_ref().unwrap().count, 2);
        std::fs::remove_file(folder.path().join("acme/attempts.json")).unwrap();
        notes.look().await.unwrap();
        assert_eq!(*notes.known(), Attempts::default());
    }

    #[tokio::test]
    async fn an_attempt_that_died_makes_the_next_process_wait_and_one_that_was_stopped_does_not() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("attempts.json");
        let mut notes = Notes::new(path.clone());
        let rng = Rng::seeded(1);
        notes.begin("names", start(), &rng).await.unwrap();
        let mut next = Notes::new(path.clone());
        next.look().await.unwrap();
        assert!(!next.known().allow("names", start()));
        assert!(
            next.known()
                .allow("names", start().after(Duration::from_mins(2)))
        );
        notes.take_back().await.unwrap();
        let mut next = Notes::new(path);
        next.look().await.unwrap();
        assert!(next.known().allow("names", start()));
    }
}
