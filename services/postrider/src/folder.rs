//! A relay's folder: what is made in it once, and how files in it are written.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Context;
use postrider_gate::MasterKey;
use postrider_runtime::Rng;

/// Makes a folder that only its owner can read.
pub fn create(dir: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .with_context(|| format!("cannot make the folder {}", dir.display()))
}

/// Writes a file whole or not at all: beside it, synced, then renamed over it. Mode 0600. Several
/// commands may write the same one at once: each writes beside it on its own.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    static WRITTEN: AtomicU32 = AtomicU32::new(0);
    let number = WRITTEN.fetch_add(1, Ordering::Relaxed);
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".new{}-{number}", std::process::id()));
    let beside = Path::new(&beside);
    let written = || -> std::io::Result<()> {
        let mut options = std::fs::OpenOptions::new();
        let mut file = options
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(beside, path)?;
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        std::fs::File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    };
    written()
        .inspect_err(|_| {
            // Nobody reads it any more.
            let _gone = std::fs::remove_file(beside);
        })
        .with_context(|| format!("cannot write {}", path.display()))
}

/// Makes a master key if there is none.
pub fn ensure_master_key(path: &Path, rng: &Rng) -> anyhow::Result<()> {
    let is_there = path.try_exists();
    if is_there.with_context(|| format!("cannot look for {}", path.display()))? {
        Ok(())
    } else {
        write_atomically(path, &rng.bytes::<32>())
    }
}

/// Reads the master key.
pub fn master_key(path: &Path) -> anyhow::Result<MasterKey> {
    let bytes = std::fs::read(path).with_context(|| {
        format!(
            "cannot read the master key {}: restore it from a backup, the signing keys cannot be read without it",
            path.display()
        )
    })?;
    MasterKey::new(&bytes).with_context(|| format!("the master key {} is refused", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_who_write_one_file_at_once_all_succeed_and_leave_nothing_beside_it() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("records.json");
        std::thread::scope(|threads| {
            for n in 0..8_u8 {
                let path = &path;
                threads.spawn(move || {
                    for _ in 0..50 {
                        write_atomically(path, &[n; 1_000]).unwrap();
                    }
                });
            }
        });
        let whole = std::fs::read(&path).unwrap();
        assert_eq!(whole, vec![*whole.first().unwrap(); 1_000]);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
