//! The relay inside the test: the same code from a configuration, before a fake internet that the
//! test scripts, by a clock that the test holds.

use std::time::Duration;

use postrider::admin::Verb;
use postrider::cli::Role;
use postrider::config::Config;
use postrider::relay::{Machine, Relay};
use postrider_fakenet::{FakeInternet, Options};
use postrider_model::Timestamp;
use postrider_runtime::{Clock, Rng, Shutdown};
use serde_json::Value;
use tempfile::TempDir;

use super::{Door, Place};

/// A relay with all its services, and its internet. `place` has no folder for commands to run in:
/// ask `relay.office`.
pub(crate) struct Inside {
    pub(crate) net: FakeInternet,
    pub(crate) place: Place,
    pub(crate) clock: Clock,
    pub(crate) relay: Relay,
    config: Config,
    _folder: TempDir,
}

/// What a test may set; the rest is as in the sandbox.
pub(crate) struct Setup {
    /// More lines at the configuration's end, which stands in the table `dns`.
    pub(crate) more: &'static str,
    pub(crate) clock: Clock,
}

/// A clock that stands until the test moves it. It begins at the machine's time: signatures are
/// dated by that.
pub(crate) fn held() -> Clock {
    Clock::held(Clock::system().now())
}

impl Inside {
    pub(crate) async fn start_with(setup: Setup) -> Self {
        let clock = setup.clock;
        let options = Options {
            clock: clock.clone(),
            ..Options::default()
        };
        let net = FakeInternet::start(options).await.unwrap();
        let folder = TempDir::new().unwrap();
        let text = configuration(&net) + setup.more;
        let config = Config::parse(&text, folder.path()).unwrap();
        postrider::relay::furnish(&config).await.unwrap();
        let relay = begin(&config, &clock).await;
        let place = furnish(&relay, &net, folder.path()).await;
        Self {
            net,
            place,
            clock,
            relay,
            config,
            _folder: folder,
        }
    }

    /// The same relay once more: what it held in memory is gone.
    pub(crate) async fn restart(mut self) -> Self {
        self.relay.shutdown.begin();
        self.relay.ended().await.unwrap();
        self.relay = begin(&self.config, &self.clock).await;
        self.place.http.address = self.relay.http[0];
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
        rng: Rng::system(),
    };
    let roles = [Role::Ingest, Role::Delivery];
    let shutdown = Shutdown::new(Duration::from_secs(5));
    Relay::start(config, &roles, machine, shutdown)
        .await
        .unwrap()
}

fn configuration(net: &FakeInternet) -> String {
    format!(
        r#"
[service]
host = "relay.test"
send_domain = "send.relay.test"
bounce_domain = "bounce.relay.test"
[http]
listen = ["127.0.0.1:0"]
[metrics]
listen = "127.0.0.1:0"
[tenants]
requests_per_second = 10000
[log]
filter = "warn"
[delivery]
port = {}
allow_destinations = ["127.0.0.0/8"]
dial = "loopback"
[dns]
servers = ["{}"]
"#,
        net.smtp_port(),
        net.dns_addr()
    )
}

async fn furnish(relay: &Relay, net: &FakeInternet, folder: &std::path::Path) -> Place {
    let office = &relay.office;
    for record in office
        .execute(Verb::DkimAdd)
        .await
        .unwrap()
        .as_array()
        .unwrap()
    {
        let word = |name: &str| record[name].as_str().unwrap();
        net.set_txt(word("name"), vec![word("value").to_owned()]);
    }
    let add = Verb::TenantAdd {
        name: "Joe's Garage".to_owned(),
        reply_to: "joe@joesgarage.test".parse().unwrap(),
    };
    let made: Value = office.execute(add).await.unwrap();
    let plain = |address| Door { address, tls: None };
    Place {
        folder: folder.to_owned(),
        http: plain(relay.http[0]),
        key: made["api_key"].as_str().unwrap().to_owned(),
        tenant: made["slug"].as_str().unwrap().to_owned(),
        // Nobody listens: the test looks into the mailbox itself.
        mailbox: plain(([127, 0, 0, 1], 9).into()),
        metrics: plain(relay.metrics),
    }
}
