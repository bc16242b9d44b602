use super::*;

fn under_way(schedule: &mut Schedule, now: Timestamp) -> Vec<Group> {
    std::iter::from_fn(|| schedule.free(now)).collect()
}

#[test]
fn a_site_at_its_cap_parks_tenants_and_calls_one_for_each_attempt_that_ends() {
    let mut schedule = schedule_with(2, 100);
    for of in 1..=3 {
        (0..4).for_each(|n| schedule.add(row(of * 10 + n, of)));
    }
    let mut first = under_way(&mut schedule, START);
    assert_eq!(first.len(), 2);
    assert_eq!(
        schedule.causes(START),
        causes([(WaitCause::DestinationCap, 10)])
    );
    let lane = row(0, 1).lane();
    assert_eq!(schedule.lane(lane).runnable, 0);
    let mut order = Vec::new();
    for second in 1..=10 {
        let ended = first.remove(0);
        schedule.ended(ended.ticket, Health::Served, at(second));
        let called = under_way(&mut schedule, at(second));
        assert_eq!(called.len(), 1);
        order.push(called[0].rows[0].row.tenant);
        first.extend(called);
    }
    // In turn over the tenants, whoever of them has most.
    for three in order.chunks(3).take(2) {
        let seen: BTreeSet<_> = three.iter().collect();
        assert_eq!(seen.len(), 3, "{order:?}");
    }
    assert_eq!(schedule.len(), 0);
}

#[test]
fn domains_that_one_site_takes_mail_for_share_its_cap_from_when_it_is_learned() {
    let mut schedule = schedule_with(5, 100);
    (0..30).for_each(|n| schedule.add(to(row(n, 1), n % 3)));
    schedule.learn(&domain(0), "mx.test", 4, START);
    schedule.learn(&domain(1), "mx.test", 4, START);
    let groups = under_way(&mut schedule, START);
    let at_domain = |n| {
        groups
            .iter()
            .filter(|group| group.rows[0].row.domain == domain(n))
            .count()
    };
    assert_eq!((at_domain(0) + at_domain(1), at_domain(2)), (4, 5));
    // What is under way there counts too, and what waits moves with it.
    schedule.learn(&domain(2), "mx.test", 4, START);
    let (some, others) = groups
        .into_iter()
        .partition::<Vec<_>, _>(|group| group.rows[0].row.domain == domain(2));
    for group in some {
        schedule.ended(group.ticket, Health::Served, at(1));
    }
    assert!(schedule.free(at(1)).is_none());
    for group in others {
        schedule.ended(group.ticket, Health::Served, at(1));
    }
    let mut out = 9;
    loop {
        let groups = under_way(&mut schedule, at(2));
        assert!(groups.len() <= 4);
        if groups.is_empty() {
            break;
        }
        out += groups.len();
        for group in groups {
            schedule.ended(group.ticket, Health::Served, at(2));
        }
    }
    assert_eq!((out, schedule.len()), (30, 0));
}

fn fail(schedule: &mut Schedule, now: Timestamp) -> usize {
    let groups = under_way(schedule, now);
    let count = groups.len();
    for group in groups {
        schedule.ended(group.ticket, Health::Unreachable, now);
    }
    count
}

#[test]
fn a_site_that_cannot_be_reached_rests_longer_each_time_and_is_probed_by_one() {
    let mut schedule = schedule_with(3, 100);
    (0..40).for_each(|n| schedule.add(row(n, 1)));
    assert_eq!(fail(&mut schedule, START), 3);
    assert!(schedule.free(START).is_none());
    assert_eq!(
        schedule.causes(START),
        causes([(WaitCause::DestinationBackoff, 37)])
    );
    let mut until = 0;
    for rest in [30, 60, 120, 240, 480, 600, 600] {
        until += rest;
        assert_eq!(fail(&mut schedule, at(until - 1)), 0, "{rest}");
        assert_eq!(fail(&mut schedule, at(until)), 1, "{rest}");
    }
    // A success frees it whole.
    until += 600;
    let probe = schedule.free(at(until)).unwrap();
    assert!(schedule.free(at(until)).is_none());
    schedule.ended(probe.ticket, Health::Served, at(until));
    assert_eq!(under_way(&mut schedule, at(until)).len(), 3);
}

/// Sites 1, 2 and 3 rest until 30; at each stands a row of tenants 1 and 2.
fn resting() -> Schedule {
    let mut schedule = schedule_with(3, 100);
    for site in 1..=3 {
        (0..3).for_each(|n| schedule.add(to(row(site * 100 + n, 9), site)));
    }
    assert_eq!(fail(&mut schedule, START), 9);
    for site in 1..=3 {
        (1..=2).for_each(|of| schedule.add(to(row(site * 100 + 10 * of, of), site)));
    }
    assert_eq!(under_way(&mut schedule, at(1)).len(), 0);
    schedule
}

fn domains(groups: &[Group]) -> BTreeSet<Domain> {
    let names = groups.iter().map(|group| group.rows[0].row.domain.clone());
    names.collect()
}

#[test]
fn the_rests_of_sites_that_somebody_mended_end_at_once_with_a_probe_each() {
    let message = MessageId::new(START, random(210));
    for (scope, sites) in [
        (Scope::Tenant(tenant(1)), vec![1, 2, 3]),
        (Scope::Tenant(tenant(8)), vec![]),
        (Scope::Domain(domain(3)), vec![3]),
        (Scope::Domain(domain(7)), vec![]),
        (Scope::Message(message), vec![2]),
    ] {
        let mut schedule = resting();
        schedule.end_rests(&scope, at(1));
        let probes = under_way(&mut schedule, at(1));
        assert_eq!(probes.len(), sites.len(), "{scope:?}");
        let want: BTreeSet<_> = sites.iter().copied().map(domain).collect();
        assert_eq!(domains(&probes), want, "{scope:?}");
        // Said again while the probes are out, it starts no others.
        schedule.end_rests(&scope, at(2));
        assert_eq!(under_way(&mut schedule, at(2)).len(), 0, "{scope:?}");
        // Where one is served its site is open again; where one is not, its site rests on.
        for (n, probe) in probes.into_iter().enumerate() {
            let health = if n == 0 {
                Health::Served
            } else {
                Health::Unreachable
            };
            schedule.ended(probe.ticket, health, at(3));
        }
        let open = usize::from(!sites.is_empty());
        assert_eq!(under_way(&mut schedule, at(3)).len(), open, "{scope:?}");
        // All come out in the end.
        let mut now = at(3);
        while schedule.len() > 0 {
            for group in under_way(&mut schedule, now) {
                schedule.ended(group.ticket, Health::Served, now);
            }
            now = schedule.next_due().unwrap_or(now).max(now);
        }
    }
}

#[test]
fn a_domain_without_rows_here_is_mended_too() {
    let mut schedule = schedule_with(3, 100);
    (0..3).for_each(|n| schedule.add(row(n, 1)));
    fail(&mut schedule, START);
    schedule.end_rests(&Scope::Domain(domain(1)), at(1));
    (10..20).for_each(|n| schedule.add(row(n, 1)));
    let probes = under_way(&mut schedule, at(1));
    assert_eq!(probes.len(), 1);
}

#[test]
fn a_row_that_stands_at_the_site_its_domain_left_is_found_there() {
    for scope in [Scope::Domain(domain(1)), Scope::Tenant(tenant(1))] {
        let mut schedule = schedule_with(3, 100);
        schedule.learn(&domain(1), "old.test", 3, START);
        (0..5).for_each(|n| schedule.add(row(n, 1)));
        assert_eq!(fail(&mut schedule, START), 3);
        assert_eq!(under_way(&mut schedule, START).len(), 0);
        schedule.learn(&domain(1), "new.test", 3, at(1));
        assert_eq!(under_way(&mut schedule, at(1)).len(), 0);
        schedule.end_rests(&scope, at(2));
        assert_eq!(under_way(&mut schedule, at(2)).len(), 2, "{scope:?}");
    }
}

#[test]
fn an_attempt_that_did_not_come_to_its_site_does_not_end_a_rest_or_begin_one() {
    let mut schedule = schedule_with(1, 100);
    (0..40).for_each(|n| schedule.add(row(n, 1)));
    for health in [
        Health::Unreachable,
        Health::Nothing,
        Health::Unreachable,
        Health::Nothing,
    ] {
        let group = schedule.free(START).unwrap();
        schedule.ended(group.ticket, health, START);
    }
    let third = schedule.free(START).unwrap();
    schedule.ended(third.ticket, Health::Unreachable, START);
    assert!(schedule.free(at(29)).is_none());
    for _ in 0..3 {
        let probe = schedule.free(at(30)).unwrap();
        assert!(schedule.free(at(30)).is_none());
        schedule.ended(probe.ticket, Health::Nothing, at(30));
    }
}

#[test]
fn rows_that_expire_while_their_site_rests_come_out_at_their_time() {
    let mut schedule = schedule_with(3, 100);
    (0..3).for_each(|n| schedule.add(row(n, 1)));
    fail(&mut schedule, START);
    let expires_at = at(20);
    (10..15).for_each(|n| {
        schedule.add(QueueRow {
            expires_at,
            ..row(n, 1)
        });
    });
    assert_eq!(under_way(&mut schedule, at(19)).len(), 0);
    assert_eq!(under_way(&mut schedule, at(20)).len(), 5);
    assert_eq!(schedule.len(), 0);
}

#[test]
fn a_slot_is_not_kept_for_a_tenant_that_cannot_go_and_it_gets_one_all_the_same() {
    // Tenant 1 has a token a second and mail for two sites; tenant 2 keeps the first site full.
    let mut schedule = schedule_with(1, 100);
    schedule.learn(&domain(2), "wide.test", 1_000, START);
    let pace = |of| {
        if of == tenant(1) {
            Pace::At(Limits {
                per_minute: 60,
                burst: 1,
                ..FREE
            })
        } else {
            Pace::At(FREE)
        }
    };
    (0..300).for_each(|n| schedule.add(to(row(n, 2), 1)));
    (1_000..1_200).for_each(|n| schedule.add(to(row(n, 1), 2)));
    (2_000..2_010).for_each(|n| schedule.add(to(row(n, 1), 1)));
    let mut seen = BTreeMap::new();
    let mut under_way = None;
    for tick in 0_u64..100 {
        let now = START.after(Duration::from_millis(tick * 500));
        if let Some(ticket) = under_way.take() {
            schedule.ended(ticket, Health::Served, now);
        }
        while let Some(group) = schedule.next(now, &pace) {
            let row = &group.rows[0].row;
            *seen.entry((row.tenant, row.domain.clone())).or_insert(0) += 1;
            if row.domain == domain(1) {
                under_way = Some(group.ticket);
            } else {
                schedule.ended(group.ticket, Health::Served, now);
            }
        }
        assert!(under_way.is_some(), "the slot was used at {tick}");
    }
    let count = |of, to| seen.get(&(tenant(of), domain(to))).copied().unwrap_or(0);
    assert_eq!(count(1, 1), 10, "{seen:?}");
    assert!(count(1, 2) > 20 && count(2, 1) > 80, "{seen:?}");
}

#[test]
fn idle_domains_are_forgotten_but_for_the_last_ones() {
    let mut schedule = started();
    schedule.sites.idle_most = 500;
    for n in 0..600 {
        schedule.learn(&domain(n), &format!("mx{}", n / 2), 1, START);
    }
    assert!(schedule.sites.find(&domain(99)).is_none());
    assert!(schedule.sites.find(&domain(100)).is_some());
    // One that is not learned leaves nothing behind.
    schedule.add(to(row(1, 1), 70_000));
    assert_eq!(schedule.run(START, FREE).len(), 1);
    assert!(schedule.sites.find(&domain(70_000)).is_none());
}
