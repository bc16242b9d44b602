//! Things found by a hash, in many small tables: a table that grows moves all that is in it, and
//! of a million things that is a wait for everybody.

use hashbrown::HashTable;
use hashbrown::hash_table::OccupiedEntry;

use super::slab::Id;

/// How many tables: a power of two.
const TABLES: u64 = 64;

#[derive(Debug)]
pub(super) struct Index<T> {
    tables: Box<[HashTable<Id<T>>]>,
}

impl<T> Default for Index<T> {
    fn default() -> Self {
        let tables = (0..TABLES).map(|_| HashTable::new());
        Self {
            tables: tables.collect(),
        }
    }
}

impl<T> Index<T> {
    pub(super) fn find(&self, hash: u64, is_it: impl FnMut(&Id<T>) -> bool) -> Option<Id<T>> {
        self.tables.get(place(hash))?.find(hash, is_it).copied()
    }

    /// Adds what is not there yet. `hash_of` gives the hash of what is there.
    pub(super) fn add(&mut self, hash: u64, id: Id<T>, hash_of: impl Fn(&Id<T>) -> u64) {
        if let Some(table) = self.tables.get_mut(place(hash)) {
            table.insert_unique(hash, id, hash_of);
        }
    }

    /// Puts another of the same hash in a thing's place, or nothing.
    pub(super) fn replace(&mut self, hash: u64, old: Id<T>, new: Option<Id<T>>) {
        let table = self.tables.get_mut(place(hash));
        let entry = table.and_then(|table| table.find_entry(hash, |id| *id == old).ok());
        match (entry, new) {
            (Some(entry), Some(new)) => *entry.into_mut() = new,
            (Some(entry), None) => drop(OccupiedEntry::remove(entry)),
            (None, _) => {}
        }
    }
}

/// The table of a hash, by bits from its middle: a table goes by the highest and the lowest ones.
fn place(hash: u64) -> usize {
    usize::try_from((hash >> 40) & (TABLES - 1)).unwrap_or(0)
}
