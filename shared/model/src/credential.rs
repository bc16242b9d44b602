//! Keys: what opens the doors for a tenant, from where, for how much, and what it adds to mail.

use std::time::Duration;

use crate::state::words;
use crate::{CredentialId, EmailAddress, Network, Stream, Tag, TenantId, Timestamp};

words!(
    /// Whether a key opens the doors.
    CredentialStatus {
        Active = "active",
        /// It opens none until it is resumed.
        Suspended = "suspended",
        /// It opens none any more.
        Revoked = "revoked",
    }
);

words!(
    /// Whether a key signs, or what is signed with it counts.
    KeyStatus {
        Active = "active",
        Revoked = "revoked",
    }
);

words!(
    /// What a key's secret looks like. Each opens both doors.
    #[derive(Default)]
    KeyKind {
        /// `pr_live_` + 43 base62 + 6 checksum characters.
        #[default]
        Api = "api",
        /// A user name and 24 characters of Crockford's base32, for old forms.
        Smtp = "smtp",
    }
);

words!(
    /// What becomes of a message with a From or Reply-To that the tenant has not confirmed.
    #[derive(Default)]
    UnknownReplyTo {
        /// It goes out with the default reply address; the new one is asked.
        #[default]
        Replace = "replace",
        /// It is refused.
        Refuse = "refuse",
    }
);

/// What mail under a key has where it does not say itself: for programs that cannot add a header.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct KeyDefaults {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<Stream>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Tag>,
    /// How long after its acceptance it may still be attempted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_after: Option<Duration>,
    /// One of the tenant's reply addresses: that of the person whose key it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<EmailAddress>,
}

/// A key, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    pub id: CredentialId,
    pub tenant: TenantId,
    pub kind: KeyKind,
    /// The user name that was handed out with it; any other is accepted too.
    pub user: Option<String>,
    /// The first characters, shown in lists and searched by.
    pub prefix: String,
    /// SHA-256 of the whole token, in its canonical form.
    pub hash: [u8; 32],
    pub note: String,
    pub status: CredentialStatus,
    /// Where it may be used from; empty is anywhere.
    pub networks: Vec<Network>,
    /// Quota: recipients accepted under it per UTC day, 0 is none. See `Quota::key_per_day`.
    pub per_day: u32,
    /// It opens no door from then on.
    pub expires_at: Option<Timestamp>,
    pub defaults: KeyDefaults,
    pub unknown_reply_to: UnknownReplyTo,
    /// Whether the same message again, over SMTP within 15 minutes, is taken for a repetition.
    pub skips_duplicates: bool,
    /// Whether it may send to the simulator alone.
    pub is_test: bool,
    /// Enrolment gave it, and renews it when it rotates. Never changes.
    pub is_enrolled: bool,
    pub created_at: Timestamp,
}

impl Credential {
    /// An active API key without anything of its own.
    pub fn api(id: CredentialId, tenant: TenantId, prefix: String, hash: [u8; 32]) -> Self {
        Self {
            id,
            tenant,
            kind: KeyKind::Api,
            user: None,
            prefix,
            hash,
            note: String::new(),
            status: CredentialStatus::Active,
            networks: Vec::new(),
            per_day: 0,
            expires_at: None,
            defaults: KeyDefaults::default(),
            unknown_reply_to: UnknownReplyTo::Replace,
            skips_duplicates: true,
            is_test: false,
            is_enrolled: false,
            created_at: Timestamp::from_micros(0),
        }
    }

    /// Whether it may be used from this address.
    pub fn is_for(&self, peer: std::net::IpAddr) -> bool {
        self.networks.is_empty() || self.networks.iter().any(|network| network.contains(peer))
    }
}
