//! `postrider token` and `postrider audit`: who may use the admin API, and what was done.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use postrider_model::{AdminRole, AdminTokenId, Timestamp};

use super::Place;
use crate::admin::{Since, TokenAct, Verb, moment};

#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Make a token of the admin API; it is shown this one time
    Create {
        /// What it may do
        #[arg(long, value_parser = role_parser())]
        role: AdminRole,
        /// Whose tenants it is for [default: all, the operator's]
        #[arg(long)]
        vendor: Option<String>,
        /// What it is for
        #[arg(long, default_value = "")]
        note: String,
        /// It opens nothing from this day or time on, UTC
        #[arg(long, value_name = "YYYY-MM-DD", value_parser = moment)]
        expires: Option<Timestamp>,
        #[command(flatten)]
        place: Place,
    },
    /// List the tokens
    List {
        /// Those of this vendor
        #[arg(long)]
        vendor: Option<String>,
        #[command(flatten)]
        place: Place,
    },
    /// Close a token for good
    Revoke {
        /// The token's id
        id: AdminTokenId,
        #[command(flatten)]
        place: Place,
    },
}

#[derive(Debug, Args)]
pub struct AuditArgs {
    /// Since when: 4h, 2d, 2026-11-22, or a time
    #[arg(long, value_name = "SINCE", value_parser = Since::parse)]
    since: Option<Since>,
    /// What concerns this vendor
    #[arg(long)]
    vendor: Option<String>,
    #[command(flatten)]
    place: Place,
}

impl TokenCommand {
    /// Which relay, and what is asked of it.
    pub fn parts(self) -> (Place, Verb) {
        let (place, act) = match self {
            Self::Create {
                role,
                vendor,
                note,
                expires,
                place,
            } => {
                let act = TokenAct::Create {
                    role,
                    vendor,
                    note,
                    expires_at: expires,
                };
                (place, act)
            }
            Self::List { vendor, place } => (place, TokenAct::List { vendor }),
            Self::Revoke { id, place } => (place, TokenAct::Revoke { id }),
        };
        (place, Verb::Token { act })
    }
}

impl AuditArgs {
    /// Which relay, and what is asked of it.
    pub fn parts(self) -> (Place, Verb) {
        let (since, vendor) = (self.since, self.vendor);
        (self.place, Verb::Audit { since, vendor })
    }
}

fn role_parser() -> impl TypedValueParser<Value = AdminRole> {
    PossibleValuesParser::new(AdminRole::ALL.iter().map(|role| role.as_str()))
        .try_map(|word| AdminRole::parse(&word))
}
