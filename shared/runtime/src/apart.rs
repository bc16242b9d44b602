//! Work that takes long: away from the threads that serve everybody, and not all of it at once.

use std::sync::LazyLock;

use tokio::sync::Semaphore;

/// Up to this size of what is worked on, in bytes, it is done where it is asked for: a millisecond
/// at most, of which a signature is a third whatever the size.
const INLINE_MOST: usize = 256 * 1024;

// One for the process, as the cores are. More at once would not be done sooner, only hold more in
// memory: each has its message twice.
static SEATS: LazyLock<Semaphore> = LazyLock::new(|| {
    let cores = std::thread::available_parallelism();
    Semaphore::new(cores.map_or(1, std::num::NonZero::get))
});

/// The work ended in a panic, or the runtime ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the work was stopped")]
pub struct Stopped;

/// Does work on something of this size, in bytes: here if it is small, else on a thread of its
/// own as soon as one of as many places as there are cores is free. `usize::MAX` for work that is
/// long whatever its size. Dropping the future stops the waiting, not work that has begun.
pub async fn apart<T: Send + 'static>(
    size: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Stopped> {
    if size <= INLINE_MOST {
        return Ok(work());
    }
    let seat = SEATS.acquire().await.map_err(|_| Stopped)?;
    let done = tokio::task::spawn_blocking(move || {
        let done = work();
        drop(seat);
        done
    });
    done.await.map_err(|_| Stopped)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    // The seats are the process's, and so the tests'.
    static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

    #[tokio::test]
    async fn small_work_is_done_here_and_large_work_elsewhere() {
        let _alone = ALONE.lock().await;
        let here = std::thread::current().id();
        let thread = || std::thread::current().id();
        assert_eq!(apart(INLINE_MOST, thread).await, Ok(here));
        assert_ne!(apart(INLINE_MOST + 1, thread).await, Ok(here));
    }

    #[tokio::test]
    async fn no_more_is_done_at_once_than_there_are_cores() {
        let _alone = ALONE.lock().await;
        let cores = std::thread::available_parallelism().unwrap().get();
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let work = || {
            let (now, most) = (Arc::clone(&now), Arc::clone(&most));
            apart(usize::MAX, move || {
                let running = now.fetch_add(1, Ordering::SeqCst) + 1;
                most.fetch_max(running, Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(5));
                now.fetch_sub(1, Ordering::SeqCst);
            })
        };
        let mut all = tokio::task::JoinSet::new();
        for _ in 0..cores * 4 {
            all.spawn(work());
        }
        while let Some(one) = all.join_next().await {
            one.unwrap().unwrap();
        }
        assert_eq!(most.load(Ordering::SeqCst), cores);
    }

    #[tokio::test]
    async fn a_panic_is_told_and_its_place_is_free_again() {
        let _alone = ALONE.lock().await;
        for _ in 0..64 {
            let ended = apart(usize::MAX, || panic!("for the test")).await;
            assert_eq!(ended, Err::<(), _>(Stopped));
        }
    }
}
