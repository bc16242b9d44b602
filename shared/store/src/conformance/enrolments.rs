//! Which token of its vendor a tenant was enrolled with.

use postrider_model::{EmailAddress, ReplyStatus, TenantId, Vendor, VendorId};

use super::Ports;
use super::fixture::{add_tenant, address, at, commit, message, new_tenant, reply_address};
use crate::{Enrolment, StoreError, TenantChange, TenantUpdate, TokenStands, UsedToken};

fn token(seconds: u64, reply_to: &str) -> Enrolment {
    Enrolment {
        issued_at: at(seconds),
        reply_to: address(reply_to),
    }
}

/// A token that changes nothing.
fn bare(tenant: TenantId, enrolment: Enrolment) -> UsedToken {
    UsedToken {
        tenant,
        enrolment,
        update: None,
        change: TenantChange::default(),
    }
}

/// A token that says another name and way with the domain, and maybe another reply address.
fn with_change(bare: UsedToken, name: &str, reply_to: Option<&str>) -> UsedToken {
    let tenant = bare.tenant;
    UsedToken {
        update: Some(TenantUpdate {
            tenant,
            name: Some(name.to_owned()),
            language: None,
            plan: None,
            reply_to: reply_to.map(|address| reply_address(tenant, address)),
        }),
        change: TenantChange {
            own_domain: Some(true),
            ..TenantChange::default()
        },
        ..bare
    }
}

pub async fn of_a_tenants_tokens_the_newest_holds(ports: &Ports) {
    use TokenStands::{Newer, Older, Same};
    let tenant = add_tenant(ports).await;
    for (issued, reply_to, stands, why) in [
        (5, "a@x.example", Newer, "the first"),
        (5, "A@X.example", Same, "the same again, written otherwise"),
        (5, "b@x.example", Older, "the same with another address"),
        (4, "a@x.example", Older, "an older one"),
        (6, "b@x.example", Newer, "a newer one"),
        (5, "a@x.example", Older, "the first again"),
    ] {
        let used = bare(tenant, token(issued, reply_to));
        let used = ports.enrolments.use_token(used).await;
        assert_eq!(used.expect("an answer"), stands, "{why}");
    }
    let last = ports.enrolments.last_token(tenant).await;
    assert_eq!(last.expect("an answer"), Some(at(6)));
}

pub async fn a_token_holds_for_one_tenant(ports: &Ports) {
    let (a, b) = (add_tenant(ports).await, add_tenant(ports).await);
    let used = async |tenant, seconds| {
        let used = bare(tenant, token(seconds, "a@x.example"));
        ports.enrolments.use_token(used).await.expect("an answer")
    };
    assert_eq!(used(a, 9).await, TokenStands::Newer);
    assert_eq!(used(b, 3).await, TokenStands::Newer, "the other's is newer");
    let nobody = new_tenant().tenant.id;
    assert_eq!(used(nobody, 9).await, TokenStands::Older, "of no tenant");
    let none = ports.enrolments.last_token(nobody).await;
    assert_eq!(none.expect("an answer"), None);
}

pub async fn a_tenant_comes_with_the_token_that_brings_it(ports: &Ports) {
    let mut new = new_tenant();
    new.enrolment = Some(token(5, "a@x.example"));
    let tenant = new.tenant.id;
    ports.directory.add_tenant(new).await.expect("a tenant");
    let last = ports.enrolments.last_token(tenant).await;
    assert_eq!(last.expect("an answer"), Some(at(5)));
    let again = bare(tenant, token(5, "a@x.example"));
    let again = ports.enrolments.use_token(again).await;
    assert_eq!(again.expect("an answer"), TokenStands::Same);
}

pub async fn only_a_newer_token_changes_a_tenant(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    let directory = &ports.directory;
    let named = async || {
        let found = directory.snapshot().await.expect("a snapshot");
        let mut all = found.tenants.into_iter();
        let one = all.find(|one| one.id == tenant).expect("the tenant");
        (one.name, one.own_domain, found.generation)
    };
    let (_, _, before) = named().await;
    let first = with_change(bare(tenant, token(5, "a@x.example")), "First", None);
    let used = ports.enrolments.use_token(first).await;
    assert_eq!(used.expect("an answer"), TokenStands::Newer);
    let (name, own_domain, generation) = named().await;
    assert_eq!((name.as_str(), own_domain), ("First", true));
    assert!(generation > before, "others are to read it");
    for seconds in [5, 4] {
        let again = with_change(bare(tenant, token(seconds, "a@x.example")), "Again", None);
        let used = ports.enrolments.use_token(again).await;
        assert_ne!(used.expect("an answer"), TokenStands::Newer);
        assert_eq!(named().await, ("First".to_owned(), true, generation));
    }
}

pub async fn a_token_whose_change_is_refused_is_not_used(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    let theirs: EmailAddress = address("not-ours@x.example");
    let directory = &ports.directory;
    let entry = reply_address(tenant, "not-ours@x.example");
    directory.add_reply_address(entry).await.expect("an entry");
    let refused = directory.set_reply_status(tenant, &theirs, ReplyStatus::Refused, at(1));
    refused.await.expect("a status");
    let token = bare(tenant, token(5, "not-ours@x.example"));
    let wish = with_change(token, "Other", Some("not-ours@x.example"));
    let refused = ports.enrolments.use_token(wish).await;
    assert!(
        matches!(refused, Err(StoreError::Rejected { .. })),
        "{refused:?}"
    );
    let last = ports.enrolments.last_token(tenant).await;
    assert_eq!(last.expect("an answer"), None);
}

pub async fn an_enrolled_tenant_is_erased_like_any_other(ports: &Ports) {
    let mut new = new_tenant();
    new.enrolment = Some(token(5, "a@x.example"));
    let tenant = new.tenant.id;
    ports.directory.add_tenant(new).await.expect("a tenant");
    while !ports
        .upkeep
        .erase(tenant)
        .await
        .expect("a step")
        .is_nothing()
    {}
    let last = ports.enrolments.last_token(tenant).await;
    assert_eq!(last.expect("an answer"), None);
    let found = ports.directory.snapshot().await.expect("a snapshot");
    assert!(found.tenants.iter().all(|one| one.id != tenant));
}

pub async fn an_operator_finds_whose_mail_it_is(ports: &Ports) {
    let (a, b) = (add_tenant(ports).await, add_tenant(ports).await);
    let mut mail = message(a);
    mail.recipients[0].address = address("Ann@found.example");
    let (id, vendors) = (mail.id, &ports.vendors);
    commit(ports, &mail).await;
    assert_eq!(vendors.sender_of(id).await.expect("an answer"), Some(a));
    let other = message(b);
    let nothing = vendors.sender_of(other.id).await;
    assert_eq!(nothing.expect("an answer"), None);
    let to = address("ann@FOUND.example");
    let other = VendorId::new(at(0), [9; 10]);
    for (vendor, want) in [
        (None, vec![a]),
        (Some(Vendor::OPERATOR), vec![a]),
        (Some(other), Vec::new()),
    ] {
        let writing = vendors.writing_to(vendor, &to).await;
        assert_eq!(writing.expect("an answer"), want, "{vendor:?}");
    }
}
