//! Named points on the line at which a test may end the process, as `kill -9` does, or hold it up.
//!
//! They exist in debug builds only: `reach` is empty in a release build.

/// Ends the process (SIGKILL, nothing is flushed, nothing is dropped) if this point is armed, or waits
/// there.
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

/// Arms one point: who comes there first waits for so long, on a runtime of several threads.
#[cfg(debug_assertions)]
pub fn arm_stall(point: &str, span: std::time::Duration) {
    armed::arm_stall(point, span);
}

#[cfg(debug_assertions)]
mod armed {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use parking_lot::Mutex;

    static ANY: AtomicBool = AtomicBool::new(false);
    static ARMED: Mutex<Option<(String, u32)>> = Mutex::new(None);
    static STALLED: Mutex<Option<(String, Duration)>> = Mutex::new(None);

    pub(super) fn arm(point: &str, nth: u32) {
        *ARMED.lock() = Some((point.to_owned(), nth));
        ANY.store(true, Ordering::Release);
    }

    pub(super) fn arm_stall(point: &str, span: Duration) {
        *STALLED.lock() = Some((point.to_owned(), span));
        ANY.store(true, Ordering::Release);
    }

    fn stall(point: &str) {
        let stalled = STALLED.lock().take_if(|(name, _)| name == point);
        if let Some((_, span)) = stalled {
            tokio::task::block_in_place(|| std::thread::sleep(span));
        }
    }

    pub(super) fn reach(point: &'static str) {
        if !ANY.load(Ordering::Acquire) {
            return;
        }
        stall(point);
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
