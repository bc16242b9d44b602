//! Things by small numbers: four bytes where a pointer takes eight, and no hole left behind.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::num::NonZeroU32;

/// The number of a `T` in its slab; given to another once that `T` is taken out.
pub(super) struct Id<T>(NonZeroU32, PhantomData<fn() -> T>);

impl<T> Clone for Id<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Id<T> {}
impl<T> PartialEq for Id<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}
impl<T> Eq for Id<T> {}
impl<T> PartialOrd for Id<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<T> Ord for Id<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}
impl<T> Hash for Id<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}
impl<T> fmt::Debug for Id<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How many stand in one piece of memory: growing moves none of them.
const CHUNK: usize = 1_024;

#[derive(Debug)]
pub(super) struct Slab<T> {
    chunks: Vec<Vec<Slot<T>>>,
    free: Option<NonZeroU32>,
    len: usize,
}

#[derive(Debug)]
enum Slot<T> {
    Free(Option<NonZeroU32>),
    Full(T),
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        let (chunks, free, len) = (Vec::new(), None, 0);
        Self { chunks, free, len }
    }
}

impl<T> Slab<T> {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn put(&mut self, thing: T) -> Id<T> {
        self.len += 1;
        if let Some(number) = self.free
            && let Some(slot) = self.slot_mut(number)
        {
            if let Slot::Free(next) = std::mem::replace(slot, Slot::Full(thing)) {
                self.free = next;
            }
            return Id(number, PhantomData);
        }
        if self.chunks.last().is_none_or(|last| last.len() == CHUNK) {
            self.chunks.push(Vec::with_capacity(CHUNK));
        }
        let before = (self.chunks.len() - 1) * CHUNK;
        let mut number = before;
        if let Some(last) = self.chunks.last_mut() {
            last.push(Slot::Full(thing));
            number = before + last.len();
        }
        // More than four thousand million do not fit into memory.
        let number = u32::try_from(number).ok().and_then(NonZeroU32::new);
        Id(number.unwrap_or(NonZeroU32::MAX), PhantomData)
    }

    pub(super) fn take(&mut self, id: Id<T>) -> Option<T> {
        let free = self.free;
        let slot = self.slot_mut(id.0)?;
        if let Slot::Free(_) = slot {
            return None;
        }
        let Slot::Full(thing) = std::mem::replace(slot, Slot::Free(free)) else {
            return None;
        };
        self.free = Some(id.0);
        self.len -= 1;
        Some(thing)
    }

    pub(super) fn get(&self, id: Id<T>) -> Option<&T> {
        let (chunk, slot) = place(id.0);
        match self.chunks.get(chunk)?.get(slot)? {
            Slot::Full(thing) => Some(thing),
            Slot::Free(_) => None,
        }
    }

    pub(super) fn get_mut(&mut self, id: Id<T>) -> Option<&mut T> {
        match self.slot_mut(id.0)? {
            Slot::Full(thing) => Some(thing),
            Slot::Free(_) => None,
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.chunks.iter().flatten().filter_map(|slot| match slot {
            Slot::Full(thing) => Some(thing),
            Slot::Free(_) => None,
        })
    }

    fn slot_mut(&mut self, number: NonZeroU32) -> Option<&mut Slot<T>> {
        let (chunk, slot) = place(number);
        self.chunks.get_mut(chunk)?.get_mut(slot)
    }
}

fn place(number: NonZeroU32) -> (usize, usize) {
    let index = usize::try_from(number.get() - 1).unwrap_or(usize::MAX);
    (index / CHUNK, index % CHUNK)
}
