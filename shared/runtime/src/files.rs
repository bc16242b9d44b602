//! The limit on open files: each connection is one.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the limit on open files to what the system grants this process, and tells what it is
/// now; `None` is no limit. Programs are started with 1,024, for the sake of select(2).
pub fn raise_open_files() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    let is_raised = setrlimit(Resource::Nofile, raised).is_ok();
    if is_raised {
        limit.maximum
    } else {
        limit.current
    }
}
