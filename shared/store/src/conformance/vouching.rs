//! What a vendor says of its tenants: reply addresses that it attests, and lists of them.

use postrider_model::{Language, Plan, ReplyAddress, ReplySource, ReplyStatus, TenantId};

use super::Ports;
use super::fixture::{add_tenant, address, at, new_tenant, random, reply_address_id};
use super::vendors::{added, licence, tenant_of};
use crate::{Imported, LICENCE, StoreError, TenantImport, TenantUpdate};

fn wished(tenant: TenantId, text: &str, attested_by: Option<&str>) -> ReplyAddress {
    let status = match attested_by {
        Some(_) => ReplyStatus::Confirmed,
        None => ReplyStatus::Unconfirmed,
    };
    ReplyAddress {
        id: reply_address_id(),
        tenant,
        address: address(text),
        status,
        source: ReplySource::Operator,
        confirmed_at: attested_by.map(|_| at(5)),
        asked_at: None,
        told_at: None,
        refused_at: None,
        attested_by: attested_by.map(str::to_owned),
        created_at: at(5),
    }
}

fn update(tenant: TenantId, reply_to: Option<ReplyAddress>) -> TenantUpdate {
    TenantUpdate {
        tenant,
        name: None,
        language: None,
        plan: None,
        reply_to,
    }
}

/// A tenant's default reply address, and the one it is to get.
async fn defaults(ports: &Ports, tenant: TenantId) -> (String, Option<String>) {
    let found = ports.directory.snapshot().await.expect("the directory");
    let mut tenants = found.tenants.into_iter();
    let found = tenants.find(|one| one.id == tenant).expect("the tenant");
    let next = found.next_reply_to.map(|next| next.to_string());
    (found.reply_to.to_string(), next)
}

pub async fn another_default_reply_address_waits_for_its_confirmation(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    let (first, none) = defaults(ports, tenant).await;
    assert_eq!(none, None);
    let directory = &ports.directory;
    let wish = async |text: &str, by| {
        let wish = update(tenant, Some(wished(tenant, text, by)));
        directory.update_tenant(wish).await
    };
    wish("new@joesgarage.example", None).await.expect("a wish");
    let new = "new@joesgarage.example".to_owned();
    assert_eq!(
        defaults(ports, tenant).await,
        (first.clone(), Some(new.clone()))
    );
    let confirmed = ReplyStatus::Confirmed;
    let address_of = address(&new);
    let done = directory.set_reply_status(tenant, &address_of, confirmed, at(6));
    done.await.expect("a confirmation");
    assert_eq!(defaults(ports, tenant).await, (new.clone(), None));
    // Known and confirmed: at once.
    wish(&first, None).await.expect("a wish");
    assert_eq!(defaults(ports, tenant).await, (first.clone(), None));
    // Its owner says no: nobody waits for it, and no vendor says otherwise.
    let no = "no@elsewhere.example";
    wish(no, None).await.expect("a wish");
    let disowned = address(no);
    let done = directory.set_reply_status(tenant, &disowned, ReplyStatus::Refused, at(7));
    done.await.expect("a refusal");
    assert_eq!(defaults(ports, tenant).await, (first, None));
    for refused in [
        wish(no, None).await,
        wish(no, Some("vendor acme by cli")).await,
        directory
            .attest_reply_address(tenant, &address(no), "x", at(8))
            .await,
    ] {
        assert!(
            matches!(refused, Err(StoreError::Rejected { .. })),
            "{refused:?}"
        );
    }
}

pub async fn a_default_that_took_no_letter_gives_way_at_once(ports: &Ports) {
    for (confirmed_at, want) in [
        (None, ("right@joesgarage.example", None)),
        // It was somebody's, and mail is sent with it: it stays until the other one is confirmed.
        (Some(at(0)), ("typo@", Some("right@joesgarage.example"))),
    ] {
        let mut new = new_tenant();
        let tenant = new.tenant.id;
        new.reply_address.status = ReplyStatus::Broken;
        new.reply_address.confirmed_at = confirmed_at;
        let before = new.tenant.reply_to.to_string();
        ports.directory.add_tenant(new).await.expect("a tenant");
        let wish = wished(tenant, "right@joesgarage.example", None);
        let wish = ports.directory.update_tenant(update(tenant, Some(wish)));
        wish.await.expect("a wish");
        let (now, next) = defaults(ports, tenant).await;
        let now = now.replace(&before, "typo@");
        assert_eq!((now.as_str(), next.as_deref()), want);
    }
}

pub async fn an_address_that_is_attested_is_confirmed_and_says_by_whom(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    let directory = &ports.directory;
    let by = "vendor acme by cli";
    let attested = update(
        tenant,
        Some(wished(tenant, "new@elsewhere.example", Some(by))),
    );
    directory.update_tenant(attested).await.expect("an update");
    let wait = update(tenant, Some(wished(tenant, "late@elsewhere.example", None)));
    directory.update_tenant(wait).await.expect("an update");
    let late = address("late@elsewhere.example");
    let done = directory.attest_reply_address(tenant, &late, by, at(8));
    done.await.expect("an attestation");
    assert_eq!(
        defaults(ports, tenant).await,
        ("late@elsewhere.example".to_owned(), None)
    );
    let found = ports.directory.snapshot().await.expect("the directory");
    let attested = found.reply_addresses.iter();
    let mut attested: Vec<_> = attested
        .filter(|entry| entry.attested_by.as_deref() == Some(by))
        .map(|entry| (entry.address.to_string(), entry.status, entry.confirmed_at))
        .collect();
    attested.sort_unstable();
    let confirmed = ReplyStatus::Confirmed;
    assert_eq!(
        attested,
        [
            ("late@elsewhere.example".to_owned(), confirmed, Some(at(8))),
            ("new@elsewhere.example".to_owned(), confirmed, Some(at(5))),
        ]
    );
}

pub async fn an_import_adds_and_changes_many_at_once(ports: &Ports) {
    use Imported::{Done, NameTaken, NotFound};
    let acme = added(ports, "acme").await;
    let (first, second) = (tenant_of(&acme, "L1"), tenant_of(&acme, "L2"));
    let (one, two) = (first.tenant.id, second.tenant.id);
    let mut same_slug = tenant_of(&acme, "L3");
    same_slug.tenant.slug = first.tenant.slug.clone();
    let renamed = TenantUpdate {
        name: Some("Renamed".to_owned()),
        language: Some(Language::Fr),
        plan: Plan::parse("silver").ok(),
        ..update(one, None)
    };
    let nobody = update(TenantId::new(at(9), random()), None);
    let before = ports.directory.generation().await.expect("a generation");
    let lines = vec![
        TenantImport::Add(Box::new(first.clone())),
        TenantImport::Add(Box::new(same_slug)),
        TenantImport::Update(Box::new(renamed)),
        TenantImport::Update(Box::new(nobody)),
        TenantImport::Add(Box::new(second.clone())),
    ];
    let outcomes = ports.directory.import(lines).await.expect("an import");
    assert_eq!(outcomes, [Done, NameTaken, Done, NotFound, Done]);
    let after = ports.directory.generation().await.expect("a generation");
    assert_eq!(after, before + 1);
    let found = ports.directory.snapshot().await.expect("the directory");
    assert_eq!(found.credentials.len(), 2);
    let tenant = |id| found.tenants.iter().find(|tenant| tenant.id == id);
    let one = tenant(one).expect("the first");
    assert_eq!((one.name.as_str(), one.language), ("Renamed", Language::Fr));
    assert_eq!(one.plan, Plan::parse("silver").ok());
    assert_eq!(tenant(two), Some(&second.tenant));

    // A licence that another import has added meanwhile: nothing of this one is left.
    let lines = vec![
        TenantImport::Add(Box::new(tenant_of(&acme, "L4"))),
        TenantImport::Add(Box::new(tenant_of(&acme, "L1"))),
    ];
    let refused = ports.directory.import(lines).await;
    assert!(
        matches!(refused, Err(StoreError::Taken { what: LICENCE })),
        "{refused:?}"
    );
    let found = ports.vendors.licensed(acme.id, &[licence("L4")]).await;
    assert_eq!(found.expect("tenants"), []);
}
