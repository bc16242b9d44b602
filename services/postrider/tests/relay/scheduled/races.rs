//! `cancel` against dispatch, by the thousand: who is told that it was cancelled never sends it, who
//! is told that it is too late finds that it left. No third outcome.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use postrider_model::Timestamp;
use postrider_runtime::Clock;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::harness::inside::Setup;
use crate::harness::tools::environment;
use crate::harness::{Answer, Inside, PATIENCE, Place, until};

/// In each run of the suite; `POSTRIDER_TEST_RACES` asks for more.
const RACES: usize = 500;
/// The mailbox keeps no more than what so many leave.
const ROUND: usize = 2_000;
/// How far ahead a message is scheduled at least.
pub(super) const LEAD: Duration = Duration::from_millis(700);
/// So many clients race at once.
pub(super) const CLIENTS: usize = 50;

/// How long behind its time a message is cancelled, in microseconds: later where cancels win, sooner
/// where they are too late, so that it stays close on any machine.
pub(super) struct Start(AtomicI64);

impl Default for Start {
    fn default() -> Self {
        Self(AtomicI64::new(0))
    }
}

impl Start {
    /// For this race: a little sooner or later than the last, in another order than the messages'.
    pub(super) fn of(&self, n: usize) -> i64 {
        let scatter = i64::try_from((n * 7_919) % 20_000).unwrap() - 10_000;
        self.0.load(Ordering::Relaxed) + scatter
    }

    pub(super) fn learn(&self, cancelled: bool) {
        let step = 1_000 + self.0.load(Ordering::Relaxed).abs() / 20;
        let step = if cancelled { step } else { -step };
        self.0.fetch_add(step, Ordering::Relaxed);
    }
}

struct Race {
    id: String,
    recipients: [String; 2],
    cancelled: bool,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cancel_and_dispatch_cannot_both_win() {
    let races = environment("POSTRIDER_TEST_RACES");
    let races = races.map_or(RACES, |given| given.parse().unwrap());
    let clock = Clock::system();
    // A machine without a free core loses its leases now and then: what was not sent for it is put
    // off, and not for minutes.
    let relay = Inside::start_with(Setup {
        delivery: "retry_divisor = 60",
        ..Setup::by(clock)
    })
    .await;
    let start = Arc::new(Start::default());
    for begin in (0..races).step_by(ROUND) {
        let round = begin..races.min(begin + ROUND);
        let done = run(&relay.place, round, &start).await;
        judge(&relay, &done).await;
        relay.net.mailbox().clear();
    }
    relay.stop().await;
}

async fn run(place: &Place, races: Range<usize>, start: &Arc<Start>) -> Vec<Race> {
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let (place, start) = (place.clone(), Arc::clone(start));
        let mine = races.clone().skip(client).step_by(CLIENTS);
        clients.spawn(async move {
            let (mut done, mut lead) = (Vec::new(), LEAD);
            for n in mine {
                done.push(race(&place, n, &mut lead, &start).await);
            }
            done
        });
    }
    clients.join_all().await.into_iter().flatten().collect()
}

/// One message, due in a moment, and a cancel that comes at about that moment, in a tight loop
/// until it is answered for good. Its time is as far ahead as the last one took to be accepted, and
/// more.
async fn race(place: &Place, n: usize, lead: &mut Duration, start: &Start) -> Race {
    let clock = Clock::system();
    let began = clock.now();
    let due = began.after(*lead);
    let domain = n % 20;
    let recipients = [
        format!("a{n}@one{domain}.test"),
        format!("b{n}@two{domain}.test"),
    ];
    let message = json!({
        "to": recipients, "subject": "x", "text": "y", "scheduled_at": due.to_string(),
    });
    let key = format!("race-{n}");
    let (sent, _) = patiently(place, ("POST", "/emails"), &key, &message.to_string()).await;
    let id = sent.id();
    let cancel = format!("/emails/{id}/cancel");
    let took = clock.now().since(began);
    *lead = LEAD.max(took * 3);
    let offset = start.of(n);
    clock.sleep_until(shifted(due, offset)).await;
    let (answer, again) = patiently(place, ("POST", &cancel), &key, "").await;
    let cancelled = match answer.status {
        200 => true,
        // What was not answered may have been done all the same.
        422 => again && answer.text().contains("cancelled"),
        other => panic!("{other}: {}", answer.text()),
    };
    start.learn(cancelled);
    // Asked again, nothing is taken back.
    for _ in 0..3 {
        let (again, _) = patiently(place, ("POST", &cancel), &key, "").await;
        assert_eq!(again.status, 422, "{}", again.text());
    }
    Race {
        id,
        recipients,
        cancelled,
    }
}

/// So many microseconds later, or earlier.
pub(super) fn shifted(at: Timestamp, by: i64) -> Timestamp {
    let span = Duration::from_micros(by.unsigned_abs());
    if by < 0 {
        at.before(span)
    } else {
        at.after(span)
    }
}

/// The answer to a request that a busy relay may ask to repeat, and whether it did.
pub(super) async fn patiently(
    place: &Place,
    (method, path): (&str, &str),
    key: &str,
    body: &str,
) -> (Answer, bool) {
    let end = Instant::now() + PATIENCE;
    let mut again = false;
    loop {
        let fields = [("idempotency-key", key)];
        let answer = place.ask(method, path, &fields, body.as_bytes()).await;
        if answer.status != 503 || Instant::now() > end {
            return (answer, again);
        }
        again = true;
    }
}

async fn judge(relay: &Inside, races: &[Race]) {
    let mut ends = HashMap::new();
    for race in races {
        ends.insert(race.id.as_str(), relay.place.settled(&race.id).await);
    }
    let late = races.iter().filter(|race| !race.cancelled).count();
    let won = races.len() - late;
    eprintln!("{} races: {won} cancelled, {late} too late", races.len());
    assert!(
        late > 0 && late < races.len(),
        "no race: {late} of {}",
        races.len()
    );
    until("all that may leave has arrived", async || {
        (relay.net.mailbox().messages().len() >= 2 * late).then_some(())
    })
    .await;
    relay.others_go_on().await;
    let mut came: HashMap<String, usize> = HashMap::new();
    for message in relay.net.mailbox().messages() {
        for recipient in message.rcpt_to {
            *came.entry(recipient).or_default() += 1;
        }
    }
    for race in races {
        let end = if race.cancelled {
            "cancelled"
        } else {
            "delivered"
        };
        for recipient in &race.recipients {
            let timeline = ends[race.id.as_str()].of(recipient);
            // On a slow machine its time was past when it was accepted.
            let mut story = timeline.outcomes();
            story.retain(|kind| *kind != "deferred");
            assert_eq!((story.len(), story[1]), (2, end), "{recipient}: {story:?}");
            let copies = came.get(recipient).copied().unwrap_or_default();
            assert_eq!(
                copies,
                usize::from(!race.cancelled),
                "{recipient}: {timeline:#?}"
            );
        }
    }
}
