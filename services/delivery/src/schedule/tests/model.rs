//! Whatever is called in whatever order: no row is lost or doubled, no limit is passed, no ledger
//! is wrong, and in the end everything comes out.

use proptest::prelude::*;

use super::*;

use steps::{Step, steps};

mod checks;
mod steps;

/// Rates with their bursts: from none at all to less than a token in ten seconds.
const RATES: [(u32, u32); 4] = [(100, 4), (0, 0), (1, 0), (1_000, 1)];
const CONNECTIONS: u8 = 3;
const TENANT_MOST: usize = 5;
const SITE_CAP: usize = 2;
const CAUSES: [WaitCause; 5] = [
    WaitCause::Turn,
    WaitCause::Scheduled,
    WaitCause::Retry,
    WaitCause::DestinationCap,
    WaitCause::NoRoute,
];

/// Recipient `n`: its tenant, message, lane and domain are given by its number for good.
fn recipient(n: u64) -> QueueRow {
    let message = n / 3;
    let stream = match message % 3 {
        0 => Stream::Bulk,
        _ => Stream::Transactional,
    };
    QueueRow {
        message: MessageId::new(START, random(message)),
        domain: domain(n % 5),
        stream,
        ..row(n, message % 4)
    }
}

/// An attempt under way.
#[derive(Debug)]
struct Flight {
    ticket: Ticket,
    /// `None` where its shard was handed over meanwhile: nobody hands over before it has ended.
    tenant: Option<TenantId>,
    domain: Domain,
}

fn empty() -> Schedule {
    let settings = Settings {
        site_cap: 1,
        tenant_most: 1,
        retry_divisor: 1,
    };
    Schedule::new(settings, START)
}

/// What a schedule has to do, written so that it can be seen.
struct Model {
    schedule: Schedule,
    now: Timestamp,
    latest: Timestamp,
    has_jumped: bool,
    rows: BTreeMap<RecipientId, QueueRow>,
    flights: Vec<Flight>,
    suspended: Vec<Scope>,
    sites: BTreeMap<Domain, (String, usize)>,
    asked: Vec<MessageId>,
    /// First attempts, each with its time.
    starts: HashMap<TenantId, Vec<Timestamp>>,
    /// Which of `RATES`.
    rate: usize,
    free: bool,
}

fn is_within(row: &QueueRow, scope: &Scope) -> bool {
    match scope {
        Scope::Tenant(id) => row.tenant == *id,
        Scope::Domain(domain) => row.domain == *domain,
        Scope::Message(id) => row.message == *id,
    }
}

impl Model {
    fn new() -> Self {
        Self {
            schedule: schedule_with(SITE_CAP, TENANT_MOST),
            now: START,
            latest: START,
            has_jumped: false,
            rows: BTreeMap::new(),
            flights: Vec::new(),
            suspended: Vec::new(),
            sites: BTreeMap::new(),
            asked: Vec::new(),
            starts: HashMap::new(),
            rate: 0,
            free: false,
        }
    }

    fn pace(&self, one: TenantId) -> Pace {
        // Tenant 3 is stopped until the end, tenant 2 has few connections.
        if self.free {
            return Pace::At(FREE);
        }
        let connections = u32::from(one == tenant(2)) * u32::from(CONNECTIONS);
        if one == tenant(3) {
            Pace::Stopped
        } else {
            let (per_minute, burst) = RATES[self.rate];
            Pace::At(Limits {
                per_minute,
                burst,
                bulk_per_minute: 40,
                connections,
                ..FREE
            })
        }
    }

    fn site(&self, domain: &Domain) -> (String, usize) {
        let own = || (domain.as_str().to_owned(), SITE_CAP);
        self.sites.get(domain).cloned().unwrap_or_else(own)
    }

    fn step(&mut self, step: Step) {
        self.latest = self.latest.max(self.now);
        let now = self.now;
        match step {
            Step::Insert(new) => self.insert(new.row(now)),
            Step::Remove(n) => {
                let id = recipient(n).recipient;
                let gone = self.schedule.remove(id);
                assert_eq!(gone.is_some(), self.rows.remove(&id).is_some());
            }
            Step::Next => drop(self.next()),
            Step::End(which, health) => self.end(which, health),
            Step::Pass(millis) => self.now = now.after(Duration::from_millis(millis)),
            Step::Limits(rate) => {
                self.paces();
                self.rate = rate;
                self.schedule.limits_changed(now);
            }
            Step::Back(millis) => {
                self.now = now.before(Duration::from_millis(millis));
                self.has_jumped = true;
            }
            Step::Learn {
                domain: n,
                site,
                cap,
            } => self.learn(&domain(n), site, cap),
            Step::Suspend(scope) => {
                self.schedule.suspend(scope.clone(), now);
                self.suspended.push(scope);
            }
            Step::Resume(scope) => {
                self.schedule.resume(&scope, now);
                self.suspended.retain(|other| *other != scope);
            }
            Step::EndRests(scope) => self.schedule.end_rests(&scope, now),
            Step::LetGo(scope) => {
                self.schedule.let_go(&scope);
                self.rows.retain(|_, row| !is_within(row, &scope));
            }
            Step::HandOver(n) => self.hand_over(Shard::of(tenant(n))),
            Step::Scheduled => {
                let due = self.schedule.scheduled(now, 2);
                self.asked.extend(due);
            }
            Step::Answer(which) => self.answer(which),
            Step::Shut => self.schedule.shut(now),
            Step::Open => self.schedule.open(now),
        }
    }

    fn insert(&mut self, row: QueueRow) {
        let since = row.due_at.before(Duration::from_secs(100)).min(self.now);
        let row = QueueRow { since, ..row };
        let known = self.rows.contains_key(&row.recipient);
        assert_eq!(self.schedule.contains(row.recipient), known);
        self.schedule
            .insert(row.clone(), Waits::default(), self.now);
        self.rows.insert(row.recipient, row);
    }

    fn learn(&mut self, domain: &Domain, site: u64, cap: usize) {
        let site = format!("site{site}");
        self.schedule.learn(domain, &site, cap, self.now);
        // What is said of a site holds for all domains that it serves.
        for (known, its) in self.sites.values_mut() {
            if *known == site {
                *its = cap;
            }
        }
        self.sites.insert(domain.clone(), (site, cap));
    }

    fn hand_over(&mut self, shard: Shard) {
        let levels = self.schedule.let_go_shard(shard, self.now);
        self.schedule.take_shard(shard, self.now);
        for level in levels {
            self.schedule.set_level(level, self.now);
        }
        self.rows.retain(|_, row| Shard::of(row.tenant) != shard);
        for flight in &mut self.flights {
            flight.tenant = flight.tenant.filter(|one| Shard::of(*one) != shard);
        }
    }

    fn answer(&mut self, which: usize) {
        if self.asked.is_empty() {
            return;
        }
        let message = self.asked.remove(which % self.asked.len());
        match which % 3 {
            0 => self.schedule.ask_again(message),
            1 => self.schedule.start(message, self.now),
            _ => {
                self.schedule.drop_message(message);
                // What came in behind the question stays. What was asked about need not be due any
                // more: the clock may have gone back.
                let schedule = &self.schedule;
                self.rows.retain(|_, row| {
                    let stays = row.message != message || schedule.contains(row.recipient);
                    assert!(stays || row.cause == WaitCause::Scheduled, "{row:?}");
                    stays
                });
            }
        }
    }

    fn end(&mut self, which: usize, health: Health) {
        if !self.flights.is_empty() {
            let flight = self.flights.remove(which % self.flights.len());
            self.schedule.ended(flight.ticket, health, self.now);
        }
    }

    /// Whether there was something.
    fn next(&mut self) -> bool {
        let now = self.now;
        let mut schedule = std::mem::replace(&mut self.schedule, empty());
        let group = schedule.next(now, &|one| self.pace(one));
        self.schedule = schedule;
        let Some(Group { rows, ticket }) = group else {
            return false;
        };
        assert!(!rows.is_empty() && rows.len() <= 50);
        let first = rows[0].row.clone();
        for due in &rows {
            self.check(due, &first);
        }
        if ticket.slot.is_none() {
            assert!(rows.iter().all(|due| due.row.expires_at <= self.latest));
            self.schedule.ended(ticket, Health::Nothing, now);
            return true;
        }
        if first.attempts == 0 && first.cause != WaitCause::DestinationCap {
            let starts = self.starts.entry(first.tenant).or_default();
            starts.extend(rows.iter().map(|_| now));
        }
        let (site, cap) = self.site(&first.domain);
        let at_site = self
            .flights
            .iter()
            .filter(|f| self.site(&f.domain).0 == site);
        assert!(at_site.count() < cap, "more than {cap} at {site}");
        let of_tenant = self
            .flights
            .iter()
            .filter(|f| f.tenant == Some(first.tenant))
            .count();
        assert!(of_tenant < TENANT_MOST || self.free);
        assert!(of_tenant < usize::from(CONNECTIONS) || first.tenant != tenant(2) || self.free);
        self.flights.push(Flight {
            ticket,
            tenant: Some(first.tenant),
            domain: first.domain,
        });
        true
    }

    /// Nothing stands in the way any more: all must come out, with no more than the time moved to
    /// where `next_due` says.
    fn finish(&mut self) {
        self.free = true;
        self.schedule.open(self.now);
        for scope in std::mem::take(&mut self.suspended) {
            self.schedule.resume(&scope, self.now);
        }
        for turns in 0.. {
            self.latest = self.latest.max(self.now);
            assert!(
                turns < 20_000,
                "{:?} of {:?}",
                self.rows.len(),
                self.schedule
            );
            while self.next() {}
            let asked = self.schedule.scheduled(self.now, 100);
            for message in self.asked.drain(..).chain(asked) {
                self.schedule.start(message, self.now);
            }
            self.sizes();
            if !self.flights.is_empty() {
                self.end(0, Health::Served);
            } else if self.rows.is_empty() {
                break;
            } else {
                let due = self.schedule.next_due();
                self.now = due.expect("rows wait for nothing").max(self.now);
            }
        }
        self.leaves_nothing();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn nothing_is_lost_or_doubled_and_no_limit_is_passed(steps in steps(false)) {
        let mut model = Model::new();
        for step in steps {
            model.step(step);
            model.sizes();
        }
        model.paces();
        model.finish();
    }

    #[test]
    fn nothing_is_lost_or_doubled_by_a_clock_that_jumps(steps in steps(true)) {
        let mut model = Model::new();
        for step in steps {
            model.step(step);
            model.sizes();
        }
        model.finish();
    }
}
