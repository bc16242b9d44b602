use proptest::prelude::*;

use super::*;

/// Jain's index: 1 where all have the same.
fn jain(shares: &[u32]) -> f64 {
    let sum: f64 = shares.iter().copied().map(f64::from).sum();
    let squares: f64 = shares.iter().map(|one| f64::from(*one).powi(2)).sum();
    sum * sum / (squares * f64::from(u32::try_from(shares.len()).unwrap()))
}

#[test]
fn tenants_have_the_same_share_whatever_the_size_of_their_groups() {
    let mut schedule = started();
    // Tenant 1 writes to 50 at once, tenant 2 to seven, the others to one each; 1 is a whale.
    let mut n = 0;
    for (of, size, messages) in [(1, 50, 100), (2, 7, 150), (3, 1, 1_000), (4, 1, 1_000)] {
        for _ in 0..messages {
            let message = MessageId::new(START, random(n));
            for _ in 0..size {
                n += 1;
                schedule.add(QueueRow {
                    message,
                    ..row(n, of)
                });
            }
        }
    }
    let mut shares = BTreeMap::<_, u32>::new();
    let mut started = 0;
    while started < 3_000 {
        let group = schedule.free(START).unwrap();
        started += group.rows.len();
        *shares.entry(group.rows[0].row.tenant).or_default() +=
            u32::try_from(group.rows.len()).unwrap();
        schedule.ended(group.ticket, Health::Served, START);
    }
    let shares: Vec<_> = shares.into_values().collect();
    assert!(shares.len() == 4 && jain(&shares) > 0.99, "{shares:?}");
}

#[test]
fn who_comes_with_little_is_served_within_a_round_of_the_others() {
    let mut schedule = started();
    (0..5_000).for_each(|n| schedule.add(row(n, 1)));
    for of in 2..100 {
        (0..50).for_each(|n| schedule.add(row(of * 1_000_000 + n, of)));
    }
    for _ in 0..1_000 {
        schedule.free(START).unwrap();
    }
    schedule.add(row(7_000_000_000, 777));
    let turns = (1..10_000).find(|_| {
        let group = schedule.free(START).unwrap();
        group.rows[0].row.tenant == tenant(777)
    });
    assert!(turns.unwrap() <= 4 * 99, "{turns:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn nobody_waits_longer_than_a_round(tenants in 1_u64..20, each in 1_u64..30) {
        let mut schedule = started();
        for n in 0..tenants * each {
            schedule.add(row(n, n % tenants));
        }
        let quantum = 4;
        for _ in 0..each / quantum {
            let mut served = BTreeSet::new();
            for _ in 0..tenants * quantum {
                let group = schedule.free(START);
                served.extend(group.unwrap().rows.iter().map(|due| due.row.tenant));
            }
            prop_assert_eq!(served.len() as u64, tenants);
        }
    }

    /// Steps are counted by what `next` may spend: on average a few for each group, however many
    /// rows wait.
    #[test]
    fn a_step_costs_the_same_however_many_wait(tenants in 1_u64..40, sites in 1_u64..40, rows in 1_u64..600) {
        let mut schedule = schedule_with(2, 8);
        for n in 0..rows {
            schedule.add(to(row(n, n % tenants), n % sites));
        }
        let (mut steps, mut groups) = (0, 0);
        let mut under_way = VecDeque::new();
        while schedule.len() > 0 {
            let group = schedule.free(START);
            steps += super::super::turn::STEPS_MOST - schedule.budget;
            groups += 1;
            match group {
                Some(group) => under_way.push_back(group.ticket),
                None => for ticket in under_way.drain(..) {
                    schedule.ended(ticket, Health::Served, START);
                },
            }
        }
        // Each berth is parked at most once for each slot that it got.
        let berths = usize::try_from(tenants * sites).unwrap().min(usize::try_from(rows).unwrap());
        prop_assert!(steps <= 8 * (groups + berths), "{} steps for {}", steps, groups);
    }
}
