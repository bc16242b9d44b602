//! Whatever is called in whatever order: no row is lost or doubled, no limit is passed, no ledger
//! is wrong, and in the end everything comes out.

use proptest::prelude::*;

use super::*;

const PER_MINUTE: u32 = 100;
const BURST: u32 = 4;
const CONNECTIONS: u8 = 3;
const TENANT_MOST: usize = 5;
const SITE_CAP: usize = 2;
const CAUSES: [WaitCause; 4] = [
    WaitCause::Turn,
    WaitCause::Scheduled,
    WaitCause::Retry,
    WaitCause::DestinationCap,
];

#[derive(Clone, Debug)]
enum Step {
    Insert {
        n: u64,
        due: u64,
        attempts: u32,
        cause: usize,
        lives: u64,
    },
    Remove(u64),
    Next,
    End(usize, Health),
    Pass(u64),
    /// The clock is set back.
    Back(u64),
    Learn {
        domain: u64,
        site: u64,
        cap: usize,
    },
    Suspend(Scope),
    Resume(Scope),
    EndRests(Scope),
    LetGo(Scope),
    HandOver(u64),
    Scheduled,
    Answer(usize),
}

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

fn scopes() -> impl Strategy<Value = Scope> {
    prop_oneof![
        (0_u64..4).prop_map(|n| Scope::Tenant(tenant(n))),
        (0_u64..5).prop_map(|n| Scope::Domain(domain(n))),
        (0_u64..20).prop_map(|n| Scope::Message(MessageId::new(START, random(n)))),
    ]
}

fn steps(jumps: bool) -> impl Strategy<Value = Vec<Step>> {
    let insert = (0_u64..60, 0_u64..100, 0_u32..3, 0_usize..4, 0_u64..200);
    let insert = insert.prop_map(|(n, due, attempts, cause, lives)| Step::Insert {
        n,
        due,
        attempts,
        cause,
        lives,
    });
    let health = prop_oneof![
        3 => Just(Health::Unreachable),
        2 => Just(Health::Served),
        1 => Just(Health::Nothing),
    ];
    let step = prop_oneof![
        12 => insert,
        1 => (0_u64..60).prop_map(Step::Remove),
        16 => Just(Step::Next),
        8 => (0_usize..8, health).prop_map(|(which, health)| Step::End(which, health)),
        6 => (0_u64..40_000).prop_map(Step::Pass),
        4 => (0_u64..100_000).prop_map(move |millis| if jumps { Step::Back(millis) } else { Step::Pass(millis / 1_000) }),
        2 => (0_u64..5, 0_u64..3, 1_usize..4)
            .prop_map(|(domain, site, cap)| Step::Learn { domain, site, cap }),
        1 => scopes().prop_map(Step::Suspend),
        2 => scopes().prop_map(Step::Resume),
        1 => scopes().prop_map(Step::EndRests),
        1 => scopes().prop_map(Step::LetGo),
        1 => (0_u64..4).prop_map(Step::HandOver),
        2 => Just(Step::Scheduled),
        2 => (0_usize..8).prop_map(Step::Answer),
    ];
    proptest::collection::vec(step, 0..400)
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
            Pace::At(Limits {
                per_minute: PER_MINUTE,
                burst: BURST,
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
            Step::Insert {
                n,
                due,
                attempts,
                cause,
                lives,
            } => self.insert(QueueRow {
                due_at: now
                    .after(Duration::from_millis(due * 777))
                    .before(Duration::from_secs(20)),
                expires_at: now
                    .after(Duration::from_millis(due * 777))
                    .before(Duration::from_secs(20))
                    .after(Duration::from_secs(lives)),
                attempts,
                cause: CAUSES[cause],
                ..recipient(n)
            }),
            Step::Remove(n) => {
                let id = recipient(n).recipient;
                let gone = self.schedule.remove(id);
                assert_eq!(gone.is_some(), self.rows.remove(&id).is_some());
            }
            Step::Next => drop(self.next()),
            Step::End(which, health) => self.end(which, health),
            Step::Pass(millis) => self.now = now.after(Duration::from_millis(millis)),
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
                self.rows.retain(|_, row| row.message != message);
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

    fn check(&mut self, due: &Due, first: &QueueRow) {
        let Due { row, waits } = due;
        let known = self.rows.remove(&row.recipient).expect("handed out once");
        assert_eq!(
            (known.recipient, known.attempts),
            (row.recipient, row.attempts)
        );
        assert!(row.due_at <= self.latest || known.due_at <= self.latest);
        assert_eq!((row.message, &row.domain), (first.message, &first.domain));
        assert_eq!((row.tenant, row.stream), (first.tenant, first.stream));
        assert!(
            !self.suspended.iter().any(|scope| is_within(row, scope)),
            "suspended"
        );
        assert!(self.free || row.tenant != tenant(3), "stopped");
        assert_ne!(row.cause, WaitCause::Scheduled, "not started");
        assert_eq!(waits.total(), self.now.since(row.since));
    }

    fn sizes(&self) {
        let here = self.rows.len();
        assert_eq!(self.schedule.len(), here);
        assert_eq!(self.schedule.causes(self.now).values().sum::<usize>(), here);
        if !self.has_jumped {
            self.ledgers();
        }
        let mut lanes = BTreeMap::<LaneKey, usize>::new();
        for row in self.rows.values() {
            *lanes.entry(row.lane()).or_default() += 1;
        }
        assert_eq!(self.schedule.lanes(), lanes.len());
        for (lane, total) in lanes {
            let count = self.schedule.lane(lane);
            assert!(count.total == total && count.runnable <= total);
        }
    }

    /// Without a jump, what the clocks say is all of the time and no more.
    fn ledgers(&self) {
        let now = self.schedule.at.now;
        for row in self.rows.values() {
            let id = self.schedule.rows.find(row.recipient).unwrap();
            let spent = self.schedule.spent(id);
            assert_eq!(spent.total(), now.since(row.since), "{spent:?} of {row:?}");
        }
    }

    /// Nothing stands in the way any more: all must come out, with no more than the time moved to
    /// where `next_due` says.
    fn finish(&mut self) {
        self.free = true;
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
    }
}

fn keeps_pace(starts: &[Timestamp]) -> bool {
    let windows = (0..starts.len()).flat_map(|from| (from..starts.len()).map(move |to| (from, to)));
    windows.into_iter().all(|(from, to)| {
        let micros = u64::try_from(starts[to].since(starts[from]).as_micros()).unwrap();
        let most = u64::from(BURST) + (micros * u64::from(PER_MINUTE)).div_ceil(60_000_000);
        (to - from + 1) as u64 <= most
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn nothing_is_lost_or_doubled_and_no_limit_is_passed(steps in steps(false)) {
        let mut model = Model::new();
        for step in steps {
            model.step(step);
            model.sizes();
        }
        for starts in model.starts.values() {
            prop_assert!(keeps_pace(starts));
        }
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
