//! Writing a segment past the page cache (`O_DIRECT`): whole blocks from memory that begins on one.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use parking_lot::Mutex;
use postrider_model::MessageId;
use rustix::fs::OFlags;

use crate::spool::header;

/// What any disk takes as a unit.
pub(crate) const BLOCK: usize = 4_096;
/// Bytes in one write.
const PIECE: usize = 1 << 20;

/// A segment that is written.
pub(crate) struct Output {
    path: PathBuf,
    /// Locked for as long as a batch is written.
    work: Mutex<Work>,
}

struct Work {
    file: File,
    is_direct: bool,
    piece: Piece,
}

/// Bytes on their way, in memory that begins on a block.
struct Piece {
    memory: Vec<u8>,
    begin: usize,
    filled: usize,
}

impl Output {
    /// Makes the file, which is not there yet. Through the page cache where the file system has no
    /// other way (memory, some networks).
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        // One made and then refused, for its flag, is there: it is opened, never emptied.
        let made = open(path, OFlags::DIRECT | OFlags::CREATE | OFlags::EXCL);
        let (file, is_direct) = match made {
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                (open(path, OFlags::CREATE)?, false)
            }
            file => (file?, true),
        };
        let work = Work {
            file,
            is_direct,
            piece: Piece::new(),
        };
        Ok(Self {
            path: path.to_owned(),
            work: Mutex::new(work),
        })
    }

    /// Writes bodies, one behind the other, the first at its start, a multiple of `BLOCK`. With
    /// `is_synced` it returns when all is on disk. Blocks.
    pub(crate) fn write(
        &self,
        bodies: &[(MessageId, u64, Bytes)],
        is_synced: bool,
    ) -> io::Result<()> {
        let mut work = self.work.lock();
        work.piece.filled = 0;
        let mut at = bodies.first().map_or(0, |(_, start, _)| *start);
        for (message, _, body) in bodies {
            for part in [&header(*message, body.len())[..], body] {
                let mut rest = part;
                while !rest.is_empty() {
                    rest = work.piece.take(rest);
                    if work.piece.is_full() {
                        at = work.flush(&self.path, at)?;
                    }
                }
            }
            work.piece.pad();
            if work.piece.is_full() {
                at = work.flush(&self.path, at)?;
            }
        }
        work.flush(&self.path, at)?;
        if is_synced {
            work.file.sync_data()?;
        }
        Ok(())
    }
}

impl Work {
    fn flush(&mut self, path: &Path, at: u64) -> io::Result<u64> {
        let bytes = self.piece.bytes();
        let end = at + bytes.len() as u64;
        match self.file.write_all_at(bytes, at) {
            // Larger blocks than ours, or a flag that was taken and is not meant.
            Err(error) if self.is_direct && error.kind() == io::ErrorKind::InvalidInput => {
                self.file = open(path, OFlags::empty())?;
                self.is_direct = false;
                self.file.write_all_at(bytes, at)?;
            }
            written => written?,
        }
        self.piece.filled = 0;
        Ok(end)
    }
}

fn open(path: &Path, flags: OFlags) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .mode(0o600)
        .custom_flags(flags.bits().cast_signed())
        .open(path)
}

impl Piece {
    fn new() -> Self {
        let memory = vec![0; PIECE + BLOCK];
        // As a number, without a look at what is there; the vector is never moved or grown.
        let begin = memory.as_ptr().align_offset(BLOCK).min(BLOCK);
        Self {
            memory,
            begin,
            filled: 0,
        }
    }

    const fn is_full(&self) -> bool {
        self.filled == PIECE
    }

    /// Takes what there is room for; gives what is left.
    fn take<'p>(&mut self, part: &'p [u8]) -> &'p [u8] {
        let (now, rest) = part.split_at(part.len().min(PIECE - self.filled));
        let from = self.begin + self.filled;
        if let Some(room) = self.memory.get_mut(from..from + now.len()) {
            room.copy_from_slice(now);
        }
        self.filled += now.len();
        rest
    }

    /// Zeros to the end of the block.
    fn pad(&mut self) {
        let end = self.filled.next_multiple_of(BLOCK);
        let (from, to) = (self.begin + self.filled, self.begin + end);
        if let Some(room) = self.memory.get_mut(from..to) {
            room.fill(0);
        }
        self.filled = end;
    }

    fn bytes(&self) -> &[u8] {
        let to = self.begin + self.filled;
        self.memory.get(self.begin..to).unwrap_or_default()
    }
}
