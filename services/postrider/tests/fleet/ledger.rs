//! What was acknowledged against what arrived.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use postrider_model::Timestamp;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::harness::client::request;
use crate::harness::{Place, Timeline, until};
use crate::house::Fleet;

/// Senders at work: one message after another until they are told to stop.
pub(crate) struct Load {
    tasks: JoinSet<Vec<Sent>>,
    stop: Arc<AtomicBool>,
    count: Arc<AtomicUsize>,
}

/// One recipient that was acknowledged.
pub(crate) struct Sent {
    pub(crate) place: Place,
    pub(crate) recipient: String,
    pub(crate) id: String,
}

impl Load {
    pub(crate) fn new() -> Self {
        Self {
            tasks: JoinSet::new(),
            stop: Arc::default(),
            count: Arc::default(),
        }
    }

    /// One more sender: this tenant, at this door, so many a second. What is not acknowledged is
    /// not counted; nothing is asked twice.
    pub(crate) fn add(&mut self, place: &Place, word: &str, per_second: u32) {
        let (place, word) = (place.clone(), word.to_owned());
        let (stop, count) = (Arc::clone(&self.stop), Arc::clone(&self.count));
        let pause = Duration::from_secs(1) / per_second;
        self.tasks.spawn(async move {
            let mut sent = Vec::new();
            let mut next = Instant::now();
            for n in 0.. {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                let recipient = format!("{word}{n}@{word}{}.test", n % 5);
                if let Some(id) = send(&place, &recipient).await {
                    count.fetch_add(1, Ordering::Relaxed);
                    let place = place.clone();
                    sent.push(Sent {
                        place,
                        recipient,
                        id,
                    });
                }
                next = (next + pause).max(Instant::now());
                sleep_until(next).await;
            }
            sent
        });
    }

    /// Returns once so many more were acknowledged.
    pub(crate) async fn acknowledged(&self, more: usize) {
        let wanted = self.count.load(Ordering::Relaxed) + more;
        until("more is acknowledged", async || {
            (self.count.load(Ordering::Relaxed) >= wanted).then_some(())
        })
        .await;
    }

    /// Lets the senders go on for so long.
    pub(crate) async fn goes_on(&self, span: Duration) {
        sleep_until(Instant::now() + span).await;
    }

    /// Ends the senders; gives what was acknowledged.
    pub(crate) async fn end(self) -> Vec<Sent> {
        self.stop.store(true, Ordering::Relaxed);
        self.tasks.join_all().await.into_iter().flatten().collect()
    }
}

async fn send(place: &Place, recipient: &str) -> Option<String> {
    let body = json!({"to": recipient, "subject": "x", "text": "y"}).to_string();
    let bearer = format!("Bearer {}", place.key);
    let fields = [("authorization", bearer.as_str())];
    let request = request("POST", "/emails", &fields, body.as_bytes());
    let answer = place.http.say(&request).await?;
    match answer.status {
        200 => Some(answer.id()),
        // It says that it took nothing.
        503 => None,
        other => panic!("{other}: {}", answer.text()),
    }
}

/// What became of it all.
pub(crate) struct Verdict {
    /// Recipients that got more than one copy.
    pub(crate) doubled: usize,
}

/// Nothing is lost, each further copy is explained by an `ambiguous` event.
pub(crate) async fn judge(fleet: &Fleet, sent: &[Sent]) -> Verdict {
    let mut ends = Vec::new();
    for one in sent {
        ends.push((one, settled(&one.place, &one.id).await));
    }
    let came = arrivals(fleet);
    let mut doubled = 0;
    for (one, timeline) in ends {
        let copies = came.get(&one.recipient).map_or(0, Vec::len);
        assert_eq!(
            timeline.end().unwrap()["type"],
            "delivered",
            "{}: {timeline:#?}",
            one.recipient
        );
        assert!(copies >= 1, "{}: {timeline:#?}", one.recipient);
        if copies > 1 {
            explained(one, copies).await;
            doubled += 1;
        }
    }
    eprintln!("{} acknowledged, none lost, {doubled} doubled", sent.len());
    Verdict { doubled }
}

/// Returns once the timeline has a doubt for each further copy. Not at once: a node that could not
/// record its result offers it every few seconds, and another one may have ended it meanwhile.
async fn explained(one: &Sent, copies: usize) {
    let what = format!("each of {copies} copies for {} is told of", one.recipient);
    until(&what, async || {
        let doubts = one.place.events(&one.id).await.count("ambiguous");
        (copies <= 1 + doubts).then_some(())
    })
    .await;
}

async fn settled(place: &Place, id: &str) -> Timeline {
    place.settled(id).await
}

/// When each recipient's copies came.
fn arrivals(fleet: &Fleet) -> HashMap<String, Vec<Timestamp>> {
    let mut came: HashMap<String, Vec<Timestamp>> = HashMap::new();
    for message in fleet.net.mailbox().messages() {
        for recipient in message.rcpt_to {
            came.entry(recipient).or_default().push(message.received_at);
        }
    }
    came
}

/// Waits are shown in milliseconds.
const SHOWN: Duration = Duration::from_millis(2);

/// When the one attempt of this message began: how long it takes until the copy is there is the
/// machine's affair. `None` where there were more, of which the first may not be recorded.
async fn begun(one: &Sent) -> Option<Timestamp> {
    let timeline = one.place.events(&one.id).await;
    if timeline.outcomes() != ["accepted", "delivered"] {
        return None;
    }
    let email = one.place.email(&one.id).await;
    let accepted = Timestamp::parse(email["created_at"].as_str().unwrap()).unwrap();
    let waited = email["recipients"][0]["waited"].as_object().unwrap().iter();
    let before = waited.filter(|(cause, _)| *cause != "attempt");
    let millis: f64 = before.map(|(_, span)| span.as_f64().unwrap()).sum();
    Some(accepted.after(Duration::from_secs_f64(millis / 1_000.0)))
}

/// In no window more first attempts of this tenant than its burst and what its rate allows.
pub(crate) async fn paced(sent: &[Sent], tenant: &Place, per_minute: u64, burst: u64) {
    let (mut times, mut all) = (Vec::new(), 0);
    for one in sent.iter().filter(|one| one.place.tenant == tenant.tenant) {
        times.extend(begun(one).await);
        all += 1;
    }
    times.sort_unstable();
    assert!(times.len() > all / 2, "{} of {all}", times.len());
    for (first, from) in times.iter().enumerate() {
        for (last, to) in times.iter().enumerate().skip(first) {
            let count = (last - first + 1) as u64;
            let window = to.since(*from) + SHOWN;
            let tokens = window.as_millis() * u128::from(per_minute) / 60_000;
            let allowed = burst + u64::try_from(tokens).unwrap();
            assert!(count <= allowed, "{count} in {window:?}, {allowed} allowed");
        }
    }
}
