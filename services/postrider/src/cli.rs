//! The command line: what can be asked for, and how it reads.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use postrider_model::{Domain, EmailAddress, SessionCode};

mod key;
mod queue;
mod reply;
mod seeing;
mod suppression;
mod tenant;
mod token;
mod vendor;

pub use key::KeyCommand;
pub use queue::QueueCommand;
pub use reply::{ReplyCommand, WhichAddress};
pub use seeing::{FindArgs, ReportArgs};
pub use suppression::SuppressionCommand;
pub use tenant::{ImportArgs, LimitArgs, TenantCommand, Which};
pub use token::{AuditArgs, TokenCommand};
pub use vendor::VendorCommand;

/// An outbound e-mail relay: takes mail by SMTP and HTTP, signs it, keeps it, delivers it.
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
    /// Say whether mail may leave, what is missing, and what to paste where
    Doctor(DoctorArgs),
    /// Print the DNS records to publish, as a zone file
    Zone(Place),
    /// Bring the database to this version's schema
    Migrate(Place),
    /// Print the configuration
    Config(ConfigArgs),
    /// Vendors: who vouches for tenants
    #[command(subcommand)]
    Vendor(VendorCommand),
    /// Tenants and their limits
    #[command(subcommand)]
    Tenant(TenantCommand),
    /// A tenant's keys, and passwords for SMTP
    #[command(subcommand)]
    Key(KeyCommand),
    /// A tenant's reply addresses
    #[command(subcommand)]
    Reply(ReplyCommand),
    /// Whom a tenant's mail does not go to
    #[command(subcommand)]
    Suppression(SuppressionCommand),
    /// Show a submission session by the code that stands in its replies, as 7F3K-Q2
    Session {
        /// The code: any case, with or without the hyphen
        code: SessionCode,
        #[command(flatten)]
        place: Place,
    },
    /// What became of mail: counts, times to delivery, what remotes said
    Report(ReportArgs),
    /// Why did it not arrive? Show the newest mail to an address, and what became of it; ends with 1 where nothing is known
    Find(FindArgs),
    /// The service's signing keys
    #[command(subcommand)]
    Dkim(DkimCommand),
    /// Send a message as a tenant; or a test, and show how it goes
    Send(SendArgs),
    /// Show the delivery nodes, and how many of the queue's 1024 shards each owns
    Nodes(Place),
    /// Tokens of the admin API
    #[command(subcommand)]
    Token(TokenCommand),
    /// Show what was done by operators and vendors, newest first
    Audit(AuditArgs),
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

/// Whom a sandbox vouches for: said where it starts, and by `dev --help`.
pub(crate) const KNOWN: &str = "\
Tenants that you add or import here count as known: no letter asks them, and they have no ramp. A shop that comes by
POST /enroll is asked, as on a real relay; its letter is on the mailbox page.";

fn dev() -> String {
    format!(
        "What is not as on a real relay: every domain is fake, and no mail leaves this machine.\n{KNOWN}"
    )
}

#[derive(Debug, Args)]
#[command(after_help = dev())]
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
    /// Where the SMTP door listens [default: 127.0.0.1:2525, the next free port if taken]
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
    #[arg(long, value_name = "NAME", value_parser = own_name)]
    pub host: Option<Domain>,
    /// Where the database is, as in database.url [default: SQLite in the folder]
    #[arg(long, value_name = "URL")]
    pub database: Option<String>,
    /// The file that has the password of the database user
    #[arg(long, value_name = "FILE", requires = "database")]
    pub password_file: Option<PathBuf>,
    /// As --host, for a server on the internet: doors on their usual ports, a zone file, certificates
    #[arg(long, value_name = "NAME", value_parser = own_name, conflicts_with = "host")]
    pub domain: Option<Domain>,
    /// An address that other mail servers see it come from; may be repeated [default: this machine's]
    #[arg(long, value_name = "ADDRESS", requires = "domain")]
    pub ip: Vec<IpAddr>,
    /// Who answers for it: a mailbox that somebody reads, and not at NAME, whose mail the relay puts off. Needed with
    /// --domain and --host
    #[arg(long, value_name = "ADDRESS", value_parser = mailbox)]
    pub contact: Option<EmailAddress>,
    /// Where receivers' reports go, of DMARC and TLS, by the records of the zone file; not at NAME either [default: none
    /// are asked for]
    #[arg(long, value_name = "ADDRESS")]
    pub reports: Option<EmailAddress>,
    /// Have certificates by ACME, from Let's Encrypt, to whose terms of service you agree by this; port 80 of the names has to come here
    #[arg(long, requires = "domain")]
    pub acme: bool,
    /// Have them from another authority, by the address of its ACME directory, and agree to its terms
    #[arg(long, value_name = "URL", requires = "acme")]
    pub acme_directory: Option<String>,
    /// In a closed network: the certificate, PEM, of who vouches for that directory
    #[arg(long, value_name = "FILE", requires = "acme_directory")]
    pub acme_root: Option<PathBuf>,
    /// A resolver to ask in place of the system's, as ADDRESS or ADDRESS:PORT; may be repeated
    #[arg(long, value_name = "ADDRESS", value_parser = dns_server)]
    pub dns_server: Vec<SocketAddr>,
    /// A closed network's addresses, where mail is delivered although they are not public; may be repeated
    #[arg(long, value_name = "ADDRESS/BITS")]
    pub allow_destination: Vec<postrider_delivery::Network>,
    /// A domain whose exchanger shows that port 25 is open outward; may be repeated
    #[arg(long, value_name = "NAME")]
    pub probe: Vec<Domain>,
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
}

// From addresses are made of it, for ever, and no other mail server takes mail from a name of one word.
fn own_name(text: &str) -> Result<Domain, String> {
    let domain = Domain::parse(text).map_err(|fault| fault.to_string())?;
    let is_number = |label: &str| label.bytes().all(|byte| byte.is_ascii_digit());
    match domain.as_str().rsplit_once('.') {
        Some((_, last)) if !is_number(last) => Ok(domain),
        _ => Err(
            "give a name that is yours in DNS, with a dot in it, such as relay.your-company.example"
                .to_owned(),
        ),
    }
}

/// `--contact ''` is what a compose file with an unset variable gives.
fn mailbox(text: &str) -> Result<EmailAddress, String> {
    if text.is_empty() {
        return Err("it is empty: name a mailbox that somebody reads, such as you@your-company.example; with compose.yml that is RELAY_CONTACT".to_owned());
    }
    text.parse().map_err(|fault| format!("{fault}"))
}

// Resolvers are asked on port 53, but for tests.
fn dns_server(text: &str) -> Result<SocketAddr, String> {
    let alone = text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 53));
    alone.or_else(|_| text.parse()).map_err(|_| {
        "give an address such as 192.0.2.53, or with a port 192.0.2.53:5300".to_owned()
    })
}

#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Look again every few seconds, until mail may leave. What changes is told, and the whole at the end; with
    /// --json the whole at the end alone
    #[arg(long)]
    pub wait: bool,
    #[command(flatten)]
    pub place: Place,
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
    /// The tenant's id or slug [default with --trace: the service's own sender]
    #[arg(long, required_unless_present = "trace")]
    pub tenant: Option<String>,
    /// A recipient; may be repeated, but for --trace
    #[arg(long, required = true, value_name = "ADDRESS")]
    pub to: Vec<EmailAddress>,
    /// The subject [default with --trace: a test's]
    #[arg(long, required_unless_present = "trace")]
    pub subject: Option<String>,
    /// The body [default with --trace: a test's]
    #[arg(long, required_unless_present = "trace")]
    pub text: Option<String>,
    /// Show the dialogue with the recipient's server while it is led, and what came of it; ends with 0 where it was delivered, with 1 where it was refused for good, with 75 where it waits
    #[arg(long)]
    pub trace: bool,
    #[command(flatten)]
    pub place: Place,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    // `postrider`, then each command below it, as `--help` prints it.
    fn help(command: &mut clap::Command, path: &str, pages: &mut Vec<String>) {
        pages.push(format!("$ {path} --help\n{}", command.render_help()));
        for below in command.get_subcommands_mut() {
            let path = format!("{path} {}", below.get_name());
            help(below, &path, pages);
        }
    }

    #[test]
    fn the_help_of_each_command_is_what_it_is() {
        let mut pages = Vec::new();
        let mut command = Cli::command();
        command.build();
        help(&mut command, "postrider", &mut pages);
        insta::assert_snapshot!(pages.join("\n"));
    }

    #[test]
    fn a_relay_is_called_by_a_name_that_dns_can_have() {
        for (name, is_good) in [
            ("relay.example", true),
            ("Relay.Example.", true),
            ("relay", false),
            ("192.0.2.1", false),
            ("a b", false),
        ] {
            for option in ["--domain", "--host"] {
                let parsed = Cli::try_parse_from(["postrider", "init", "folder", option, name]);
                assert_eq!(parsed.is_ok(), is_good, "{option} {name}");
            }
        }
        let refused = Cli::try_parse_from(["postrider", "init", "folder", "--domain", "relay"]);
        let said = refused.unwrap_err().to_string();
        assert!(said.contains("with a dot in it"), "{said}");
    }

    #[test]
    fn a_verb_about_the_queue_is_about_exactly_one_thing() {
        for (words, is_good) in [
            (&["--tenant", "joes-garage-7k2f"][..], true),
            (&["--vendor", "acme"], true),
            (&["--domain", "example.org"], true),
            (&["--message", "01890a5d-ac96-774b-bcce-b302099a8057"], true),
            (&[], false),
            (&["--tenant", "a", "--domain", "example.org"], false),
            (&["--tenant", "a", "--vendor", "acme"], false),
            (&["--message", "latest"], false),
            (&["--domain", "no domain"], false),
        ] {
            let line = [&["postrider", "queue", "hold"], words].concat();
            let parsed = Cli::try_parse_from(line);
            assert_eq!(parsed.is_ok(), is_good, "{words:?}");
        }
    }
}
