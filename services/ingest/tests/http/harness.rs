//! A door with everything behind it, and a client that reads answers as JSON.

mod ports;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use postrider_gate::{
    Gate, GateConfig, GatePorts, IdentityConfig, MasterKey, Provision, Service, TenantDefaults,
};
use postrider_http::oracle::{Exchange, Oracle};
use postrider_ingest::{Config, Doors, Listener, Listeners, run};
use postrider_model::{
    Authority, Domain, EmailAddress, Language, Limits, Ramp, Tenant, TenantStatus, Timestamp,
};
use postrider_runtime::{Clock, Rng, Shutdown};
use postrider_store::{NewLimits, Roster};
use postrider_store_sqlite::{SqliteOptions, SqliteStore};
use postrider_telemetry::Registry;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

pub(crate) struct Relay {
    pub(crate) address: SocketAddr,
    pub(crate) gate: Arc<Gate>,
    pub(crate) clock: Clock,
    /// A tenant that may do 10,000 requests a second, and its key.
    pub(crate) tenant: Tenant,
    pub(crate) key: String,
    pub(crate) store: SqliteStore,
    pub(crate) provision: Provision,
    pub(crate) roster: Roster,
    _tasks: JoinSet<()>,
    _folder: TempDir,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) json: Value,
}

/// How long keys live after they were rotated.
pub(crate) const OVERLAP: Duration = Duration::from_hours(24);

pub(crate) const NOW: &str = "2026-01-31T08:00:00Z";

fn config() -> Config {
    Config {
        doors: Doors {
            smtp_host: "relay.example".to_owned(),
            smtp_ports: vec![465, 587],
            http_base: "https://relay.example".to_owned(),
        },
        ..Config::default()
    }
}

impl Relay {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("postrider.db");
        let store = SqliteStore::open(&path, SqliteOptions::default())
            .await
            .unwrap();
        let (clock, rng) = (Clock::held(Timestamp::parse(NOW).unwrap()), Rng::system());
        let master = Arc::new(MasterKey::new(&[7; 32]).unwrap());
        let provision = Provision {
            directory: Arc::new(store.clone()),
            master: Arc::clone(&master),
            service: service(),
            clock: clock.clone(),
            rng: rng.clone(),
        };
        provision.dkim_keys().await.unwrap();
        let roster = Roster::new();
        let gate = GatePorts {
            intake: Arc::new(store.clone()),
            mail: Arc::new(store.clone()),
            directory: Arc::new(store.clone()),
            suppressions: Arc::new(store.clone()),
            failures: Arc::new(store.clone()),
            audit: Arc::new(store.clone()),
            roster: roster.clone(),
            master,
            clock: clock.clone(),
            rng: rng.clone(),
            metrics: Registry::new(),
        };
        let gate = Arc::new(Gate::new(gate, gate_config()));
        let ports = ports::ports(&gate, &store, &roster, &provision);
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = tcp.local_addr().unwrap();
        let mut tasks = JoinSet::new();
        let shutdown = Shutdown::new(Duration::from_secs(5));
        let listeners = Listeners {
            http: vec![Listener { tcp, tls: None }],
            smtp: Vec::new(),
        };
        tasks.spawn(run(ports, config(), listeners, shutdown));
        let (tenant, key) = add_tenant(&provision, &roster, "Joe's Garage", 10_000).await;
        Self {
            address,
            gate,
            clock,
            tenant,
            key,
            store,
            provision,
            roster,
            _tasks: tasks,
            _folder: folder,
        }
    }

    /// Another tenant with its key.
    pub(crate) async fn tenant(&self, name: &str, requests_per_second: u32) -> (Tenant, String) {
        add_tenant(&self.provision, &self.roster, name, requests_per_second).await
    }

    pub(crate) async fn suspend(&self, tenant: &Tenant) {
        let directory = &self.provision.directory;
        directory
            .set_status(tenant.id, TenantStatus::Suspended, Authority::Operator)
            .await
            .unwrap();
        self.roster.refresh(&**directory).await.unwrap();
    }

    /// Gives the tenant other limits.
    pub(crate) async fn limit(&self, limits: Limits) {
        let directory = &self.provision.directory;
        let wished = NewLimits::all(limits);
        directory
            .set_limits(self.tenant.id, wished, Authority::Operator)
            .await
            .unwrap();
        self.roster.refresh(&**directory).await.unwrap();
    }

    /// The email object of a message.
    pub(crate) async fn email(&self, id: &str) -> Value {
        self.get(&format!("/emails/{id}")).await.json
    }

    /// `POST /emails/{id}/cancel` without a body.
    pub(crate) async fn cancel(&self, id: &str) -> Answer {
        self.post(&format!("/emails/{id}/cancel"), &[], "").await
    }

    /// `PATCH /emails/{id}` with this body.
    pub(crate) async fn patch(&self, id: &str, json: impl AsRef<[u8]>) -> Answer {
        let bearer = format!("Bearer {}", self.key);
        let fields = [("authorization", bearer.as_str())];
        self.ask("PATCH", &format!("/emails/{id}"), &fields, json)
            .await
    }

    /// `POST /emails/batch` with this mode, if any.
    pub(crate) async fn batch(&self, mode: Option<&str>, json: impl AsRef<[u8]>) -> Answer {
        let mode = mode.map(|mode| ("x-batch-validation", mode));
        let fields: Vec<_> = mode.into_iter().collect();
        self.post("/emails/batch", &fields, json).await
    }

    /// `POST /emails` with the tenant's key.
    pub(crate) async fn send(&self, json: impl AsRef<[u8]>) -> Answer {
        self.post("/emails", &[], json).await
    }

    pub(crate) async fn post(
        &self,
        path: &str,
        fields: &[(&str, &str)],
        body: impl AsRef<[u8]>,
    ) -> Answer {
        let bearer = format!("Bearer {}", self.key);
        let mut all = vec![("authorization", bearer.as_str())];
        all.extend_from_slice(fields);
        self.ask("POST", path, &all, body).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        let bearer = format!("Bearer {}", self.key);
        self.ask("GET", path, &[("authorization", bearer.as_str())], "")
            .await
    }

    pub(crate) async fn ask(
        &self,
        method: &str,
        path: &str,
        fields: &[(&str, &str)],
        body: impl AsRef<[u8]>,
    ) -> Answer {
        let body = body.as_ref();
        let mut request = format!(
            "{method} {path} HTTP/1.1\r\nhost: relay.example\r\nconnection: close\r\ncontent-length: {}\r\n",
            body.len()
        );
        for (name, value) in fields {
            request.push_str(name);
            request.push_str(": ");
            request.push_str(value);
            request.push_str("\r\n");
        }
        request.push_str("\r\n");
        self.say([request.as_bytes(), body].concat()).await
    }

    /// Writes these bytes and reads one answer.
    pub(crate) async fn say(&self, bytes: impl AsRef<[u8]>) -> Answer {
        let text = self.answer(bytes.as_ref()).await;
        judge(bytes.as_ref(), text.as_bytes());
        Answer::of(&text)
    }

    /// A page, as a browser asks for it: its status, header and text.
    pub(crate) async fn page(&self, method: &str, path: &str, form: &str) -> (u16, String, String) {
        self.page_in("en", (method, path, form)).await
    }

    /// The same to a browser that asks for this language.
    pub(crate) async fn page_in(
        &self,
        language: &str,
        (method, path, form): (&str, &str, &str),
    ) -> (u16, String, String) {
        let kind = "application/x-www-form-urlencoded";
        let length = form.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: relay.example\r\nconnection: close\r\naccept-language: {language}\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n{form}"
        );
        let text = self.answer(request.as_bytes()).await;
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, head.to_owned(), body.to_owned())
    }

    async fn answer(&self, request: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request).await.unwrap();
        let mut text = Vec::new();
        stream.read_to_end(&mut text).await.unwrap();
        String::from_utf8(text).unwrap()
    }
}

/// The contract itself.
pub(crate) static ORACLE: LazyLock<Oracle> = LazyLock::new(|| {
    let document = serde_json::from_str(include_str!("../../openapi.json")).unwrap();
    Oracle::new(document).unwrap_or_else(|fault| panic!("{fault}"))
});

// What the contract does not allow fails the test it happened in.
fn judge(request: &[u8], answer: &[u8]) {
    const LARGE: usize = 1024 * 1024;
    if request.len() > LARGE {
        return;
    }
    if let Some(exchange) = Exchange::of_text(request, answer) {
        ORACLE
            .check(&exchange)
            .unwrap_or_else(|fault| panic!("{fault}"));
    }
}

impl Answer {
    fn of(text: &str) -> Self {
        let (head, body) = text
            .split_once("\r\n\r\n")
            .unwrap_or_else(|| panic!("no answer: {text}"));
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let json = serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {text}"));
        Self {
            status,
            head: head.to_owned(),
            json,
        }
    }

    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.split("\r\n").skip(1);
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    /// The id of a message that was accepted.
    pub(crate) fn id(&self) -> String {
        assert_eq!(self.status, 200, "{}", self.json);
        self.json["id"].as_str().unwrap().to_owned()
    }

    pub(crate) fn refusal(&self) -> (u16, &str) {
        assert_eq!(self.json["statusCode"], self.status, "{}", self.json);
        (self.status, self.json["name"].as_str().unwrap())
    }
}

fn service() -> Service {
    let domain = |name: &str| Domain::parse(name).unwrap();
    Service {
        send_domain: domain("send.relay.example"),
        bounce_domain: domain("bounce.relay.example"),
        host: domain("relay.example"),
    }
}

pub(crate) fn gate_config() -> GateConfig {
    GateConfig {
        service: service(),
        size_most: 41_943_040,
        recipients_most: 1_000,
        lifetime: Duration::from_hours(72),
        schedule_most: Duration::from_hours(30 * 24),
        simulator: None,
        identity: IdentityConfig {
            public_url: "https://relay.example".to_owned(),
            ..IdentityConfig::default()
        },
    }
}

async fn add_tenant(
    provision: &Provision,
    roster: &Roster,
    name: &str,
    requests_per_second: u32,
) -> (Tenant, String) {
    let limits = Limits {
        requests_per_second,
        ..Limits::default()
    };
    let reply_to = EmailAddress::parse("joe@joesgarage.example").unwrap();
    let defaults = TenantDefaults {
        limits,
        language: Language::Fr,
        ramp: Ramp::PAST,
        is_confirmed: true,
        ..TenantDefaults::default()
    };
    let made = provision.tenant(name, reply_to, defaults).await.unwrap();
    roster.refresh(&*provision.directory).await.unwrap();
    (made.tenant, made.token.expose().to_owned())
}

/// A complete request with these members more.
pub(crate) fn mail(members: &str) -> String {
    format!(r#"{{"to":"ann@example.org","subject":"Your car","text":"is ready"{members}}}"#)
}
