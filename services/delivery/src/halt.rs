//! The rein of one attempt: it is stopped by it before its final dot, and past that it is known
//! who may have been sent to.

use std::collections::BTreeSet;
use std::sync::Arc;

use parking_lot::Mutex;
use postrider_model::RecipientId;
use postrider_runtime::Shutdown;
use tokio_util::sync::CancellationToken;

/// Stops one attempt, with all others at shutdown or by itself. Cheap to clone; clones are the
/// same rein.
#[derive(Clone, Debug)]
pub(crate) struct Halt(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    shutdown: Shutdown,
    called: CancellationToken,
    dots: Mutex<Dots>,
}

#[derive(Debug, Default)]
struct Dots {
    closed: bool,
    /// Recipients of a transaction whose final dot may be out and whose fate is not recorded.
    past: BTreeSet<RecipientId>,
}

impl Halt {
    pub(crate) fn new(shutdown: Shutdown) -> Self {
        Self(Arc::new(Inner {
            shutdown,
            called: CancellationToken::new(),
            dots: Mutex::default(),
        }))
    }

    /// Whether nothing more is to be begun, by shutdown or for this attempt alone.
    pub(crate) fn has_begun(&self) -> bool {
        self.0.shutdown.has_begun() || self.was_called()
    }

    /// Whether this attempt was stopped by itself: a verb, a lost lease.
    pub(crate) fn was_called(&self) -> bool {
        self.0.called.is_cancelled()
    }

    /// Returns once nothing more is to be begun. May be cancelled at any point.
    pub(crate) async fn begun(&self) {
        tokio::select! {
            () = self.0.shutdown.begun() => {}
            () = self.0.called.cancelled() => {}
        }
    }

    /// Stops the attempt before its next final dot; gives those who are past one.
    pub(crate) fn call(&self) -> Vec<RecipientId> {
        let past = {
            let mut dots = self.0.dots.lock();
            dots.closed = true;
            dots.past.iter().copied().collect()
        };
        self.0.called.cancel();
        past
    }

    /// Asks to send a final dot for these. False once the attempt was stopped: whoever stopped it
    /// has been told that they are not past it.
    pub(crate) fn pass(&self, recipients: impl Iterator<Item = RecipientId>) -> bool {
        let mut dots = self.0.dots.lock();
        if !dots.closed {
            dots.past.extend(recipients);
        }
        !dots.closed
    }

    /// These are recorded, or the dot never left.
    pub(crate) fn is_known(&self, recipients: impl Iterator<Item = RecipientId>) {
        let mut dots = self.0.dots.lock();
        for recipient in recipients {
            dots.past.remove(&recipient);
        }
    }

    /// Who is past a final dot now.
    pub(crate) fn past(&self) -> Vec<RecipientId> {
        self.0.dots.lock().past.iter().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn who_is_past_the_dot_is_told_and_nobody_passes_it_later() {
        let [one, two] = [1, 2].map(|n| RecipientId::from_bytes([n; 16]));
        let halt = Halt::new(Shutdown::new(Duration::ZERO));
        assert!(halt.pass([one].into_iter()));
        assert!(!halt.has_begun());
        assert_eq!(halt.call(), [one]);
        assert!(halt.has_begun() && halt.was_called());
        assert!(!halt.pass([two].into_iter()));
        assert_eq!(halt.past(), [one]);
        halt.is_known([one].into_iter());
        assert!(halt.past().is_empty());
    }
}
