//! `[names]`, `[replies]`, `[notices]` and `[ramp]`: what a tenant may call itself, whom it may have
//! asked, what it is told, and how much it may send while nobody knows it.

use serde::Deserialize;

use super::check::in_range;

/// What display names may be.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NamesConfig {
    pub policy: NameWord,
    pub known_brands: bool,
    pub brands: Vec<String>,
}

/// What becomes of a message whose display name is not acceptable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NameWord {
    Hold,
    Replace,
    Refuse,
}

/// How reply addresses are confirmed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RepliesConfig {
    pub new_per_day: u32,
    pub pause_days: u64,
    pub unconfirmed_most: u32,
}

/// How a new tenant grows.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RampConfig {
    pub first_day: u32,
    pub new_recipients_per_hour: u32,
    pub new_for_days: u64,
    pub plan: u32,
}

/// How tenants are told what could not be delivered.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NoticesConfig {
    pub per_hour: u32,
    pub gather_seconds: u64,
}

/// A hundred years, in days.
const DAYS: u64 = 36_500;

impl RepliesConfig {
    pub(super) fn check(&self) -> anyhow::Result<()> {
        in_range(&[("replies.pause_days", self.pause_days, DAYS)])
    }
}

impl NoticesConfig {
    pub(super) fn check(&self) -> anyhow::Result<()> {
        in_range(&[
            ("notices.per_hour", u64::from(self.per_hour.max(1)), 3_600),
            ("notices.gather_seconds", self.gather_seconds, 86_400),
        ])
    }
}

impl RampConfig {
    pub(super) fn check(&self) -> anyhow::Result<()> {
        in_range(&[
            ("ramp.first_day", u64::from(self.first_day), 1 << 31),
            ("ramp.new_for_days", self.new_for_days.max(1), DAYS),
            ("ramp.plan", u64::from(self.plan), 1 << 31),
        ])
    }
}
