//! A relay's folder: what is made in it once, and how files in it are written.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

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

/// Writes a file whole or not at all: beside it, synced, then renamed over it. Mode 0600.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
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
    written().with_context(|| format!("cannot write {}", path.display()))
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
