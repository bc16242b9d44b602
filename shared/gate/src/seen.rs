//! A message as its tenant may look at it by the link in a notice: what became of each recipient,
//! with the remote's words. A look changes nothing.

use std::sync::Arc;

use postrider_model::{
    EmailAddress, EnhancedCode, EventKind, MessageId, RecipientId, RecipientState, Tenant,
    TenantId, Timestamp,
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
    /// The remote's last words, or ours where none was asked.
    pub words: Option<String>,
    /// What can be done, where it failed.
    pub remedy: Option<Remedy>,
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
    let note = told.and_then(|event| event.event.note.clone());
    let reply = one.last_reply.as_ref();
    let words = reply.map(ToString::to_string).or_else(|| note.clone());
    let failed = matches!(one.state, RecipientState::Failed | RecipientState::Expired);
    let said = reply.and_then(|reply| reply.enhanced);
    // Our own notes have their code in front.
    let ours = || EnhancedCode::parse(note.as_deref()?.split(' ').next()?);
    SeenRecipient {
        id: one.id,
        address: one.address,
        state: one.state,
        at: one.updated_at,
        words: words.map(|words| words.chars().take(WORDS_MOST).collect()),
        remedy: failed.then(|| Remedy::of(one.state, said.or_else(ours))),
    }
}
