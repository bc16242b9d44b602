//! Large bodies, in files beside the database: written once, where a row would be written twice (to
//! the log, and by its checkpoint). ADR 0021.
//!
//! The one writer appends to the newest segment and syncs it before the transaction commits that
//! refers to it; a row says where a body lies. What a failed transaction or a crash left there no
//! row refers to. Space goes back as bodies are removed; a segment goes when no row refers to it.
//!
//! Each body stands behind a header of 32 bytes: `MAGIC`, the message's id, the body's length
//! (big-endian). A reader takes nothing that does not begin so. Both begin and end on a block of
//! 4 KB: what is written goes past the page cache, whose copies would be the larger part of the work,
//! for bytes that lie in memory for their delivery anyway.

use std::collections::HashMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::ops::Range;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use bytes::Bytes;
use postrider_model::MessageId;
use postrider_store::NewMessage;
use rustix::fs::{FallocateFlags, fallocate};

use crate::fault::Fault;
use crate::output::{BLOCK, Output};

/// A body of more bytes is spooled: more than two pages of the database.
pub(crate) const ROW_MOST: usize = 32 << 10;
const MAGIC: [u8; 8] = *b"PRbody1\n";
pub(crate) const HEADER: usize = 32;

/// Where a body lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) segment: i64,
    /// Of its header, in bytes from the segment's begin.
    pub(crate) start: i64,
    /// Of the body alone, in bytes.
    pub(crate) length: i64,
}

/// The folder of the segments, as its readers and its one writer share it. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Segments {
    folder: Arc<Path>,
    /// The segment that is written; those before it never are again.
    newest: Arc<AtomicI64>,
}

/// The writer's end.
pub(crate) struct Spool {
    segments: Segments,
    segment: Option<Segment>,
    /// The number of the next one: none is tried twice, whatever became of it.
    next: i64,
    /// The folder is there, and on disk.
    has_folder: bool,
    settings: SpoolSettings,
}

#[derive(Clone, Copy)]
pub(crate) struct SpoolSettings {
    /// Whether what is written is synced.
    pub(crate) is_synced: bool,
    /// Bytes past which a segment takes no further batch.
    pub(crate) segment_most: u64,
}

struct Segment {
    number: i64,
    output: Arc<Output>,
    end: u64,
}

/// Bodies that have their place and are not there yet.
#[derive(Default)]
pub(crate) struct Placed {
    pub(crate) extents: HashMap<MessageId, Extent>,
    output: Option<Arc<Output>>,
    bodies: Vec<(MessageId, u64, Bytes)>,
    is_synced: bool,
}

impl Segments {
    /// The segments beside the database at `path`: `<path>.bodies/`.
    pub(crate) fn beside(path: &Path) -> Self {
        let mut folder = path.as_os_str().to_owned();
        folder.push(".bodies");
        Self {
            folder: PathBuf::from(folder).into(),
            newest: Arc::default(),
        }
    }

    fn path(&self, segment: i64) -> PathBuf {
        self.folder.join(format!("{segment:012}.spool"))
    }

    /// The segments that are there, in order.
    pub(crate) fn numbers(&self) -> io::Result<Vec<i64>> {
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut found = Vec::new();
        for entry in entries {
            let name = entry?.file_name();
            let number = name.to_str().and_then(|name| name.strip_suffix(".spool"));
            found.extend(number.and_then(|number| number.parse::<i64>().ok()));
        }
        found.sort_unstable();
        Ok(found)
    }

    /// The body of a message; `None` where something else is there, or nothing any more. Blocks.
    pub(crate) fn read(&self, message: MessageId, extent: Extent) -> io::Result<Option<Bytes>> {
        let file = match File::open(self.path(extent.segment)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        let length = usize::try_from(extent.length).map_err(io::Error::other)?;
        let start = u64::try_from(extent.start).map_err(io::Error::other)?;
        let (mut head, mut body) = ([0; HEADER], vec![0; length]);
        // The header last: whoever releases the space takes it first.
        let read = file
            .read_exact_at(&mut body, start + HEADER as u64)
            .and_then(|()| file.read_exact_at(&mut head, start));
        match read {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            read => read?,
        }
        Ok((head == header(message, body.len())).then(|| body.into()))
    }

    /// Gives the space of bodies back that no row refers to any more; what they were is not there when
    /// it returns. Blocks.
    pub(crate) fn release(&self, extents: &[Extent]) -> io::Result<()> {
        extents.iter().try_for_each(|extent| {
            let start = u64::try_from(extent.start).map_err(io::Error::other)?;
            let length = u64::try_from(extent.length).map_err(io::Error::other)?;
            self.clear(extent.segment, start..start + room(length))
        })
    }

    /// Clears all of a segment but these bodies, which are in their order. Blocks.
    pub(crate) fn keep_only(&self, segment: i64, extents: &[Extent]) -> io::Result<()> {
        let end = fs::metadata(self.path(segment))?.len();
        let mut from = 0;
        for extent in extents {
            let start = u64::try_from(extent.start).map_err(io::Error::other)?;
            let length = u64::try_from(extent.length).map_err(io::Error::other)?;
            self.clear(segment, from..start)?;
            from = start + room(length);
        }
        self.clear(segment, from..end)
    }

    fn clear(&self, segment: i64, range: Range<u64>) -> io::Result<()> {
        if range.is_empty() {
            return Ok(());
        }
        let file = match OpenOptions::new().write(true).open(self.path(segment)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            file => file?,
        };
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        match fallocate(&file, flags, range.start, range.end - range.start) {
            // The space stays until the segment goes.
            Err(rustix::io::Errno::OPNOTSUPP) => zero(&file, range),
            cleared => Ok(cleared?),
        }
    }

    /// Segments from this one on may get rows yet; those before it never do again.
    pub(crate) fn newest(&self) -> i64 {
        self.newest.load(Ordering::Acquire)
    }

    /// Removes a segment before `newest` that no row refers to. Blocks.
    pub(crate) fn remove(&self, segment: i64) -> io::Result<()> {
        match fs::remove_file(self.path(segment)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }
}

impl Spool {
    /// Writes behind all segments that there are, and that rows speak of (`newest` is the last of
    /// these): an end that a crash left is never written over.
    pub(crate) fn new(
        segments: Segments,
        newest: i64,
        settings: SpoolSettings,
    ) -> io::Result<Self> {
        let last = segments.numbers()?.last().copied().unwrap_or_default();
        let next = last.max(newest) + 1;
        segments.newest.store(next, Ordering::Release);
        Ok(Self {
            segments,
            segment: None,
            next,
            has_folder: false,
            settings,
        })
    }

    /// Gives each large body its place.
    pub(crate) fn place(&mut self, messages: &[&NewMessage]) -> Result<Placed, Fault> {
        let large: Vec<_> = messages
            .iter()
            .filter(|message| message.body.len() > ROW_MOST)
            .collect();
        if large.is_empty() {
            return Ok(Placed::default());
        }
        let is_synced = self.settings.is_synced;
        let segment = self.segment()?;
        let mut placed = Placed {
            output: Some(Arc::clone(&segment.output)),
            is_synced,
            ..Placed::default()
        };
        for message in large {
            let length = message.body.len() as u64;
            let extent = Extent {
                segment: segment.number,
                start: segment.end.cast_signed(),
                length: length.cast_signed(),
            };
            placed.extents.insert(message.id, extent);
            placed
                .bodies
                .push((message.id, segment.end, message.body.clone()));
            segment.end += room(length);
        }
        Ok(placed)
    }

    /// Where the next body goes.
    pub(crate) fn mark(&self) -> Option<(i64, u64)> {
        self.segment
            .as_ref()
            .map(|segment| (segment.number, segment.end))
    }

    /// Writes over what was placed after `mark`: its transaction has failed.
    pub(crate) fn back_to(&mut self, mark: Option<(i64, u64)>) {
        if let Some(segment) = &mut self.segment {
            segment.end = match mark {
                Some((number, end)) if number == segment.number => end,
                _ => 0,
            };
        }
    }

    fn segment(&mut self) -> io::Result<&mut Segment> {
        let most = self.settings.segment_most;
        // One that is full stays until the next is there.
        let segment = match self.segment.take_if(|segment| segment.end < most) {
            Some(segment) => segment,
            None => self.begin()?,
        };
        Ok(self.segment.insert(segment))
    }

    fn begin(&mut self) -> io::Result<Segment> {
        let folder = &self.segments.folder;
        if !self.has_folder {
            match DirBuilder::new().mode(0o700).create(folder) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => sync_folder(folder.parent())?,
            }
            self.has_folder = true;
        }
        let number = self.next;
        self.next += 1;
        let output = Output::create(&self.segments.path(number))?;
        // A file whose name is lost is lost.
        sync_folder(Some(folder))?;
        self.segments.newest.store(number, Ordering::Release);
        Ok(Segment {
            number,
            output: Arc::new(output),
            end: 0,
        })
    }
}

impl Placed {
    /// Returns when all bodies are on disk. Cancelled, it may go on by itself.
    pub(crate) async fn write(self) -> Result<(), Fault> {
        let Some(output) = self.output else {
            return Ok(());
        };
        let (bodies, is_synced) = (self.bodies, self.is_synced);
        let work = tokio::task::spawn_blocking(move || output.write(&bodies, is_synced));
        Ok(work.await.map_err(io::Error::other)??)
    }
}

/// What a body takes of a segment, in bytes.
const fn room(length: u64) -> u64 {
    (HEADER as u64 + length).next_multiple_of(BLOCK as u64)
}

pub(crate) fn header(message: MessageId, length: usize) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    let length = (length as u64).to_be_bytes();
    let parts = MAGIC.iter().chain(message.as_bytes()).chain(&length);
    for (to, from) in header.iter_mut().zip(parts) {
        *to = *from;
    }
    header
}

// Where a file system makes no holes.
fn zero(file: &File, range: Range<u64>) -> io::Result<()> {
    let zeros = vec![0; 1 << 20];
    let mut at = range.start;
    while at < range.end {
        let left = usize::try_from(range.end - at).unwrap_or(usize::MAX);
        let piece = zeros.get(..left).unwrap_or(&zeros);
        file.write_all_at(piece, at)?;
        at += piece.len() as u64;
    }
    file.sync_data()
}

fn sync_folder(folder: Option<&Path>) -> io::Result<()> {
    match folder {
        Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
        _ => File::open(".")?.sync_all(),
    }
}
