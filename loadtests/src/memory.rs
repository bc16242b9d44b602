//! Memory as on a machine that has been up for a day: none of it free, all that nobody uses full
//! of page cache.
//!
//! On a fresh virtual machine each page that is used for the first time is fetched from the host,
//! for one to three µs per 4 KiB, and freed ones may go back to it. That would be measured as the
//! cost of whoever writes files.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use anyhow::Context;

/// Left free for what is measured, in bytes; what it writes takes the place of older pages.
const SPARE: u64 = 3 << 30;
const STEP: usize = 1 << 20;

/// The page cache, filled with what nobody needs. Given up when this is dropped.
pub(crate) struct PageCache {
    /// Nothing but holes: its pages are in memory only.
    zeros: File,
}

impl PageCache {
    /// Fills it by reading a file without content in `folder`, which is on a disk.
    pub(crate) fn filled(folder: &Path) -> anyhow::Result<Self> {
        let about = fs::read_to_string("/proc/meminfo").context("what memory there is")?;
        let free = free(&about).context("/proc/meminfo says what is free")?;
        fs::create_dir_all(folder)?;
        let zeros = tempfile::tempfile_in(folder)?;
        zeros.set_len(free.saturating_sub(SPARE))?;
        let mut filled = Self { zeros };
        filled.fill()?;
        Ok(filled)
    }

    /// Fills what has become free since.
    pub(crate) fn fill(&mut self) -> anyhow::Result<()> {
        let mut step = vec![0; STEP];
        self.zeros.seek(SeekFrom::Start(0))?;
        while self.zeros.read(&mut step)? > 0 {}
        Ok(())
    }
}

/// Bytes that nobody has, in `/proc/meminfo`.
fn free(about: &str) -> Option<u64> {
    let line = about.lines().find(|line| line.starts_with("MemFree:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1_024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_free_is_read_from_meminfo() {
        let about = "MemTotal:       24684200 kB\nMemFree:        3819392 kB\n";
        assert_eq!(free(about), Some(3_819_392 * 1_024));
        assert_eq!(free("MemTotal: 1 kB\n"), None);
    }
}
