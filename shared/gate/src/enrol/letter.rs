//! The letter that asks a shop's reply address, as its program tells of it.

use postrider_model::{EmailAddress, ReplyAddress, ReplyStatus, Tenant, Timestamp};
use postrider_store::Letters;

use super::{Enroller, ShopStatus};
use crate::asking::{self, program_asks_broken};

/// A letter whose answer is waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShopLetter {
    pub to: EmailAddress,
    /// When the last one went for this shop; `None`: none did.
    pub sent_at: Option<Timestamp>,
    /// From when on the program can have another sent, by enrolling once more; `None` where that is not
    /// known, or it cannot.
    pub next_after: Option<Timestamp>,
}

impl Enroller {
    /// Of a shop that waits for the owner of its reply address, or of its next one. From memory alone:
    /// `next_after` is not known yet.
    pub(super) fn letter(&self, tenant: &Tenant, status: ShopStatus) -> Option<ShopLetter> {
        let address = tenant.next_reply_to.as_ref().unwrap_or(&tenant.reply_to);
        let known = self.ports.roster.reply_address(tenant.id, address);
        let is_asked = |known: &ReplyAddress| match known.status {
            ReplyStatus::Unconfirmed => known.told_at.is_some() || self.writes(),
            // Where no letter went for this shop none is about to: it broke by another's.
            ReplyStatus::Broken => known.told_at.is_some() && program_asks_broken(tenant, known),
            ReplyStatus::Confirmed | ReplyStatus::Refused => false,
        };
        let known = known.filter(|known| status != ShopStatus::Suspended && is_asked(known))?;
        Some(ShopLetter {
            to: known.address.clone(),
            sent_at: known.told_at,
            next_after: None,
        })
    }

    /// Where the last letter to that mailbox was another tenant's, nothing of it is told.
    pub(super) async fn next_after(
        &self,
        tenant: &Tenant,
        letter: &ShopLetter,
    ) -> Option<Timestamp> {
        let sent_at = letter.sent_at?;
        // Without a licence it has no program that enrols.
        if tenant.licence.is_none() || !self.writes() {
            return None;
        }
        let letters = self.letters(&letter.to, sent_at).await;
        let usual = self.ports.gate.letters_pause();
        (letters.last_at == sent_at).then(|| asking::next_letter(letters, usual))
    }

    fn writes(&self) -> bool {
        self.ports.gate.house().is_some()
    }

    // Where it cannot be read, as if that were the only one.
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
