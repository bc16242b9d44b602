//! `postrider tenant` and `postrider key`: who may send.

use clap::{Args, Subcommand};
use postrider_model::EmailAddress;

use super::Place;
use crate::admin::{NewLimits, Verb};

#[derive(Debug, Subcommand)]
pub enum TenantCommand {
    /// Add a tenant with its first key
    Add {
        /// The display name its mail carries
        #[arg(long)]
        name: String,
        /// Where replies go; counts as confirmed
        #[arg(long, value_name = "ADDRESS")]
        reply_to: EmailAddress,
        #[command(flatten)]
        place: Place,
    },
    /// List all tenants
    List {
        #[command(flatten)]
        place: Place,
    },
    /// Show one tenant
    Show {
        #[command(flatten)]
        which: Which,
    },
    /// Close the doors to a tenant and stop its queue
    Suspend {
        #[command(flatten)]
        which: Which,
    },
    /// Open the doors again
    Resume {
        #[command(flatten)]
        which: Which,
    },
    /// Change a tenant's limits; what is not named stays, 0 means no limit
    Limit(LimitArgs),
    /// A tenant's reply addresses
    #[command(subcommand)]
    ReplyTo(ReplyToCommand),
}

/// One tenant.
#[derive(Debug, Args)]
pub struct Which {
    /// The tenant's id or slug
    pub tenant: String,
    #[command(flatten)]
    pub place: Place,
}

/// New limits of one tenant.
#[derive(Debug, Args)]
pub struct LimitArgs {
    #[command(flatten)]
    pub which: Which,
    /// First attempts per minute, both streams together
    #[arg(long, value_name = "N")]
    per_minute: Option<u32>,
    /// First attempts that may start at once after a pause; 0: a sixth of --per-minute
    #[arg(long, value_name = "N")]
    burst: Option<u32>,
    /// First attempts per minute in the bulk stream
    #[arg(long, value_name = "N")]
    bulk_per_minute: Option<u32>,
    /// Attempts under way at once
    #[arg(long, value_name = "N")]
    connections: Option<u32>,
    /// Recipients accepted per day, UTC
    #[arg(long, value_name = "N")]
    per_day: Option<u32>,
    /// Recipients accepted per month, UTC
    #[arg(long, value_name = "N")]
    per_month: Option<u32>,
    /// Requests at the doors per second
    #[arg(long, value_name = "N")]
    requests_per_second: Option<u32>,
}

impl LimitArgs {
    /// Which relay, and what is asked of it.
    pub fn parts(self) -> (Place, Verb) {
        let limits = NewLimits {
            requests_per_second: self.requests_per_second,
            per_minute: self.per_minute,
            burst: self.burst,
            bulk_per_minute: self.bulk_per_minute,
            connections: self.connections,
            per_day: self.per_day,
            per_month: self.per_month,
        };
        let tenant = self.which.tenant;
        (self.which.place, Verb::TenantLimit { tenant, limits })
    }
}

#[derive(Debug, Subcommand)]
pub enum ReplyToCommand {
    /// Add an address; it counts once it is confirmed
    Add {
        #[command(flatten)]
        which: WhichAddress,
    },
    /// Confirm an address
    Confirm {
        #[command(flatten)]
        which: WhichAddress,
    },
    /// Remove an address
    Remove {
        #[command(flatten)]
        which: WhichAddress,
    },
}

/// One reply address of one tenant.
#[derive(Debug, Args)]
pub struct WhichAddress {
    /// The tenant's id or slug
    pub tenant: String,
    pub address: EmailAddress,
    #[command(flatten)]
    pub place: Place,
}

#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Make a key; it is shown this one time
    Create {
        /// What it is for
        #[arg(long, default_value = "")]
        note: String,
        #[command(flatten)]
        which: Which,
    },
    /// List a tenant's keys
    List {
        #[command(flatten)]
        which: Which,
    },
    /// Close a key for good
    Revoke {
        /// The key's id
        id: String,
        #[command(flatten)]
        place: Place,
    },
}
