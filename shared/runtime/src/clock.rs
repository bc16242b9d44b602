//! The only place that asks the machine for the time.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use postrider_model::Timestamp;
use tokio::sync::watch;

/// Tells the time, and waits for a point in it. Cheap to clone; clones tell the same time.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System,
    Held(Arc<watch::Sender<Timestamp>>),
}

impl Clock {
    /// The machine's wall clock.
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands at `start` until `advance` moves it. For tests and simulations.
    pub fn held(start: Timestamp) -> Self {
        Self(Source::Held(Arc::new(watch::Sender::new(start))))
    }

    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::System => system_now(),
            Source::Held(time) => *time.borrow(),
        }
    }

    /// Moves a held clock forward and wakes who waits for it. The machine's clock stays as it is.
    pub fn advance(&self, span: Duration) {
        if let Source::Held(time) = &self.0 {
            time.send_modify(|now| *now = now.after(span));
        }
    }

    /// Returns once the time is `at` or later. May be cancelled at any point.
    pub async fn sleep_until(&self, at: Timestamp) {
        match &self.0 {
            Source::System => tokio::time::sleep(at.since(system_now())).await,
            Source::Held(time) => {
                // The sender lives in `self`, so this only ends by the time being reached.
                let mut seen = time.subscribe();
                let _reached = seen.wait_for(|now| *now >= at).await;
            }
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that asks the machine"
)]
fn system_now() -> Timestamp {
    let since_1970 = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::from_micros(i64::try_from(since_1970.as_micros()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_held_clock_wakes_who_waits_for_it() {
        let clock = Clock::held(Timestamp::from_micros(0));
        let at = clock.now().after(Duration::from_mins(1));
        let (mut waits, other) = (std::pin::pin!(clock.sleep_until(at)), clock.clone());
        assert!(futures_now(waits.as_mut()).is_none());
        other.advance(Duration::from_secs(59));
        assert!(futures_now(waits.as_mut()).is_none());
        other.advance(Duration::from_secs(1));
        waits.await;
        assert_eq!(clock.now(), at);
    }

    fn futures_now<F: Future>(future: std::pin::Pin<&mut F>) -> Option<F::Output> {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match future.poll(&mut context) {
            std::task::Poll::Ready(value) => Some(value),
            std::task::Poll::Pending => None,
        }
    }
}
