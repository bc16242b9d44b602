//! Addresses that wait for their letter: whom mail named and nobody has asked yet.

use parking_lot::Mutex;
use postrider_model::{EmailAddress, ReplySource, TenantId};
use tokio::sync::mpsc;

/// How many addresses may wait for their letter. More are forgotten: the next message that names
/// one brings it back.
const WAITING_MOST: usize = 1_024;

/// An address that is to be written to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unknown {
    pub(crate) tenant: TenantId,
    pub(crate) address: EmailAddress,
    pub(crate) source: ReplySource,
    /// An operator wants it asked once more: soon, and also where it took no mail.
    pub(crate) again: bool,
}

impl Unknown {
    /// It may be used once its owner confirms it.
    pub(crate) fn observed(tenant: TenantId, address: EmailAddress) -> Self {
        Self {
            tenant,
            address,
            source: ReplySource::Observed,
            again: false,
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
            again: true,
            ..Self::observed(tenant, address)
        }
    }

    /// What a key alone can bring in: a stolen one must not have us write to strangers.
    pub(super) fn is_capped(&self) -> bool {
        matches!(self.source, ReplySource::Observed | ReplySource::Domain)
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
