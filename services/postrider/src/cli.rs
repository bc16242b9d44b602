//! The command line: what can be asked for, and how it reads.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use postrider_model::{Domain, EmailAddress};

mod queue;
mod tenant;

pub use queue::QueueCommand;
pub use tenant::{KeyCommand, LimitArgs, ReplyToCommand, TenantCommand, Which, WhichAddress};

/// An outbound e-mail relay: takes mail by HTTP, signs it, keeps it, delivers it.
#[derive(Debug, Parser)]
#[command(name = "postrider", version, disable_help_subcommand = true)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a sandbox: the relay and a fake internet in one process; nothing leaves this machine
    Dev(DevArgs),
    /// Run the relay
    Serve(ServeArgs),
    /// Run the fake internet of a sandbox folder alone
    Fakenet(FakenetArgs),
    /// Make a folder with configuration, master key, database and DKIM keys
    Init(InitArgs),
    /// Bring the database to this version's schema
    Migrate(Place),
    /// Print the configuration
    Config(ConfigArgs),
    /// Tenants and their reply addresses
    #[command(subcommand)]
    Tenant(TenantCommand),
    /// A tenant's keys
    #[command(subcommand)]
    Key(KeyCommand),
    /// The service's signing keys
    #[command(subcommand)]
    Dkim(DkimCommand),
    /// Send a message as a tenant
    Send(SendArgs),
    /// Show the delivery nodes, and how many of the queue's 1024 shards each owns
    Nodes(Place),
    /// Stop, release, discard or hurry what waits
    #[command(subcommand)]
    Queue(QueueCommand),
}

/// Which relay a command is about, and how it answers.
#[derive(Clone, Debug, Args)]
pub struct Place {
    /// The relay's folder, with postrider.toml in it
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    pub data: Option<PathBuf>,
    /// The relay's configuration file
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct DevArgs {
    /// The sandbox's folder
    #[arg(long, value_name = "DIR", default_value = ".postrider")]
    pub data: PathBuf,
    /// Where the database is, as in database.url [default: the last start's, else SQLite]
    #[arg(long, value_name = "URL")]
    pub database: Option<String>,
    /// Where the HTTP door listens [default: 127.0.0.1:8025, the next free port if taken]
    #[arg(long, value_name = "ADDR")]
    pub http: Option<SocketAddr>,
    /// Where the SMTP door will listen; there is none yet
    #[arg(long, value_name = "ADDR")]
    pub smtp: Option<SocketAddr>,
    /// Empty the folder first
    #[arg(long)]
    pub fresh: bool,
    /// Divide the waits between delivery attempts by 60
    #[arg(long)]
    pub fast: bool,
    /// Send one message through the whole line, show what arrived, and exit
    #[arg(long, conflicts_with = "public")]
    pub once: bool,
    /// Listen on all addresses, HTTP as HTTPS with a certificate for this name
    #[arg(long, value_name = "NAME")]
    pub public: Option<Domain>,
}

#[derive(Debug, Args)]
pub struct ServeArgs {
    #[command(flatten)]
    pub place: Place,
    /// What this process does
    #[arg(long, value_delimiter = ',', default_values_t = [Role::Ingest, Role::Delivery])]
    pub role: Vec<Role>,
    /// What operators call this delivery node [default: delivery.node]
    #[arg(long, value_name = "NAME")]
    pub node: Option<String>,
}

/// A part of the relay that a process takes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Role {
    Ingest,
    Delivery,
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Ingest => "ingest",
            Self::Delivery => "delivery",
        })
    }
}

#[derive(Debug, Args)]
pub struct FakenetArgs {
    /// The sandbox's folder, as `postrider dev` made it
    #[arg(long, value_name = "DIR", default_value = ".postrider")]
    pub data: PathBuf,
    /// Greylisting lasts one second
    #[arg(long)]
    pub fast: bool,
}

#[derive(Debug, Args)]
pub struct InitArgs {
    /// The folder to make
    pub dir: PathBuf,
    /// The service's own name; mail comes from send.NAME, bounces return to bounce.NAME
    #[arg(long, value_name = "NAME")]
    pub host: Option<Domain>,
    /// Where the database is, as in database.url [default: SQLite in the folder]
    #[arg(long, value_name = "URL")]
    pub database: Option<String>,
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct ConfigArgs {
    /// Print the documented default file
    #[arg(long)]
    pub default: bool,
    #[command(flatten)]
    pub place: Place,
}

#[derive(Debug, Subcommand)]
pub enum DkimCommand {
    /// Show the DNS records to publish
    Show {
        #[command(flatten)]
        place: Place,
    },
    /// Make a new pair of keys, which signs from the next message on
    Add {
        #[command(flatten)]
        place: Place,
    },
    /// Stop signing with a key; what waits is signed anew before it leaves
    Revoke {
        /// The key's selector, as `dkim show` has it before ._domainkey
        selector: String,
        #[command(flatten)]
        place: Place,
    },
}

#[derive(Debug, Args)]
pub struct SendArgs {
    /// The tenant's id or slug
    #[arg(long)]
    pub tenant: String,
    /// A recipient; may be repeated
    #[arg(long, required = true, value_name = "ADDRESS")]
    pub to: Vec<EmailAddress>,
    #[arg(long)]
    pub subject: String,
    /// The body
    #[arg(long)]
    pub text: String,
    #[command(flatten)]
    pub place: Place,
}
