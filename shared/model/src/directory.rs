//! Who may send: tenants, their keys and reply addresses; and the service's signing keys.

use crate::state::words;
use crate::{CredentialId, DkimKeyId, Domain, EmailAddress, ReplyAddressId, TenantId, Timestamp};

words!(
    /// Whether a tenant may send.
    TenantStatus {
        Active = "active",
        /// Both doors are closed to it and its queue stands.
        Suspended = "suspended",
    }
);

words!(
    /// Whether a reply address may stand in mail.
    ReplyStatus {
        Unconfirmed = "unconfirmed",
        Confirmed = "confirmed",
    }
);

words!(
    /// Whether a key opens the doors.
    KeyStatus {
        Active = "active",
        Revoked = "revoked",
    }
);

words!(
    /// How a DKIM key signs: RFC 8301, RFC 8463.
    DkimAlgorithm {
        RsaSha256 = "rsa-sha256",
        Ed25519Sha256 = "ed25519-sha256",
    }
);

/// A tenant's limits; 0 means none. See `design` «Limits»: three things, three names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Submission rate, requests per second over all its keys (burst: one second's worth).
    pub requests_per_second: u32,
    /// Throughput: first attempts per minute at delivery, both lanes together.
    pub per_minute: u32,
    /// How many first attempts may start at once after a pause; 0 is ten seconds' worth, at least
    /// one.
    pub burst: u32,
    /// Throughput of the bulk lane alone, first attempts per minute; its burst is ten seconds'
    /// worth, at least one.
    pub bulk_per_minute: u32,
    /// Attempts under way at once at delivery: each has one connection at a time.
    pub connections: u32,
    /// Quota: recipients accepted per UTC day.
    pub per_day: u32,
    /// Quota: recipients accepted per UTC month.
    pub per_month: u32,
}

/// One customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    pub id: TenantId,
    /// The display name its mail carries by default.
    pub name: String,
    /// `joes-garage`: made from the name once.
    pub slug: String,
    /// The address its mail is sent from, whole; never changes, never used again.
    pub from: EmailAddress,
    /// Where replies go when the message names no confirmed address.
    pub reply_to: EmailAddress,
    pub status: TenantStatus,
    pub limits: Limits,
    pub created_at: Timestamp,
}

/// A reply address of a tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplyAddress {
    pub id: ReplyAddressId,
    pub tenant: TenantId,
    pub address: EmailAddress,
    pub status: ReplyStatus,
    pub created_at: Timestamp,
}

/// A key, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    pub id: CredentialId,
    pub tenant: TenantId,
    /// The first characters, shown in lists and searched by.
    pub prefix: String,
    /// SHA-256 of the whole token.
    pub hash: [u8; 32],
    pub note: String,
    pub status: KeyStatus,
    pub created_at: Timestamp,
}

/// A signing key of the service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DkimKey {
    pub id: DkimKeyId,
    /// The `d=` it signs for.
    pub domain: Domain,
    pub selector: String,
    pub algorithm: DkimAlgorithm,
    /// The TXT record's text, unsplit: `v=DKIM1; k=rsa; p=…`.
    pub record: String,
    /// The private key, PKCS#8, sealed with the master key.
    pub sealed_private_key: Vec<u8>,
    pub status: KeyStatus,
    pub created_at: Timestamp,
}
