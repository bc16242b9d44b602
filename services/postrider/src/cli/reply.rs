//! `postrider reply`: where replies to a tenant's mail may go.

use clap::{Args, Subcommand};
use postrider_model::EmailAddress;

use super::{Place, Which};
use crate::admin::Verb;

#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum ReplyCommand {
    /// List a tenant's reply addresses, the default first
    List {
        #[command(flatten)]
        which: Which,
    },
    /// Add an address; it gets a mail with a link, and counts once that is followed
    Add {
        #[command(flatten)]
        which: WhichAddress,
    },
    /// Write to an address once more, where the mail with the link was lost
    #[command(after_help = ASK)]
    Ask {
        #[command(flatten)]
        which: WhichAddress,
    },
    /// Confirm an address without asking it
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

const EXAMPLES: &str = "\
Examples:
  postrider reply list joes-garage-7k2f
  postrider reply add joes-garage-7k2f ann@garage.example
  postrider reply ask joes-garage-7k2f ann@garage.example";

const ASK: &str = "\
This week's mail does not matter, nor that it took no mail any more; but ten minutes have to lie
between two mails to a mailbox, for whichever tenant. The day's few new addresses are not touched:
only an address that the tenant has is asked. Who said that they do not know the tenant is not.";

/// One reply address of one tenant.
#[derive(Debug, Args)]
pub struct WhichAddress {
    /// The tenant's id or slug
    pub tenant: String,
    pub address: EmailAddress,
    #[command(flatten)]
    pub place: Place,
}

impl ReplyCommand {
    /// Which relay, and what is asked of it.
    pub fn parts(self) -> (Place, Verb) {
        let (
            WhichAddress {
                tenant,
                address,
                place,
            },
            verb,
        ): (_, fn(String, EmailAddress) -> Verb) = match self {
            Self::List { which } => {
                let tenant = which.tenant;
                return (which.place, Verb::ReplyToList { tenant });
            }
            Self::Add { which } => (which, |tenant, address| Verb::ReplyToAdd {
                tenant,
                address,
            }),
            Self::Ask { which } => (which, |tenant, address| Verb::ReplyToAsk {
                tenant,
                address,
            }),
            Self::Confirm { which } => (which, |tenant, address| Verb::ReplyToConfirm {
                tenant,
                address,
            }),
            Self::Remove { which } => (which, |tenant, address| Verb::ReplyToRemove {
                tenant,
                address,
            }),
        };
        (place, verb(tenant, address))
    }
}
