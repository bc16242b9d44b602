//! `postrider queue`: verbs about what waits.

use anyhow::Context;
use clap::{Args, Subcommand};
use postrider_model::{Domain, MessageId};

use super::Place;
use crate::admin::{About, QueueAct, Verb};

#[derive(Debug, Subcommand)]
pub enum QueueCommand {
    /// Stop the recipients that wait now, until they are released
    Hold(Target),
    /// Send held recipients on
    Release(Target),
    /// Discard the recipients that wait, are scheduled or held
    Cancel(Target),
    /// Stop what waits and what is accepted later, until it is resumed
    Suspend(Target),
    /// End a suspension
    Resume(Target),
    /// Try at once what waits for another attempt
    RetryNow(Target),
    /// Show what waits, for what, and what is stopped; of a long queue the first 100,000
    List {
        /// Of this vendor, its tenants and their messages
        #[arg(long)]
        vendor: Option<String>,
        #[command(flatten)]
        place: Place,
    },
}

/// What a verb is about, and which relay.
#[derive(Debug, Args)]
pub struct Target {
    #[command(flatten)]
    pub about: AboutArgs,
    #[command(flatten)]
    pub place: Place,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct AboutArgs {
    /// All mail of this tenant: its id or slug
    #[arg(long, value_name = "TENANT")]
    tenant: Option<String>,
    /// All mail of this vendor's tenants: its id or slug
    #[arg(long, value_name = "VENDOR")]
    vendor: Option<String>,
    /// All recipients at this domain
    #[arg(long, value_name = "DOMAIN")]
    domain: Option<Domain>,
    /// One message, by its id
    #[arg(long, value_name = "ID")]
    message: Option<MessageId>,
}

impl AboutArgs {
    /// The one that was given: the parser lets exactly one through.
    fn chosen(self) -> anyhow::Result<About> {
        let tenant = self.tenant.map(About::Tenant);
        let vendor = self.vendor.map(About::Vendor);
        let domain = self.domain.map(About::Domain);
        let message = self.message.map(About::Message);
        let chosen = tenant.or(vendor).or(domain).or(message);
        chosen.context("name one of --tenant, --vendor, --domain and --message")
    }
}

impl QueueCommand {
    /// Which relay, and what is asked of it.
    pub fn parts(self) -> anyhow::Result<(Place, Verb)> {
        let (act, target) = match self {
            Self::Hold(target) => (QueueAct::Hold, target),
            Self::Release(target) => (QueueAct::Release, target),
            Self::Cancel(target) => (QueueAct::Cancel, target),
            Self::Suspend(target) => (QueueAct::Suspend, target),
            Self::Resume(target) => (QueueAct::Resume, target),
            Self::RetryNow(target) => (QueueAct::RetryNow, target),
            Self::List { vendor, place } => return Ok((place, Verb::QueueList { vendor })),
        };
        let about = target.about.chosen()?;
        Ok((target.place, Verb::Queue { act, about }))
    }
}
