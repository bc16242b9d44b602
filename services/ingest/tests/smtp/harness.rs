//! A door with everything behind it: the port of a program that opens with TLS (it waits 3 s for
//! that), the port of one that waits for the greeting, and HTTP.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use postrider_gate::{
    Access, Budget, EnrolConfig, EnrolPorts, Enroller, Gate, GateConfig, GatePorts, IdentityConfig,
    KeyWishes, MasterKey, Provision, RampConfig, Service, TenantDefaults,
};
use postrider_ingest::{
    Config, Listener, Listeners, Ports, SmtpConfig, SmtpListener, Suspension, Suspensions, run,
};
use postrider_model::{
    Authority, Domain, EmailAddress, Language, Limits, MessageId, Ramp, Session, SessionCode,
    Tenant, TenantId, TenantStatus, Timestamp,
};
use postrider_runtime::{Clock, Rng, Shutdown};
use postrider_store::{Mail, MailFilter, MailPage, PageStart, Roster, Sessions, StoreError};
use postrider_store_sqlite::{SqliteOptions, SqliteStore};
use postrider_telemetry::Registry;
use postrider_tls::Acceptor;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::line::Line;

pub(crate) struct Relay {
    /// Waits 3 s for a client to open with TLS, as port 465 does.
    pub(crate) slow: SocketAddr,
    /// Greets after 150 ms, as 587 and 2525 do.
    pub(crate) quick: SocketAddr,
    pub(crate) http: SocketAddr,
    /// A tenant that is known, its key and its password.
    pub(crate) tenant: Tenant,
    pub(crate) key: String,
    pub(crate) password: String,
    pub(crate) store: SqliteStore,
    pub(crate) shutdown: Shutdown,
    pub(crate) provision: Provision,
    pub(crate) roster: Roster,
    _tasks: JoinSet<()>,
    _folder: TempDir,
}

/// What the tests wait for no longer than they must.
pub(crate) fn impatient() -> SmtpConfig {
    SmtpConfig {
        host: "relay.example".to_owned(),
        tarpit: Duration::from_millis(10),
        connections_of_one_most: 4_096,
        ..SmtpConfig::default()
    }
}

impl Relay {
    pub(crate) async fn start() -> Self {
        Self::start_with(impatient(), 256 * 1024 * 1024).await
    }

    /// With this much memory for messages.
    pub(crate) async fn start_with(smtp: SmtpConfig, budget: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("postrider.db");
        let store = SqliteStore::open(&path, SqliteOptions::default())
            .await
            .unwrap();
        let now = Timestamp::parse("2026-01-31T08:00:00Z").unwrap();
        let provision = Provision {
            directory: Arc::new(store.clone()),
            master: Arc::new(MasterKey::new(&[7; 32]).unwrap()),
            service: service(),
            clock: Clock::held(now),
            rng: Rng::system(),
        };
        provision.dkim_keys().await.unwrap();
        let roster = Roster::new();
        let ports = ports(&store, &provision, &roster, budget);
        let acceptor = acceptor();
        let (slow, slow_tcp) = bind().await;
        let (quick, quick_tcp) = bind().await;
        let (http, http_tcp) = bind().await;
        let door = |tcp, millis| SmtpListener {
            tcp,
            tls: Some(acceptor.clone()),
            banner_after: Duration::from_millis(millis),
        };
        let listeners = Listeners {
            http: vec![Listener {
                tcp: http_tcp,
                tls: None,
            }],
            smtp: vec![door(slow_tcp, 3_000), door(quick_tcp, 150)],
        };
        let config = Config {
            smtp,
            ..Config::default()
        };
        let shutdown = Shutdown::new(Duration::from_secs(5));
        let mut tasks = JoinSet::new();
        tasks.spawn(run(ports, config, listeners, shutdown.clone()));
        let (tenant, key, password) = tenant(&provision).await;
        roster.refresh(&*provision.directory).await.unwrap();
        Self {
            slow,
            quick,
            http,
            tenant,
            key,
            password,
            store,
            shutdown,
            provision,
            roster,
            _tasks: tasks,
            _folder: folder,
        }
    }

    /// A client that has signed in, on the port that greets soon, by STARTTLS.
    pub(crate) async fn client(&self) -> Line {
        let mut line = Line::starttls(self.quick).await;
        line.say("EHLO vm").await;
        let reply = line.say(&self.auth_plain()).await;
        assert!(reply.starts_with("235 2.7.0"), "{reply}");
        line
    }

    /// One that has begun a message to one recipient.
    pub(crate) async fn with_recipient(&self) -> Line {
        let mut line = self.client().await;
        let reply = line.say("MAIL FROM:<joe@joesgarage.example>").await;
        assert!(reply.starts_with("250 2.1.0"), "{reply}");
        let reply = line.say("RCPT TO:<ann@example.org>").await;
        assert!(reply.starts_with("250 2.1.5"), "{reply}");
        line
    }

    /// `AUTH PLAIN` with user and password.
    pub(crate) fn auth_plain(&self) -> String {
        format!("AUTH PLAIN {}", pack(&format!("\0joe\0{}", self.password)))
    }

    /// What the tenant has handed in so far, newest first.
    pub(crate) async fn accepted(&self) -> Vec<MessageId> {
        let page = MailPage {
            limit: 100,
            start: PageStart::Newest,
        };
        let listing = self
            .store
            .list(self.tenant.id, &MailFilter::default(), page)
            .await
            .unwrap()
            .unwrap();
        listing.emails.iter().map(|email| email.id).collect()
    }

    /// The bytes of the newest message.
    pub(crate) async fn newest(&self) -> Vec<u8> {
        let id = self.accepted().await[0];
        let body = self.store.body(self.tenant.id, id).await.unwrap();
        body.unwrap().to_vec()
    }

    /// The record of a session, once it is written with what is waited for.
    pub(crate) async fn session(&self, code: &str, until: impl Fn(&Session) -> bool) -> Session {
        let code = SessionCode::parse(code).unwrap();
        let begun = Instant::now();
        loop {
            if let Some(session) = self.store.any_session(code).await.unwrap()
                && until(&session)
            {
                return session;
            }
            assert!(
                begun.elapsed() < Duration::from_secs(20),
                "no record of {code}"
            );
            sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) async fn suspend(&self) {
        let directory = &self.provision.directory;
        directory
            .set_status(self.tenant.id, TenantStatus::Suspended, Authority::Operator)
            .await
            .unwrap();
        self.roster.refresh(&**directory).await.unwrap();
    }
}

/// Base64.
pub(crate) fn pack(text: &str) -> String {
    base64::engine::general_purpose::STANDARD.encode(text)
}

/// A small message.
pub(crate) fn mail() -> String {
    "From: joe@joesgarage.example\r\nTo: ann@example.org\r\nSubject: Your car\r\n\r\nis ready\r\n"
        .to_owned()
}

async fn bind() -> (SocketAddr, TcpListener) {
    let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    (tcp.local_addr().unwrap(), tcp)
}

fn acceptor() -> Acceptor {
    let made = rcgen::generate_simple_self_signed(["relay.example".to_owned()]).unwrap();
    let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    Acceptor::from_pem(certificate.as_bytes(), key.as_bytes()).unwrap()
}

fn service() -> Service {
    let domain = |name: &str| Domain::parse(name).unwrap();
    Service {
        send_domain: domain("send.relay.example"),
        bounce_domain: domain("bounce.relay.example"),
        host: domain("relay.example"),
    }
}

fn ports(store: &SqliteStore, provision: &Provision, roster: &Roster, budget: u64) -> Ports {
    let metrics = Registry::new();
    let (clock, rng) = (provision.clock.clone(), provision.rng.clone());
    let gate = GatePorts {
        intake: Arc::new(store.clone()),
        mail: Arc::new(store.clone()),
        directory: Arc::new(store.clone()),
        suppressions: Arc::new(store.clone()),
        failures: Arc::new(store.clone()),
        audit: Arc::new(store.clone()),
        roster: roster.clone(),
        master: Arc::clone(&provision.master),
        clock: clock.clone(),
        rng: rng.clone(),
        metrics: metrics.clone(),
    };
    let config = GateConfig {
        service: service(),
        size_most: 41_943_040,
        recipients_most: 1_000,
        lifetime: Duration::from_hours(72),
        schedule_most: Duration::from_hours(30 * 24),
        simulator: None,
        identity: IdentityConfig::default(),
    };
    let gate = Arc::new(Gate::new(gate, config));
    Ports {
        gate: Arc::clone(&gate),
        access: Arc::new(Access::new(roster.clone(), clock.clone())),
        enroller: Arc::new(Enroller::new(
            EnrolPorts {
                provision: provision.clone(),
                vendors: Arc::new(store.clone()),
                enrolments: Arc::new(store.clone()),
                audit: Arc::new(store.clone()),
                gate,
                roster: roster.clone(),
            },
            EnrolConfig {
                limits: postrider_model::Limits::default(),
                ramp: RampConfig::default(),
                overlap: Duration::from_hours(24),
            },
        )),
        budget: Budget::new(budget, Duration::from_secs(2)),
        mail: Arc::new(store.clone()),
        suspensions: Arc::new(NothingSuspended),
        upkeep: Arc::new(store.clone()),
        sessions: Arc::new(store.clone()),
        suppressions: Arc::new(store.clone()),
        clock,
        rng,
        metrics,
    }
}

async fn tenant(provision: &Provision) -> (Tenant, String, String) {
    let reply_to = EmailAddress::parse("joe@joesgarage.example").unwrap();
    let defaults = TenantDefaults {
        limits: Limits::default(),
        language: Language::En,
        ramp: Ramp::PAST,
        is_confirmed: true,
        ..TenantDefaults::default()
    };
    let made = provision
        .tenant("Joe's Garage", reply_to, defaults)
        .await
        .unwrap();
    let wishes = KeyWishes::default();
    let (_, password) = provision
        .smtp_credential(&made.tenant, wishes)
        .await
        .unwrap();
    let key = made.token.expose().to_owned();
    (made.tenant, key, password.expose().to_owned())
}

/// No operator is here.
struct NothingSuspended;

#[async_trait::async_trait]
impl Suspensions for NothingSuspended {
    async fn concerning(&self, _: TenantId, _: MessageId) -> Result<Vec<Suspension>, StoreError> {
        Ok(Vec::new())
    }
}
