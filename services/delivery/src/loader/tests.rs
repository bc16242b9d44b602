//! No row is lost, in whatever order things happen: rows handed over and not, answers as old as
//! their question or none at all, attempts that end meanwhile, verbs, shards that come and go, a
//! database that crashes.

mod database;
mod steps;
mod world;

use std::time::Duration;

use postrider_model::Waits;
use proptest::prelude::*;

use self::steps::{Step, steps};
use self::world::World;
use super::lanes::Lanes;
use super::{Ahead, Work};
use crate::schedule::{Schedule, Scope, Settings};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn whatever_happens_each_row_is_found_and_not_by_the_sweep(steps in steps()) {
        let mut world = World::new();
        for step in &steps {
            world.step(step);
            world.check();
        }
        world.deliver_all();
    }
}

/// A machine that slept, or a database that was away for so long that no page of what comes due
/// could be read.
#[test]
fn mail_that_comes_after_a_long_silence_is_due_at_once() {
    for told in [true, false] {
        let mut world = World::new();
        world.step(&Step::Take(0));
        world.step(&Step::Learn);
        world.step(&Step::Settled);
        world.step(&Step::Pass(301));
        world.step(&Step::Poll);
        world.step(&Step::Pass(1_000));
        world.step(&Step::Commit {
            of: 0,
            count: 3,
            told,
            delay: 0,
        });
        world.deliver_all();
    }
}

#[test]
fn a_node_that_gives_up_its_other_shards_while_it_begins_a_new_one_reads_changes_on() {
    let mut world = World::new();
    for step in [
        Step::Take(0),
        Step::Learn,
        Step::Settled,
        Step::Take(1),
        Step::Learn,
        Step::Ask,
        Step::Leave(0),
        Step::Settled,
    ] {
        world.step(&step);
    }
    world.step(&Step::Commit {
        of: 1,
        count: 1,
        told: false,
        delay: 0,
    });
    world.deliver_all();
}

#[test]
fn a_page_of_changes_that_failed_is_asked_again_in_the_same_pass() {
    let mut world = World::new();
    world.step(&Step::Take(0));
    world.step(&Step::Learn);
    world.step(&Step::Settled);
    world.step(&Step::Commit {
        of: 0,
        count: 13,
        told: false,
        delay: 0,
    });
    world.step(&Step::Poll);
    for answered in [true, false] {
        world.step(&Step::Ask);
        world.step(&Step::Answer(answered));
    }
    assert_eq!(world.loader.ahead, Ahead::AnotherPage);
    world.deliver_all();
}

/// Rows of a domain that an operator suspended, or of one that does not answer, fill more than the
/// share of their lane: what stands behind them is read all the same.
#[test]
fn what_cannot_go_now_keeps_nothing_behind_it_in_the_database_while_memory_is_free() {
    let now = world::START;
    let settings = Settings {
        site_cap: 4,
        tenant_most: 6,
        retry_divisor: 1,
    };
    let (mut schedule, mut lanes) = (Schedule::new(settings, now), Lanes::new(1_000));
    let insert = |schedule: &mut Schedule, of, n| {
        let row = world::row((of, n), now);
        schedule.insert(row.clone(), Waits::default(), now);
        row
    };
    // A lane's share is 16 rows.
    (1..=100).for_each(|of| drop(insert(&mut schedule, of, of)));
    schedule.suspend(Scope::Domain(world::domain(0)), now);
    let rows: Vec<_> = (0..40)
        .map(|n| insert(&mut schedule, 0, 999 + 3 * n))
        .collect();
    let last = rows.iter().max_by_key(|row| row.place()).unwrap();
    assert_eq!(schedule.lane(last.lane()).runnable, 0);
    lanes.spill(last.lane(), last.place());
    lanes.find_hungry(&schedule);
    let work = lanes.next(now.after(Duration::from_secs(1)), &schedule);
    assert!(
        matches!(work, Some(Work::Lane { lane, .. }) if lane == last.lane()),
        "{work:?}"
    );
}
