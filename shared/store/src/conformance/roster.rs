//! How the roster follows the directory: what is read of few tenants shows what all of it would.

use std::time::Duration;

use postrider_model::{
    Authority, Credential, CredentialStatus, Ramp, ReplyAddress, ReplySource, ReplyStatus,
    TenantId, TenantStatus,
};

use super::Ports;
use super::fixture::{add_tenant, address, at, credential, new_tenant, reply_address};
use crate::{
    AskCaps, DirectoryChanges, NewLimits, Roster, StoreError, TenantChange, TenantImport,
    TenantUpdate,
};

const CAPS: AskCaps = AskCaps {
    per_day: 5,
    pause: Duration::from_hours(1),
    letters_per_day: 0,
    letters_in_a_row: 0,
    rest: Duration::from_hours(1),
};

/// Refreshes the roster, which must show then what a new one does. `None` where all was read.
async fn followed(ports: &Ports, roster: &Roster) -> Option<Vec<TenantId>> {
    let directory = ports.directory.as_ref();
    let changes = directory.changed_since(roster.generation()).await;
    let tenants = match changes.expect("the changes") {
        DirectoryChanges::All(_) => None,
        DirectoryChanges::Of { tenants, .. } => Some(tenants),
    };
    roster.refresh(directory).await.expect("the directory");
    let all = directory.snapshot().await.expect("the directory");
    assert_eq!(*roster, Roster::of(all));
    tenants
}

fn of(tenant: TenantId, text: &str, source: ReplySource) -> ReplyAddress {
    ReplyAddress {
        status: ReplyStatus::Unconfirmed,
        confirmed_at: None,
        source,
        ..reply_address(tenant, text)
    }
}

/// After each of `verbs` nothing but the tenant is read.
macro_rules! each_reads_alone {
    ($ports:expr, $roster:expr, $tenant:expr, $($verb:expr),+ $(,)?) => {
        $(
            let done: Result<_, StoreError> = $verb.await;
            done.expect(stringify!($verb));
            let read = followed($ports, $roster).await;
            assert_eq!(read, Some(vec![$tenant]), stringify!($verb));
        )+
    };
}

pub async fn what_became_of_a_tenant_is_read_of_it_alone(ports: &Ports) {
    let other = add_tenant(ports).await;
    let roster = Roster::new();
    assert_eq!(followed(ports, &roster).await, None);
    let tenant = add_tenant(ports).await;
    assert_eq!(followed(ports, &roster).await, Some(vec![tenant]));
    let directory = &ports.directory;
    let (closed, open) = (TenantStatus::Suspended, TenantStatus::Active);
    let ramp = Ramp {
        since: at(3),
        per_day: 50,
        decided: 1,
    };
    let change = TenantChange {
        own_domain: Some(true),
        ..TenantChange::default()
    };
    let update = TenantUpdate {
        tenant,
        name: Some("Joe & Sons".to_owned()),
        language: None,
        plan: None,
        reply_to: None,
    };
    each_reads_alone!(
        ports,
        &roster,
        tenant,
        directory.set_status(tenant, closed, Authority::Operator),
        directory.set_status(tenant, open, Authority::Operator),
        directory.set_limits(tenant, NewLimits::default(), Authority::Operator),
        directory.change_tenant(tenant, change),
        directory.change_ramp(tenant, Ramp::PAST, ramp),
        directory.update_tenant(update.clone()),
        directory.import(vec![TenantImport::Update(Box::new(update.clone()))]),
    );
    // Nothing of the other was forgotten, and what changes at once is read at once.
    assert!(roster.tenant(other).is_some());
    let both = [other, tenant]
        .map(|id| directory.set_limits(id, NewLimits::default(), Authority::Operator));
    for done in futures_util::future::join_all(both).await {
        done.expect("new limits");
    }
    let read = followed(ports, &roster).await.expect("two tenants");
    assert_eq!(read.len(), 2, "{read:?}");
    while ports
        .directory
        .set_limits(tenant, NewLimits::default(), Authority::Operator)
        .await
        .is_ok()
    {
        ports.upkeep.erase(tenant).await.expect("a step");
        assert_eq!(followed(ports, &roster).await, Some(vec![tenant]));
    }
    assert!(roster.tenant(tenant).is_none());
}

pub async fn what_became_of_a_reply_address_is_read_of_its_tenant_alone(ports: &Ports) {
    let (other, tenant) = (add_tenant(ports).await, add_tenant(ports).await);
    let roster = Roster::new();
    followed(ports, &roster).await;
    let directory = &ports.directory;
    let (ann, bob) = (address("ann@tyres.example"), address("bob@tyres.example"));
    let (confirmed, refused) = (ReplyStatus::Confirmed, ReplyStatus::Refused);
    let ann_of = of(tenant, "ann@tyres.example", ReplySource::Operator);
    let bob_of = of(tenant, "bob@tyres.example", ReplySource::Observed);
    let asked_at = bob_of.created_at;
    each_reads_alone!(
        ports,
        &roster,
        tenant,
        directory.add_reply_address(ann_of.clone()),
        directory.set_reply_status(tenant, &ann, confirmed, at(4)),
        directory.observe_reply_address(bob_of.clone(), CAPS),
        directory.take_back_asking(&bob, asked_at),
        directory.answer_reply_address(tenant, &bob, confirmed, at(5)),
        directory.break_reply_address(&bob),
        directory.attest_reply_address(tenant, &bob, "vendor acme", at(6)),
        directory.remove_reply_address(tenant, &bob),
        directory.answer_reply_address(tenant, &ann, refused, at(7)),
    );
    // One mailbox of two tenants.
    for id in [tenant, other] {
        let shared = of(id, "cid@tyres.example", ReplySource::Operator);
        directory
            .add_reply_address(shared)
            .await
            .expect("an address");
    }
    followed(ports, &roster).await;
    let cid = address("cid@tyres.example");
    let mut broken = directory.break_reply_address(&cid).await.expect("two");
    let mut read = followed(ports, &roster).await.expect("two tenants");
    broken.sort_unstable();
    read.sort_unstable();
    assert_eq!((read.len(), &read), (2, &broken));
}

pub async fn what_became_of_a_key_is_read_of_its_tenant_alone(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    let roster = Roster::new();
    followed(ports, &roster).await;
    let directory = &ports.directory;
    let key = credential(tenant, [7; 32]);
    let (closed, open) = (CredentialStatus::Suspended, CredentialStatus::Active);
    let mut noted = key.clone();
    "the shop".clone_into(&mut noted.note);
    each_reads_alone!(
        ports,
        &roster,
        tenant,
        directory.add_credential(key.clone()),
        directory.change_credential(noted.clone()),
        directory.set_credential_status(tenant, key.id, closed, Authority::Operator),
        directory.set_credential_status(tenant, key.id, open, Authority::Operator),
        directory.revoke_credential(tenant, key.id),
    );
    assert_eq!(roster.suspended_keys().len(), 0);
}

pub async fn a_user_name_is_whose_slug_it_is_before_whose_key_has_it(ports: &Ports) {
    let directory = &ports.directory;
    let called = |slug: &str| {
        let mut new = new_tenant();
        slug.clone_into(&mut new.tenant.slug);
        new
    };
    let joe = called("joes-garage-7k2f");
    let long = called("a-very-long-name-of-a-company-7k2f");
    let (joes, longs) = (joe.tenant.id, long.tenant.id);
    directory.add_tenant(joe).await.expect("a tenant");
    directory.add_tenant(long).await.expect("a tenant");
    let curious = add_tenant(ports).await;
    let keys = ["joes-garage-7k2f", "a-very-long-nam-7k2f", "desk"];
    for (number, user) in (1_u8..).zip(keys) {
        let key = Credential {
            user: Some(user.to_owned()),
            ..credential(curious, [number; 32])
        };
        directory.add_credential(key).await.expect("a key");
    }
    let roster = Roster::new();
    followed(ports, &roster).await;
    for (user, whose) in [
        ("Joes-Garage-7k2f ", Some(joes)),
        ("a-very-long-nam-7k2f", Some(longs)),
        ("a-very-long-name-of-a-company-7k2f", Some(longs)),
        ("DESK", Some(curious)),
        ("nobody", None),
    ] {
        assert_eq!(roster.tenant_of_user(user), whose, "{user}");
    }
}

pub async fn who_stopped_a_tenant_is_told_with_an_address(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    let directory = &ports.directory;
    let stopped = directory.set_status(tenant, TenantStatus::Suspended, Authority::Vendor);
    stopped.await.expect("another status");
    let roster = Roster::new();
    followed(ports, &roster).await;
    let found = roster.tenant(tenant).expect("the tenant");
    let (_, before) = roster.stopper_of(&found);
    assert_eq!(before, "the service's operator");
    // Its vendor has no contact.
    roster.name_operator(address("desk@relay.example"));
    let (_, contact) = roster.stopper_of(&found);
    assert_eq!(contact, "desk@relay.example");
}

pub async fn what_is_no_tenants_and_what_is_too_many_tenants_is_read_whole(ports: &Ports) {
    let roster = Roster::new();
    followed(ports, &roster).await;
    let acme = super::vendors::added(ports, "acme").await;
    assert_eq!(followed(ports, &roster).await, None);
    let many = 0..=DirectoryChanges::TENANTS_MOST;
    let lines = many.map(|n| super::vendors::tenant_of(&acme, &format!("L{n}")));
    let lines = lines.map(|new| TenantImport::Add(Box::new(new))).collect();
    ports.directory.import(lines).await.expect("an import");
    assert_eq!(followed(ports, &roster).await, None);
    let nothing = ports.directory.changed_since(roster.generation()).await;
    let nothing = nothing.expect("the changes");
    assert!(
        matches!(&nothing, DirectoryChanges::Of { tenants, .. } if tenants.is_empty()),
        "{nothing:?}"
    );
    // A copy that is newer than the database, which came from a backup.
    let newer = ports.directory.changed_since(roster.generation() + 1).await;
    assert!(matches!(newer, Ok(DirectoryChanges::All(_))), "{newer:?}");
}
