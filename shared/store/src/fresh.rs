//! Messages just committed, kept in memory so that their first attempt reads nothing.
//!
//! Only recipients that nothing has happened to since: the writer takes each out as it settles it.
//! Where several processes share a database all is forgotten when another may have changed something:
//! when shards are taken that were another's, when a verb is acknowledged, and for a while when it is
//! closed: what came between these two may have been held or cancelled as well. Whatever is not here
//! is in the database.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use postrider_model::{ControlId, MessageId, RecipientId, Waits};

use crate::{NewMessage, OpenMessage, OpenRecipient};

/// How long nothing is kept after a verb was closed. More than a commit takes, and the word of it.
const DISTRUST: Duration = Duration::from_secs(30);

/// What a dialect keeps of what it committed. Cheap to clone; clones share it.
#[derive(Clone)]
pub struct Fresh {
    /// Bytes of all bodies at most; the oldest go first.
    most: usize,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Default)]
struct Kept {
    messages: HashMap<MessageId, OpenMessage>,
    /// In the order of their commits; some may be gone from `messages`.
    order: VecDeque<MessageId>,
    bytes: usize,
    /// Verbs that stood when one last looked.
    verbs: HashSet<ControlId>,
    distrusted_until: Option<Instant>,
}

impl Fresh {
    /// Keeps bodies of `most` bytes together.
    pub fn new(most: usize) -> Self {
        Self {
            most,
            kept: Arc::default(),
        }
    }

    /// After the commit, before its caller is answered.
    pub fn keep(&self, message: &NewMessage) {
        if message.live().next().is_some() {
            self.insert(opened(message), Instant::now());
        }
    }

    fn insert(&self, message: OpenMessage, now: Instant) {
        let (id, weight) = (message.id, weight(message.size));
        if weight > self.most {
            return;
        }
        let mut kept = self.kept.lock();
        if kept.is_distrusted(now) {
            return;
        }
        if kept.messages.insert(id, message).is_none() {
            kept.order.push_back(id);
            kept.bytes += weight;
        }
        while kept.bytes > self.most || kept.order.len() > 2 * kept.messages.len() + 64 {
            let Some(oldest) = kept.order.pop_front() else {
                break;
            };
            kept.remove(oldest);
        }
    }

    /// The message for an attempt, if all that is asked for is fresh.
    pub fn open(&self, message: MessageId, recipients: &[RecipientId]) -> Option<OpenMessage> {
        let kept = self.kept.lock();
        let mut opened = kept.messages.get(&message)?.clone();
        opened
            .recipients
            .retain(|recipient| recipients.contains(&recipient.id));
        (opened.recipients.len() == recipients.len()).then_some(opened)
    }

    /// Something happened to a recipient: what is kept of it is true no longer.
    pub fn take(&self, message: MessageId, recipient: RecipientId) {
        let mut kept = self.kept.lock();
        let Some(found) = kept.messages.get_mut(&message) else {
            return;
        };
        found.recipients.retain(|kept| kept.id != recipient);
        if found.recipients.is_empty() {
            kept.remove(message);
        }
    }

    /// Forgets a message: its bytes are others now.
    pub fn forget(&self, message: MessageId) {
        self.kept.lock().remove(message);
    }

    /// Forgets all, where rows were removed.
    pub fn clear(&self) {
        self.kept.lock().clear();
    }

    /// These verbs stand, by which others change mail. Where one of those before is closed, all is
    /// forgotten.
    pub fn heed(&self, verbs: impl Iterator<Item = ControlId>) {
        self.heed_at(verbs, Instant::now());
    }

    fn heed_at(&self, verbs: impl Iterator<Item = ControlId>, now: Instant) {
        let verbs: HashSet<ControlId> = verbs.collect();
        let mut kept = self.kept.lock();
        if !kept.verbs.is_subset(&verbs) {
            kept.clear();
            kept.distrusted_until = Some(now + DISTRUST);
        }
        kept.verbs = verbs;
    }
}

impl Kept {
    fn is_distrusted(&self, now: Instant) -> bool {
        self.distrusted_until.is_some_and(|until| now < until)
    }

    fn clear(&mut self) {
        self.messages.clear();
        self.order.clear();
        self.bytes = 0;
    }

    fn remove(&mut self, message: MessageId) {
        if let Some(gone) = self.messages.remove(&message) {
            self.bytes -= weight(gone.size);
        }
    }
}

/// What a message costs to keep, roughly.
fn weight(size: u64) -> usize {
    usize::try_from(size).unwrap_or(usize::MAX - 512) + 512
}

fn opened(message: &NewMessage) -> OpenMessage {
    OpenMessage {
        id: message.id,
        tenant: message.tenant,
        credential: message.credential,
        size: u64::try_from(message.body.len()).unwrap_or(u64::MAX),
        body: Some(message.body.clone()),
        smtputf8: message.smtputf8,
        accepted_at: message.accepted_at,
        expires_at: message.expires_at,
        selectors: message.selectors.clone(),
        sealed_until: message.sealed_until,
        recipients: message
            .live()
            .map(|recipient| OpenRecipient {
                id: recipient.id,
                address: recipient.address.clone(),
                return_path: recipient.return_path.clone(),
                attempts: 0,
                waits: Waits::default(),
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use bytes::Bytes;
    use postrider_model::{EmailAddress, TenantId, Timestamp};

    use super::*;

    impl Fresh {
        fn put(&self, message: &OpenMessage) {
            self.insert(message.clone(), Instant::now());
        }
    }

    fn id() -> [u8; 16] {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        u128::from(NEXT.fetch_add(1, Ordering::Relaxed)).to_be_bytes()
    }

    fn two(size: usize) -> OpenMessage {
        let recipient = |address| OpenRecipient {
            id: RecipientId::from_bytes(id()),
            address: EmailAddress::parse(address).unwrap(),
            return_path: EmailAddress::parse("b@bounce.example").unwrap(),
            attempts: 0,
            waits: Waits::default(),
        };
        OpenMessage {
            id: MessageId::from_bytes(id()),
            tenant: TenantId::from_bytes([1; 16]),
            credential: None,
            size: size as u64,
            body: Some(Bytes::from(vec![b'x'; size])),
            smtputf8: false,
            accepted_at: Timestamp::from_micros(0),
            expires_at: Timestamp::from_micros(0),
            selectors: Vec::new(),
            sealed_until: Timestamp::from_micros(0),
            recipients: ["a@x.example", "b@x.example"].map(recipient).into(),
        }
    }

    #[test]
    fn only_what_nothing_has_happened_to_is_given() {
        let (fresh, given) = (Fresh::new(10_000), two(10));
        let [a, b] = [given.recipients[0].id, given.recipients[1].id];
        fresh.put(&given);
        assert_eq!(fresh.open(given.id, &[a, b]).unwrap().recipients.len(), 2);
        assert!(
            fresh
                .open(given.id, &[a, RecipientId::from_bytes(id())])
                .is_none()
        );
        fresh.take(given.id, a);
        assert!(fresh.open(given.id, &[a, b]).is_none());
        let opened = fresh.open(given.id, &[b]).unwrap();
        assert_eq!(opened.body, given.body);
        fresh.take(given.id, b);
        assert!(fresh.open(given.id, &[]).is_none());
        assert_eq!(fresh.kept.lock().bytes, 0);
    }

    #[test]
    fn the_oldest_make_room_and_nothing_is_kept_beyond_the_measure() {
        let fresh = Fresh::new(10_000);
        let messages: Vec<_> = (0..50).map(|_| two(1_000)).collect();
        for message in &messages {
            fresh.put(message);
            assert!(fresh.kept.lock().bytes <= 10_000);
        }
        let open = |at: usize| fresh.open(messages[at].id, &[messages[at].recipients[0].id]);
        assert!(open(0).is_none() && open(49).is_some());
        fresh.put(&two(20_000));
        assert!(open(49).is_some(), "what is too large displaces nothing");
    }

    #[test]
    fn nothing_is_kept_for_a_while_after_a_verb_was_closed() {
        let (fresh, given) = (Fresh::new(10_000), two(10));
        let all = [given.recipients[0].id, given.recipients[1].id];
        let verb = ControlId::from_bytes([1; 16]);
        let now = Instant::now();
        fresh.heed_at([verb].into_iter(), now);
        fresh.insert(given.clone(), now);
        assert!(fresh.open(given.id, &all).is_some(), "it still stands");
        fresh.heed_at([].into_iter(), now);
        // Committed before it was closed, and told after.
        fresh.insert(given.clone(), now);
        assert!(fresh.open(given.id, &all).is_none());
        let later = now + DISTRUST;
        fresh.heed_at([].into_iter(), later);
        fresh.insert(given.clone(), later);
        assert!(fresh.open(given.id, &all).is_some());
    }
}
