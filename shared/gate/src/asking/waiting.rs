//! Addresses that wait for their letter: whom mail named and nobody has asked yet.

use parking_lot::Mutex;
use postrider_model::{EmailAddress, ReplySource, ReplyStatus, TenantId};
use tokio::sync::mpsc;

/// How many addresses may wait for their letter. More are forgotten: the next message that names
/// one brings it back.
const WAITING_MOST: usize = 1_024;

/// An address that a tenant's mail named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unknown {
    pub(crate) tenant: TenantId,
    pub(crate) address: EmailAddress,
    pub(crate) source: ReplySource,
}

impl Unknown {
    /// It may be used once its owner confirms it.
    pub(crate) fn observed(tenant: TenantId, address: EmailAddress) -> Self {
        Self {
            tenant,
            address,
            source: ReplySource::Observed,
        }
    }

    /// It is used already; its owner is told.
    pub(crate) fn of_own_domain(tenant: TenantId, address: EmailAddress) -> Self {
        Self {
            tenant,
            address,
            source: ReplySource::Domain,
        }
    }

    pub(super) fn status(&self) -> ReplyStatus {
        match self.source {
            ReplySource::Domain => ReplyStatus::Confirmed,
            ReplySource::Operator | ReplySource::Tenant | ReplySource::Observed => {
                ReplyStatus::Unconfirmed
            }
        }
    }
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
