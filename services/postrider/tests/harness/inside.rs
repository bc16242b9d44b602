//! The relay inside the test: the same code from a configuration, before a fake internet that the
//! test scripts, by a clock that the test holds.

use std::time::Duration;

use clap::Parser;
use postrider::admin::{AddedTenant, Verb};
use postrider::cli::{Cli, Command, DkimCommand, Role, TenantCommand};
use postrider::config::Config;
use postrider::relay::{Machine, Relay};
use postrider_fakenet::{FakeInternet, Options};
use postrider_model::{Authority, Language, Timestamp};
use postrider_runtime::{Clock, Shutdown};
use serde_json::Value;
use tempfile::TempDir;

use super::{Database, Door, Place};

/// A relay with all its services, and its internet. Commands reach it by `command` and
/// `try_command`: those of `place` would wait for this very thread.
pub(crate) struct Inside {
    pub(crate) net: FakeInternet,
    pub(crate) place: Place,
    pub(crate) clock: Clock,
    pub(crate) relay: Relay,
    /// The same relay, used by a tenant that no test changes.
    witness: Place,
    config: Config,
    _database: Database,
    _folder: TempDir,
}

/// What a test may set; the rest is as in the sandbox.
pub(crate) struct Setup {
    /// More lines of the configuration's table `delivery`.
    pub(crate) delivery: &'static str,
    /// More lines at its end, which stands in the table `dns`.
    pub(crate) more: &'static str,
    pub(crate) clock: Clock,
}

impl Setup {
    /// As in the sandbox, by this clock.
    pub(crate) fn by(clock: Clock) -> Self {
        let (delivery, more) = ("", "");
        Self {
            delivery,
            more,
            clock,
        }
    }
}

/// A clock that stands until the test moves it. It begins at the machine's time: signatures are
/// dated by that.
pub(crate) fn held() -> Clock {
    Clock::held(Clock::system().now())
}

impl Inside {
    /// One whose clock is held.
    pub(crate) async fn start() -> Self {
        Self::start_with(Setup::by(held())).await
    }

    pub(crate) async fn start_with(setup: Setup) -> Self {
        let clock = setup.clock;
        let options = Options {
            clock: clock.clone(),
            ..Options::default()
        };
        let net = FakeInternet::start(options).await.unwrap();
        let folder = TempDir::new().unwrap();
        let database = Database::fresh().await;
        let path = folder.path().join("postrider.toml");
        std::fs::write(
            &path,
            configuration(&net, &database, setup.delivery) + setup.more,
        )
        .unwrap();
        let config = Config::read(&path).unwrap();
        postrider::relay::furnish(&config).await.unwrap();
        let relay = begin(&config, &clock).await;
        let place = furnish(&relay, &net, folder.path()).await;
        let witness = add_tenant(&relay, &place, "Witness").await;
        Self {
            net,
            place,
            clock,
            relay,
            witness,
            config,
            _database: database,
            _folder: folder,
        }
    }

    /// One of the operator's commands, read as the program reads it and carried out by this
    /// relay's office, by the test's clock.
    pub(crate) async fn command(&self, words: &[&str]) -> Value {
        let all = ["postrider"].iter().chain(words);
        let command = Cli::try_parse_from(all).unwrap().command;
        let done = self.relay.office.execute(verb(command)).await;
        done.unwrap_or_else(|fault| panic!("{words:?}: {fault:#}"))
    }

    /// The same by the program itself, which may refuse it.
    pub(crate) async fn try_command(&self, words: &[&str]) -> std::process::Output {
        let (place, words) = (self.place.clone(), words.to_vec().join("\n"));
        let run = move || place.try_command(&words.split('\n').collect::<Vec<_>>());
        tokio::task::spawn_blocking(run).await.unwrap()
    }

    /// A new tenant of this relay.
    pub(crate) async fn another(&self, name: &str) -> Place {
        let reply_to = "owner@another.test";
        let words = ["tenant", "add", "--name", name, "--reply-to", reply_to];
        let made = self.command(&words).await;
        let word = |name: &str| made[name].as_str().unwrap();
        self.place.as_tenant(word("api_key"), word("slug"))
    }

    /// How many messages for this recipient its exchanger took.
    pub(crate) fn came(&self, recipient: &str) -> usize {
        let messages = self.net.mailbox().messages();
        let is_for = |to: &[String]| to.iter().any(|one| one == recipient);
        messages.iter().filter(|one| is_for(&one.rcpt_to)).count()
    }

    /// Another tenant's mail comes through: what could have left by now has left.
    pub(crate) async fn others_go_on(&self) {
        let domain = format!("witness-{}.test", super::unique());
        let id = self.witness.send_to(&format!("ann@{domain}")).await;
        let timeline = self.witness.settled(&id).await;
        assert_eq!(timeline.end().unwrap()["type"], "delivered", "{timeline:?}");
    }

    /// The same relay once more: what it held in memory is gone.
    pub(crate) async fn restart(self) -> Self {
        self.restart_after(|| {}).await
    }

    /// The same, and this happens while nobody is there.
    pub(crate) async fn restart_after(mut self, happens: impl FnOnce()) -> Self {
        self.relay.shutdown.begin();
        self.relay.ended().await.unwrap();
        happens();
        self.relay = begin(&self.config, &self.clock).await;
        self.place.http.address = self.relay.http[0];
        self.place.metrics.address = self.relay.metrics;
        self.witness.http.address = self.relay.http[0];
        self
    }

    /// Ends the relay and its internet.
    pub(crate) async fn stop(self) {
        self.relay.shutdown.begin();
        self.relay.ended().await.unwrap();
        self.net.shutdown().await;
    }

    /// Moves the clock.
    pub(crate) fn advance(&self, span: Duration) {
        self.clock.advance(span);
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

async fn begin(config: &Config, clock: &Clock) -> Relay {
    let machine = Machine {
        clock: clock.clone(),
        ..Machine::real()
    };
    let roles = [Role::Ingest, Role::Delivery];
    let shutdown = Shutdown::new(Duration::from_secs(5));
    Relay::start(config, &roles, machine, shutdown)
        .await
        .unwrap()
}

fn configuration(net: &FakeInternet, database: &Database, delivery: &str) -> String {
    let dial = if delivery.contains("dial = ") {
        ""
    } else {
        "dial = \"loopback\""
    };
    format!(
        r#"
[service]
host = "relay.test"
send_domain = "send.relay.test"
bounce_domain = "bounce.relay.test"
[database]
url = "{}"
[http]
listen = ["127.0.0.1:0"]
[metrics]
listen = "127.0.0.1:0"
[tenants]
vouched = true
requests_per_second = 10000
[log]
filter = "warn"
[delivery]
port = {}
allow_destinations = ["127.0.0.0/8"]
{dial}
# The test's clock is not the database's.
clock_offset_ms = {}
{delivery}
[dns]
servers = ["{}"]
"#,
        database.url(),
        net.smtp_port(),
        Duration::from_hours(24 * 365).as_millis(),
        net.dns_addr()
    )
}

async fn furnish(relay: &Relay, net: &FakeInternet, folder: &std::path::Path) -> Place {
    let records = relay.office.execute(Verb::DkimShow).await.unwrap();
    for record in records.as_array().unwrap() {
        publish(net, record);
    }
    let plain = |address| Door { address, tls: None };
    let place = Place {
        folder: folder.to_owned(),
        http: plain(relay.http[0]),
        key: String::new(),
        tenant: String::new(),
        // Nobody listens: the test looks into the mailbox itself.
        mailbox: plain(([127, 0, 0, 1], 9).into()),
        metrics: plain(relay.metrics),
    };
    add_tenant(relay, &place, "Joe's Garage").await
}

/// The verbs that these tests use.
fn verb(command: Command) -> Verb {
    match command {
        Command::Queue(command) => command.parts().unwrap().1,
        Command::Tenant(TenantCommand::Limit(args)) => args.parts().1,
        Command::Tenant(TenantCommand::Set(args)) => args.parts().1,
        Command::Tenant(TenantCommand::Add {
            name,
            reply_to,
            language,
            vouched,
            vendor,
            licence,
            plan,
            ..
        }) => Verb::TenantAdd(AddedTenant {
            name,
            reply_to,
            language,
            vouched,
            vendor,
            licence,
            plan,
        }),
        Command::Vendor(command) => command.parts().unwrap().1,
        Command::Key(command) => command.parts().1,
        Command::Audit(args) => args.parts().1,
        Command::Reply(command) => command.parts().1,
        Command::Find(args) => args.parts().1,
        Command::Tenant(TenantCommand::Show { which }) => Verb::TenantShow {
            tenant: which.tenant,
        },
        Command::Tenant(TenantCommand::Suspend { which }) => Verb::TenantSuspend {
            tenant: which.tenant,
            by: Authority::Operator,
        },
        Command::Tenant(TenantCommand::Resume { which }) => Verb::TenantResume {
            tenant: which.tenant,
            by: Authority::Operator,
        },
        Command::Dkim(DkimCommand::Show { .. }) => Verb::DkimShow,
        Command::Dkim(DkimCommand::Add { .. }) => Verb::DkimAdd,
        Command::Dkim(DkimCommand::Revoke { selector, .. }) => Verb::DkimRevoke { selector },
        other => panic!("no verb for {other:?} here"),
    }
}

/// Puts a record of `dkim show` or `dkim add` into this internet's DNS.
pub(crate) fn publish(net: &FakeInternet, record: &Value) {
    let word = |name: &str| record[name].as_str().unwrap();
    net.set_txt(word("name"), vec![word("value").to_owned()]);
}

async fn add_tenant(relay: &Relay, place: &Place, name: &str) -> Place {
    let add = Verb::TenantAdd(AddedTenant {
        name: name.to_owned(),
        reply_to: "joe@joesgarage.test".parse().unwrap(),
        language: Some(Language::En),
        vouched: true,
        vendor: None,
        licence: None,
        plan: None,
    });
    let made: Value = relay.office.execute(add).await.unwrap();
    let word = |name: &str| made[name].as_str().unwrap();
    place.as_tenant(word("api_key"), word("slug"))
}
