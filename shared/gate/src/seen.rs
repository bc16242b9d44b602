//! A message as its tenant may look at it by the link in a notice: what became of each recipient,
//! with the remote's words. A look changes nothing.

use std::sync::Arc;

use postrider_model::{
    EmailAddress, EventKind, MessageId, OwnVerdict, RecipientId, RecipientState, Tenant, TenantId,
    Timestamp,
};
use postrider_store::{StoreError, StoredEmail, StoredEvent, StoredRecipient};

use crate::accept::Gate;
use crate::link::{MESSAGE_LIFE, MessageToken};
use crate::pages::LinkError;
use crate::remedy::Remedy;

/// Characters of a remote's words that are shown.
const WORDS_MOST: usize = 500;

/// A message, looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenMessage {
    pub tenant: Arc<Tenant>,
    pub subject: String,
    pub accepted_at: Timestamp,
    /// In the order in which they were given.
    pub recipients: Vec<SeenRecipient>,
}

/// What became of one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenRecipient {
    pub id: RecipientId,
    pub address: EmailAddress,
    pub state: RecipientState,
    /// Since when.
    pub at: Timestamp,
    /// What was said of it last, where anything was.
    pub said: Option<Said>,
    /// What can be done, where it failed.
    pub remedy: Option<Remedy>,
}

/// Who said something of a recipient, and what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// The remote: its words as they are.
    Remote(String),
    /// We, without a remote's word: its remedy says it in the reader's language.
    Own(OwnVerdict),
    /// What we noted where none of both was said: why no remote answered.
    Noted(String),
}

impl Gate {
    /// The message that a link in a notice is about.
    pub async fn message_link(&self, token: &str) -> Result<SeenMessage, LinkError> {
        let said = MessageToken::parse(&self.master, token).ok_or(LinkError::Unknown)?;
        if said.at.after(MESSAGE_LIFE) < self.clock.now() {
            return Err(LinkError::Expired);
        }
        let tenant = self.roster.tenant(said.tenant).ok_or(LinkError::Unknown)?;
        let seen = self.seen(&tenant, said.message).await?;
        seen.ok_or(LinkError::Unknown)
    }

    /// The address of the page about a message, good for 30 days.
    pub(crate) fn link_to(&self, tenant: TenantId, message: MessageId) -> String {
        let at = self.clock.now();
        let token = MessageToken {
            tenant,
            message,
            at,
        };
        let url = &self.rules.identity.public_url;
        format!("{url}/m/{}", token.print(&self.master))
    }

    /// `None` where the tenant has none of that id (any more).
    pub(crate) async fn seen(
        &self,
        tenant: &Arc<Tenant>,
        message: MessageId,
    ) -> Result<Option<SeenMessage>, StoreError> {
        let Some(email) = self.mail.email(tenant.id, message).await? else {
            return Ok(None);
        };
        let events = self.mail.events(tenant.id, message).await?;
        let events = events.unwrap_or_default();
        Ok(Some(looked_at(tenant, email, &events)))
    }
}

fn looked_at(tenant: &Arc<Tenant>, email: StoredEmail, events: &[StoredEvent]) -> SeenMessage {
    let recipients = email.recipients.into_iter();
    SeenMessage {
        tenant: Arc::clone(tenant),
        subject: email.summary.subject,
        accepted_at: email.accepted_at,
        recipients: recipients.map(|one| recipient(one, events)).collect(),
    }
}

fn recipient(one: StoredRecipient, events: &[StoredEvent]) -> SeenRecipient {
    let its = |event: &&StoredEvent| event.event.recipient == one.id;
    let told = events.iter().rev().filter(its).find(|event| {
        let is_attempt = !matches!(event.event.kind, EventKind::Attempted);
        is_attempt && (event.event.reply.is_some() || event.event.note.is_some())
    });
    let note = told.and_then(|event| event.event.note.as_deref());
    // What ended it after the remote's last answer; that its time passed says less than that answer.
    let own = told
        .filter(|event| event.event.reply.is_none())
        .and(note)
        .and_then(OwnVerdict::of_note);
    let reply = one.last_reply.as_ref();
    let said = match (own, reply, note) {
        (Some(verdict), None, _) => Some(Said::Own(verdict)),
        (Some(verdict), Some(_), _) if verdict != OwnVerdict::Expired => Some(Said::Own(verdict)),
        (_, Some(reply), _) => Some(Said::Remote(shortened(&reply.to_string()))),
        (None, None, Some(note)) => Some(Said::Noted(shortened(note))),
        (None, None, None) => None,
    };
    let failed = matches!(one.state, RecipientState::Failed | RecipientState::Expired);
    let remedy = match &said {
        Some(Said::Own(verdict)) => Remedy::of_own(*verdict),
        _ => Remedy::of(one.state, reply.and_then(|reply| reply.enhanced)),
    };
    SeenRecipient {
        id: one.id,
        address: one.address,
        state: one.state,
        at: one.updated_at,
        said,
        remedy: failed.then_some(remedy),
    }
}

fn shortened(words: &str) -> String {
    words.chars().take(WORDS_MOST).collect()
}

#[cfg(test)]
mod tests {
    use postrider_model::{Reply, Waits};

    use super::*;

    fn event(kind: EventKind, reply: Option<&Reply>, own: Option<OwnVerdict>) -> StoredEvent {
        let recipient = RecipientId::from_bytes([1; 16]);
        let event = postrider_model::Event::new(recipient, Timestamp::from_micros(0), kind);
        StoredEvent {
            seq: 1,
            address: EmailAddress::parse("ann@garage.example").unwrap(),
            event: postrider_model::Event {
                reply: reply.cloned(),
                note: own.map(OwnVerdict::note),
                ..event
            },
        }
    }

    /// What is said of a recipient that was put off with a reply, and then ended by us.
    fn ended(state: RecipientState, kind: EventKind, own: OwnVerdict) -> SeenRecipient {
        let greylisted = Reply {
            code: 451,
            enhanced: None,
            text: "greylisted".to_owned(),
        };
        let events = [
            event(EventKind::Deferred, Some(&greylisted), None),
            event(kind, None, Some(own)),
        ];
        let one = StoredRecipient {
            id: RecipientId::from_bytes([1; 16]),
            address: EmailAddress::parse("ann@garage.example").unwrap(),
            state,
            attempts: 2,
            due_at: None,
            cause: None,
            last_reply: Some(greylisted),
            updated_at: Timestamp::from_micros(0),
            waits: Waits::default(),
        };
        recipient(one, &events)
    }

    #[test]
    fn what_we_end_is_not_told_with_an_answer_that_was_overtaken() {
        let null = OwnVerdict::NullMx;
        let seen = ended(RecipientState::Failed, EventKind::Failed, null);
        assert_eq!(seen.said, Some(Said::Own(null)));
        assert_eq!(seen.remedy, Some(Remedy::CheckDomain(null)));
        // That its time ran out is seen anyway; what it was put off with is not.
        let late = OwnVerdict::Expired;
        let seen = ended(RecipientState::Expired, EventKind::Expired, late);
        assert_eq!(seen.said, Some(Said::Remote("451 greylisted".to_owned())));
        assert_eq!(seen.remedy, Some(Remedy::TooLate));
    }
}
