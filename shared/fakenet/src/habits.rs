//! What the recipient's local part makes an exchanger do, at any domain that has no script of
//! its own: `bounced@`, `deferred@`, `greylisted@`, `full@`, `slow@`, `dropped@`. A `+tag` behind
//! the word changes nothing. The simulator knows these words and `delivered@`, and no other.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::net::IpAddr;
use std::time::Duration;

use parking_lot::Mutex;
use postrider_model::Timestamp;

use crate::script::{Act, Phase};

/// How long `slow@` waits before each reply.
const SLOW: Duration = Duration::from_secs(5);

/// What the simulator knows, in the order in which people are told of it.
pub(crate) const WORDS: &[&str] = &[
    "delivered",
    "bounced",
    "deferred",
    "greylisted",
    "full",
    "slow",
    "dropped",
];

/// How many triples and cut transactions are remembered; the oldest is forgotten first.
const REMEMBERED: usize = 10_000;

/// The memory that all exchangers without a script share.
#[derive(Debug)]
pub(crate) struct Habits {
    greylist: Duration,
    seen: Mutex<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    first_tries: Bounded<(IpAddr, String, String), Timestamp>,
    cut: Bounded<(String, String), ()>,
}

/// Where a session stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Situation<'a> {
    pub(crate) now: Timestamp,
    pub(crate) peer: IpAddr,
    pub(crate) mail_from: &'a str,
    /// At RCPT the one that is asked about, later all that were accepted.
    pub(crate) recipients: &'a [String],
}

impl Habits {
    /// `greylist`: how long `greylisted@` is turned away after the first try.
    pub(crate) fn new(greylist: Duration) -> Self {
        Self {
            greylist,
            seen: Mutex::default(),
        }
    }

    /// What to do at this moment.
    pub(crate) fn choose(&self, phase: Phase, at: &Situation<'_>) -> Act {
        let usual = if at.recipients.iter().any(|to| word(to) == "slow") {
            Act::wait(SLOW).then(Act::usual())
        } else {
            Act::usual()
        };
        match phase {
            Phase::Rcpt => self.refusal(at).unwrap_or(usual),
            Phase::FinalDot if self.is_cut(at) => Act::close(),
            _ => usual,
        }
    }

    fn refusal(&self, at: &Situation<'_>) -> Option<Act> {
        let recipient = at.recipients.first()?;
        match word(recipient).as_str() {
            "bounced" => Some("550 5.1.1 no such user here".into()),
            "deferred" => Some("451 4.3.0 not now, try again later".into()),
            "full" => Some("452 4.2.2 the mailbox is full".into()),
            "greylisted" if self.is_early(at, recipient) => {
                Some("451 4.7.1 greylisted, try again later".into())
            }
            _ => None,
        }
    }

    fn is_early(&self, at: &Situation<'_>, recipient: &str) -> bool {
        let triple = (at.peer, at.mail_from.to_owned(), recipient.to_owned());
        let mut seen = self.seen.lock();
        if let Some(first) = seen.first_tries.get(&triple) {
            return at.now.since(*first) < self.greylist;
        }
        seen.first_tries.insert(triple, at.now);
        true
    }

    // Once for each MAIL FROM and RCPT; the message that is cut off is not kept.
    fn is_cut(&self, at: &Situation<'_>) -> bool {
        let mut seen = self.seen.lock();
        let dropped = at.recipients.iter().filter(|to| word(to) == "dropped");
        let keys = dropped.map(|to| (at.mail_from.to_owned(), to.clone()));
        let fresh: Vec<_> = keys.filter(|key| seen.cut.get(key).is_none()).collect();
        let cut = !fresh.is_empty();
        for key in fresh {
            seen.cut.insert(key, ());
        }
        cut
    }
}

/// What the simulator says of a recipient whose word it does not know.
pub(crate) fn stranger(recipient: &str) -> Option<Act> {
    if WORDS.contains(&word(recipient).as_str()) {
        return None;
    }
    let known: Vec<_> = WORDS.iter().map(|word| format!("{word}@")).collect();
    let known = known.join(", ");
    let said = format!(
        "550 5.1.1 the simulator knows {known} (with +label or without) and no other address"
    );
    Some(said.as_str().into())
}

fn word(address: &str) -> String {
    let local = address.rsplit_once('@').map_or(address, |(local, _)| local);
    let word = local.split('+').next().unwrap_or(local);
    word.to_ascii_lowercase()
}

/// A map that forgets its oldest entry when it is full.
#[derive(Debug)]
struct Bounded<K, V> {
    map: HashMap<K, V>,
    order: VecDeque<K>,
}

impl<K, V> Default for Bounded<K, V> {
    fn default() -> Self {
        Self {
            map: HashMap::new(),
            order: VecDeque::new(),
        }
    }
}

impl<K: Clone + Eq + Hash, V> Bounded<K, V> {
    fn get(&self, key: &K) -> Option<&V> {
        self.map.get(key)
    }

    fn insert(&mut self, key: K, value: V) {
        if self.order.len() >= REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.map.remove(&oldest);
        }
        self.order.push_back(key.clone());
        self.map.insert(key, value);
    }
}
