//! What shares one transaction: messages, or settlements, up to a measure.

use std::collections::HashSet;

use async_trait::async_trait;
use postrider_model::{MessageId, RecipientId};
use postrider_store::{ClaimScope, Committed, NewMessage, Settled, Settlement};
use sqlx::PgConnection;

use crate::fault::Fault;
use crate::instruments::Kind;
use crate::writer::{Ask, Crew};

const BYTES_MOST: usize = 8 << 20;

/// Work that is done many pieces at a time.
#[async_trait]
pub(crate) trait Work: Sized + Send + Sync + 'static {
    type Done: Send + 'static;
    /// Pieces in a batch at most.
    const MOST: usize;
    const KIND: Kind;

    /// What no other piece of the batch may be about.
    fn keys(&self) -> [Option<Key>; 2];

    /// What it weighs.
    fn bytes(&self) -> usize;

    /// Messages or results in it.
    fn items(&self) -> usize {
        1
    }

    /// Does them in one transaction: outcomes in their order. All of it is on disk when it returns
    /// `Ok`; when not, none of it is there, or (the connection died) that is not known.
    async fn perform(
        works: &[&Self],
        connection: &mut PgConnection,
        crew: &Crew,
    ) -> Result<Vec<Self::Done>, Fault>;
}

/// Something that stands once in a batch.
#[derive(PartialEq, Eq, Hash)]
pub(crate) enum Key {
    Message(MessageId),
    Claim(ClaimScope),
    Recipient(RecipientId),
}

#[async_trait]
impl Work for NewMessage {
    type Done = Committed;
    const MOST: usize = 256;
    const KIND: Kind = Kind::Intake;

    fn keys(&self) -> [Option<Key>; 2] {
        let claim = self.claim.as_ref();
        [
            Some(Key::Message(self.id)),
            claim.map(|claim| Key::Claim(claim.scope.clone())),
        ]
    }

    fn bytes(&self) -> usize {
        self.body.len()
    }

    async fn perform(
        works: &[&Self],
        connection: &mut PgConnection,
        crew: &Crew,
    ) -> Result<Vec<Committed>, Fault> {
        crate::intake::store(connection, works, crew).await
    }
}

/// Messages that are stored together or not at all.
pub(crate) struct Group(pub(crate) Vec<NewMessage>);

#[async_trait]
impl Work for Group {
    type Done = Committed;
    const MOST: usize = 1;
    const KIND: Kind = Kind::Intake;

    fn keys(&self) -> [Option<Key>; 2] {
        [None, None]
    }

    fn bytes(&self) -> usize {
        self.0.iter().map(|message| message.body.len()).sum()
    }

    fn items(&self) -> usize {
        self.0.len()
    }

    async fn perform(
        works: &[&Self],
        connection: &mut PgConnection,
        crew: &Crew,
    ) -> Result<Vec<Committed>, Fault> {
        let mut done = Vec::with_capacity(works.len());
        for Self(messages) in works {
            let messages: Vec<&NewMessage> = messages.iter().collect();
            done.push(crate::intake::store_together(connection, &messages, crew).await?);
        }
        Ok(done)
    }
}

#[async_trait]
impl Work for Settlement {
    type Done = Settled;
    const MOST: usize = 500;
    const KIND: Kind = Kind::Settle;

    // Two results of one recipient are told one after the other.
    fn keys(&self) -> [Option<Key>; 2] {
        [Some(Key::Recipient(self.recipient)), None]
    }

    fn bytes(&self) -> usize {
        0
    }

    async fn perform(
        works: &[&Self],
        connection: &mut PgConnection,
        crew: &Crew,
    ) -> Result<Vec<Settled>, Fault> {
        crate::settle::record(connection, works, crew).await
    }
}

pub(crate) struct Batch<W: Work> {
    pub(crate) asks: Vec<Ask<W>>,
    bytes: usize,
    keys: HashSet<Key>,
}

impl<W: Work> Batch<W> {
    pub(crate) fn new() -> Self {
        Self {
            asks: Vec::new(),
            bytes: 0,
            keys: HashSet::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.asks.len()
    }

    /// Takes a piece of work in, or gives it back where it does not fit any more. An empty batch
    /// takes one of any size.
    pub(crate) fn admit(&mut self, ask: Ask<W>) -> Result<(), Ask<W>> {
        let bytes = self.bytes + ask.work.bytes();
        let keys = ask.work.keys();
        let meets = keys.iter().flatten().any(|key| self.keys.contains(key));
        let full = self.asks.len() >= W::MOST || bytes > BYTES_MOST;
        if meets || (full && !self.asks.is_empty()) {
            return Err(ask);
        }
        self.bytes = bytes;
        self.keys.extend(keys.into_iter().flatten());
        self.asks.push(ask);
        Ok(())
    }

    pub(crate) fn works(&self) -> Vec<&W> {
        self.asks.iter().map(|ask| &ask.work).collect()
    }

    /// Two halves, in order.
    pub(crate) fn halves(mut self) -> (Self, Self) {
        let mut second = Self::new();
        second.asks = self.asks.split_off(self.asks.len() / 2);
        (self, second)
    }

    pub(crate) fn answer(self, done: Vec<W::Done>) {
        // Who does not wait any more need not be told.
        for (ask, done) in self.asks.into_iter().zip(done) {
            let _gone = ask.answer.send(Ok(done));
        }
    }

    pub(crate) fn refuse(self, fault: &Fault) {
        for ask in self.asks {
            let _gone = ask.answer.send(Err(fault.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use postrider_model::{EventKind, TenantId};
    use postrider_store::conformance::fixture::{claiming, delivered, message, settlement};
    use tokio::sync::oneshot;

    use super::*;

    fn ask<W: Work>(work: W) -> Ask<W> {
        let (answer, _) = oneshot::channel();
        Ask { work, answer }
    }

    fn intake(size: usize) -> Ask<NewMessage> {
        let mut work = message(TenantId::from_bytes([1; 16]));
        work.body = vec![b'x'; size].into();
        ask(work)
    }

    #[test]
    fn a_batch_is_bounded_in_messages_and_bytes_but_never_starves_a_large_one() {
        let mut small = Batch::new();
        let taken = (0..300).filter(|_| small.admit(intake(10)).is_ok());
        assert_eq!(taken.count(), NewMessage::MOST);

        let mut large = Batch::new();
        assert!(large.admit(intake(BYTES_MOST * 2)).is_ok());
        assert!(large.admit(intake(1)).is_err());
    }

    #[test]
    fn two_results_of_one_recipient_never_share_a_batch() {
        let given = message(TenantId::from_bytes([1; 16]));
        let result = settlement(&given, 1, EventKind::Delivered, delivered());
        let mut batch = Batch::new();
        assert!(batch.admit(ask(result.clone())).is_ok());
        assert!(batch.admit(ask(result)).is_err());
        assert_eq!(batch.len(), 1);
    }

    #[test]
    fn two_messages_with_one_key_never_share_a_batch() {
        let tenant = TenantId::from_bytes([1; 16]);
        let mut batch = Batch::new();
        assert!(batch.admit(ask(claiming(tenant, "a"))).is_ok());
        assert!(batch.admit(ask(claiming(tenant, "b"))).is_ok());
        assert!(batch.admit(ask(claiming(tenant, "a"))).is_err());
    }

    #[test]
    fn halving_ends_with_single_rows_in_order() {
        let mut batch = Batch::new();
        for size in 1..=5 {
            assert!(batch.admit(intake(size)).is_ok());
        }
        let (mut parts, mut sizes) = (vec![batch], Vec::new());
        while let Some(part) = parts.pop() {
            if part.len() == 1 {
                sizes.push(part.asks[0].work.body.len());
            } else {
                let (first, second) = part.halves();
                assert!(first.len() > 0 && second.len() > 0);
                parts.extend([second, first]);
            }
        }
        assert_eq!(sizes, [1, 2, 3, 4, 5]);
    }
}
