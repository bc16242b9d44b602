//! Another time against dispatch, and against `cancel`: whoever is told that the mail leaves at the
//! new time finds that it did, or that it was taken back after that; whoever is told that it is too
//! late finds that it left at the old one. No other outcome.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use postrider_model::Timestamp;
use postrider_runtime::Clock;
use serde_json::json;
use tokio::task::JoinSet;

use super::races::{CLIENTS, LEAD, Start, patiently, shifted};
use crate::harness::inside::Setup;
use crate::harness::mail::header;
use crate::harness::tools::environment;
use crate::harness::{Answer, Inside, Place, until};

/// In each run of the suite; `POSTRIDER_TEST_RACES` asks for more, up to what the mailbox keeps.
const RACES: usize = 400;
const RACES_MOST: usize = 2_000;
/// So much later is the new time than the old one.
const LATER: Duration = Duration::from_secs(4);

struct Race {
    id: String,
    recipient: String,
    times: [Timestamp; 2],
    /// Whether it was told to leave at the second time.
    moved: bool,
    /// Whether it was taken back, where that was tried.
    cancelled: Option<bool>,
    /// Whether a request had to be repeated: what was not answered may have been done.
    again: bool,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_time_and_dispatch_and_cancel_have_one_outcome() {
    let races = environment("POSTRIDER_TEST_RACES");
    let races = races.map_or(RACES, |given| given.parse().unwrap());
    let relay = Inside::start_with(Setup {
        delivery: "retry_divisor = 60",
        ..Setup::by(Clock::system())
    })
    .await;
    let start = Arc::new(Start::default());
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let (place, start) = (relay.place.clone(), Arc::clone(&start));
        let mine = (0..races.min(RACES_MOST)).skip(client).step_by(CLIENTS);
        clients.spawn(async move {
            let (mut done, mut lead) = (Vec::new(), LEAD);
            for n in mine {
                done.push(race(&place, n, &mut lead, &start).await);
            }
            done
        });
    }
    let races: Vec<Race> = clients.join_all().await.into_iter().flatten().collect();
    judge(&relay, &races).await;
    relay.stop().await;
}

/// One message, due in a moment, and at about that moment a wish for another time; in every third
/// race a cancel with it.
async fn race(place: &Place, n: usize, lead: &mut Duration, start: &Start) -> Race {
    let clock = Clock::system();
    let began = clock.now();
    let due = began.after(*lead);
    let new = due.after(LATER);
    let (recipient, key) = (format!("a{n}@one{}.test", n % 20), format!("move-{n}"));
    let message = json!({
        "to": recipient, "subject": "x", "text": "y", "scheduled_at": due.to_string(),
    });
    let (sent, _) = patiently(place, ("POST", "/emails"), &key, &message.to_string()).await;
    let id = sent.id();
    *lead = LEAD.max(clock.now().since(began) * 3);
    clock.sleep_until(shifted(due, start.of(n))).await;
    let (path, cancel) = (format!("/emails/{id}"), format!("/emails/{id}/cancel"));
    let wish = json!({"scheduled_at": new.to_string()}).to_string();
    let wish = patiently(place, ("PATCH", &path), &key, &wish);
    let (answers, cancelled) = tokio::join!(wish, async {
        if !n.is_multiple_of(3) {
            return None;
        }
        Some(patiently(place, ("POST", &cancel), &key, "").await)
    });
    let (answer, mut again) = answers;
    let moved = won(&answer);
    start.learn(moved);
    let cancelled = cancelled.map(|(answer, repeated)| {
        again |= repeated;
        won(&answer)
    });
    Race {
        id,
        recipient,
        times: [due, new],
        moved,
        cancelled,
        again,
    }
}

fn won(answer: &Answer) -> bool {
    match answer.status {
        200 => true,
        422 => false,
        other => panic!("{other}: {}", answer.text()),
    }
}

async fn judge(relay: &Inside, races: &[Race]) {
    let mut ends = HashMap::new();
    for race in races {
        ends.insert(race.id.as_str(), relay.place.settled(&race.id).await);
    }
    let of = |is: fn(&Race) -> bool| races.iter().filter(|race| is(race)).count();
    let (moved, taken_back) = (
        of(|race| race.moved),
        of(|race| race.cancelled == Some(true)),
    );
    eprintln!(
        "{} races: {moved} moved, {taken_back} cancelled",
        races.len()
    );
    assert!(moved > 0 && moved < races.len(), "no race: {moved}");
    let leaving = races.len() - taken_back;
    until("all that may leave has arrived", async || {
        (relay.net.mailbox().messages().len() >= leaving).then_some(())
    })
    .await;
    relay.others_go_on().await;
    let mailbox = relay.net.mailbox();
    let mut came: HashMap<String, Vec<_>> = HashMap::new();
    for message in mailbox.messages() {
        let to = message.rcpt_to[0].clone();
        came.entry(to).or_default().push(message);
    }
    for race in races {
        let timeline = &ends[race.id.as_str()];
        let copies = came.remove(&race.recipient).unwrap_or_default();
        if race.cancelled == Some(true) {
            assert!(copies.is_empty(), "{}: {timeline:#?}", race.recipient);
            assert_eq!(timeline.end().unwrap()["type"], "cancelled");
            continue;
        }
        assert_eq!(copies.len(), 1, "{}: {timeline:#?}", race.recipient);
        let entry = mailbox.entry(copies[0].id).await.unwrap();
        assert_eq!(entry.dkim, ["pass", "pass"], "{}", race.recipient);
        if race.again {
            continue;
        }
        assert_eq!(timeline.count("rescheduled"), usize::from(race.moved));
        // On a slow machine its time was past when it was accepted: then it was never scheduled.
        if timeline.has("scheduled") {
            let due = race.times[usize::from(race.moved)];
            assert_eq!(header(&copies[0].raw, "Date"), due.to_rfc5322());
            let end = timeline.end().unwrap();
            let ended = Timestamp::parse(end["created_at"].as_str().unwrap()).unwrap();
            let took = Duration::from_millis(end["duration_ms"].as_u64().unwrap());
            // Whole milliseconds are told.
            let began = ended.before(took).after(Duration::from_millis(1));
            assert!(began >= due, "{}: {timeline:#?}", race.recipient);
        }
    }
}
