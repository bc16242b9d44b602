//! What lies in the database before a relay starts: tenants, and mail that waits. Written through
//! the store's own ports, since a million requests would take longer than what they are for. It is
//! the one place beside the gate that commits, and its mail is not signed: the sink does not look.

pub(crate) mod past;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, ensure};
use bytes::Bytes;
use postrider_gate::{MasterKey, Provision, Service, TenantDefaults};
use postrider_model::{
    ApiToken, Domain, EmailAddress, Event, EventKind, KeyStatus, Language, Limits, MessageId, Ramp,
    RecipientId, Stream, TenantId, Timestamp,
};
use postrider_runtime::{Clock, Rng};
use postrider_store::{
    Committed, Directory, Intake, NewMessage, NewRecipient, Quota, Shard, Summary,
};
use tokio::task::JoinSet;

use crate::ledger::Ledger;
use crate::sink::recipient;

/// Callers at once: enough to fill the committer's batches.
const WRITERS: usize = 256;
/// How long stocked signatures are said to stand: they are not sealed again during a run.
const SEALED: Duration = Duration::from_hours(47);
const LIFE: Duration = Duration::from_hours(72);

/// A tenant with its key.
#[derive(Clone, Debug)]
pub(crate) struct Tenant {
    /// Its number in the ledger.
    pub(crate) number: u32,
    pub(crate) id: TenantId,
    pub(crate) token: ApiToken,
    pub(crate) from: EmailAddress,
}

impl Tenant {
    pub(crate) fn shard(&self) -> Shard {
        Shard::of(self.id)
    }
}

/// Where the tenants' own addresses are.
pub(crate) const OFFICES: &str = "client.test";

/// The address that a tenant's mail names, and that it has confirmed.
pub(crate) fn office(number: u32) -> String {
    format!("office{number}@{OFFICES}")
}

/// Writes into one database.
#[derive(Clone)]
pub(crate) struct Stock(Arc<Inner>);

struct Inner {
    provision: Provision,
    intake: Arc<dyn Intake>,
    bounce_domain: Domain,
    selectors: Vec<String>,
    clock: Clock,
    rng: Rng,
    /// Tenants made so far, and messages laid in.
    made: AtomicU64,
    laid: AtomicU64,
}

/// Mail that waits.
#[derive(Clone)]
pub(crate) struct Waiting {
    pub(crate) tenants: Vec<Arc<Tenant>>,
    pub(crate) phase: u16,
    pub(crate) stream: Stream,
    /// Of each message, in bytes.
    pub(crate) size: usize,
    pub(crate) sites: u8,
    /// Messages, one recipient each, to the tenants in turn.
    pub(crate) count: u64,
}

impl Stock {
    /// Stands on the ports of a database whose relay has this master key.
    pub(crate) async fn open(
        directory: Arc<dyn Directory>,
        intake: Arc<dyn Intake>,
        master_key: &Path,
        host: &str,
    ) -> anyhow::Result<Self> {
        let key = std::fs::read(master_key).context("the relay's master key")?;
        let snapshot = directory.snapshot().await?;
        let selectors = snapshot.dkim_keys.into_iter();
        let selectors = selectors.filter(|key| key.status == KeyStatus::Active);
        let service = Service {
            send_domain: Domain::parse(&format!("send.{host}"))?,
            bounce_domain: Domain::parse(&format!("bounce.{host}"))?,
            host: Domain::parse(host)?,
        };
        let (clock, rng) = (Clock::system(), Rng::system());
        Ok(Self(Arc::new(Inner {
            bounce_domain: service.bounce_domain.clone(),
            provision: Provision {
                directory,
                master: Arc::new(MasterKey::new(&key)?),
                service,
                clock: clock.clone(),
                rng: rng.clone(),
            },
            intake,
            selectors: selectors.map(|key| key.selector).collect(),
            clock,
            rng,
            made: AtomicU64::new(0),
            laid: AtomicU64::new(0),
        })))
    }

    /// Adds so many tenants with the same limits.
    pub(crate) async fn tenants(
        &self,
        count: u32,
        limits: Limits,
    ) -> anyhow::Result<Vec<Arc<Tenant>>> {
        let left = Arc::new(AtomicU64::new(u64::from(count)));
        let mut writers = JoinSet::new();
        for _ in 0..WRITERS.min(count as usize) {
            let (stock, left) = (self.clone(), Arc::clone(&left));
            writers.spawn(async move {
                let mut made = Vec::new();
                while take_one(&left) {
                    made.push(Arc::new(stock.tenant(limits).await?));
                }
                anyhow::Ok(made)
            });
        }
        let mut all = Vec::new();
        while let Some(made) = writers.join_next().await {
            all.extend(made??);
        }
        all.sort_by_key(|tenant| tenant.number);
        Ok(all)
    }

    /// Adds one tenant.
    pub(crate) async fn tenant(&self, limits: Limits) -> anyhow::Result<Tenant> {
        let number = u32::try_from(self.0.made.fetch_add(1, Ordering::Relaxed))?;
        let reply_to = EmailAddress::parse(&office(number))?;
        let name = format!("Client {number}");
        let provision = &self.0.provision;
        let made = provision.tenant(&name, reply_to, known(limits)).await?;
        Ok(Tenant {
            number,
            id: made.tenant.id,
            token: made.token,
            from: made.tenant.from,
        })
    }

    /// Lays in mail, and enters it into the ledger as acknowledged.
    pub(crate) async fn lay_in(&self, waiting: &Waiting, ledger: &Ledger) -> anyhow::Result<()> {
        ensure!(!waiting.tenants.is_empty(), "mail that waits is somebody's");
        let waiting = Arc::new(waiting.clone());
        let left = Arc::new(AtomicU64::new(waiting.count));
        let mut writers = JoinSet::new();
        for _ in 0..WRITERS {
            let (stock, ledger) = (self.clone(), ledger.clone());
            let (waiting, left) = (Arc::clone(&waiting), Arc::clone(&left));
            writers.spawn(async move {
                while take_one(&left) {
                    stock.message(&waiting, &ledger).await?;
                }
                anyhow::Ok(())
            });
        }
        while let Some(written) = writers.join_next().await {
            written??;
        }
        Ok(())
    }

    async fn message(&self, waiting: &Waiting, ledger: &Ledger) -> anyhow::Result<()> {
        let turn = self.0.laid.fetch_add(1, Ordering::Relaxed);
        let at = usize::try_from(turn % waiting.tenants.len() as u64)?;
        let tenant = waiting.tenants.get(at).context("a tenant by its turn")?;
        let number = ledger.posted(tenant.number, waiting.phase);
        let message = self.0.message(tenant, (number, waiting))?;
        let id = message.id;
        let committed = self.0.intake.commit(message).await?;
        ensure!(committed == Committed::Stored, "not stored: {committed:?}");
        ledger.acknowledged(number, Some(id));
        Ok(())
    }
}

/// Of somebody who needs no ramp.
fn known(limits: Limits) -> TenantDefaults {
    TenantDefaults {
        limits,
        language: Language::default(),
        ramp: Ramp::PAST,
        is_confirmed: true,
        ..TenantDefaults::default()
    }
}

fn take_one(left: &AtomicU64) -> bool {
    let took = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
        left.checked_sub(1)
    });
    took.is_ok()
}

impl Inner {
    fn message(
        &self,
        tenant: &Tenant,
        (number, of): (u64, &Waiting),
    ) -> anyhow::Result<NewMessage> {
        self.message_at(self.clock.now(), tenant, (number, of))
    }

    fn message_at(
        &self,
        now: Timestamp,
        tenant: &Tenant,
        (number, of): (u64, &Waiting),
    ) -> anyhow::Result<NewMessage> {
        let id = MessageId::new(now, self.rng.bytes());
        let to = recipient(number, of.sites);
        let one = NewRecipient {
            id: RecipientId::new(now, self.rng.bytes()),
            address: EmailAddress::parse(&to)?,
            return_path: EmailAddress::new(format!("b+n{number}"), self.bounce_domain.clone())?,
            suppressed: false,
            simulated: false,
        };
        Ok(NewMessage {
            id,
            tenant: tenant.id,
            credential: None,
            accepted_at: now,
            due_at: now,
            expires_at: now.after(LIFE),
            selectors: self.selectors.clone(),
            sealed_until: now.after(SEALED),
            summary: summary(tenant, of.stream, (id, &to)),
            body: body(tenant, now, (&to, of.size)),
            smtputf8: false,
            held: false,
            events: vec![Event::new(one.id, now, EventKind::Accepted)],
            recipients: vec![one],
            claim: None,
            quota: Quota::default(),
        })
    }
}

fn summary(tenant: &Tenant, stream: Stream, (id, to): (MessageId, &str)) -> Summary {
    Summary {
        from: format!("Client <{}>", tenant.from),
        original_from: None,
        reply_to: Vec::new(),
        to: vec![to.to_owned()],
        cc: Vec::new(),
        bcc: Vec::new(),
        subject: "Your estimate".to_owned(),
        message_id: format!("{id}@loadtest"),
        stream,
        tags: Vec::new(),
        attachments: Vec::new(),
        scheduled_at: None,
        expires_at: None,
        group: None,
        session: None,
    }
}

fn body(tenant: &Tenant, now: Timestamp, (to, size): (&str, usize)) -> Bytes {
    let mut text = format!(
        "From: Client <{}>\r\nTo: {to}\r\nDate: {}\r\nSubject: Your estimate\r\n\r\n",
        tenant.from,
        now.to_rfc5322()
    );
    while text.len() < size {
        text.push_str("All work and no play makes mail dull, it is said at the post office.\r\n");
    }
    Bytes::from(text)
}
