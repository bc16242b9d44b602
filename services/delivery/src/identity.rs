//! Which node this is: a key in a file beside the journal, which one process has open at a time.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use postrider_runtime::Rng;

/// The key of this node's folder, and the lock that says that no other process uses it: held for
/// as long as this lives, given up by the kernel with the process.
#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) key: [u8; 16],
    _lock: File,
}

/// Why a node cannot be the one of its folder.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IdentityError {
    /// Another process has it open.
    #[error("{0} is in use by another process")]
    InUse(PathBuf),
    #[error("cannot use {path}")]
    Io {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

impl Identity {
    /// Locks the file beside the journal; reads the key in it, or makes one.
    pub(crate) fn open(journal: &Path, rng: &Rng) -> Result<Self, IdentityError> {
        let path = beside(journal);
        let fault = |source| IdentityError::Io {
            path: path.clone(),
            source,
        };
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = options.mode(0o600).open(&path).map_err(fault)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(IdentityError::InUse(path)),
            Err(TryLockError::Error(source)) => return Err(fault(source)),
        }
        let mut text = String::new();
        // What does not read as text is no key: a new one is made below.
        if let Err(error) = file.read_to_string(&mut text)
            && error.kind() != io::ErrorKind::InvalidData
        {
            return Err(fault(error));
        }
        let key = match read_key(&text) {
            Some(key) => key,
            None => write_key(&mut file, rng.bytes()).map_err(fault)?,
        };
        Ok(Self { key, _lock: file })
    }
}

fn beside(journal: &Path) -> PathBuf {
    let mut name = journal.as_os_str().to_owned();
    name.push(".node");
    name.into()
}

fn read_key(text: &str) -> Option<[u8; 16]> {
    let text = text.trim();
    let number = (text.len() == 32).then(|| u128::from_str_radix(text, 16))?;
    number.ok().map(u128::to_be_bytes)
}

fn write_key(file: &mut File, key: [u8; 16]) -> io::Result<[u8; 16]> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{:032x}", u128::from_be_bytes(key))?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_keeps_its_key_and_serves_one_process() {
        let folder = tempfile::tempdir().unwrap();
        let journal = folder.path().join("inflight");
        let first = Identity::open(&journal, &Rng::seeded(1)).unwrap();
        let second = Identity::open(&journal, &Rng::seeded(2));
        assert!(matches!(second, Err(IdentityError::InUse(_))), "{second:?}");
        let key = first.key;
        drop(first);
        let again = Identity::open(&journal, &Rng::seeded(3)).unwrap();
        assert_eq!(again.key, key);
    }

    #[test]
    fn a_torn_key_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let journal = folder.path().join("inflight");
        for torn in [&b""[..], b"12", b"\xff\xfe"] {
            std::fs::write(beside(&journal), torn).unwrap();
            let key = Identity::open(&journal, &Rng::seeded(4)).unwrap().key;
            let again = Identity::open(&journal, &Rng::seeded(5)).unwrap().key;
            assert_eq!(key, again);
        }
    }
}
