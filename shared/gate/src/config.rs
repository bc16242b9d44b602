//! The operator's rules about who a message is from.

use std::time::Duration;

use crate::name::NameConfig;
use crate::ramp::RampConfig;

/// Rules of identity, at every door.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityConfig {
    /// Where links in mail lead to, without a slash at the end: `https://relay.example`.
    pub public_url: String,
    pub names: NameConfig,
    pub replies: ReplyConfig,
    pub ramp: RampConfig,
    pub notices: NoticeConfig,
}

impl Default for IdentityConfig {
    fn default() -> Self {
        Self {
            public_url: "http://127.0.0.1".to_owned(),
            names: NameConfig::default(),
            replies: ReplyConfig::default(),
            ramp: RampConfig::default(),
            notices: NoticeConfig::default(),
        }
    }
}

/// How tenants are told what could not be delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoticeConfig {
    /// Mails to one tenant, per hour at most; 0: nobody is told.
    pub per_hour: u32,
    /// What fails within so long goes into one mail.
    pub gather: Duration,
}

impl Default for NoticeConfig {
    fn default() -> Self {
        Self {
            per_hour: 4,
            gather: Duration::from_secs(30),
        }
    }
}

/// Rules for reply addresses that nobody has confirmed: a stolen key must not write to strangers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplyConfig {
    /// New addresses that a tenant may have us write to, per UTC day.
    pub new_per_day: u32,
    /// Between two mails to one address, over all tenants.
    pub pause: Duration,
    /// What a tenant may send, to its own reply address alone, before it has confirmed that; in
    /// messages, over all time.
    pub unconfirmed_most: u32,
}

impl Default for ReplyConfig {
    fn default() -> Self {
        Self {
            new_per_day: 5,
            pause: Duration::from_hours(7 * 24),
            unconfirmed_most: 20,
        }
    }
}
