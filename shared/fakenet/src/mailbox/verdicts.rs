//! Verdicts on the signatures of received messages, their keys asked for over the network like
//! any receiver does.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::net::SocketAddr;

use parking_lot::Mutex;
use postrider_message::{DkimVerdict, signature_names, verify};

use super::Received;
use crate::dns::ask_txt;

type Keys = HashMap<String, Option<String>>;

#[derive(Debug)]
pub(super) struct Verdicts {
    dns: SocketAddr,
    // By message id; no more than the mailbox holds.
    known: Mutex<HashMap<u64, Vec<&'static str>>>,
}

impl Verdicts {
    pub(super) fn new(dns: SocketAddr) -> Self {
        Self {
            dns,
            known: Mutex::default(),
        }
    }

    /// `pass` or `fail`, for each signature.
    pub(super) async fn of(&self, message: &Received) -> Vec<&'static str> {
        if let Some(known) = self.known.lock().get(&message.id) {
            return known.clone();
        }
        let keys = self.keys(message).await;
        let complete = keys.values().all(Option::is_some);
        let raw = message.raw.clone();
        // A signature over 64 MB takes its time.
        let checked = tokio::task::spawn_blocking(move || words(&raw, &keys));
        let words = checked.await.unwrap_or_default();
        if complete {
            self.known.lock().insert(message.id, words.clone());
        }
        words
    }

    /// Messages with smaller ids are gone.
    pub(super) fn forget_before(&self, oldest: u64) {
        self.known.lock().retain(|id, _| *id >= oldest);
    }

    async fn keys(&self, message: &Received) -> Keys {
        let mut keys = Keys::new();
        for name in signature_names(&message.raw) {
            let Slot::Vacant(slot) = keys.entry(name) else {
                continue;
            };
            let found = ask_txt(self.dns, slot.key()).await;
            let found = found.inspect_err(|error| tracing::debug!(%error, "a key was not found"));
            // RFC 6376 §3.6.2.2: more than one record is undefined; the first is as good.
            let first = found.unwrap_or_default().into_iter().next();
            slot.insert(first);
        }
        keys
    }
}

fn words(raw: &[u8], keys: &Keys) -> Vec<&'static str> {
    let checks = verify(raw, &|name| keys.get(name).cloned().flatten());
    let verdicts = checks.into_iter().map(|check| check.verdict);
    let word = |verdict| match verdict {
        DkimVerdict::Pass => "pass",
        DkimVerdict::Fail(why) => {
            tracing::debug!(why, "a signature does not verify");
            "fail"
        }
    };
    verdicts.map(word).collect()
}
