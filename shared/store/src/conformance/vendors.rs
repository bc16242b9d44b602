//! Vendors, their keys, the tokens of the admin API, and what they may have of their tenants.

use postrider_model::{
    AdminRole, AdminToken, AdminTokenId, Authority, KeyStatus, Language, Licence, Limits, Plan,
    TenantId, Vendor, VendorId, VendorKey, VendorStatus,
};

use super::Ports;
use super::fixture::{DAY, add_tenant, address, at, commit, message, new_tenant, random};
use crate::{
    Committed, LICENCE, NewLimits, NewTenant, OverQuota, Period, Roster, StoreError, VendorQuota,
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

pub(super) async fn added(ports: &Ports, slug: &str) -> Vendor {
    let vendor = vendor(slug);
    let added = ports.vendors.add_vendor(vendor.clone()).await;
    added.expect("a vendor");
    vendor
}

pub(super) fn licence(text: &str) -> Licence {
    Licence::parse(text).expect("a licence")
}

pub(super) fn tenant_of(vendor: &Vendor, of: &str) -> NewTenant {
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

pub async fn a_vendor_raises_no_limit_over_what_the_operator_set_of_the_tenant(ports: &Ports) {
    let vendor = added(ports, "acme").await;
    let new = tenant_of(&vendor, "one");
    let tenant = new.tenant.id;
    let kept = new.tenant.limits;
    let (directory, vendors) = (&ports.directory, &ports.vendors);
    directory.add_tenant(new).await.expect("a tenant");
    let per_day = |limit| NewLimits {
        per_day: Some(limit),
        ..NewLimits::default()
    };
    for (by, limit, is_good) in [
        (Authority::Vendor, vendor.tenant_limits.per_day, true),
        (Authority::Vendor, vendor.tenant_limits.per_day + 1, false),
        (Authority::Operator, 3, true),
        (Authority::Vendor, 2, true),
        (Authority::Vendor, 4, false),
        (Authority::Vendor, 0, false),
        (Authority::Vendor, 3, true),
        (Authority::Operator, 90, true),
        (Authority::Vendor, 89, true),
        (Authority::Vendor, 90, true),
    ] {
        let before = vendors.limits_of(tenant).await.expect("its limits");
        let done = directory.set_limits(tenant, per_day(limit), by).await;
        let stands = vendors.limits_of(tenant).await.expect("its limits");
        match done {
            Ok(()) => assert!(is_good && stands.now.per_day == limit, "{by:?} {limit}"),
            Err(StoreError::Rejected { reason }) => {
                assert!(!is_good && reason.starts_with("per_day"), "{reason}");
                assert_eq!(stands, before);
            }
            Err(fault) => panic!("{fault}"),
        }
    }
    let stands = vendors.limits_of(tenant).await.expect("its limits");
    assert_eq!(stands.operators, per_day(90));
    assert_eq!(stands.vendors, vendor.tenant_limits);
    assert_eq!(stands.now, per_day(90).over(kept));
    let nobody = vendors.limits_of(TenantId::new(at(9), [9; 10])).await;
    assert!(
        matches!(nobody, Err(StoreError::NotFound { .. })),
        "{nobody:?}"
    );
}
