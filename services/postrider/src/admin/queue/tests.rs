use postrider_gate::TenantDefaults;
use std::sync::Arc;

use async_trait::async_trait;
use postrider_model::{
    Event, EventKind, Language, Limits, MessageId, NodeId, Provider, Ramp, TenantId, Timestamp,
    WaitCause, Waits,
};
use postrider_store::{
    Control, Controls, Enacted, HeldMessage, NewNode, Outcome, QueuedCount, QueuedQuery, Settlement,
};
use tempfile::TempDir;

use super::*;
use crate::caretaker::{Seen, close_forgotten};
use crate::config::Config;
use crate::core::{Core, furnish};
use crate::relay::Machine;

/// A relay's folder that no process serves, with one tenant.
async fn alone() -> (TempDir, Core, TenantId) {
    let folder = tempfile::tempdir().unwrap();
    let config = Config::parse("", folder.path()).unwrap();
    furnish(&config).await.unwrap();
    let core = Core::open(&config, &Machine::real()).await.unwrap();
    let defaults = TenantDefaults {
        limits: Limits::default(),
        language: Language::En,
        ramp: Ramp::PAST,
        is_confirmed: true,
        ..TenantDefaults::default()
    };
    let reply_to = "joe@joes.test".parse().unwrap();
    let made = core
        .office
        .provision
        .tenant("Joe", reply_to, defaults)
        .await
        .unwrap();
    (folder, core, made.tenant.id)
}

/// An owner of shards that lives and never answers.
async fn deaf(core: &Core) {
    let now = core.office.provision.clock.now();
    let id = NodeId::new(now, [7; 10]);
    let node = NewNode {
        id,
        name: "deaf".to_owned(),
        key: [7; 16],
    };
    core.database.nodes.join(node, now).await.unwrap();
    assert_eq!(
        core.database.nodes.take(id, 1024, now).await.unwrap().len(),
        1024
    );
}

fn about(tenant: TenantId) -> About {
    About::Tenant(tenant.to_string())
}

async fn standing(core: &Core) -> Vec<ControlVerb> {
    let controls = core.database.controls.controls().await.unwrap();
    controls.iter().map(|control| control.verb).collect()
}

#[tokio::test]
async fn a_verb_that_an_owner_does_not_answer_changes_nothing_and_is_closed() {
    let (_folder, core, tenant) = alone().await;
    deaf(&core).await;
    // As an interrupted command: it waits no longer.
    core.office.stopping.begin();
    for act in [QueueAct::Hold, QueueAct::Cancel] {
        let fault = core.office.queue(act, about(tenant)).await.unwrap_err();
        let fault = format!("{fault:#}");
        let says = fault.contains("nothing was changed") && fault.contains("deaf");
        assert!(says, "{fault}");
        assert_eq!(standing(&core).await, []);
    }
    let answer = core.office.queue(QueueAct::Suspend, about(tenant)).await;
    assert_eq!(answer.unwrap()["not_answered"], json!(["deaf"]));
    assert_eq!(standing(&core).await, [ControlVerb::Suspend]);
}

#[tokio::test]
async fn a_suspension_stands_once_and_ends_once() {
    let (_folder, core, tenant) = alone().await;
    let office = &core.office;
    for _ in 0..2 {
        let answer = office.queue(QueueAct::Suspend, about(tenant)).await;
        let slug = json!(core.roster.tenant(tenant).unwrap().slug);
        assert_eq!(answer.unwrap()["tenant"], slug);
        let shown = office.list_queue(None).await.unwrap();
        let shown = &shown["suspensions"];
        assert_eq!(shown.as_array().unwrap().len(), 1, "{shown}");
        assert_eq!(shown[0]["tenant"], slug);
    }
    let domain = About::Domain("example.org".parse().unwrap());
    let fault = office.queue(QueueAct::Resume, domain).await.unwrap_err();
    assert!(fault.to_string().contains("queue list"), "{fault:#}");
    office.queue(QueueAct::Resume, about(tenant)).await.unwrap();
    assert_eq!(standing(&core).await, []);
    let again = office.queue(QueueAct::Resume, about(tenant)).await;
    assert!(again.is_err());
}

#[tokio::test]
async fn what_a_dead_command_left_is_closed_when_it_is_old_and_suspensions_stand() {
    let (_folder, core, tenant) = alone().await;
    let (office, scope) = (&core.office, Scope::Tenant(tenant));
    office.raise(ControlVerb::Suspend, &scope).await.unwrap();
    let controls = &*core.database.controls;
    // By a machine whose clock is years behind.
    let control = NewControl {
        id: ControlId::from_bytes([7; 16]),
        verb: ControlVerb::Hold,
        scope,
        at: Timestamp::from_micros(0),
        note: None,
    };
    controls.raise(control).await.unwrap();
    let (mut seen, most) = (Seen::default(), Duration::from_mins(10));
    for _ in 0..2 {
        close_forgotten(controls, &mut seen, most).await.unwrap();
        assert_eq!(standing(&core).await.len(), 2, "whatever its clock says");
    }
    close_forgotten(controls, &mut seen, Duration::ZERO)
        .await
        .unwrap();
    assert_eq!(standing(&core).await, [ControlVerb::Suspend]);
}

#[tokio::test]
async fn what_is_done_to_a_queue_is_written_down_with_its_vendor() {
    let (_folder, core, tenant) = alone().await;
    let add = json!({"verb": "vendor", "act": {"add": {"slug": "acme", "name": "Acme", "contact": "help@acme.test", "change": {}}}});
    let made = json!({"verb": "tenant_add", "name": "Ann", "reply_to": "ann@acme.test", "vendor": "acme", "vouched": true});
    let of_acme = asked(&core, add).await;
    assert_eq!(of_acme["slug"], "acme");
    let ann = asked(&core, made).await["slug"].clone();
    let letter = json!({"verb": "send", "tenant": ann, "to": ["bob@example.org"], "subject": "x", "text": "y"});
    let sent = asked(&core, letter).await["id"].clone();
    let domain = json!({"domain": "example.org"});
    for (act, about) in [
        ("suspend", json!({"vendor": "acme"})),
        ("hold", json!({"vendor": of_acme["id"]})),
        ("release", json!({"tenant": ann})),
        ("cancel", json!({"message": sent})),
        ("resume", json!({"vendor": "acme"})),
        ("hold", json!({"tenant": tenant})),
        ("hold", domain.clone()),
    ] {
        asked(&core, json!({"verb": "queue", "act": act, "about": about})).await;
    }
    let verbs = |entries: Value| {
        let entries = entries.as_array().cloned().unwrap_or_default().into_iter();
        let verbs = entries.map(|entry| entry["verb"].as_str().unwrap().to_owned());
        verbs
            .filter(|verb| verb.starts_with("queue"))
            .collect::<Vec<_>>()
    };
    let of = async |vendor| verbs(asked(&core, json!({"verb": "audit", "vendor": vendor})).await);
    let acmes = [
        "queue_resume",
        "queue_cancel",
        "queue_release",
        "queue_hold",
        "queue_suspend",
    ];
    assert_eq!(of(Some("acme")).await, acmes);
    assert_eq!(of(Some("operator")).await, ["queue_hold"]);
    assert_eq!(of(None).await.len(), 7, "a domain is everybody's");
}

#[tokio::test]
async fn no_verb_stops_the_services_own_letters_with_their_vendor() {
    let (_folder, core, _) = alone().await;
    for act in ["hold", "cancel", "suspend"] {
        let verb = json!({"verb": "queue", "act": act, "about": {"vendor": "operator"}});
        let verb = serde_json::from_value(verb).unwrap();
        let refused = core.office.execute(verb).await.unwrap_err();
        assert!(refused.to_string().contains("own letters"), "{refused}");
    }
    assert_eq!(standing(&core).await, []);
    let on = json!({"verb": "queue", "act": "retry-now", "about": {"vendor": "operator"}});
    assert_eq!(asked(&core, on).await["changed"], 0);
}

async fn asked(core: &Core, verb: Value) -> Value {
    let verb = serde_json::from_value(verb).unwrap();
    core.office.execute(verb).await.unwrap()
}

/// Raises, and the word of it gets lost.
struct Unheard(Arc<dyn Controls>);

#[async_trait]
impl Controls for Unheard {
    async fn raise(&self, control: NewControl) -> Result<ControlId, StoreError> {
        self.0.raise(control).await?;
        Err(StoreError::Unavailable(Box::from("the connection is lost")))
    }

    async fn controls(&self) -> Result<Vec<Control>, StoreError> {
        self.0.controls().await
    }

    async fn acknowledge(
        &self,
        control: ControlId,
        node: NodeId,
        too_late: &[RecipientId],
    ) -> Result<(), StoreError> {
        self.0.acknowledge(control, node, too_late).await
    }

    async fn acknowledged(
        &self,
        control: ControlId,
        now: Timestamp,
    ) -> Result<Acknowledged, StoreError> {
        self.0.acknowledged(control, now).await
    }

    async fn enact(&self, control: ControlId, now: Timestamp) -> Result<Enacted, StoreError> {
        self.0.enact(control, now).await
    }

    async fn close(&self, control: ControlId) -> Result<(), StoreError> {
        self.0.close(control).await
    }

    async fn held(
        &self,
        scope: &Scope,
        after: Option<MessageId>,
        limit: u32,
    ) -> Result<Vec<HeldMessage>, StoreError> {
        self.0.held(scope, after, limit).await
    }

    async fn queued(&self, query: &QueuedQuery) -> Result<QueuedCount, StoreError> {
        self.0.queued(query).await
    }
}

#[tokio::test]
async fn a_verb_whose_raising_was_not_heard_of_does_not_stand() {
    let (_folder, mut core, tenant) = alone().await;
    let office = Arc::get_mut(&mut core.office).unwrap();
    let controls = Arc::clone(&office.database.controls);
    office.database.controls = Arc::new(Unheard(controls));
    for act in [QueueAct::Hold, QueueAct::Suspend] {
        let refused = core.office.queue(act, about(tenant)).await;
        assert!(refused.is_err(), "{refused:?}");
        assert_eq!(standing(&core).await, []);
    }
}

/// As delivery does where nothing may leave: it stays due.
async fn turned_back(core: &Core, tenant: &Value, to: &str) {
    let letter = json!({"verb": "send", "tenant": tenant, "to": [to], "subject": "x", "text": "y"});
    let sent = asked(core, letter).await["id"].clone();
    let message: MessageId = sent.as_str().unwrap().parse().unwrap();
    let sender = core.database.vendors.sender_of(message).await.unwrap();
    let mail = &core.database.mail;
    let email = mail.email(sender.unwrap(), message).await.unwrap().unwrap();
    let (recipient, now) = (email.recipients[0].id, email.accepted_at);
    let mut event = Event::new(recipient, now, EventKind::Deferred);
    event.note = Some("4.3.5 192.0.2.1 has no PTR".to_owned());
    let settlement = Settlement {
        message,
        recipient,
        at: now,
        outcome: Outcome::Retry {
            due_at: now,
            attempts: 0,
            cause: WaitCause::NoRoute,
        },
        reply: None,
        events: vec![event],
        waits: Waits::default(),
        lease: None,
        suppress_until: None,
        tell_tenant: false,
        provider: Provider::None,
        simulated: false,
    };
    core.database.queue.settle(settlement).await.unwrap();
}

#[tokio::test]
async fn a_command_beside_the_relay_knows_that_what_was_turned_back_does_not_leave() {
    let (_folder, core, tenant) = alone().await;
    turned_back(&core, &json!(tenant), "bob@example.org").await;
    let listed = asked(&core, json!({"verb": "queue_list"})).await;
    let lines = listed["waiting"]["lines"].as_array().unwrap();
    assert_eq!(lines[0]["held_by"], json!(["doctor"]), "{listed}");
    let on = json!({"verb": "queue", "act": "retry-now", "about": {"domain": "example.org"}});
    let told = asked(&core, on).await;
    assert_eq!(
        told["held_by"][0]["release"],
        json!(["postrider doctor"]),
        "{told}"
    );
    let find = json!({"verb": "find", "address": "bob@example.org"});
    let found = asked(&core, find).await;
    let message = &found["messages"][0];
    assert_eq!(message["held_by"], json!(["doctor"]), "{found}");
    assert!(
        message["next"].as_str().unwrap().contains("has no PTR"),
        "{found}"
    );
}
