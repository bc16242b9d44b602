//! Room in memory for what is being sent: large bodies are bounded together, small ones by how
//! many attempts there are at once.

use std::sync::Arc;

use bytes::Bytes;
use postrider_store::OpenMessage;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes of all large bodies in attempts at most, in KiB. One that is larger passes alone.
const ROOM: u32 = 128 * 1_024;

/// The room of a node.
pub(crate) struct Bodies(Arc<Semaphore>);

/// What is sent, in memory for as long as it is sent.
pub(crate) struct Content {
    pub(crate) bytes: Bytes,
    pub(crate) smtputf8: bool,
    pub(crate) _room: Room,
}

/// What a body takes of it, given back when this is dropped.
pub(crate) struct Room(
    #[expect(dead_code, reason = "held, not read")] Option<OwnedSemaphorePermit>,
);

impl Bodies {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(ROOM as usize)))
    }

    /// Room for a body of so many bytes; `None` where there is none now. Nobody waits for it here:
    /// who did would keep a place in flight from small mail.
    pub(crate) fn room(&self, size: u64) -> Option<Room> {
        if size <= OpenMessage::SMALL_MOST {
            return Some(Room(None));
        }
        let size = u32::try_from(size.div_ceil(1_024))
            .unwrap_or(ROOM)
            .min(ROOM);
        let permit = Arc::clone(&self.0).try_acquire_many_owned(size).ok()?;
        Some(Room(Some(permit)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn large_bodies_take_room_and_give_it_back() {
        let bodies = Bodies::new();
        let five: Vec<_> = (0..5).map(|_| bodies.room(25 * MIB).unwrap()).collect();
        assert!(bodies.room(25 * MIB).is_none());
        assert!(bodies.room(MIB).is_some(), "a small one needs none");
        drop(five);
        let whole = bodies.room(4_000 * MIB);
        assert!(whole.is_some(), "one that is larger than all passes alone");
        assert!(bodies.room(2 * MIB).is_none());
    }
}
