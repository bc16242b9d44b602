//! The in-flight journal: which recipients were between the final dot and the settle.
//!
//! One append-only file, never synced: it survives the end of the process, which is all that is
//! asked of it (after a power cut the kernel's memory is gone, and then a doubled mail has no
//! `ambiguous` event). Each line is one `write`. What is done with what it tells is decided by
//! the runner.

mod entries;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use postrider_model::{MessageId, RecipientId};
use serde_json::Value;

pub(crate) use entries::OpenEntry;
use entries::{Entry, Line, apply};

/// From this size on the file is written anew, without what is closed.
const COMPACT_FROM: u64 = 1024 * 1024;

/// The journal of one delivery node. All methods are short, block only for a write to the
/// kernel's memory, and may be called from any task.
#[derive(Debug)]
pub(crate) struct Journal(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    file: File,
    size: u64,
    /// The size after the last compaction: what is open then must not be written over and over.
    compacted: u64,
    /// A write failed half way: the next one begins a line of its own.
    torn: bool,
    entries: BTreeMap<RecipientId, Entry>,
}

/// Why the journal cannot be used. The attempt must not go on to its final dot.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the in-flight journal {path}")]
pub struct JournalError {
    path: PathBuf,
    #[source]
    source: io::Error,
}

impl Journal {
    /// Opens the journal, or makes one, and says what the last process left open: in flight, or
    /// with a result to settle. Lines that cannot be read (the torn last one) are passed over.
    pub(crate) fn open(path: &Path) -> Result<(Self, Vec<OpenEntry>), JournalError> {
        let fault = |source| JournalError {
            path: path.to_owned(),
            source,
        };
        let mut entries = BTreeMap::new();
        for line in read(path).map_err(fault)?.split(|byte| *byte == b'\n') {
            if let Ok(line) = serde_json::from_slice(line) {
                apply(&mut entries, line);
            }
        }
        for entry in entries.values_mut().filter(|entry| entry.is_doubtful()) {
            // Only a process that sent it can have died of it: not one that ended before the
            // doubt was noted.
            if std::mem::take(&mut entry.begun) {
                entry.unclean_starts = entry.unclean_starts.saturating_add(1);
            }
        }
        let (file, size) = write_anew(path, &entries).map_err(fault)?;
        let open = entries.iter().filter(|(_, entry)| entry.is_open());
        let open = open.map(|(recipient, entry)| entry.to_open(*recipient));
        let open = open.collect();
        let inner = Inner {
            path: path.to_owned(),
            file,
            size,
            compacted: size,
            torn: false,
            entries,
        };
        Ok((Self(Mutex::new(inner)), open))
    }

    /// Before the final dot: from here on the remote may have the message without our knowing.
    pub(crate) fn begin(
        &self,
        recipient: RecipientId,
        message: MessageId,
        attempt: u32,
    ) -> Result<(), JournalError> {
        self.append(Line::Begin(recipient, message, attempt))
    }

    /// The result is known and cannot be settled now. Nothing happens for who is not open.
    pub(crate) fn record(&self, recipient: RecipientId, result: Value) -> Result<(), JournalError> {
        self.append(Line::Result(recipient, result))
    }

    /// The doubt about it is an event in the database: it is not in flight any more. How often
    /// it was found so is kept until `close`, for it may be what ends the process.
    pub(crate) fn noted(&self, recipient: RecipientId) -> Result<(), JournalError> {
        self.append(Line::Noted(recipient))
    }

    /// After the settle: nothing of it is of interest any more.
    pub(crate) fn close(&self, recipient: RecipientId) -> Result<(), JournalError> {
        self.append(Line::Close(recipient))
    }

    /// Who of these is open now: for an attempt that ended without closing them.
    pub(crate) fn open_among(&self, recipients: &[RecipientId]) -> Vec<OpenEntry> {
        let inner = self.0.lock();
        let known = recipients
            .iter()
            .filter_map(|id| inner.entries.get(id).map(|entry| (*id, entry)));
        known
            .filter(|(_, entry)| entry.is_open())
            .map(|(id, entry)| entry.to_open(id))
            .collect()
    }

    /// All that is open now: where attempts were cut off.
    pub(crate) fn open_now(&self) -> Vec<OpenEntry> {
        let inner = self.0.lock();
        let open = inner.entries.iter().filter(|(_, entry)| entry.is_open());
        open.map(|(id, entry)| entry.to_open(*id)).collect()
    }

    fn append(&self, line: Line) -> Result<(), JournalError> {
        let mut inner = self.0.lock();
        inner.append(line).map_err(|source| JournalError {
            path: inner.path.clone(),
            source,
        })
    }
}

impl Inner {
    fn append(&mut self, line: Line) -> io::Result<()> {
        // Nothing to end, nothing to write: most closes follow an attempt without a final dot.
        if !matches!(line, Line::Begin(..) | Line::Entry(..))
            && !self.entries.contains_key(&line.recipient())
        {
            return Ok(());
        }
        let mut bytes = Vec::with_capacity(160);
        if self.torn {
            bytes.push(b'\n');
        }
        serde_json::to_writer(&mut bytes, &line)?;
        bytes.push(b'\n');
        if let Err(error) = self.file.write_all(&bytes) {
            self.torn = true;
            return Err(error);
        }
        self.torn = false;
        self.size = self.size.saturating_add(bytes.len() as u64);
        apply(&mut self.entries, line);
        if self.size > COMPACT_FROM.max(self.compacted.saturating_mul(4)) {
            self.compact();
        }
        Ok(())
    }

    /// Writes the file anew. Where that fails, the old one stays, whole and in use.
    fn compact(&mut self) {
        match write_anew(&self.path, &self.entries) {
            Ok((file, size)) => {
                (self.file, self.size, self.compacted) = (file, size, size);
            }
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "cannot compact the in-flight journal, it grows on"
                );
                self.compacted = self.size;
            }
        }
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    match std::fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        read => read,
    }
}

/// Writes the entries beside the file and puts that in its place: at no moment is there none.
fn write_anew(path: &Path, entries: &BTreeMap<RecipientId, Entry>) -> io::Result<(File, u64)> {
    let mut bytes = Vec::new();
    for (recipient, entry) in entries {
        serde_json::to_writer(&mut bytes, &Line::Entry(*recipient, entry.clone()))?;
        bytes.push(b'\n');
    }
    let beside = path.with_extension("new");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.open(&beside)?.write_all(&bytes)?;
    let file = OpenOptions::new().append(true).open(&beside)?;
    std::fs::rename(&beside, path)?;
    Ok((file, bytes.len() as u64))
}
