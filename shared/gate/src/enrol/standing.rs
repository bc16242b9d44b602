//! How a shop stands, as its program is told.

use postrider_model::{ReplyStatus, Tenant, TenantStatus};
use postrider_store::Roster;

use crate::reply::{Book, Trust};

/// The words of `status` in the answers of enrolment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShopStatus {
    /// It sends.
    Active,
    /// Its reply address waits for its owner's yes: it writes to that alone.
    Pending,
    /// The letter that asked its reply address came back: nobody can say yes there.
    Broken,
    /// The owner of its reply address does not know it: it writes to nobody.
    Refused,
    /// It, or its vendor.
    Suspended,
}

impl ShopStatus {
    pub(super) fn of(roster: &Roster, tenant: &Tenant) -> Self {
        let vendor = roster.vendor(tenant.vendor);
        let is_active = tenant.status == TenantStatus::Active;
        if !is_active || !vendor.is_some_and(|vendor| vendor.is_active()) {
            return Self::Suspended;
        }
        let book = Book {
            roster,
            tenant,
            key: None,
            trust: Trust::Confirmed,
        };
        if book.is_disowned() {
            Self::Refused
        } else if book.is_confirmed() {
            Self::Active
        } else if book.was_asked_in_vain() {
            Self::Broken
        } else {
            Self::Pending
        }
    }

    /// How the address stands that is to be the shop's next: it waits, or its letter came back.
    pub(super) fn of_next(roster: &Roster, tenant: &Tenant) -> Option<Self> {
        let next = tenant.next_reply_to.as_ref()?;
        let known = roster.reply_address(tenant.id, next);
        let status = known.map(|known| known.status);
        Some(match status {
            Some(ReplyStatus::Broken) => Self::Broken,
            _ => Self::Pending,
        })
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Pending => "pending",
            Self::Broken => "broken",
            Self::Refused => "refused",
            Self::Suspended => "suspended",
        }
    }
}
