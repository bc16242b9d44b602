//! The in-flight journal: which recipients were between the final dot and the settle.
//!
//! One append-only file, never synced: it survives the end of the process, which is all that is
//! asked of it (after a power cut the kernel's memory is gone, and then a doubled mail has no
//! `ambiguous` event). Each line is one `write`. What is done with what it tells is decided by
//! the runner.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use postrider_model::{MessageId, RecipientId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

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

/// What was open when the process ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OpenEntry {
    pub(crate) recipient: RecipientId,
    pub(crate) message: MessageId,
    pub(crate) attempt: u32,
    /// How many starts in a row have found this recipient in flight, this one among them. 0
    /// where its result is known.
    pub(crate) unclean_starts: u32,
    /// The result that could not be settled: it is to be settled, and nothing sent again.
    pub(crate) result: Option<Value>,
}

/// Why the journal cannot be used. The attempt must not go on to its final dot.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the in-flight journal {path}")]
pub struct JournalError {
    path: PathBuf,
    #[source]
    source: io::Error,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Entry {
    message: MessageId,
    attempt: u32,
    #[serde(default)]
    unclean_starts: u32,
    /// False once its doubt was noted: only the count is still of interest.
    in_flight: bool,
    /// True where the process that wrote this began it.
    #[serde(default)]
    begun: bool,
    #[serde(default)]
    result: Option<Value>,
}

/// One line of the file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    /// An entry as it stands.
    Entry(RecipientId, Entry),
    Begin(RecipientId, MessageId, u32),
    Result(RecipientId, Value),
    Noted(RecipientId),
    Close(RecipientId),
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
        if !matches!(line, Line::Begin(..) | Line::Entry(..)) && !self.knows(&line) {
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

    fn knows(&self, line: &Line) -> bool {
        let (Line::Entry(id, _)
        | Line::Begin(id, ..)
        | Line::Result(id, _)
        | Line::Noted(id)
        | Line::Close(id)) = line;
        self.entries.contains_key(id)
    }

    /// Writes the file anew. Where that fails, the old one stays, whole and in use.
    fn compact(&mut self) {
        match write_anew(&self.path, &self.entries) {
            Ok((file, size)) => {
                (self.file, self.size, self.compacted) = (file, size, size);
            }
            Err(error) => {
                tracing::warn!(%error, "cannot compact the in-flight journal, it grows on");
                self.compacted = self.size;
            }
        }
    }
}

impl Entry {
    /// It may have been taken, and nobody knows.
    fn is_doubtful(&self) -> bool {
        self.in_flight && self.result.is_none()
    }

    fn is_open(&self) -> bool {
        self.in_flight || self.result.is_some()
    }

    fn to_open(&self, recipient: RecipientId) -> OpenEntry {
        OpenEntry {
            recipient,
            message: self.message,
            attempt: self.attempt,
            unclean_starts: if self.is_doubtful() {
                self.unclean_starts
            } else {
                0
            },
            result: self.result.clone(),
        }
    }
}

/// The one meaning of a line, when it is written and when it is read again.
fn apply(entries: &mut BTreeMap<RecipientId, Entry>, line: Line) {
    match line {
        Line::Entry(recipient, entry) => {
            entries.insert(recipient, entry);
        }
        Line::Begin(recipient, message, attempt) => {
            // Begun again without a close: the count of unclean starts goes on.
            let unclean_starts = entries.get(&recipient).map_or(0, |old| old.unclean_starts);
            let entry = Entry {
                message,
                attempt,
                unclean_starts,
                in_flight: true,
                begun: true,
                result: None,
            };
            entries.insert(recipient, entry);
        }
        Line::Result(recipient, result) => {
            if let Some(entry) = entries.get_mut(&recipient) {
                entry.result = Some(result);
            }
        }
        Line::Noted(recipient) => {
            if let Some(entry) = entries.get_mut(&recipient) {
                entry.in_flight = false;
            }
        }
        Line::Close(recipient) => {
            entries.remove(&recipient);
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

#[cfg(test)]
mod tests {
    use super::*;
    use postrider_model::Timestamp;
    use serde_json::json;

    fn ids(n: u8) -> (RecipientId, MessageId) {
        let at = Timestamp::from_micros(1_000_000);
        (RecipientId::new(at, [n; 10]), MessageId::new(at, [n; 10]))
    }

    fn begin(journal: &Journal, n: u8, attempt: u32) {
        let (recipient, message) = ids(n);
        journal.begin(recipient, message, attempt).unwrap();
    }

    fn open_entry(n: u8, attempt: u32, unclean_starts: u32, result: Option<Value>) -> OpenEntry {
        let (recipient, message) = ids(n);
        OpenEntry {
            recipient,
            message,
            attempt,
            unclean_starts,
            result,
        }
    }

    #[test]
    fn what_was_open_is_told_and_what_was_closed_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("inflight");
        let (journal, open) = Journal::open(&path).unwrap();
        assert_eq!(open, []);
        for n in 1..=3 {
            begin(&journal, n, n.into());
        }
        journal.close(ids(1).0).unwrap();
        journal
            .record(ids(3).0, json!({"delivered": "250 ok"}))
            .unwrap();
        journal.record(ids(9).0, json!("never begun")).unwrap();
        drop(journal); // as after kill -9: nothing is done at the end
        let (journal, open) = Journal::open(&path).unwrap();
        let result = Some(json!({"delivered": "250 ok"}));
        assert_eq!(
            open,
            [open_entry(2, 2, 1, None), open_entry(3, 3, 0, result)]
        );
        journal.close(ids(2).0).unwrap();
        journal.close(ids(3).0).unwrap();
        drop(journal);
        assert_eq!(Journal::open(&path).unwrap().1, []);
    }

    #[test]
    fn a_process_that_did_not_send_it_is_not_counted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("inflight");
        let (journal, _) = Journal::open(&path).unwrap();
        begin(&journal, 1, 1);
        // Each of these ends before it has noted the doubt.
        for _ in 0..3 {
            let (_, open) = Journal::open(&path).unwrap();
            assert_eq!(open, [open_entry(1, 1, 1, None)]);
        }
        let (journal, _) = Journal::open(&path).unwrap();
        begin(&journal, 1, 1);
        let (_, open) = Journal::open(&path).unwrap();
        assert_eq!(open, [open_entry(1, 1, 2, None)]);
    }

    #[test]
    fn unclean_starts_are_counted_for_who_was_in_flight_at_each() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("inflight");
        let (journal, _) = Journal::open(&path).unwrap();
        begin(&journal, 1, 1);
        begin(&journal, 2, 1);
        drop(journal);
        for start in 1..=3 {
            let (journal, open) = Journal::open(&path).unwrap();
            let poison = open_entry(1, start, start, None);
            if start == 1 {
                assert_eq!(open, [poison, open_entry(2, 1, 1, None)]);
            } else {
                // The bystander was noted and not tried since.
                assert_eq!(open, [poison]);
            }
            journal.noted(ids(1).0).unwrap();
            journal.noted(ids(2).0).unwrap();
            begin(&journal, 1, start + 1);
        }
        let (journal, _) = Journal::open(&path).unwrap();
        journal.close(ids(1).0).unwrap();
        begin(&journal, 1, 9);
        drop(journal);
        let (_, open) = Journal::open(&path).unwrap();
        assert_eq!(open, [open_entry(1, 9, 1, None)]);
    }

    #[test]
    fn who_is_open_now_can_be_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let (journal, _) = Journal::open(&folder.path().join("inflight")).unwrap();
        begin(&journal, 1, 1);
        begin(&journal, 2, 1);
        begin(&journal, 3, 1);
        journal.close(ids(2).0).unwrap();
        journal.noted(ids(3).0).unwrap();
        let all = [ids(1).0, ids(2).0, ids(3).0, ids(4).0];
        assert_eq!(journal.open_among(&all), [open_entry(1, 1, 0, None)]);
    }

    #[test]
    fn a_torn_end_loses_that_line_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("inflight");
        let (journal, _) = Journal::open(&path).unwrap();
        begin(&journal, 1, 1);
        begin(&journal, 2, 1);
        drop(journal);
        let whole = std::fs::read(&path).unwrap();
        for cut in 0..whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let (journal, open) = Journal::open(&path).unwrap();
            let lines = whole[..cut].split(|byte| *byte == b'\n').count() - 1;
            // A line that lacks nothing but its end is read as well.
            assert!((lines..=lines + 1).contains(&open.len()), "{cut}: {open:?}");
            begin(&journal, 3, 1);
            drop(journal);
            let (_, again) = Journal::open(&path).unwrap();
            assert_eq!(again.len(), open.len() + 1, "{cut}");
        }
    }

    #[test]
    fn garbage_between_lines_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("inflight");
        let (journal, _) = Journal::open(&path).unwrap();
        begin(&journal, 1, 1);
        drop(journal);
        let mut bytes = b"\0\0\xff{\"begin\":[1]}\n\n{\"unknown\":1}\n".to_vec();
        bytes.extend(std::fs::read(&path).unwrap());
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(Journal::open(&path).unwrap().1, [open_entry(1, 1, 1, None)]);
    }

    #[test]
    fn the_file_stays_small_and_keeps_what_is_open() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("inflight");
        let (journal, _) = Journal::open(&path).unwrap();
        begin(&journal, 1, 7);
        for _ in 0..20_000 {
            begin(&journal, 2, 1);
            journal.close(ids(2).0).unwrap();
            journal.close(ids(2).0).unwrap();
        }
        assert!(std::fs::metadata(&path).unwrap().len() <= COMPACT_FROM + 200);
        drop(journal);
        assert_eq!(Journal::open(&path).unwrap().1, [open_entry(1, 7, 1, None)]);
    }
}
