//! `postrider tenant`: who may send.

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use postrider_model::{Authority, EmailAddress, Language, Licence, Plan};
use postrider_store::NewLimits;

use super::{Place, ReplyCommand};
use crate::admin::Verb;

#[derive(Debug, Subcommand)]
pub enum TenantCommand {
    /// Add a tenant with its first key
    Add {
        /// The display name its mail carries
        #[arg(long)]
        name: String,
        /// Where replies go; it gets a mail with a link, and counts once that is followed
        #[arg(long, value_name = "ADDRESS")]
        reply_to: EmailAddress,
        /// The language of what is written to it [default: its vendor's first]
        #[arg(long, value_parser = language_parser())]
        language: Option<Language>,
        /// Known people: the address counts as confirmed, and there is no ramp. In a sandbox all are
        #[arg(long)]
        vouched: bool,
        /// Who vouches for it: a vendor's slug or id [default: the operator]
        #[arg(long)]
        vendor: Option<String>,
        /// Its vendor's own id of it
        #[arg(long, value_name = "ID", value_parser = Licence::parse)]
        licence: Option<Licence>,
        /// What it has bought of its vendor
        #[arg(long, value_name = "NAME", value_parser = Plan::parse)]
        plan: Option<Plan>,
        #[command(flatten)]
        place: Place,
    },
    /// Add and change many tenants of a vendor, known again by its own ids of them
    #[command(after_help = IMPORT)]
    Import(ImportArgs),
    /// List all tenants
    List {
        /// Those of this vendor
        #[arg(long)]
        vendor: Option<String>,
        #[command(flatten)]
        place: Place,
    },
    /// Show one tenant: its limits, ramp, reply addresses and keys
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
    /// Change a tenant's limits; what is not named stays, 0 means no limit. What is named its vendor raises no more
    Limit(LimitArgs),
    /// Change what else is known of a tenant; what is not named stays
    Set(SetArgs),
    /// As `postrider reply`
    #[command(subcommand, hide = true)]
    ReplyTo(ReplyCommand),
}

const IMPORT: &str = "\
The first line names the columns: licence, name, reply_to, and if wanted language (en, fr), plan, and
attested (yes, no): the vendor vouches for the address, which counts as confirmed. What is there
already is changed where it is different. Bad lines are told of and left out; the exit code is 2 then.

Example:
  postrider tenant import shops.csv --vendor acme --out keys.csv";

/// A list of tenants.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// The list, as comma-separated values in UTF-8
    pub file: PathBuf,
    /// Whose tenants they are: a vendor's slug or id
    #[arg(long)]
    pub vendor: String,
    /// Where the keys of new tenants are written; readable by its owner only [default: the screen]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    #[command(flatten)]
    pub place: Place,
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

/// What else is known of one tenant.
#[derive(Debug, Args)]
pub struct SetArgs {
    #[command(flatten)]
    pub which: Which,
    /// The language of what is written to it
    #[arg(long, value_parser = language_parser())]
    language: Option<Language>,
    /// Whether addresses at a domain where one is confirmed are its own at once
    #[arg(long, value_name = "yes|no", value_parser = yes_or_no)]
    own_domain: Option<bool>,
    /// Whether it is told by mail what could not be delivered
    #[arg(long, value_name = "yes|no", value_parser = yes_or_no)]
    notices: Option<bool>,
    /// It has bought nothing of its vendor any more
    #[arg(long)]
    no_plan: bool,
    /// Known people: the default reply address counts as confirmed, and the ramp is over
    #[arg(long)]
    vouched: bool,
}

impl SetArgs {
    /// Which relay, and what is asked of it.
    pub fn parts(self) -> (Place, Verb) {
        let verb = Verb::TenantSet {
            tenant: self.which.tenant,
            language: self.language,
            own_domain: self.own_domain,
            notices: self.notices,
            without_plan: self.no_plan,
            vouched: self.vouched,
        };
        (self.which.place, verb)
    }
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
        let verb = Verb::TenantLimit {
            tenant: self.which.tenant,
            limits,
            by: Authority::Operator,
        };
        (self.which.place, verb)
    }
}

/// One of the languages, by its word.
pub(super) fn language_parser() -> impl TypedValueParser<Value = Language> {
    PossibleValuesParser::new(Language::ALL.iter().map(|language| language.as_str()))
        .try_map(|word| Language::parse(&word))
}

fn yes_or_no(word: &str) -> Result<bool, String> {
    match word {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err("say yes or no".to_owned()),
    }
}
