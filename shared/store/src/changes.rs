//! What changed in the directory since a generation, and for how long and of how many it is kept
//! whose change each generation was. Both dialects keep it by these rules. Pure.

use postrider_model::TenantId;

use crate::DirectorySnapshot;

/// What changed in the directory since a generation.
#[derive(Clone, Debug)]
pub enum DirectoryChanges {
    /// Anything may have: this is all of it now.
    All(DirectorySnapshot),
    /// Nothing but these tenants, their keys and reply addresses, which are all that `now` has
    /// beside its generation. Who is not in it is gone.
    Of {
        tenants: Vec<TenantId>,
        now: DirectorySnapshot,
    },
}

impl DirectoryChanges {
    /// Of more tenants than so many everything is read.
    pub const TENANTS_MOST: usize = 200;
    /// For how many generations it is kept whose they were.
    pub const KEPT: u64 = 10_000;

    /// Whether so many tenants are told one by one.
    pub fn are_few(tenants: usize) -> bool {
        tenants <= Self::TENANTS_MOST
    }

    /// The oldest generation of which it is kept, where the newest is `value`.
    pub fn oldest(value: i64) -> i64 {
        value.saturating_sub_unsigned(Self::KEPT)
    }
}

/// The generations that lie between what a process knows and what is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Steps {
    known: u64,
    count: u64,
}

impl Steps {
    /// From `known` to `value`. `None` where nothing is known, where some of them are not kept any
    /// more, and where the number has fallen: the database is another, or an older one.
    pub fn between(known: u64, value: u64) -> Option<Self> {
        let count = value.checked_sub(known)?;
        let are_kept = known > 0 && count <= DirectoryChanges::KEPT;
        are_kept.then_some(Self { known, count })
    }

    /// The generation after which they begin, as it is stored.
    pub fn after(self) -> i64 {
        i64::try_from(self.known).unwrap_or(i64::MAX)
    }

    /// Whether so many of them that name their tenants are all of them. One that names nobody is
    /// a change of something else, or of too many.
    pub fn are_all_named(self, named: i64) -> bool {
        u64::try_from(named) == Ok(self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_steps_are_told_only_where_each_is_kept_and_names_its_tenants() {
        let kept = DirectoryChanges::KEPT;
        for (known, value, named, want) in [
            (7, 7, 0, Some(true)),
            (7, 9, 2, Some(true)),
            (7, 9, 1, Some(false)),
            // Named in between by somebody who reads an older snapshot: never taken for all.
            (7, 9, 3, Some(false)),
            (7, 9, -1, Some(false)),
            (7, 7 + kept, 10_000, Some(true)),
            (7, 8 + kept, 10_001, None),
            // A process that knows nothing yet, and one that knows more than there is.
            (0, 3, 3, None),
            (9, 7, 0, None),
        ] {
            let steps = Steps::between(known, value);
            let told = steps.map(|steps| steps.are_all_named(named));
            assert_eq!(told, want, "{known} {value} {named}");
        }
    }

    #[test]
    fn what_is_removed_is_older_than_what_is_asked_for() {
        for value in [1_u64, 10_000, 10_001, 50_000] {
            let removed = DirectoryChanges::oldest(i64::try_from(value).unwrap());
            let oldest = value.saturating_sub(DirectoryChanges::KEPT).max(1);
            let steps = Steps::between(oldest, value).expect("kept");
            assert!(steps.after() + 1 >= removed, "{value}");
            assert_eq!(Steps::between(oldest - 1, value), None, "{value}");
        }
    }
}
