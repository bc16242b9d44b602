//! What the recipient sees: the sending identity of a tenant at this service.

use postrider_model::{Domain, EmailAddress, Mailbox, MessageId, Stream, Tenant, TenantId};

/// The service under whose domains mail is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// From addresses and `d=`: `send.relay.example`.
    pub send_domain: Domain,
    /// Return paths: `bounce.relay.example`.
    pub bounce_domain: Domain,
    /// The host that says it took the message, in its Received field: `relay.example`.
    pub host: Domain,
}

/// A tenant's sending identity. Nothing but `of` knows how it follows from tenant and service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) from: EmailAddress,
    /// The `d=` of its signatures, aligned with `from`.
    pub(crate) signing_domain: Domain,
    pub(crate) bounce_domain: Domain,
    /// The right side of Message-IDs that we make.
    pub(crate) id_domain: Domain,
}

impl Identity {
    pub(crate) fn of(tenant: &Tenant, service: &Service) -> Self {
        Self {
            from: tenant.from.clone(),
            // The From address is for ever, also when the service moves to another domain.
            signing_domain: tenant.from.domain().clone(),
            bounce_domain: service.bounce_domain.clone(),
            id_domain: service.send_domain.clone(),
        }
    }

    pub(crate) fn mailbox(&self, name: String) -> Mailbox {
        Mailbox {
            name: Some(name),
            address: self.from.clone(),
        }
    }

    /// A Message-ID without angle brackets, for a message that has none.
    pub(crate) fn message_id(&self, id: MessageId) -> String {
        format!("{id}@{}", self.id_domain)
    }

    /// Google's Feedback-ID: at most four fields, the last one the sender; nothing in it names
    /// the tenant to a stranger.
    pub(crate) fn feedback_id(&self, tenant: TenantId, stream: Stream) -> String {
        let tag = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, tenant.as_bytes());
        let opaque = tag
            .as_ref()
            .iter()
            .take(6)
            .fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
        let sender = self.signing_domain.as_str().replace('.', "-");
        format!("{stream}:{opaque:012x}:mail:{sender}")
    }
}
