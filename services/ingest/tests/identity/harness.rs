//! A gate with everything behind it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use postrider_gate::{
    AcceptError, Accepted, Access, Caller, Door, Gate, GateConfig, GatePorts, IdentityConfig,
    KeyWishes, MasterKey, Provision, Service, SmtpPassword, Submission, TenantDefaults,
};
use postrider_model::{
    Domain, EmailAddress, Event, EventKind, Language, Limits, MessageId, Ramp, Tenant, TenantId,
    Timestamp,
};
use postrider_runtime::{Clock, Rng, Shutdown};
use postrider_store::{Mail, MailFilter, MailPage, PageStart, Roster, StoredEmail};
use postrider_store_sqlite::{SqliteOptions, SqliteStore};
use postrider_telemetry::Registry;
use tempfile::TempDir;
use tokio::task::JoinSet;

pub(crate) struct House {
    pub(crate) gate: Arc<Gate>,
    pub(crate) access: Access,
    pub(crate) clock: Clock,
    pub(crate) store: SqliteStore,
    pub(crate) provision: Provision,
    pub(crate) roster: Roster,
    pub(crate) post: Tenant,
    tasks: JoinSet<()>,
    _folder: TempDir,
}

pub(crate) const NOW: &str = "2026-01-31T08:00:00Z";
pub(crate) const HERE: &str = "192.0.2.1";

pub(crate) fn peer(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub(crate) fn address(text: &str) -> EmailAddress {
    EmailAddress::parse(text).unwrap()
}

impl House {
    pub(crate) async fn start() -> Self {
        Self::with(IdentityConfig::default()).await
    }

    pub(crate) async fn with(identity: IdentityConfig) -> Self {
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
        let post = provision.house("Postrider", address("postmaster@relay.example"));
        let post = post.await.unwrap();
        let roster = Roster::new();
        let ports = GatePorts {
            intake: Arc::new(store.clone()),
            mail: Arc::new(store.clone()),
            directory: Arc::new(store.clone()),
            suppressions: Arc::new(store.clone()),
            failures: Arc::new(store.clone()),
            audit: Arc::new(store.clone()),
            roster: roster.clone(),
            master,
            clock: clock.clone(),
            rng,
            metrics: Registry::new(),
        };
        let house = Self {
            gate: Arc::new(Gate::new(ports, config(identity))),
            access: Access::new(roster.clone(), clock.clone()),
            clock,
            store,
            provision,
            roster,
            post,
            tasks: JoinSet::new(),
            _folder: folder,
        };
        house.refresh().await;
        house
    }

    pub(crate) async fn refresh(&self) {
        self.roster
            .refresh(&*self.provision.directory)
            .await
            .unwrap();
    }

    /// Has the gate do by itself what it does beside the mail.
    pub(crate) fn run(&mut self) {
        let (gate, shutdown) = (
            Arc::clone(&self.gate),
            Shutdown::new(Duration::from_secs(5)),
        );
        self.tasks.spawn(async move { gate.run(shutdown).await });
    }

    /// A confirmed tenant that is past its ramp.
    pub(crate) async fn tenant(&self, reply_to: &str) -> Tenant {
        let defaults = TenantDefaults {
            limits: Limits::default(),
            language: Language::En,
            ramp: Ramp::PAST,
            is_confirmed: true,
            ..TenantDefaults::default()
        };
        self.tenant_with(reply_to, defaults).await
    }

    pub(crate) async fn tenant_with(&self, reply_to: &str, defaults: TenantDefaults) -> Tenant {
        let reply_to = address(reply_to);
        let made = self.provision.tenant("Joe's Garage", reply_to, defaults);
        let tenant = made.await.unwrap().tenant;
        self.refresh().await;
        tenant
    }

    pub(crate) async fn password(&self, tenant: &Tenant, wishes: KeyWishes) -> SmtpPassword {
        let made = self.provision.smtp_credential(tenant, wishes).await;
        self.refresh().await;
        made.unwrap().1
    }

    /// Whoever signs in with a new password that is like any other.
    pub(crate) async fn caller(&self, tenant: &Tenant) -> Caller {
        self.caller_with(tenant, KeyWishes::default()).await
    }

    pub(crate) async fn caller_with(&self, tenant: &Tenant, wishes: KeyWishes) -> Caller {
        let password = self.password(tenant, wishes).await;
        let signed_in = self.access.sign_in(&password.grouped(), peer(HERE));
        signed_in.unwrap()
    }

    /// Hands in a message over SMTP.
    pub(crate) async fn send(
        &self,
        caller: &Caller,
        to: &[&str],
        raw: &str,
    ) -> Result<Accepted, AcceptError> {
        let envelope = to.iter().map(|one| address(one)).collect();
        self.gate.accept(caller, submission(envelope, raw)).await
    }

    pub(crate) async fn email(&self, tenant: TenantId, id: MessageId) -> StoredEmail {
        self.store.email(tenant, id).await.unwrap().unwrap()
    }

    pub(crate) async fn text(&self, tenant: TenantId, id: MessageId) -> String {
        let body = self.store.body(tenant, id).await.unwrap().unwrap();
        String::from_utf8(body.to_vec()).unwrap()
    }

    pub(crate) async fn events(&self, tenant: TenantId, id: MessageId) -> Vec<Event> {
        let events = self.store.events(tenant, id).await.unwrap().unwrap();
        events.into_iter().map(|one| one.event).collect()
    }

    pub(crate) async fn kinds(&self, tenant: TenantId, id: MessageId) -> Vec<EventKind> {
        let events = self.events(tenant, id).await;
        events.iter().map(|event| event.kind).collect()
    }

    /// Ids of a tenant's messages, oldest first.
    pub(crate) async fn ids(&self, tenant: TenantId) -> Vec<MessageId> {
        let page = MailPage {
            limit: 100,
            start: PageStart::Newest,
        };
        let list = self.store.list(tenant, &MailFilter::default(), page).await;
        let list = list.unwrap().unwrap().emails;
        list.iter().rev().map(|email| email.id).collect()
    }

    /// Our own letters once there are so many: to whom, and the link in each.
    pub(crate) async fn letters(&self, count: usize) -> Vec<(String, String)> {
        let mut ids = Vec::new();
        for _ in 0..500 {
            ids = self.ids(self.post.id).await;
            if ids.len() >= count {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.refresh().await;
        let mut letters = Vec::new();
        for id in ids {
            let to = self.email(self.post.id, id).await.recipients[0]
                .address
                .to_string();
            let raw = self.text(self.post.id, id).await;
            let text = postrider_message::texts(raw.as_bytes()).text.unwrap();
            let (_, link) = text.split_once("/c/").unwrap();
            let token: String = link
                .chars()
                .take_while(char::is_ascii_alphanumeric)
                .collect();
            letters.push((to, token));
        }
        assert_eq!(letters.len(), count, "{letters:?}");
        letters
    }
}

pub(crate) fn submission(envelope: Vec<EmailAddress>, raw: &str) -> Submission {
    Submission {
        door: Door::Smtp,
        raw: raw.replace('\n', "\r\n").into_bytes(),
        envelope,
        bcc: Vec::new(),
        stream: None,
        tags: Vec::new(),
        scheduled_at: None,
        expires_at: None,
        claim: None,
        session: None,
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

fn config(identity: IdentityConfig) -> GateConfig {
    GateConfig {
        service: service(),
        size_most: 41_943_040,
        recipients_most: 1_000,
        lifetime: Duration::from_hours(72),
        schedule_most: Duration::from_hours(30 * 24),
        simulator: None,
        identity: IdentityConfig {
            public_url: "https://relay.example".to_owned(),
            ..identity
        },
    }
}
