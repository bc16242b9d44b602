//! The answers to links in mail: what the pages show, and what their buttons do. A look changes
//! nothing.

use std::sync::Arc;

use postrider_model::{
    AuditEntry, AuditId, EmailAddress, ReplyAddress, ReplySource, ReplyStatus, Stream, Suppression,
    SuppressionId, SuppressionReason, Tenant,
};
use postrider_store::{StoreError, Suppressed};
use serde_json::json;

use crate::accept::Gate;
use crate::link::{REPLY_LIFE, ReplyToken, UnsubscribeToken};

/// Who the audit says did what a button behind a link did.
const OWNER: &str = "owner of the address";

/// A reply address that is asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplyLink {
    pub tenant: Arc<Tenant>,
    pub address: EmailAddress,
    /// As it stands now.
    pub status: ReplyStatus,
    /// `Domain`: it is used already, and its owner was told.
    pub source: ReplySource,
    /// Whether replies go there where mail names no other address; else it is one that mail may
    /// name, for it is a colleague's, or the tenant has another by now.
    pub is_default: bool,
}

impl ReplyLink {
    fn of(tenant: Arc<Tenant>, entry: &ReplyAddress, status: ReplyStatus) -> Self {
        Self {
            is_default: tenant.reply_to.folded() == entry.address.folded(),
            tenant,
            address: entry.address.clone(),
            status,
            source: entry.source,
        }
    }
}

/// A recipient that may leave a tenant's bulk mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnsubscribeLink {
    pub tenant: Arc<Tenant>,
    pub address: EmailAddress,
    /// Whether they have left it, for good.
    pub has_left: bool,
}

/// Why a link leads nowhere.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// Not one of ours, or what it is about is gone.
    #[error("the link is unknown")]
    Unknown,
    #[error("the link is too old")]
    Expired,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Gate {
    /// What a confirmation link is about.
    pub fn reply_link(&self, token: &str) -> Result<ReplyLink, LinkError> {
        let (tenant, entry) = self.entry_of(token)?;
        Ok(ReplyLink::of(tenant, &entry, entry.status))
    }

    /// The owner of an address says that replies may go there. In force when it returns; unless
    /// they said no before, which stands until an operator confirms it.
    pub async fn confirm(&self, token: &str) -> Result<ReplyLink, LinkError> {
        self.answer(token, ReplyStatus::Confirmed).await
    }

    /// The owner of an address does not know the tenant: a sign of abuse, counted against it once.
    pub async fn disown(&self, token: &str) -> Result<ReplyLink, LinkError> {
        self.answer(token, ReplyStatus::Refused).await
    }

    async fn answer(&self, token: &str, said: ReplyStatus) -> Result<ReplyLink, LinkError> {
        let (mut tenant, entry) = self.entry_of(token)?;
        let mut status = entry.status;
        if status != said && status != ReplyStatus::Refused {
            let (directory, now) = (&self.directory, self.clock.now());
            status = directory
                .answer_reply_address(tenant.id, &entry.address, said, now)
                .await?;
            if status == ReplyStatus::Refused {
                tracing::warn!(tenant.id = %tenant.id, "the owner of a reply address does not know the tenant");
                self.note_disowned(&tenant, &entry).await;
            } else {
                tracing::info!(tenant.id = %tenant.id, "the owner of a reply address has confirmed it");
            }
            // Seen by the very next message; other nodes are told as of any change.
            self.roster.refresh(directory.as_ref()).await?;
            // A yes may have made the address its default.
            tenant = self.roster.tenant(tenant.id).unwrap_or(tenant);
        }
        Ok(ReplyLink::of(tenant, &entry, status))
    }

    /// An operator, and the tenant's vendor, read it in the audit.
    async fn note_disowned(&self, tenant: &Tenant, entry: &ReplyAddress) {
        let at = self.clock.now();
        let entry = AuditEntry {
            id: AuditId::new(at, self.rng.bytes()),
            at,
            actor: OWNER.to_owned(),
            vendor: Some(tenant.vendor),
            verb: "reply_disown".to_owned(),
            subject: tenant.slug.clone(),
            detail: json!({"address": entry.address, "was": entry.status}),
        };
        if let Err(fault) = self.audit.record(entry).await {
            tracing::error!(error = &fault as &dyn std::error::Error, tenant.id = %tenant.id, "an entry of the audit is lost");
        }
    }

    fn entry_of(&self, token: &str) -> Result<(Arc<Tenant>, Arc<ReplyAddress>), LinkError> {
        let said = ReplyToken::read(token).ok_or(LinkError::Unknown)?;
        let entry = self.roster.reply_address(said.tenant, &said.address);
        let entry = entry.ok_or(LinkError::Unknown)?;
        if !ReplyToken::is_of(&self.master, token, entry.id) {
            return Err(LinkError::Unknown);
        }
        if said.at.after(REPLY_LIFE) < self.clock.now() {
            return Err(LinkError::Expired);
        }
        let tenant = self.roster.tenant(said.tenant);
        Ok((tenant.ok_or(LinkError::Unknown)?, entry))
    }

    /// What a link to leave bulk mail is about.
    pub async fn unsubscribe_link(&self, token: &str) -> Result<UnsubscribeLink, LinkError> {
        let said = UnsubscribeToken::parse(&self.master, token).ok_or(LinkError::Unknown)?;
        let tenant = self.roster.tenant(said.tenant).ok_or(LinkError::Unknown)?;
        let which = Suppressed::Address(said.address.clone());
        let now = self.clock.now();
        let standing = self.suppressions.suppression(tenant.id, &which, now);
        let is_for_ever =
            |one: &Suppression| one.until.is_none() && one.stream != Some(Stream::Transactional);
        Ok(UnsubscribeLink {
            has_left: standing.await?.iter().any(is_for_ever),
            tenant,
            address: said.address,
        })
    }

    /// A recipient leaves a tenant's bulk mail; other mail still goes there. In force when it
    /// returns; once more is as good as once.
    pub async fn unsubscribe(&self, token: &str) -> Result<UnsubscribeLink, LinkError> {
        let link = self.unsubscribe_link(token).await?;
        // Whoever has the link may press as often as they like: what stands is not written again.
        if link.has_left {
            return Ok(link);
        }
        let now = self.clock.now();
        let suppression = Suppression {
            id: SuppressionId::new(now, self.rng.bytes()),
            tenant: link.tenant.id,
            address: link.address.clone(),
            stream: Some(Stream::Bulk),
            reason: SuppressionReason::Unsubscribe,
            source: "the link in a bulk message".to_owned(),
            since: now,
            until: None,
        };
        self.suppressions
            .suppress(link.tenant.id, vec![suppression])
            .await?;
        Ok(UnsubscribeLink {
            has_left: true,
            ..link
        })
    }
}
