//! Addresses that wait for their letter: whom mail named and nobody has asked yet.

use std::time::Duration;

use parking_lot::Mutex;
use postrider_model::{EmailAddress, ReplyAddress, ReplySource, Tenant, TenantId};
use tokio::sync::mpsc;

use super::AGAIN;

/// How many addresses may wait for their letter. More are forgotten: the next message that names
/// one brings it back.
const WAITING_MOST: usize = 1_024;

/// An address that is to be written to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unknown {
    pub(crate) tenant: TenantId,
    pub(crate) address: EmailAddress,
    pub(crate) source: ReplySource,
    pub(crate) patience: Patience,
}

/// How soon one letter to a mailbox may follow another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    /// As configured: nobody said that the last one was lost.
    Long,
    /// Its program enrolled once more: soon, few a day, and also where the letter came back.
    Few,
    /// An operator wants it asked once more: soon, and also where it took no mail.
    Short,
}

impl Unknown {
    /// It may be used once its owner confirms it.
    pub(crate) fn observed(tenant: TenantId, address: EmailAddress) -> Self {
        Self {
            tenant,
            address,
            source: ReplySource::Observed,
            patience: Patience::Long,
        }
    }

    /// It may be used as soon as its owner is told.
    pub(crate) fn of_own_domain(tenant: TenantId, address: EmailAddress) -> Self {
        Self {
            source: ReplySource::Domain,
            ..Self::observed(tenant, address)
        }
    }

    /// An operator has it asked.
    pub(crate) fn again(tenant: TenantId, address: EmailAddress) -> Self {
        Self {
            source: ReplySource::Operator,
            patience: Patience::Short,
            ..Self::observed(tenant, address)
        }
    }

    /// Its program enrolled once more.
    pub(crate) fn enrolled_again(tenant: TenantId, address: EmailAddress) -> Self {
        Self {
            source: ReplySource::Tenant,
            patience: Patience::Few,
            ..Self::observed(tenant, address)
        }
    }

    /// An operator asks.
    pub(super) fn is_urgent(&self) -> bool {
        self.patience == Patience::Short
    }

    /// Whether it is asked although it took no mail.
    pub(super) fn asks_broken(&self, tenant: &Tenant, entry: &ReplyAddress) -> bool {
        match self.patience {
            Patience::Long => false,
            Patience::Few => program_asks_broken(tenant, entry),
            Patience::Short => true,
        }
    }

    /// Between the last letter to that mailbox and this one.
    pub(super) fn pause(&self, usual: Duration) -> Duration {
        match self.patience {
            Patience::Long => usual,
            Patience::Few | Patience::Short => AGAIN,
        }
    }

    /// What a key alone can bring in: a stolen one must not have us write to strangers.
    pub(super) fn is_capped(&self) -> bool {
        matches!(self.source, ReplySource::Observed | ReplySource::Domain)
    }
}

/// Whether a program has an address asked that took no mail: one that never was anybody's, or is to be
/// the shop's next. Else the shop sends, and enrols at each start.
pub(crate) fn program_asks_broken(tenant: &Tenant, entry: &ReplyAddress) -> bool {
    let next = tenant.next_reply_to.as_ref();
    let is_next = next.is_some_and(|next| next.folded() == entry.address.folded());
    entry.confirmed_at.is_none() || is_next
}

/// Those who wait for their letter.
pub(crate) struct UnknownQueue {
    sender: mpsc::Sender<Unknown>,
    receiver: Mutex<Option<mpsc::Receiver<Unknown>>>,
}

impl Default for UnknownQueue {
    fn default() -> Self {
        let (sender, receiver) = mpsc::channel(WAITING_MOST);
        Self {
            sender,
            receiver: Mutex::new(Some(receiver)),
        }
    }
}

impl UnknownQueue {
    /// Never holds anything up.
    pub(crate) fn put(&self, unknown: Vec<Unknown>) {
        for one in unknown {
            if self.sender.try_send(one).is_err() {
                tracing::debug!("a reply address is not asked now: too many wait");
            }
        }
    }

    /// The other end; once.
    pub(crate) fn take(&self) -> Option<mpsc::Receiver<Unknown>> {
        self.receiver.lock().take()
    }
}
