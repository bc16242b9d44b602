//! The letter that asks a shop's reply address, as its program tells of it.

use postrider_model::{EmailAddress, ReplyAddress, ReplyStatus, Tenant, Timestamp};
use postrider_store::Letters;

use super::{Enroller, ShopStatus};
use crate::asking::{self, program_asks_broken};

/// A letter whose answer is waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShopLetter {
    pub to: EmailAddress,
    /// When the last one went for this shop; `None`: the first is about to.
    pub sent_at: Option<Timestamp>,
    /// From when on the program can have another sent, by enrolling once more.
    pub next_after: Option<Timestamp>,
}

impl Enroller {
    /// Of a shop that waits for the owner of its reply address, or of its next one.
    pub(super) async fn letter(&self, tenant: &Tenant, status: ShopStatus) -> Option<ShopLetter> {
        let address = tenant.next_reply_to.as_ref().unwrap_or(&tenant.reply_to);
        let known = self.ports.roster.reply_address(tenant.id, address);
        let known =
            known.filter(|known| status != ShopStatus::Suspended && is_asked(tenant, known))?;
        let letters = match known.asked_at {
            Some(at) => Some(self.letters(&known.address, at).await),
            None => None,
        };
        let usual = self.ports.gate.letters_pause();
        Some(ShopLetter {
            to: known.address.clone(),
            // What this shop was told, not what went there for another.
            sent_at: known.asked_at,
            next_after: letters.map(|letters| asking::next_letter(letters, usual)),
        })
    }

    // Where it cannot be read, as if that were the only one: an answer may carry keys that are told once.
    async fn letters(&self, address: &EmailAddress, at: Timestamp) -> Letters {
        let only = Letters {
            last_at: at,
            that_day: 1,
            in_a_row: 1,
        };
        match self.ports.enrolments.letters_to(address).await {
            Ok(letters) => letters.unwrap_or(only),
            Err(fault) => {
                tracing::warn!(
                    error = &fault as &dyn std::error::Error,
                    "the letters to a reply address cannot be counted"
                );
                only
            }
        }
    }
}

fn is_asked(tenant: &Tenant, known: &ReplyAddress) -> bool {
    match known.status {
        ReplyStatus::Unconfirmed => true,
        ReplyStatus::Broken => program_asks_broken(tenant, known),
        ReplyStatus::Confirmed | ReplyStatus::Refused => false,
    }
}
