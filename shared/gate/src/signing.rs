//! The signing keys, opened once per generation of the directory.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use postrider_message::SigningKey;
use postrider_model::{DkimKey, Domain};
use postrider_store::Roster;

use crate::secret::MasterKey;

/// The opened keys of the service. Private keys exist in the clear in here only.
pub(crate) struct KeyRing {
    roster: Roster,
    master: Arc<MasterKey>,
    opened: ArcSwap<Opened>,
}

/// The keys that one domain's mail is signed with.
pub(crate) type Signers = Arc<Vec<SigningKey>>;

#[derive(Default)]
struct Opened {
    generation: u64,
    /// Some active key does not open with this master key.
    some_stay_closed: bool,
    by_domain: HashMap<Domain, Signers>,
}

impl KeyRing {
    pub(crate) fn new(roster: Roster, master: Arc<MasterKey>) -> Self {
        Self {
            roster,
            master,
            opened: ArcSwap::default(),
        }
    }

    /// The newest key of each algorithm for a domain; empty where there is none.
    pub(crate) fn signers(&self, domain: &Domain) -> Signers {
        self.current()
            .by_domain
            .get(domain)
            .cloned()
            .unwrap_or_default()
    }

    /// Whether some active key of the directory, an older one of its kind among them, does not
    /// open with this process's master key.
    pub(crate) fn some_stay_closed(&self) -> bool {
        self.current().some_stay_closed
    }

    fn current(&self) -> Arc<Opened> {
        let generation = self.roster.generation();
        let opened = self.opened.load_full();
        if opened.generation == generation {
            return opened;
        }
        let mut by_domain: HashMap<Domain, Vec<SigningKey>> = HashMap::new();
        let keys = self.roster.dkim_keys();
        let opens = |key: &DkimKey| {
            let opened = self.master.open(&key.selector, &key.sealed_private_key);
            opened.is_ok()
        };
        let some_stay_closed = !keys.iter().all(opens);
        for key in newest_of_each(&keys) {
            if let Some(opened) = self.open(key) {
                by_domain
                    .entry(key.domain.clone())
                    .or_default()
                    .push(opened);
            }
        }
        let by_domain = by_domain
            .into_iter()
            .map(|(domain, keys)| (domain, Arc::new(keys)));
        let opened = Arc::new(Opened {
            generation,
            some_stay_closed,
            by_domain: by_domain.collect(),
        });
        self.opened.store(Arc::clone(&opened));
        opened
    }

    fn open(&self, key: &DkimKey) -> Option<SigningKey> {
        let private = self.master.open(&key.selector, &key.sealed_private_key);
        let opened = private
            .map_err(|fault| fault.to_string())
            .and_then(|pkcs8| {
                SigningKey::from_pkcs8(key.algorithm, &pkcs8, &key.domain, &key.selector)
                    .map_err(|fault| fault.to_string())
            });
        opened
            .inspect_err(|fault| {
                tracing::error!(
                    dkim.selector = key.selector,
                    fault,
                    "a DKIM key cannot be used"
                );
            })
            .ok()
    }
}

// Keys come oldest first: of each (domain, algorithm) the last one signs. Ed25519 stands first
// in the message, as in the example of RFC 8463 §A.3.
fn newest_of_each(keys: &[DkimKey]) -> Vec<&DkimKey> {
    let mut newest: Vec<&DkimKey> = Vec::new();
    for key in keys {
        newest.retain(|other| (&other.domain, other.algorithm) != (&key.domain, key.algorithm));
        newest.push(key);
    }
    newest.sort_by_key(|key| std::cmp::Reverse(key.algorithm));
    newest
}
