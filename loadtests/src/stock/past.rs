//! Mail that was sent before the relay starts, with what became of it: for what looks back.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, ensure};
use postrider_model::{
    EnhancedCode, Event, EventKind, Provider, RecipientState, Reply, Stream, Timestamp, WaitCause,
    Waits,
};
use postrider_store::{Committed, NewMessage, Outcome, Queue, Settlement};
use tokio::task::JoinSet;

use super::{Stock, Tenant, WRITERS, Waiting, take_one};

/// Of so many messages one is refused for good, with one of as many texts as `TEXTS`.
const REFUSED: u64 = 20;
const TEXTS: u64 = 60;

/// Mail of the past.
#[derive(Clone)]
pub(crate) struct Past {
    pub(crate) tenants: Vec<Arc<Tenant>>,
    /// Messages, one recipient each, to the tenants in turn.
    pub(crate) count: u64,
    /// They were accepted evenly over this time, which ends now.
    pub(crate) over: Duration,
    pub(crate) size: usize,
    pub(crate) sites: u8,
}

impl Stock {
    /// Lays in mail that was delivered or refused long ago.
    pub(crate) async fn lay_past(&self, past: Past, queue: Arc<dyn Queue>) -> anyhow::Result<()> {
        ensure!(!past.tenants.is_empty(), "mail of the past is somebody's");
        let (past, now) = (Arc::new(past), self.0.clock.now());
        let left = Arc::new(AtomicU64::new(past.count));
        let mut writers = JoinSet::new();
        for _ in 0..WRITERS {
            let (stock, queue) = (self.clone(), Arc::clone(&queue));
            let (past, left) = (Arc::clone(&past), Arc::clone(&left));
            writers.spawn(async move {
                while take_one(&left) {
                    stock.past(&past, &*queue, now).await?;
                }
                anyhow::Ok(())
            });
        }
        while let Some(written) = writers.join_next().await {
            written??;
        }
        Ok(())
    }

    async fn past(&self, past: &Past, queue: &dyn Queue, now: Timestamp) -> anyhow::Result<()> {
        let turn = self.0.laid.fetch_add(1, Ordering::Relaxed);
        let place = usize::try_from(turn % past.tenants.len() as u64)?;
        let tenant = past.tenants.get(place).context("a tenant by its turn")?;
        let share = u32::try_from(turn * 1_000_000 / past.count.max(1))?;
        let age = past
            .over
            .saturating_sub(past.over / 1_000_000 * share.min(1_000_000));
        let like = Waiting {
            tenants: Vec::new(),
            phase: 0,
            stream: Stream::Transactional,
            size: past.size,
            sites: past.sites,
            count: 0,
        };
        let message = self.0.message_at(now.before(age), tenant, (turn, &like))?;
        let settlement = ended(&message, turn)?;
        let committed = self.0.intake.commit(message).await?;
        ensure!(committed == Committed::Stored, "not stored: {committed:?}");
        queue.settle(settlement).await?;
        Ok(())
    }
}

/// What became of a message, some seconds after its acceptance.
fn ended(message: &NewMessage, turn: u64) -> anyhow::Result<Settlement> {
    let recipient = message.recipients.first().context("a recipient")?.id;
    let took = Duration::from_millis(80 << (turn % 9));
    let at = message.accepted_at.after(took);
    let (state, kind, reply) = if turn.is_multiple_of(REFUSED) {
        let words = format!("no such user here, says policy {}", words(turn));
        let code = EnhancedCode(5, 1, 1);
        let reply = Reply::new(550, Some(code), words.as_bytes());
        (RecipientState::Failed, EventKind::Bounced, reply)
    } else {
        let reply = Reply::new(250, None, b"ok");
        (RecipientState::Delivered, EventKind::Delivered, reply)
    };
    let mut waits = Waits::default();
    waits.add(WaitCause::Turn, took);
    let providers = Provider::ALL;
    let place = usize::try_from(turn / 7)? % providers.len();
    Ok(Settlement {
        message: message.id,
        recipient,
        at,
        outcome: Outcome::Final { state, attempts: 1 },
        reply: Some(reply.clone()),
        events: vec![Event {
            attempt: 1,
            reply: Some(reply),
            ..Event::new(recipient, at, kind)
        }],
        waits,
        lease: None,
        suppress_until: None,
        tell_tenant: false,
        provider: providers.get(place).copied().unwrap_or(Provider::Other),
        simulated: false,
    })
}

// Letters: numbers would be folded into one text.
fn words(turn: u64) -> String {
    let text = turn / REFUSED % TEXTS;
    let letter = |number: u64| char::from(b'a' + u8::try_from(number % 26).unwrap_or(0));
    [letter(text / 26), letter(text)].iter().collect()
}
