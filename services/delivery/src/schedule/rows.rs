//! All rows of this node, each once, and the rings they stand in.
//!
//! A ring links rows through numbers in the rows themselves: joining and leaving take the same few
//! steps however long it is. Who owns a ring keeps its head.

use std::hash::{BuildHasher, RandomState};

use postrider_model::{MessageId, RecipientId, Stream, Timestamp, WaitCause, Waits};

use super::berth::Berth;
use super::index::Index;
use super::ledger::Spans;
use super::line::{Kind, Line};
use super::sites::Destination;
use super::slab::{Id, Slab};
use super::tenant::Tenant;

/// A waiting recipient: what `QueueRow` says, with the names replaced by numbers.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) recipient: RecipientId,
    pub(super) message: MessageId,
    pub(super) tenant: Id<Tenant>,
    pub(super) domain: Id<Destination>,
    pub(super) stream: Stream,
    pub(super) cause: WaitCause,
    /// What it waited for between its due time and its coming into a line.
    pub(super) late: WaitCause,
    pub(super) place: Place,
    pub(super) timer: Timer,
    /// First of its group, and in the queue of its line.
    pub(super) leads: bool,
    pub(super) attempts: u32,
    pub(super) accepted_at: Timestamp,
    pub(super) since: Timestamp,
    pub(super) due_at: Timestamp,
    pub(super) expires_at: Timestamp,
    /// When it left `Later`; what its clocks showed then.
    pub(super) entered: Timestamp,
    pub(super) mark: Spans,
    /// What it waited for from `since` on, as far as somebody else knew it.
    pub(super) known: Option<Box<Waits>>,
    links: Links,
}

/// Where a row stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Not due yet.
    Later,
    /// Due; its message has to be started first.
    Due,
    /// Due, and whether its message may start is being asked.
    Asked,
    /// In a line of this berth.
    Line(Id<Berth>),
    /// Stopped with its message or its domain.
    Held,
    /// Past its expiry: it comes out without a slot.
    Late,
    /// Due, and nothing may leave this machine.
    Shut,
}

/// Which ring its `Chain::Timer` is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Timer {
    None,
    Slot(u16),
    /// The clock went back: see `Wheel`.
    Early,
    /// The ring of all that are late.
    Late,
    /// Expired while its tenant is held: in the tenant's ring.
    Overdue,
}

/// The rings a row can be in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chain {
    Timer,
    Queue,
    Group,
    Tenant,
    Domain,
    Message,
}

#[derive(Clone, Copy, Debug, Default)]
struct Link {
    prev: Option<Id<Row>>,
    next: Option<Id<Row>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Links {
    timer: Link,
    queue: Link,
    group: Link,
    tenant: Link,
    domain: Link,
    message: Link,
}

/// The head of a ring; `None` where it is empty.
pub(super) type Head = Option<Id<Row>>;

/// What is known of a row at its making.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seed {
    pub(super) recipient: RecipientId,
    pub(super) message: MessageId,
    pub(super) tenant: Id<Tenant>,
    pub(super) domain: Id<Destination>,
    pub(super) stream: Stream,
    pub(super) late: WaitCause,
}

impl Row {
    pub(super) fn new(seed: Seed, now: Timestamp) -> Self {
        Self {
            recipient: seed.recipient,
            message: seed.message,
            tenant: seed.tenant,
            domain: seed.domain,
            stream: seed.stream,
            late: seed.late,
            cause: WaitCause::Turn,
            place: Place::Later,
            timer: Timer::None,
            leads: false,
            attempts: 0,
            accepted_at: now,
            since: now,
            due_at: now,
            expires_at: now,
            entered: now,
            mark: Spans::default(),
            known: None,
            links: Links::default(),
        }
    }

    pub(super) fn line(&self) -> Line {
        Line::new(self.stream, Kind::of(self.attempts, self.cause))
    }

    /// When its timer goes off: it is due, or it expires.
    pub(super) fn rings_at(&self) -> Timestamp {
        match self.place {
            Place::Later => self.due_at,
            _ => self.expires_at,
        }
    }

    fn link(&self, chain: Chain) -> Link {
        match chain {
            Chain::Timer => self.links.timer,
            Chain::Queue => self.links.queue,
            Chain::Group => self.links.group,
            Chain::Tenant => self.links.tenant,
            Chain::Domain => self.links.domain,
            Chain::Message => self.links.message,
        }
    }

    fn link_mut(&mut self, chain: Chain) -> &mut Link {
        match chain {
            Chain::Timer => &mut self.links.timer,
            Chain::Queue => &mut self.links.queue,
            Chain::Group => &mut self.links.group,
            Chain::Tenant => &mut self.links.tenant,
            Chain::Domain => &mut self.links.domain,
            Chain::Message => &mut self.links.message,
        }
    }
}

/// All rows.
#[derive(Debug, Default)]
pub(super) struct Rows {
    slab: Slab<Row>,
    by_recipient: Index<Row>,
    /// One row of each message; the others are in its ring.
    by_message: Index<Row>,
    /// The leading row of each group in a line.
    groups: Index<Row>,
    hasher: RandomState,
}

impl Rows {
    pub(super) fn len(&self) -> usize {
        self.slab.len()
    }

    /// All of them, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Row> {
        self.slab.iter()
    }

    pub(super) fn get(&self, id: Id<Row>) -> Option<&Row> {
        self.slab.get(id)
    }

    pub(super) fn get_mut(&mut self, id: Id<Row>) -> Option<&mut Row> {
        self.slab.get_mut(id)
    }

    pub(super) fn find(&self, recipient: RecipientId) -> Option<Id<Row>> {
        let is_it = |id: &Id<Row>| self.slab.get(*id).is_some_and(|r| r.recipient == recipient);
        let hash = self.hasher.hash_one(recipient);
        self.by_recipient.find(hash, is_it)
    }

    /// One row of this message.
    pub(super) fn of_message(&self, message: MessageId) -> Head {
        let is_it = |id: &Id<Row>| self.slab.get(*id).is_some_and(|r| r.message == message);
        let hash = self.hasher.hash_one(message);
        self.by_message.find(hash, is_it)
    }

    /// Adds a row; it stands in its message's ring and in no other.
    pub(super) fn add(&mut self, row: Row) -> Id<Row> {
        let (recipient, message) = (row.recipient, row.message);
        let head = self.of_message(message);
        let id = self.slab.put(row);
        let (slab, hasher) = (&self.slab, &self.hasher);
        let hash = hasher.hash_one(recipient);
        self.by_recipient.add(hash, id, |id| {
            slab.get(*id)
                .map_or(0, |row| hasher.hash_one(row.recipient))
        });
        if head.is_none() {
            let hash = hasher.hash_one(message);
            self.by_message.add(hash, id, |id| {
                slab.get(*id).map_or(0, |row| hasher.hash_one(row.message))
            });
        }
        let mut head = head;
        self.join(Chain::Message, &mut head, id);
        id
    }

    /// Takes a row away that stands in no ring but its message's.
    pub(super) fn drop_row(&mut self, id: Id<Row>) -> Option<Row> {
        let (recipient, message) = self.slab.get(id).map(|row| (row.recipient, row.message))?;
        let mut head = Some(id);
        self.leave(Chain::Message, &mut head, id);
        let hash = self.hasher.hash_one(message);
        self.by_message.replace(hash, id, head);
        let hash = self.hasher.hash_one(recipient);
        self.by_recipient.replace(hash, id, None);
        self.slab.take(id)
    }

    /// The leading row of this row's group, if there is one.
    pub(super) fn group_of(&self, id: Id<Row>) -> Head {
        let row = self.slab.get(id)?;
        let is_it = |other: &Id<Row>| {
            self.slab.get(*other).is_some_and(|other| {
                other.message == row.message
                    && other.domain == row.domain
                    && other.line() == row.line()
            })
        };
        self.groups.find(group_hash(&self.hasher, row), is_it)
    }

    /// Makes a row the leading one of a new group.
    pub(super) fn lead(&mut self, id: Id<Row>) {
        let (slab, hasher) = (&self.slab, &self.hasher);
        let Some(row) = slab.get(id) else { return };
        let hash = group_hash(hasher, row);
        self.groups.add(hash, id, |id| {
            slab.get(*id).map_or(0, |row| group_hash(hasher, row))
        });
        if let Some(row) = self.slab.get_mut(id) {
            row.leads = true;
        }
    }

    /// Takes a leading row out of its group; the next of the group leads in its place, in
    /// `queue` too. `None` where there is none: then it has left the queue.
    pub(super) fn abdicate(&mut self, queue: &mut Head, id: Id<Row>) -> Head {
        let hash = group_hash(&self.hasher, self.slab.get(id)?);
        let mut head = Some(id);
        self.leave(Chain::Group, &mut head, id);
        self.groups.replace(hash, id, head);
        if let Some(row) = self.slab.get_mut(id) {
            row.leads = false;
        }
        match head {
            Some(next) => self.replace(queue, id, next),
            None => self.leave(Chain::Queue, queue, id),
        }
        head
    }

    /// Puts a row at the end of a ring.
    pub(super) fn join(&mut self, chain: Chain, head: &mut Head, id: Id<Row>) {
        let Some(first) = *head else {
            self.link(chain, id, id);
            *head = Some(id);
            return;
        };
        let last = self.before(chain, first);
        self.link(chain, last, id);
        self.link(chain, id, first);
    }

    /// Takes a row out of a ring.
    pub(super) fn leave(&mut self, chain: Chain, head: &mut Head, id: Id<Row>) {
        let (prev, next) = (self.before(chain, id), self.after(chain, id));
        if let Some(row) = self.slab.get_mut(id) {
            *row.link_mut(chain) = Link::default();
        }
        if next != id {
            self.link(chain, prev, next);
        }
        if *head == Some(id) {
            *head = (next != id).then_some(next);
        }
    }

    /// The next row of a ring; after the last one the first.
    pub(super) fn after(&self, chain: Chain, id: Id<Row>) -> Id<Row> {
        let row = self.slab.get(id);
        row.and_then(|row| row.link(chain).next).unwrap_or(id)
    }

    /// All of a ring, in order.
    pub(super) fn ring(&self, chain: Chain, head: Head) -> impl Iterator<Item = Id<Row>> {
        std::iter::successors(head, move |id| {
            let next = self.after(chain, *id);
            (Some(next) != head).then_some(next)
        })
    }

    fn before(&self, chain: Chain, id: Id<Row>) -> Id<Row> {
        let row = self.slab.get(id);
        row.and_then(|row| row.link(chain).prev).unwrap_or(id)
    }

    fn link(&mut self, chain: Chain, prev: Id<Row>, next: Id<Row>) {
        if let Some(row) = self.slab.get_mut(prev) {
            row.link_mut(chain).next = Some(next);
        }
        if let Some(row) = self.slab.get_mut(next) {
            row.link_mut(chain).prev = Some(prev);
        }
    }

    /// Puts `new` where `old` stands in a queue.
    fn replace(&mut self, queue: &mut Head, old: Id<Row>, new: Id<Row>) {
        let (prev, next) = (
            self.before(Chain::Queue, old),
            self.after(Chain::Queue, old),
        );
        if let Some(row) = self.slab.get_mut(old) {
            row.links.queue = Link::default();
        }
        if next == old {
            self.link(Chain::Queue, new, new);
        } else {
            self.link(Chain::Queue, prev, new);
            self.link(Chain::Queue, new, next);
        }
        if *queue == Some(old) {
            *queue = Some(new);
        }
        if let Some(row) = self.slab.get_mut(new) {
            row.leads = true;
        }
    }
}

fn group_hash(hasher: &RandomState, row: &Row) -> u64 {
    hasher.hash_one((row.message, row.domain, row.line()))
}
