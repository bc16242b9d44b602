//! `postrider suppression`: whom a tenant's mail does not go to.

use clap::Subcommand;
use postrider_model::{EmailAddress, Stream, SuppressionId};

use super::key::stream_parser;
use super::{Place, WhichAddress};
use crate::admin::{SuppressionAct, SuppressionsOf, Verb};

#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum SuppressionCommand {
    /// List them, newest first, a hundred at a time
    List {
        /// Those that keep mail of this stream back
        #[arg(long, value_parser = stream_parser())]
        stream: Option<Stream>,
        /// One address
        #[arg(long, value_name = "ADDRESS", conflicts_with_all = ["stream", "after"])]
        address: Option<EmailAddress>,
        /// Those that are older than this one
        #[arg(long, value_name = "ID")]
        after: Option<SuppressionId>,
        /// Those of all tenants of this vendor: its id or slug
        #[arg(long, required_unless_present = "tenant")]
        vendor: Option<String>,
        /// The tenant's id or slug
        #[arg(conflicts_with = "vendor")]
        tenant: Option<String>,
        #[command(flatten)]
        place: Place,
    },
    /// Send nothing more to an address
    Add {
        /// Mail of this stream alone [default: all mail]
        #[arg(long, value_parser = stream_parser())]
        stream: Option<Stream>,
        /// Why
        #[arg(long, default_value = "")]
        note: String,
        #[command(flatten)]
        which: WhichAddress,
    },
    /// Send to an address again: one that unsubscribed, or called the mail spam, only if they asked for it again
    Lift {
        #[command(flatten)]
        which: WhichAddress,
    },
}

const EXAMPLES: &str = "\
Examples:
  postrider suppression list joes-garage-7k2f --stream bulk
  postrider suppression list --vendor acme --address bob@example.org
  postrider suppression add joes-garage-7k2f bob@example.org --note 'asked on the telephone'
  postrider suppression lift joes-garage-7k2f bob@example.org";

impl SuppressionCommand {
    /// Which relay, and what is asked of it.
    pub fn parts(self) -> (Place, Verb) {
        let (place, tenant, act) = match self {
            Self::List {
                stream,
                address,
                after,
                vendor,
                tenant,
                place,
            } => {
                if let Some(vendor) = vendor {
                    let which = SuppressionsOf {
                        vendor,
                        stream,
                        address,
                        after,
                    };
                    return (place, Verb::VendorSuppressions(which));
                }
                let act = SuppressionAct::List {
                    stream,
                    address,
                    after,
                };
                // clap asks for one of the two.
                (place, tenant.unwrap_or_default(), act)
            }
            Self::Add {
                stream,
                note,
                which,
            } => {
                let address = which.address;
                let act = SuppressionAct::Add {
                    address,
                    stream,
                    note,
                };
                (which.place, which.tenant, act)
            }
            Self::Lift { which } => {
                let address = which.address;
                let act = SuppressionAct::Lift { address };
                (which.place, which.tenant, act)
            }
        };
        (place, Verb::Suppression { tenant, act })
    }
}
