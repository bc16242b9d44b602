//! Vendors, their keys, the tokens of the admin API; what they say of their tenants; the audit.

use postrider_model::{
    AdminRole, AdminToken, AdminTokenId, AuditEntry, AuditId, KeyStatus, Language, Licence, Limits,
    Plan, ReplyAddress, ReplySource, ReplyStatus, TenantId, Vendor, VendorId, VendorKey,
    VendorStatus,
};
use serde_json::json;

use super::Ports;
use super::fixture::{
    DAY, add_tenant, address, at, commit, message, new_tenant, number, random, reply_address_id,
};
use crate::{
    AUDIT_LIFE, AuditFilter, Committed, Imported, LICENCE, NewTenant, OverQuota, Period, Roster,
    StoreError, TenantImport, TenantUpdate, VendorQuota,
};

fn vendor(slug: &str) -> Vendor {
    Vendor {
        id: VendorId::new(at(0), random()),
        slug: slug.to_owned(),
        name: "Äcme & Söns".to_owned(),
        contact: Some(address("help@acme.example")),
        status: VendorStatus::Active,
        per_day: 7,
        tenant_limits: Limits {
            requests_per_second: 1,
            per_minute: 2,
            burst: 3,
            bulk_per_minute: 4,
            connections: 5,
            per_day: 6,
            per_month: u32::MAX,
        },
        languages: vec![Language::Fr, Language::En],
        created_at: at(3),
    }
}

async fn added(ports: &Ports, slug: &str) -> Vendor {
    let vendor = vendor(slug);
    let added = ports.vendors.add_vendor(vendor.clone()).await;
    added.expect("a vendor");
    vendor
}

fn licence(text: &str) -> Licence {
    Licence::parse(text).expect("a licence")
}

fn tenant_of(vendor: &Vendor, of: &str) -> NewTenant {
    let mut new = new_tenant();
    new.tenant.vendor = vendor.id;
    new.tenant.licence = Some(licence(of));
    new.tenant.plan = Plan::parse("gold").ok();
    new
}

fn key(vendor: &Vendor, kid: &str) -> VendorKey {
    VendorKey {
        kid: kid.to_owned(),
        vendor: vendor.id,
        public_key: [7; 32],
        status: KeyStatus::Active,
        created_at: at(1),
    }
}

fn token(vendor: Option<VendorId>, hash: u8) -> AdminToken {
    AdminToken {
        id: AdminTokenId::new(at(0), random()),
        hash: [hash; 32],
        role: AdminRole::Operate,
        vendor,
        note: "the office".to_owned(),
        status: KeyStatus::Active,
        created_at: at(1),
        expires_at: Some(at(9)),
    }
}

pub async fn the_operator_is_a_vendor_from_the_start(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    let found = ports.directory.snapshot().await.expect("the directory");
    let [operator] = found.vendors.as_slice() else {
        panic!("{:?}", found.vendors)
    };
    assert_eq!(
        (operator.id, operator.slug.as_str()),
        (Vendor::OPERATOR, "operator")
    );
    assert!(operator.is_active() && operator.contact.is_none() && operator.per_day == 0);
    assert_eq!(operator.language(), Language::En);
    let own = ports
        .vendors
        .tenants(Some(Vendor::OPERATOR), None, 10)
        .await;
    let own: Vec<TenantId> = own.expect("tenants").iter().map(|one| one.id).collect();
    assert_eq!(own, [tenant]);
}

pub async fn a_vendor_comes_back_as_it_was_added_and_changed(ports: &Ports) {
    let acme = added(ports, "acme").await;
    let (acme_key, token) = (key(&acme, "kid-1"), token(Some(acme.id), 1));
    ports
        .vendors
        .add_vendor_key(acme_key.clone())
        .await
        .expect("a key");
    let written = ports.vendors.add_admin_token(token.clone()).await;
    written.expect("a token");
    let found = ports.directory.snapshot().await.expect("the directory");
    assert!(found.vendors.contains(&acme));
    assert_eq!(found.vendor_keys, [acme_key]);
    assert_eq!(found.admin_tokens, std::slice::from_ref(&token));
    let roster = Roster::of(found);
    assert_eq!(roster.vendor(acme.id).as_deref(), Some(&acme));
    assert_eq!(roster.admin_token(&[1; 32]).as_deref(), Some(&token));

    let changed = Vendor {
        name: "Acme".to_owned(),
        contact: None,
        per_day: 0,
        tenant_limits: Limits::default(),
        languages: vec![Language::En],
        ..acme.clone()
    };
    let attempted = Vendor {
        slug: "other".to_owned(),
        status: VendorStatus::Suspended,
        created_at: at(9),
        ..changed.clone()
    };
    let done = ports.vendors.change_vendor(attempted, at(4)).await;
    done.expect("a change");
    let done = ports.vendors.revoke_vendor_key(acme.id, "kid-1").await;
    done.expect("a revocation");
    let done = ports.vendors.revoke_admin_token(token.id).await;
    done.expect("a revocation");
    let found = ports.directory.snapshot().await.expect("the directory");
    assert!(found.vendors.contains(&changed), "{:?}", found.vendors);
    assert_eq!(found.vendor_keys[0].status, KeyStatus::Revoked);
    assert_eq!(found.admin_tokens[0].status, KeyStatus::Revoked);
}

pub async fn nothing_of_a_vendor_is_there_twice_or_without_it(ports: &Ports) {
    let (acme, other) = (added(ports, "acme").await, added(ports, "other").await);
    let nobody = vendor("nobody");
    let vendors = &ports.vendors;
    vendors
        .add_vendor_key(key(&acme, "kid-1"))
        .await
        .expect("a key");
    let before = ports.directory.generation().await.expect("a generation");
    for taken in [
        vendors.add_vendor(vendor("acme")).await,
        vendors.add_vendor_key(key(&other, "kid-1")).await,
    ] {
        assert!(matches!(taken, Err(StoreError::Taken { .. })), "{taken:?}");
    }
    for missing in [
        vendors.change_vendor(nobody.clone(), at(0)).await,
        vendors
            .set_vendor_status(nobody.id, VendorStatus::Suspended)
            .await,
        vendors.add_vendor_key(key(&nobody, "kid-2")).await,
        vendors.revoke_vendor_key(other.id, "kid-1").await,
        vendors.add_admin_token(token(Some(nobody.id), 2)).await,
        vendors.revoke_admin_token(token(None, 3).id).await,
        ports.directory.add_tenant(tenant_of(&nobody, "L1")).await,
    ] {
        assert!(
            matches!(missing, Err(StoreError::NotFound { .. })),
            "{missing:?}"
        );
    }
    let after = ports.directory.generation().await.expect("a generation");
    assert_eq!(after, before);
}

pub async fn a_roster_knows_whose_vendor_is_suspended(ports: &Ports) {
    let acme = added(ports, "acme").await;
    let (of_acme, other) = (tenant_of(&acme, "L1"), add_tenant(ports).await);
    let id = of_acme.tenant.id;
    ports.directory.add_tenant(of_acme).await.expect("a tenant");
    let roster = Roster::new();
    for status in [VendorStatus::Suspended, VendorStatus::Active] {
        let set = ports.vendors.set_vendor_status(acme.id, status).await;
        set.expect("a status");
        let read = roster.refresh(ports.directory.as_ref()).await;
        assert!(read.expect("the directory"));
        let is_active = |id| roster.is_active(&roster.tenant(id).expect("the tenant"));
        assert_eq!(is_active(id), status == VendorStatus::Active);
        assert!(is_active(other));
    }
}

pub async fn a_licence_is_one_tenants_of_its_vendor(ports: &Ports) {
    let (acme, other) = (added(ports, "acme").await, added(ports, "other").await);
    let first = tenant_of(&acme, "L1");
    let directory = &ports.directory;
    directory.add_tenant(first.clone()).await.expect("a tenant");
    let again = directory.add_tenant(tenant_of(&acme, "L1")).await;
    assert!(
        matches!(again, Err(StoreError::Taken { what: LICENCE })),
        "{again:?}"
    );
    let others = tenant_of(&other, "L1");
    directory
        .add_tenant(others)
        .await
        .expect("another vendor's");
    let asked = [licence("L2"), licence("L1"), licence("l1")];
    let found = ports.vendors.licensed(acme.id, &asked).await;
    assert_eq!(found.expect("tenants"), [first.tenant]);
}

pub async fn tenants_are_read_a_page_at_a_time(ports: &Ports) {
    let acme = added(ports, "acme").await;
    let mut of_acme = Vec::new();
    for number in 0..5 {
        let new = tenant_of(&acme, &format!("L{number}"));
        of_acme.push(new.tenant.id);
        ports.directory.add_tenant(new).await.expect("a tenant");
        add_tenant(ports).await;
    }
    of_acme.sort_unstable();
    let page = async |vendor, after, limit| {
        let page = ports.vendors.tenants(vendor, after, limit).await;
        let page = page.expect("tenants").into_iter();
        page.map(|tenant| tenant.id).collect::<Vec<_>>()
    };
    let first = page(Some(acme.id), None, 3).await;
    assert_eq!(first, of_acme[..3]);
    assert_eq!(
        page(Some(acme.id), first.last().copied(), 3).await,
        of_acme[3..]
    );
    assert_eq!(page(None, None, 100).await.len(), 10);
}

pub async fn a_vendors_volume_is_counted_over_all_its_tenants(ports: &Ports) {
    let acme = added(ports, "acme").await;
    let mut tenants = Vec::new();
    for licence in ["L1", "L2"] {
        let new = tenant_of(&acme, licence);
        tenants.push(new.tenant.id);
        ports.directory.add_tenant(new).await.expect("a tenant");
    }
    let sent = async |tenant, per_day: u32| {
        let mut message = message(tenant);
        message.quota.vendor = (per_day > 0).then_some(VendorQuota {
            vendor: acme.id,
            per_day,
        });
        let recipients = message.recipients.len() as u64;
        let at = message.accepted_at;
        (commit(ports, &message).await, recipients, at)
    };
    // Before it has a volume: counted once it gets one.
    let (stored, each, when) = sent(tenants[0], 0).await;
    assert_eq!(stored, Committed::Stored);
    let done = ports.vendors.change_vendor(acme.clone(), when).await;
    done.expect("a volume");
    let limit = u32::try_from(each * 3).expect("a few");
    for tenant in &tenants {
        assert_eq!(sent(*tenant, limit).await.0, Committed::Stored);
    }
    let over = Committed::OverQuota(OverQuota {
        period: Period::VendorDay,
        limit,
        used: each * 3,
        more: each,
    });
    for tenant in tenants {
        assert_eq!(sent(tenant, limit).await.0, over);
    }
    let used = ports.vendors.vendor_usage(acme.id, when).await;
    assert_eq!(used.expect("a sum"), each * 3);
    let tomorrow = ports.vendors.vendor_usage(acme.id, when.after(DAY)).await;
    assert_eq!(tomorrow.expect("a sum"), 0);
}

pub async fn a_vendors_volume_is_exact_under_fifty_commits_at_once(ports: &Ports) {
    let acme = added(ports, "acme").await;
    let mut messages = Vec::new();
    for number in 0..50 {
        let new = tenant_of(&acme, &format!("L{number}"));
        let mut message = message(new.tenant.id);
        message.quota.vendor = Some(VendorQuota {
            vendor: acme.id,
            per_day: 20 * u32::try_from(message.recipients.len()).expect("a few"),
        });
        ports.directory.add_tenant(new).await.expect("a tenant");
        messages.push(message);
    }
    let commits = messages.iter().map(|message| commit(ports, message));
    let done = futures_util::future::join_all(commits).await;
    let stored = done.iter().filter(|done| **done == Committed::Stored);
    assert_eq!(stored.count(), 20);
}

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

fn entry(seconds: u64, vendor: Option<VendorId>) -> AuditEntry {
    AuditEntry {
        id: AuditId::new(at(seconds), random()),
        at: at(seconds),
        actor: "cli".to_owned(),
        vendor,
        verb: "tenant_suspend".to_owned(),
        subject: format!("joes-garage-{}", number()),
        detail: json!({"from": "active", "why": "Ä"}),
    }
}

pub async fn the_audit_is_read_newest_first(ports: &Ports) {
    let acme = added(ports, "acme").await;
    let entries: Vec<_> = (0..6)
        .map(|second| entry(second, (second % 2 == 0).then_some(acme.id)))
        .collect();
    for entry in &entries {
        ports.audit.record(entry.clone()).await.expect("a record");
    }
    let read = async |filter, limit| {
        let read = ports.audit.audit(filter, limit).await;
        read.expect("the audit")
    };
    let newest: Vec<_> = entries.iter().rev().cloned().collect();
    assert_eq!(read(AuditFilter::default(), 100).await, newest);
    let next = AuditFilter {
        before: Some(newest[1].id),
        ..AuditFilter::default()
    };
    assert_eq!(read(next, 2).await, newest[2..4]);
    let of_acme = AuditFilter {
        vendor: Some(acme.id),
        since: Some(at(2)),
        before: None,
    };
    let wanted = [entries[4].clone(), entries[2].clone()];
    assert_eq!(read(of_acme, 100).await, wanted);
}

pub async fn the_audit_is_kept_for_its_life(ports: &Ports) {
    for seconds in [0, 10] {
        let written = ports.audit.record(entry(seconds, None)).await;
        written.expect("a record");
    }
    let now = at(5).after(AUDIT_LIFE);
    let removed = ports.upkeep.retain(now, DAY, DAY).await;
    assert_eq!(removed.expect("an upkeep").audit, 1);
    let left = ports.audit.audit(AuditFilter::default(), 10).await;
    assert_eq!(left.expect("the audit").len(), 1);
}
