//! Writing a segment past the page cache (`O_DIRECT`): whole blocks from memory that begins on one.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

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
    file: File,
    /// Locked for as long as a batch is written.
    piece: Mutex<Piece>,
}

/// Bytes on their way, in memory that begins on a block.
struct Piece {
    memory: Vec<u8>,
    begin: usize,
    filled: usize,
}

impl Output {
    /// Makes the file, or empties it. Through the page cache where the file system has no other
    /// way (memory, some networks).
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        let open = |flags: OFlags| {
            OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .custom_flags(flags.bits().cast_signed())
                .open(path)
        };
        let file = match open(OFlags::DIRECT) {
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => open(OFlags::empty())?,
            file => file?,
        };
        Ok(Self {
            file,
            piece: Mutex::new(Piece::new()),
        })
    }

    /// Writes bodies, one behind the other, the first at its start, a multiple of `BLOCK`. With
    /// `is_synced` it returns when all is on disk. Blocks.
    pub(crate) fn write(
        &self,
        bodies: &[(MessageId, u64, Bytes)],
        is_synced: bool,
    ) -> io::Result<()> {
        let mut piece = self.piece.lock();
        piece.filled = 0;
        let mut at = bodies.first().map_or(0, |(_, start, _)| *start);
        for (message, _, body) in bodies {
            for part in [&header(*message, body.len())[..], body] {
                let mut rest = part;
                while !rest.is_empty() {
                    rest = piece.take(rest);
                    if piece.is_full() {
                        at = self.flush(&mut piece, at)?;
                    }
                }
            }
            piece.pad();
            if piece.is_full() {
                at = self.flush(&mut piece, at)?;
            }
        }
        self.flush(&mut piece, at)?;
        if is_synced {
            self.file.sync_data()?;
        }
        Ok(())
    }

    fn flush(&self, piece: &mut Piece, at: u64) -> io::Result<u64> {
        let bytes = piece.bytes();
        self.file.write_all_at(bytes, at)?;
        let end = at + bytes.len() as u64;
        piece.filled = 0;
        Ok(end)
    }
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
