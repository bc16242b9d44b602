//! `cancel` against dispatch, by the thousand: who is told that it was cancelled never sends it, who
//! is told that it is too late finds that it left. No third outcome.

use std::collections::HashMap;
use std::ops::Range;
use std::time::Duration;

use postrider_model::Timestamp;
use postrider_runtime::Clock;
use serde_json::json;
use tokio::task::JoinSet;

use super::cancel;
use crate::harness::inside::Setup;
use crate::harness::tools::environment;
use crate::harness::{Inside, Place, until};

/// In each run of the suite; `POSTRIDER_TEST_RACES` asks for more.
const RACES: usize = 500;
/// The mailbox keeps no more than what so many leave.
const ROUND: usize = 2_000;
/// How far ahead a message is scheduled.
const LEAD: Duration = Duration::from_millis(700);
/// So many clients race at once.
const CLIENTS: usize = 50;

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
    let relay = Inside::start_with(Setup::by(clock)).await;
    for begin in (0..races).step_by(ROUND) {
        let round = begin..races.min(begin + ROUND);
        judge(&relay, &run(&relay.place, round).await).await;
        relay.net.mailbox().clear();
    }
    relay.stop().await;
}

async fn run(place: &Place, races: Range<usize>) -> Vec<Race> {
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let (place, mine) = (place.clone(), races.clone().skip(client).step_by(CLIENTS));
        clients.spawn(async move {
            let mut done = Vec::new();
            for n in mine {
                done.push(race(&place, n).await);
            }
            done
        });
    }
    clients.join_all().await.into_iter().flatten().collect()
}

/// One message, due in a moment, and a cancel that comes at about that moment, in a tight loop
/// until it is answered for good.
async fn race(place: &Place, n: usize) -> Race {
    let clock = Clock::system();
    let due = clock.now().after(LEAD);
    let domain = n % 20;
    let recipients = [
        format!("a{n}@one{domain}.test"),
        format!("b{n}@two{domain}.test"),
    ];
    let message = json!({
        "to": recipients, "subject": "x", "text": "y", "scheduled_at": due.to_string(),
    });
    let id = place.send(message).await;
    // From shortly before the time to shortly behind it, in another order than the messages'.
    let offset = Duration::from_micros((n as u64 * 7_919) % 40_000);
    let begin: Timestamp = due.before(Duration::from_millis(10)).after(offset);
    clock.sleep_until(begin).await;
    let answer = cancel(place, &id).await;
    let cancelled = match answer.status {
        200 => true,
        422 => false,
        other => panic!("{other}: {}", answer.text()),
    };
    // Asked again, nothing is taken back.
    for _ in 0..3 {
        let again = cancel(place, &id).await;
        assert_eq!(again.status, 422, "{}", again.text());
    }
    Race {
        id,
        recipients,
        cancelled,
    }
}

async fn judge(relay: &Inside, races: &[Race]) {
    let mut ends = HashMap::new();
    for race in races {
        ends.insert(race.id.as_str(), relay.place.settled(&race.id).await);
    }
    let late = races.iter().filter(|race| !race.cancelled).count();
    eprintln!("{} races: {late} cancels came too late", races.len());
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
            let story = timeline.outcomes();
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
