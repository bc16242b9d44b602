//! Who may send: tenants and their reply addresses; and the service's signing keys.

use crate::state::words;
use crate::{
    Authority, DkimKeyId, Domain, EmailAddress, KeyStatus, Licence, Plan, ReplyAddressId, TenantId,
    Timestamp, VendorId,
};

words!(
    /// Whether a tenant may send.
    TenantStatus {
        Active = "active",
        /// Both doors are closed to it and its queue stands.
        Suspended = "suspended",
    }
);

words!(
    /// Whether a reply address may stand in mail. Only a confirmed one may.
    ReplyStatus {
        Unconfirmed = "unconfirmed",
        Confirmed = "confirmed",
        /// Its owner said that it has nothing to do with the tenant.
        Refused = "refused",
        /// It was confirmed, and does not take mail any more.
        Broken = "broken",
    }
);

words!(
    /// How a reply address came to a tenant.
    ReplySource {
        /// An operator entered it.
        Operator = "operator",
        /// The tenant entered it, in its vendor's program (`POST /enroll`).
        Tenant = "tenant",
        /// It stood in the tenant's mail.
        Observed = "observed",
        /// It stood in the tenant's mail and is at the tenant's own domain, of which another
        /// address was confirmed before.
        Domain = "domain",
    }
);

words!(
    /// The language of what we write to a tenant and of its pages.
    #[derive(Default)]
    Language {
        #[default]
        En = "en",
        Fr = "fr",
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

/// How much a new tenant may send while nobody knows it yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ramp {
    /// When it began.
    pub since: Timestamp,
    /// Recipients per UTC day for now; 0: it is past its ramp.
    pub per_day: u32,
    /// The UTC day (`Timestamp::day`) up to which the days before were looked at: its own
    /// `per_day` is decided.
    pub decided: i64,
}

impl Ramp {
    /// Of a tenant that is not limited by one.
    pub const PAST: Self = Self {
        since: Timestamp::from_micros(0),
        per_day: 0,
        decided: 0,
    };

    pub fn is_past(&self) -> bool {
        self.per_day == 0
    }
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
    /// What `reply_to` becomes once it is confirmed: another was wished that is not yet.
    pub next_reply_to: Option<EmailAddress>,
    pub status: TenantStatus,
    /// Who suspended it, where it is and that was written down.
    pub stopped_by: Option<Authority>,
    pub limits: Limits,
    pub language: Language,
    /// Whether what is at a domain of which one address is confirmed is its own at once.
    pub own_domain: bool,
    /// Whether it is told by mail what could not be delivered.
    pub notices: bool,
    pub ramp: Ramp,
    /// The one tenant that Postrider writes its own mail as; outside quotas and ramps.
    pub is_house: bool,
    /// Who vouches for it.
    pub vendor: VendorId,
    /// Its vendor's own id of it.
    pub licence: Option<Licence>,
    pub plan: Option<Plan>,
    pub created_at: Timestamp,
}

/// A reply address of a tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplyAddress {
    pub id: ReplyAddressId,
    pub tenant: TenantId,
    pub address: EmailAddress,
    pub status: ReplyStatus,
    pub source: ReplySource,
    pub confirmed_at: Option<Timestamp>,
    /// When we last wrote to it to have it confirmed, for whichever tenant, as far as was seen.
    pub asked_at: Option<Timestamp>,
    /// When we last wrote to it for this tenant's own sake, where that was written down.
    pub told_at: Option<Timestamp>,
    /// When its owner said that they do not know the tenant, where that stands and was written down.
    pub refused_at: Option<Timestamp>,
    /// Who said in whose name that it is the tenant's, where that confirmed it: `vendor acme by
    /// cli`.
    pub attested_by: Option<String>,
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
