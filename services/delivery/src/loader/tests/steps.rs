//! What may happen to an owner of shards and its database.

use proptest::prelude::*;

#[derive(Clone, Debug)]
pub(super) enum Step {
    /// Mail comes: `told` by memory, or only by the order of changes; `delay`: scheduled.
    Commit {
        of: u64,
        count: u64,
        told: bool,
        delay: u64,
    },
    /// What was told by memory arrives.
    News,
    Ask,
    /// The answer to what was asked comes, or there is none.
    Answer(bool),
    /// Asks and answers until nothing is left to ask.
    Settled,
    Poll,
    Second,
    Pass(u64),
    Start,
    /// Attempts begin.
    Dispatch(u64),
    /// What becomes of an attempt is recorded.
    Record {
        which: usize,
        what: u8,
    },
    /// It comes back to memory.
    End(usize),
    Raise {
        verb: usize,
        of: u64,
    },
    Acknowledge,
    /// The oldest verb is enacted and closed, if it was acknowledged.
    Close,
    Crash,
    /// We take a tenant's shard, or take it again.
    Take(u64),
    /// Another node takes it.
    Lose(u64),
    /// We learn what we hold.
    Learn,
    /// We begin to give it back.
    Leave(u64),
    /// Its attempts do not end: we go on with it.
    Stay(u64),
}

pub(super) fn steps() -> impl Strategy<Value = Vec<Step>> {
    proptest::collection::vec(step(), 1..160)
}

fn step() -> impl Strategy<Value = Step> {
    let of = || 0_u64..2;
    prop_oneof![
        3 => (of(), 1_u64..14, any::<bool>(), prop_oneof![3 => Just(0), 1 => 1_u64..3_000]).prop_map(
            |(of, count, told, delay)| Step::Commit { of, count, told, delay }
        ),
        3 => Just(Step::News),
        6 => Just(Step::Ask),
        6 => prop::bool::weighted(0.9).prop_map(Step::Answer),
        2 => Just(Step::Settled),
        3 => Just(Step::Poll),
        1 => Just(Step::Second),
        2 => (1_u64..400).prop_map(Step::Pass),
        2 => Just(Step::Start),
        4 => (1_u64..12).prop_map(Step::Dispatch),
        5 => (0_usize..8, 0_u8..6).prop_map(|(which, what)| Step::Record { which, what }),
        5 => (0_usize..8).prop_map(Step::End),
        1 => (0_usize..5, of()).prop_map(|(verb, of)| Step::Raise { verb, of }),
        2 => Just(Step::Acknowledge),
        2 => Just(Step::Close),
        1 => Just(Step::Crash),
        1 => of().prop_map(Step::Take),
        1 => of().prop_map(Step::Lose),
        2 => Just(Step::Learn),
        1 => of().prop_map(Step::Leave),
        1 => of().prop_map(Step::Stay),
    ]
}
