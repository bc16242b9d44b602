//! Named points on the line at which a test may end the process, as `kill -9` does.
//!
//! They exist in debug builds only: `reach` is empty in a release build.

/// Ends the process (SIGKILL, nothing is flushed, nothing is dropped) if this point is armed.
/// Call it between two steps; the names in use are listed in `ARCHITECTURE.md`.
#[inline]
pub fn reach(point: &'static str) {
    #[cfg(debug_assertions)]
    armed::reach(point);
    #[cfg(not(debug_assertions))]
    let _ = point;
}

/// Arms one point: the process ends when it is reached for the `nth` time (1 is the first).
#[cfg(debug_assertions)]
pub fn arm(point: &str, nth: u32) {
    armed::arm(point, nth);
}

#[cfg(debug_assertions)]
mod armed {
    use std::sync::atomic::{AtomicBool, Ordering};

    use parking_lot::Mutex;

    static ANY: AtomicBool = AtomicBool::new(false);
    static ARMED: Mutex<Option<(String, u32)>> = Mutex::new(None);

    pub(super) fn arm(point: &str, nth: u32) {
        *ARMED.lock() = Some((point.to_owned(), nth));
        ANY.store(true, Ordering::Release);
    }

    pub(super) fn reach(point: &'static str) {
        if !ANY.load(Ordering::Acquire) {
            return;
        }
        let mut armed = ARMED.lock();
        if let Some((name, left)) = armed.as_mut()
            && name == point
        {
            *left = left.saturating_sub(1);
            if *left == 0 {
                // Our own process: the only one that may be killed here.
                let _sent = rustix::process::kill_process(
                    rustix::process::getpid(),
                    rustix::process::Signal::KILL,
                );
                std::process::abort();
            }
        }
    }
}
