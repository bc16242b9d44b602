//! The answers that were set, by name and type, and the log of questions.

use std::collections::{HashMap, VecDeque};

use parking_lot::Mutex;

use super::{Answer, Answers, Kind};

/// Seconds that an answer may be kept, unless told: long enough for one delivery, short enough
/// for a test that changes its mind.
const TTL: u32 = 1;

/// How many questions are remembered; the oldest is forgotten first.
const REMEMBERED: usize = 10_000;

#[derive(Debug, Default)]
pub(crate) struct Book {
    // `None` stands for all types at that name, where no own entry for the type says otherwise.
    answers: Mutex<HashMap<(String, Option<Kind>), Answers>>,
    ttls: Mutex<HashMap<String, u32>>,
    asked: Mutex<VecDeque<(String, String)>>,
}

impl Book {
    pub(crate) fn set(&self, name: &str, kind: Option<Kind>, answers: Answers) {
        self.answers.lock().insert((fold(name), kind), answers);
    }

    pub(crate) fn clear(&self, name: &str, kind: Option<Kind>) {
        self.answers.lock().remove(&(fold(name), kind));
    }

    /// Forgets all answers at this name.
    pub(crate) fn forget(&self, name: &str) {
        let name = fold(name);
        self.answers.lock().retain(|(known, _), _| *known != name);
        self.ttls.lock().remove(&name);
    }

    pub(crate) fn set_ttl(&self, name: &str, seconds: u32) {
        self.ttls.lock().insert(fold(name), seconds);
    }

    pub(crate) fn ttl(&self, name: &str) -> u32 {
        self.ttls.lock().get(&fold(name)).copied().unwrap_or(TTL)
    }

    /// The next answer at this name; `Usual` where none was set.
    pub(crate) fn take(&self, name: &str, kind: Kind) -> Answer {
        let mut answers = self.answers.lock();
        for key in [(fold(name), Some(kind)), (fold(name), None)] {
            if let Some(answers) = answers.get_mut(&key) {
                return answers.take();
            }
        }
        Answer::Usual
    }

    /// What would be answered for ever, were no turns left; `Usual` where nothing was set.
    pub(crate) fn current(&self, name: &str, kind: Kind) -> Answer {
        let answers = self.answers.lock();
        let found = answers.get(&(fold(name), Some(kind)));
        found.map_or(Answer::Usual, |answers| answers.last().clone())
    }

    pub(crate) fn note(&self, name: &str, kind: String) {
        let mut asked = self.asked.lock();
        if asked.len() >= REMEMBERED {
            asked.pop_front();
        }
        asked.push_back((name.to_owned(), kind));
    }

    pub(crate) fn asked(&self) -> Vec<(String, String)> {
        self.asked.lock().iter().cloned().collect()
    }
}

/// Names are compared in lowercase and without the dot at the end (RFC 1035 §2.3.3).
pub(crate) fn fold(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}
