//! Reply addresses: which of those that a message names may stand in it. An address that nobody
//! confirmed never leaves.

use std::sync::Arc;

use postrider_message::Received;
use postrider_model::{
    Credential, EmailAddress, Mailbox, ReplyAddress, ReplyStatus, Tenant, TenantId, Timestamp,
    UnknownReplyTo,
};
use postrider_store::Roster;

use crate::accept::AcceptError;
use crate::name::is_provider;

/// What a message has as Reply-To, and what it does not get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Replies {
    pub(crate) to: Vec<Mailbox>,
    /// Asked for and not to be used.
    pub(crate) refused: Vec<Refused>,
    /// Used because it is at the tenant's own domain and can be told so; with
    /// `Trust::WhoCanBeTold` alone.
    pub(crate) of_own_domain: Vec<EmailAddress>,
}

/// A reply address that may not be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) address: EmailAddress,
    pub(crate) standing: Standing,
}

/// How an address stands with a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Confirmed,
    /// Not told yet that it is used, but at a domain that is the tenant's.
    OfOwnDomain,
    Unknown,
    /// Asked at that time, where it was, and not answered yet.
    Unconfirmed(Option<Timestamp>),
    /// Its owner does not know the tenant.
    Refused,
    /// Does not take mail any more.
    Broken,
}

/// Which addresses may stand in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    /// Those that are confirmed, or at the tenant's own domain and told: all that may leave.
    Confirmed,
    /// Beside them those that would be if they could be told now.
    WhoCanBeTold,
}

/// Whose addresses they are.
#[derive(Clone, Copy)]
pub(crate) struct Book<'a> {
    pub(crate) roster: &'a Roster,
    pub(crate) tenant: &'a Tenant,
    pub(crate) key: Option<&'a Credential>,
    pub(crate) trust: Trust,
}

impl Book<'_> {
    fn trusts(&self, standing: Standing) -> bool {
        match standing {
            Standing::Confirmed => true,
            Standing::OfOwnDomain => self.trust == Trust::WhoCanBeTold,
            Standing::Unknown | Standing::Unconfirmed(_) | Standing::Refused | Standing::Broken => {
                false
            }
        }
    }

    /// How an address stands with the tenant.
    pub(crate) fn standing(&self, address: &EmailAddress) -> Standing {
        let known = self.roster.reply_address(self.tenant.id, address);
        match known.map(|known| (known.status, known.asked_at)) {
            Some((ReplyStatus::Confirmed, _)) => Standing::Confirmed,
            Some((ReplyStatus::Refused, _)) => Standing::Refused,
            Some((ReplyStatus::Broken, _)) => Standing::Broken,
            _ if self.is_own_domain(address) => Standing::OfOwnDomain,
            Some((ReplyStatus::Unconfirmed, asked_at)) => Standing::Unconfirmed(asked_at),
            None => Standing::Unknown,
        }
    }

    // At a provider's domain a neighbour's confirmation says nothing.
    fn is_own_domain(&self, address: &EmailAddress) -> bool {
        self.tenant.own_domain
            && !is_provider(address.domain().as_str())
            && self
                .roster
                .is_confirmed_at(self.tenant.id, address.domain())
    }

    /// Reply addresses for a message: those that it names in Reply-To, else that of the key it
    /// came with, else its From, else the tenant's default. Of each only what may be used.
    pub(crate) fn choose(&self, facts: &Received) -> Result<Replies, AcceptError> {
        let mut replies = Replies {
            to: Vec::new(),
            refused: Vec::new(),
            of_own_domain: Vec::new(),
        };
        for mailbox in &facts.reply_to {
            self.put(&mailbox.address, &mut replies);
        }
        let of_key = self.key.and_then(|key| key.defaults.reply_to.as_ref());
        if let Some(address) = of_key.filter(|_| replies.to.is_empty()) {
            self.put(address, &mut replies);
        }
        for from in facts
            .from
            .iter()
            .filter(|from| from.address != self.tenant.from)
        {
            if replies.to.is_empty() {
                self.put(&from.address, &mut replies);
            }
        }
        let refuses = |key: &Credential| key.unknown_reply_to == UnknownReplyTo::Refuse;
        if let Some(first) = replies
            .refused
            .first()
            .filter(|_| self.key.is_some_and(refuses))
        {
            return Err(AcceptError::UnknownReplyTo {
                address: first.address.clone(),
            });
        }
        if replies.to.is_empty() {
            replies.to.push(Mailbox::from(self.tenant.reply_to.clone()));
        }
        Ok(replies)
    }

    // A name beside Reply-To is one more place for a deceptive name, and of no use.
    fn put(&self, address: &EmailAddress, replies: &mut Replies) {
        let same = |other: &EmailAddress| other.folded() == address.folded();
        if replies.to.iter().any(|mailbox| same(&mailbox.address))
            || replies.refused.iter().any(|refused| same(&refused.address))
        {
            return;
        }
        let standing = self.standing(address);
        if self.trusts(standing) {
            if standing == Standing::OfOwnDomain {
                replies.of_own_domain.push(address.clone());
            }
            replies.to.push(Mailbox::from(address.clone()));
        } else {
            replies.refused.push(Refused {
                address: address.clone(),
                standing,
            });
        }
    }

    /// Of those who are to get receipts and errors, who may.
    pub(crate) fn usable(&self, addresses: &[EmailAddress]) -> Vec<EmailAddress> {
        let usable = |address: &&EmailAddress| self.trusts(self.standing(address));
        addresses.iter().filter(usable).cloned().collect()
    }

    /// Whether the tenant as a whole is confirmed: its default address was, once.
    pub(crate) fn is_confirmed(&self) -> bool {
        let known = self.default();
        let once = |known: Arc<ReplyAddress>| match known.status {
            ReplyStatus::Confirmed => true,
            // It takes no mail any more; or never did.
            ReplyStatus::Broken => known.confirmed_at.is_some(),
            ReplyStatus::Unconfirmed | ReplyStatus::Refused => false,
        };
        self.tenant.is_house || known.is_some_and(once)
    }

    /// Whether the letter that asked the default address came back: nobody can confirm it.
    pub(crate) fn was_asked_in_vain(&self) -> bool {
        let known = self.default();
        known.is_some_and(|known| {
            known.status == ReplyStatus::Broken && known.confirmed_at.is_none()
        })
    }

    /// Whether the owner of the default address has said that they do not know the tenant.
    pub(crate) fn is_disowned(&self) -> bool {
        let known = self.default();
        known.is_some_and(|known| known.status == ReplyStatus::Refused)
    }

    fn default(&self) -> Option<Arc<ReplyAddress>> {
        let (tenant, address) = (self.tenant.id, &self.tenant.reply_to);
        self.roster.reply_address(tenant, address)
    }

    /// Whether a domain is the tenant's own to show in a name.
    pub(crate) fn shows_domain(&self, domain: &str) -> bool {
        is_own(self.roster, self.tenant.id, domain)
    }
}

fn is_own(roster: &Roster, tenant: TenantId, domain: &str) -> bool {
    let Ok(domain) = postrider_model::Domain::parse(domain) else {
        return false;
    };
    !is_provider(domain.as_str()) && roster.is_confirmed_at(tenant, &domain)
}

impl Replies {
    /// What the event says of addresses that were not used; `None` where there are none.
    pub(crate) fn note(&self) -> Option<String> {
        if self.refused.is_empty() {
            return None;
        }
        let refused: Vec<_> = self.refused.iter().map(why).collect();
        let to: Vec<_> = self.to.iter().map(|to| to.address.to_string()).collect();
        Some(format!(
            "{}; replies go to {}",
            refused.join("; "),
            to.join(", ")
        ))
    }

    /// Whom to write to, when there is time: who may be confirmed.
    pub(crate) fn to_ask(&self) -> impl Iterator<Item = &EmailAddress> {
        let open = self.refused.iter().filter(|refused| {
            matches!(
                refused.standing,
                Standing::Unknown | Standing::Unconfirmed(_)
            )
        });
        open.map(|refused| &refused.address)
    }
}

fn why(refused: &Refused) -> String {
    let address = &refused.address;
    match refused.standing {
        Standing::Unknown => {
            format!(
                "{address} is not a confirmed reply address; it is asked by mail, as far as the day's few new addresses are not used up"
            )
        }
        Standing::Unconfirmed(Some(at)) => format!(
            "{address} is not a confirmed reply address; it was asked by mail at {at} and has not answered"
        ),
        Standing::Refused => {
            format!("{address} is not used as reply address: its owner has declined it")
        }
        Standing::Broken => {
            format!("{address} is not used as reply address any more: it takes no mail")
        }
        Standing::OfOwnDomain => format!(
            "{address} is at your own domain and not used yet: it has to be told by mail first, which is done for a few new addresses a day and once a week for each"
        ),
        Standing::Confirmed | Standing::Unconfirmed(None) => {
            format!("{address} is not a confirmed reply address")
        }
    }
}

#[cfg(test)]
mod tests;
