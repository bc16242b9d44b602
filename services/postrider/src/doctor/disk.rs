//! The disk below the relay's folder: its free space, and how long it takes to keep a promise.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use super::finding::Finding;

/// Every acceptance waits for one.
const SLOW: Duration = Duration::from_millis(50);
const TRIES: usize = 5;

/// Writes and syncs a small file some times, and removes it. Blocks.
pub(super) fn look(folder: &Path, least: u64) -> Vec<Finding> {
    vec![space(folder, least), sync(folder)]
}

fn space(folder: &Path, least: u64) -> Finding {
    let about = folder.display().to_string();
    match rustix::fs::statvfs(folder) {
        Ok(stat) => {
            let free = stat.f_bavail.saturating_mul(stat.f_frsize);
            let seen = format!("{} MB free", free >> 20);
            if free < least {
                Finding::hard("disk", &about, &seen).remedy(&format!(
                    "make room: the doors close below {} MB (limits.free_space_bytes)",
                    least >> 20
                ))
            } else if free < least.saturating_mul(4) {
                Finding::soft("disk", &about, &seen).remedy("make room soon")
            } else {
                Finding::ok("disk", &about, &seen)
            }
        }
        Err(fault) => Finding::soft("disk", &about, &format!("cannot be looked at: {fault}")),
    }
}

fn sync(folder: &Path) -> Finding {
    let about = folder.display().to_string();
    match median(folder) {
        Ok(span) => {
            let seen = format!(
                "a write is on disk in {:.1} ms",
                span.as_secs_f64() * 1_000.0
            );
            if span > SLOW {
                Finding::soft("fsync", &about, &seen)
                    .remedy("put the folder on a quicker disk: every acceptance waits for this")
            } else {
                Finding::ok("fsync", &about, &seen)
            }
        }
        Err(fault) => Finding::hard("fsync", &about, &format!("nothing can be written: {fault}"))
            .remedy("make the folder writable for this user"),
    }
}

fn median(folder: &Path) -> std::io::Result<Duration> {
    let path = folder.join(format!(".doctor-{}", std::process::id()));
    let mut file = File::create(&path)?;
    let mut spans = Vec::new();
    for _ in 0..TRIES {
        let begun = Instant::now();
        file.write_all(&[0; 4_096])?;
        file.sync_all()?;
        spans.push(begun.elapsed());
    }
    std::fs::remove_file(&path)?;
    spans.sort_unstable();
    Ok(spans.get(TRIES / 2).copied().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Level;

    #[test]
    fn a_disk_that_is_nearly_full_is_a_hard_finding() {
        let folder = tempfile::TempDir::new().unwrap();
        assert_eq!(space(folder.path(), 1).level, Level::Ok);
        assert_eq!(space(folder.path(), u64::MAX).level, Level::Hard);
        assert!(median(folder.path()).unwrap() > Duration::ZERO);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        assert_eq!(sync(&folder.path().join("none")).level, Level::Hard);
    }
}
