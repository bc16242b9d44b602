//! Tenants and messages to test with, and short ways to ask for them. For the suite, and for
//! what a dialect tests beyond it.

mod nodes;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use postrider_model::{
    Credential, CredentialId, EmailAddress, Event, EventKind, IdempotencyKey, Language, Limits,
    MessageId, Provider, Ramp, RecipientId, ReplyAddress, ReplyAddressId, ReplySource, ReplyStatus,
    Stream, SuppressionId, Tenant, TenantId, TenantStatus, Timestamp, Vendor, Waits,
};

use super::Ports;
pub use nodes::{do_verb, enact, enrol, new_node, owner, raise};

use crate::{
    Answer, Cancelled, Claim, ClaimScope, Committed, Cursor, NewMessage, NewRecipient, NewTenant,
    Outcome, QueueRow, Quota, Settled, Settlement, Shard, StoreError, StoredEmail, Summary,
};

pub const DAY: Duration = Duration::from_hours(24);

static DRAWN: AtomicU64 = AtomicU64::new(1);

/// Never the same twice in a process.
pub fn number() -> u64 {
    DRAWN.fetch_add(1, Ordering::Relaxed)
}

pub fn random() -> [u8; 10] {
    let mut bytes = [0x5a; 10];
    bytes[2..].copy_from_slice(&number().to_be_bytes());
    bytes
}

/// The time at which a case begins, and `seconds` later.
pub fn at(seconds: u64) -> Timestamp {
    Timestamp::from_micros(1_767_225_600_123_456).after(Duration::from_secs(seconds))
}

pub fn address(text: &str) -> EmailAddress {
    EmailAddress::parse(text).expect("an address")
}

pub fn message_id() -> MessageId {
    MessageId::new(at(0), random())
}

pub fn recipient_id() -> RecipientId {
    RecipientId::new(at(0), random())
}

pub fn new_tenant() -> NewTenant {
    let (id, number) = (TenantId::new(at(0), random()), number());
    let reply_to = address(&format!("joe{number}@joesgarage.example"));
    let mut hash = [0; 32];
    hash[..8].copy_from_slice(&number.to_be_bytes());
    NewTenant {
        tenant: Tenant {
            id,
            name: "Joe's Gäräge".to_owned(),
            slug: format!("joes-garage-{number}"),
            from: address(&format!("joes-garage-{number}@send.relay.example")),
            reply_to: reply_to.clone(),
            next_reply_to: None,
            status: TenantStatus::Active,
            stopped_by: None,
            limits: Limits {
                requests_per_second: 10,
                per_minute: 600,
                ..Limits::default()
            },
            language: Language::En,
            own_domain: false,
            notices: true,
            ramp: Ramp::PAST,
            is_house: false,
            vendor: Vendor::OPERATOR,
            licence: None,
            plan: None,
            created_at: at(0),
        },
        reply_address: ReplyAddress {
            id: ReplyAddressId::new(at(0), random()),
            tenant: id,
            address: reply_to,
            status: ReplyStatus::Confirmed,
            source: ReplySource::Operator,
            confirmed_at: Some(at(0)),
            asked_at: None,
            told_at: None,
            refused_at: None,
            attested_by: None,
            created_at: at(0),
        },
        credentials: vec![credential(id, hash)],
        enrolment: None,
    }
}

pub fn credential(tenant: TenantId, hash: [u8; 32]) -> Credential {
    Credential {
        note: "the office".to_owned(),
        created_at: at(0),
        ..Credential::api(credential_id(), tenant, "pr_live_abcd".to_owned(), hash)
    }
}

pub fn credential_id() -> CredentialId {
    CredentialId::new(at(0), random())
}

pub fn reply_address_id() -> ReplyAddressId {
    ReplyAddressId::new(at(0), random())
}

pub fn suppression_id() -> SuppressionId {
    SuppressionId::new(at(0), random())
}

pub async fn add_tenant(ports: &Ports) -> TenantId {
    let new = new_tenant();
    let id = new.tenant.id;
    ports.directory.add_tenant(new).await.expect("a new tenant");
    id
}

/// A tenant whose mail lies in another shard.
pub async fn in_another_shard(ports: &Ports, than: TenantId) -> TenantId {
    let mut new = new_tenant();
    while Shard::of(new.tenant.id) == Shard::of(than) {
        new = new_tenant();
    }
    let id = new.tenant.id;
    ports.directory.add_tenant(new).await.expect("a new tenant");
    id
}

/// A message to `to`, due at once, accepted now.
pub fn message_to(tenant: TenantId, to: &[&str]) -> NewMessage {
    let id = message_id();
    let recipients: Vec<NewRecipient> = to
        .iter()
        .map(|to| NewRecipient {
            id: recipient_id(),
            address: address(to),
            return_path: address(&format!("b+{}@bounce.relay.example", number())),
            suppressed: false,
            simulated: false,
        })
        .collect();
    NewMessage {
        id,
        tenant,
        credential: None,
        accepted_at: at(0),
        due_at: at(0),
        expires_at: at(0).after(2 * DAY),
        selectors: vec!["r1".to_owned(), "e1".to_owned()],
        sealed_until: at(0).after(2 * DAY),
        summary: summary(id),
        body: Bytes::from_static(b"Subject: hello\r\n\r\nhello\r\n"),
        smtputf8: false,
        held: false,
        events: recipients
            .iter()
            .map(|recipient| Event::new(recipient.id, at(0), EventKind::Accepted))
            .collect(),
        recipients,
        claim: None,
        quota: Quota::default(),
    }
}

pub fn message(tenant: TenantId) -> NewMessage {
    message_to(tenant, &["ann@example.org"])
}

fn summary(id: MessageId) -> Summary {
    Summary {
        from: "Joe <joes-garage@send.relay.example>".to_owned(),
        original_from: None,
        reply_to: vec!["joe@joesgarage.example".to_owned()],
        to: vec!["ann@example.org".to_owned()],
        cc: Vec::new(),
        bcc: Vec::new(),
        subject: "hello".to_owned(),
        message_id: format!("{id}@send.relay.example"),
        stream: Stream::Transactional,
        tags: Vec::new(),
        attachments: Vec::new(),
        scheduled_at: None,
        expires_at: None,
        group: None,
        session: None,
    }
}

/// A message to two, which its client wants sent `seconds` after it was accepted.
pub fn later(tenant: TenantId, seconds: u64) -> NewMessage {
    let mut message = message_to(tenant, &["ann@example.org", "bob@example.net"]);
    message.due_at = at(seconds);
    message.summary.scheduled_at = Some(at(seconds));
    for event in &mut message.events {
        event.kind = EventKind::Scheduled;
    }
    message
}

/// Takes a scheduled message back, as its tenant.
pub async fn cancel(ports: &Ports, message: &NewMessage, seconds: u64) -> Cancelled {
    let cancelled = ports.mail.cancel(message.tenant, message.id, at(seconds));
    cancelled.await.expect("an answer")
}

pub fn scope(tenant: TenantId, key: &str) -> ClaimScope {
    ClaimScope {
        tenant,
        endpoint: "POST /emails",
        key: IdempotencyKey::parse(key).expect("a key"),
    }
}

/// A claim of `key` for a day, with an answer that names the message.
pub fn claim(message: &NewMessage, key: &str) -> Claim {
    Claim {
        scope: scope(message.tenant, key),
        answer: Answer {
            request: [7; 32],
            status: 200,
            body: format!("{{\"id\":\"{}\"}}", message.id),
        },
        until: message.accepted_at.after(DAY),
        recent: false,
    }
}

/// A message that counts as the same as others of this content, for a quarter of an hour.
pub fn lately(tenant: TenantId, content: u8, accepted_at: Timestamp) -> NewMessage {
    let mut message = message(tenant);
    message.accepted_at = accepted_at;
    message.due_at = accepted_at;
    let request = [content; 32];
    let key = format!("{content:02x}").repeat(32);
    let mut claim = claim(&message, &key);
    claim.scope.endpoint = "SMTP duplicate";
    claim.answer.request = request;
    claim.until = accepted_at.after(QUARTER);
    claim.recent = true;
    message.claim = Some(claim);
    message
}

pub const QUARTER: Duration = Duration::from_mins(15);

pub fn claiming(tenant: TenantId, key: &str) -> NewMessage {
    let mut message = message(tenant);
    message.claim = Some(claim(&message, key));
    message
}

pub async fn commit(ports: &Ports, message: &NewMessage) -> Committed {
    ports
        .intake
        .commit(message.clone())
        .await
        .expect("a commit")
}

pub async fn commit_all(
    ports: &Ports,
    messages: &[NewMessage],
) -> Vec<Result<Committed, StoreError>> {
    join_all(messages.iter().map(|m| ports.intake.commit(m.clone()))).await
}

pub async fn email(ports: &Ports, message: &NewMessage) -> Option<StoredEmail> {
    let found = ports.mail.email(message.tenant, message.id).await;
    found.expect("a look at a message")
}

/// All that is live, read from the start.
pub async fn live(ports: &Ports) -> Vec<QueueRow> {
    changed_since(ports, &Cursor::START).await
}

/// All that changed since, whatever the size of a page.
pub async fn changed_since(ports: &Ports, since: &Cursor) -> Vec<QueueRow> {
    let shards: Vec<Shard> = Shard::all().collect();
    let (mut since, mut rows) = (since.clone(), Vec::new());
    loop {
        let page = ports.queue.load_changed(&shards, &since, 1_000).await;
        let page = page.expect("the queue");
        rows.extend(page.rows);
        since = page.next;
        if !page.more {
            return rows;
        }
    }
}

/// Where changes from here on begin.
pub async fn cursor(ports: &Ports) -> Cursor {
    ports.queue.cursor().await.expect("a place in change order")
}

/// A settlement of the message's first recipient, with one event of `kind`.
pub fn settlement(
    message: &NewMessage,
    seconds: u64,
    kind: EventKind,
    outcome: Outcome,
) -> Settlement {
    let recipient = message.recipients[0].id;
    Settlement {
        message: message.id,
        recipient,
        at: at(seconds),
        outcome,
        reply: None,
        events: vec![Event::new(recipient, at(seconds), kind)],
        waits: Waits::default(),
        lease: None,
        suppress_until: None,
        tell_tenant: false,
        provider: Provider::None,
        simulated: false,
    }
}

pub async fn settle(ports: &Ports, settlement: Settlement) -> Settled {
    let settled = ports.queue.settle(settlement).await;
    settled.expect("a settlement")
}

pub fn delivered() -> Outcome {
    Outcome::Final {
        state: postrider_model::RecipientState::Delivered,
        attempts: 1,
    }
}

/// The first recipient is delivered at `seconds`.
pub async fn deliver(ports: &Ports, message: &NewMessage, seconds: u64) -> Settled {
    settle(
        ports,
        settlement(message, seconds, EventKind::Delivered, delivered()),
    )
    .await
}

pub async fn kinds(ports: &Ports, message: &NewMessage) -> Vec<EventKind> {
    let events = ports.mail.events(message.tenant, message.id).await;
    let events = events.expect("a look at events").expect("a message");
    events.iter().map(|stored| stored.event.kind).collect()
}

pub fn reply_address(tenant: TenantId, text: &str) -> ReplyAddress {
    let mut random = [3; 10];
    random[..8].copy_from_slice(&number().to_be_bytes());
    ReplyAddress {
        id: ReplyAddressId::new(at(0), random),
        tenant,
        address: address(text),
        status: ReplyStatus::Unconfirmed,
        source: ReplySource::Tenant,
        confirmed_at: None,
        asked_at: None,
        told_at: None,
        refused_at: None,
        attested_by: None,
        created_at: at(0),
    }
}
