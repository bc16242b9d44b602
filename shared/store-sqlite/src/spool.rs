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
/// Bytes past which a segment takes no further batch.
const SEGMENT_MOST: u64 = 256 << 20;
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
    /// Whether what is written is synced.
    is_synced: bool,
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
        let read = file
            .read_exact_at(&mut head, start)
            .and_then(|()| file.read_exact_at(&mut body, start + HEADER as u64));
        match read {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            read => read?,
        }
        Ok((head == header(message, body.len())).then(|| body.into()))
    }

    /// Gives the space of bodies back that no row refers to any more. A file system that cannot do
    /// so keeps it until the segment goes. Blocks.
    pub(crate) fn release(&self, extents: &[Extent]) {
        for extent in extents {
            let released = self.punch(*extent);
            if let Err(error) = released {
                tracing::debug!(%error, segment = extent.segment, "space of a body is not given back yet");
            }
        }
    }

    fn punch(&self, extent: Extent) -> io::Result<()> {
        let file = OpenOptions::new()
            .write(true)
            .open(self.path(extent.segment))?;
        let start = u64::try_from(extent.start).map_err(io::Error::other)?;
        let length = u64::try_from(extent.length).map_err(io::Error::other)?;
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        Ok(fallocate(&file, flags, start, room(length))?)
    }

    /// Removes a segment that no row refers to, unless it is the one that is written. Blocks.
    pub(crate) fn remove(&self, segment: i64) -> io::Result<()> {
        if segment >= self.newest.load(Ordering::Acquire) {
            return Ok(());
        }
        match fs::remove_file(self.path(segment)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }
}

impl Spool {
    /// Writes behind all segments that there are, and that rows speak of (`newest` is the last of
    /// these): an end that a crash left is never written over.
    pub(crate) fn new(segments: Segments, newest: i64, is_synced: bool) -> io::Result<Self> {
        let last = segments.numbers()?.last().copied().unwrap_or_default();
        segments
            .newest
            .store(last.max(newest) + 1, Ordering::Release);
        Ok(Self {
            segments,
            segment: None,
            is_synced,
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
        let is_synced = self.is_synced;
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
        let kept = self.segment.take();
        let segment = match kept {
            Some(segment) if segment.end < SEGMENT_MOST => segment,
            full => self.begin(full.is_some())?,
        };
        Ok(self.segment.insert(segment))
    }

    fn begin(&self, is_next: bool) -> io::Result<Segment> {
        let newest = &self.segments.newest;
        let number = newest.load(Ordering::Acquire) + i64::from(is_next);
        let folder = &self.segments.folder;
        match DirBuilder::new().mode(0o700).create(folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            Ok(()) => sync_folder(folder.parent())?,
            Err(_) => {}
        }
        let output = Output::create(&self.segments.path(number))?;
        // A file whose name is lost is lost.
        sync_folder(Some(folder))?;
        newest.store(number, Ordering::Release);
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

fn sync_folder(folder: Option<&Path>) -> io::Result<()> {
    match folder {
        Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
        _ => File::open(".")?.sync_all(),
    }
}
