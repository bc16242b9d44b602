//! `postrider vendor`: who vouches for tenants.

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Subcommand};
use postrider_model::{EmailAddress, Language};
use postrider_store::NewLimits;

use super::Place;
use super::tenant::language_parser;
use crate::admin::{VendorAct, VendorChange, Verb};

#[derive(Debug, Subcommand)]
pub enum VendorCommand {
    /// Add a vendor: who brings tenants and answers for them
    Add(Box<AddArgs>),
    /// List all vendors
    List(Place),
    /// Show one vendor: its limits, what it used today, its keys
    Show(WhichVendor),
    /// Close the doors to all tenants of a vendor and stop their queue
    Suspend(WhichVendor),
    /// Open the doors again
    Resume(WhichVendor),
    /// Change a vendor; what is not named stays
    Set(Box<SetArgs>),
    /// The public keys that its licence tokens are checked with
    #[command(subcommand)]
    Key(VendorKeyCommand),
}

/// One vendor.
#[derive(Debug, Args)]
pub struct WhichVendor {
    /// The vendor's slug or id
    pub vendor: String,
    #[command(flatten)]
    pub place: Place,
}

#[derive(Debug, Args)]
pub struct AddArgs {
    /// How commands name it: a-z, 0-9 and hyphens
    slug: String,
    /// What its tenants know it as
    #[arg(long)]
    name: String,
    /// Whom its tenants are told to ask
    #[arg(long, value_name = "ADDRESS")]
    contact: EmailAddress,
    #[command(flatten)]
    change: ChangeArgs,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Args)]
pub struct SetArgs {
    #[command(flatten)]
    which: WhichVendor,
    /// What its tenants know it as
    #[arg(long)]
    name: Option<String>,
    /// Whom its tenants are told to ask
    #[arg(long, value_name = "ADDRESS")]
    contact: Option<EmailAddress>,
    #[command(flatten)]
    change: ChangeArgs,
}

/// What may be said of a vendor at any time.
#[derive(Debug, Args)]
pub(super) struct ChangeArgs {
    /// Recipients per day over all its tenants, UTC; 0 means no limit
    #[arg(long, value_name = "N")]
    per_day: Option<u32>,
    /// A language of its tenants; may be repeated, the first is that of new ones
    #[arg(long, value_parser = language_parser())]
    language: Vec<Language>,
    /// Of new tenants: recipients per day
    #[arg(long, value_name = "N")]
    tenant_per_day: Option<u32>,
    /// Of new tenants: recipients per month
    #[arg(long, value_name = "N")]
    tenant_per_month: Option<u32>,
    /// Of new tenants: first attempts per minute
    #[arg(long, value_name = "N")]
    tenant_per_minute: Option<u32>,
    /// Of new tenants: requests at the doors per second
    #[arg(long, value_name = "N")]
    tenant_requests_per_second: Option<u32>,
}

impl ChangeArgs {
    fn change(self) -> VendorChange {
        VendorChange {
            per_day: self.per_day,
            tenant_limits: NewLimits {
                per_day: self.tenant_per_day,
                per_month: self.tenant_per_month,
                per_minute: self.tenant_per_minute,
                requests_per_second: self.tenant_requests_per_second,
                ..NewLimits::default()
            },
            languages: self.language,
        }
    }
}

#[derive(Debug, Subcommand)]
pub enum VendorKeyCommand {
    /// Add an Ed25519 public key: a PEM file, a JWK file, or 32 bytes in base64
    Add {
        /// The vendor's slug or id
        vendor: String,
        /// The file, or the key itself in base64
        key: String,
        #[command(flatten)]
        place: Place,
    },
    /// List a vendor's keys
    List(WhichVendor),
    /// Let what is signed with a key count no more
    Revoke {
        /// The vendor's slug or id
        vendor: String,
        /// The key's id, as `vendor key list` shows it
        kid: String,
        #[command(flatten)]
        place: Place,
    },
}

impl VendorCommand {
    /// Which relay, and what is asked of it.
    pub fn parts(self) -> anyhow::Result<(Place, Verb)> {
        let of =
            |which: WhichVendor, act: fn(String) -> VendorAct| (which.place, act(which.vendor));
        let (place, act) = match self {
            Self::Add(args) => {
                let act = VendorAct::Add {
                    slug: args.slug,
                    name: args.name,
                    contact: args.contact,
                    change: args.change.change(),
                };
                (args.place, act)
            }
            Self::List(place) => (place, VendorAct::List),
            Self::Show(which) => of(which, |vendor| VendorAct::Show { vendor }),
            Self::Suspend(which) => of(which, |vendor| VendorAct::Suspend { vendor }),
            Self::Resume(which) => of(which, |vendor| VendorAct::Resume { vendor }),
            Self::Set(args) => {
                let act = VendorAct::Set {
                    vendor: args.which.vendor,
                    name: args.name,
                    contact: args.contact,
                    change: args.change.change(),
                };
                (args.which.place, act)
            }
            Self::Key(command) => command.parts()?,
        };
        Ok((place, Verb::Vendor { act }))
    }
}

impl VendorKeyCommand {
    fn parts(self) -> anyhow::Result<(Place, VendorAct)> {
        Ok(match self {
            Self::Add { vendor, key, place } => {
                let key = key_text(key)?;
                (place, VendorAct::KeyAdd { vendor, key })
            }
            Self::List(WhichVendor { vendor, place }) => (place, VendorAct::KeyList { vendor }),
            Self::Revoke { vendor, kid, place } => (place, VendorAct::KeyRevoke { vendor, kid }),
        })
    }
}

// What is no file is the key itself.
fn key_text(given: String) -> anyhow::Result<String> {
    let path = PathBuf::from(&given);
    match path.try_exists() {
        Ok(true) => std::fs::read_to_string(&path)
            .with_context(|| format!("cannot read {}", path.display())),
        _ => Ok(given),
    }
}
