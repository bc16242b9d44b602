//! What the black-box tests stand on: the real binary in its two arrangements (`sandbox`) and what is
//! asked of it (`place`), the relay inside the test with a clock that it holds (`inside`), a client that can write anything
//! (`client`), each on the database of this run (`database`). A thing is waited for by looking again until a deadline (`until`), never by a fixed
//! sleep.

pub(crate) mod client;
pub(crate) mod database;
pub(crate) mod inside;
pub(crate) mod mail;
pub(crate) mod metrics;
pub(crate) mod place;
pub(crate) mod process;
pub(crate) mod sandbox;
pub(crate) mod tools;

use std::time::Duration;

use tokio::time::{Instant, sleep};

pub(crate) use client::{Answer, Door};
pub(crate) use database::Database;
pub(crate) use inside::Inside;
pub(crate) use mail::Timeline;
pub(crate) use metrics::Page;
pub(crate) use place::Place;
pub(crate) use process::Process;
pub(crate) use sandbox::{Sandbox, one_process, two_processes};

/// Longer than anything takes that is going to happen at all.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// Looks again and again until there is something to see. Panics after `PATIENCE`.
pub(crate) async fn until<T>(what: &str, look: impl AsyncFnMut() -> Option<T>) -> T {
    until_within(PATIENCE, what, look).await
}

/// The same with another patience, for what may begin anew.
pub(crate) async fn until_within<T>(
    patience: Duration,
    what: &str,
    mut look: impl AsyncFnMut() -> Option<T>,
) -> T {
    let end = Instant::now() + patience;
    loop {
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(Instant::now() < end, "waited in vain: {what}");
        sleep(Duration::from_millis(25)).await;
    }
}

/// A word that no other test uses: recipients and subjects are told apart by it.
pub(crate) fn unique() -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(1);
    format!(
        "u{}x{}",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    )
}
