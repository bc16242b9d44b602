//! Tenants, keys, reply addresses, signing keys.

use postrider_model::{
    Authority, CredentialStatus, DkimAlgorithm, DkimKey, DkimKeyId, Domain, KeyStatus, Limits,
    ReplyStatus, TenantId, TenantStatus,
};

use super::Ports;
use super::fixture::{add_tenant, address, at, credential, new_tenant, number, reply_address};
use crate::{DirectorySnapshot, NewLimits, Roster, StoreError};

const CHANGES: u32 = 100;

async fn snapshot(ports: &Ports) -> DirectorySnapshot {
    ports.directory.snapshot().await.expect("the directory")
}

fn dkim_key(selector: &str) -> DkimKey {
    let mut random = [4; 10];
    random[..8].copy_from_slice(&number().to_be_bytes());
    DkimKey {
        id: DkimKeyId::new(at(0), random),
        domain: Domain::parse("send.relay.example").expect("a domain"),
        selector: selector.to_owned(),
        algorithm: DkimAlgorithm::Ed25519Sha256,
        record: "v=DKIM1; k=ed25519; p=AAAA".to_owned(),
        sealed_private_key: vec![0, 255, 1],
        status: KeyStatus::Active,
        created_at: at(0),
    }
}

pub async fn a_tenant_comes_back_as_it_was_added(ports: &Ports) {
    let empty = snapshot(ports).await;
    assert!(empty.tenants.is_empty() && empty.dkim_keys.is_empty());
    assert!(empty.generation > 0, "a roster's 0 means «never read»");
    let new = new_tenant();
    let key = dkim_key("e1");
    let directory = &ports.directory;
    directory.add_tenant(new.clone()).await.expect("a tenant");
    let added = directory.add_dkim_keys(vec![key.clone()]).await;
    added.expect("a signing key");
    let found = snapshot(ports).await;
    assert_eq!(found.tenants, [new.tenant]);
    assert_eq!(found.reply_addresses, [new.reply_address]);
    assert_eq!(found.credentials, new.credentials);
    assert_eq!(found.dkim_keys, [key]);
    let generation = directory.generation().await.expect("a generation");
    assert_eq!(found.generation, generation);
}

pub async fn the_generation_rises_on_every_verb(ports: &Ports) {
    let directory = &ports.directory;
    let (new, key) = (new_tenant(), dkim_key("r1"));
    let tenant = new.tenant.id;
    let second = reply_address(tenant, "second@joesgarage.example");
    let other = credential(tenant, [9; 32]);
    let mut last = directory.generation().await.expect("a generation");
    for step in 0..10 {
        let done = match step {
            0 => directory.add_tenant(new.clone()).await,
            1 => {
                directory
                    .set_status(tenant, TenantStatus::Suspended, Authority::Operator)
                    .await
            }
            2 => directory.add_reply_address(second.clone()).await,
            3 => {
                directory
                    .set_reply_status(tenant, &second.address, ReplyStatus::Confirmed, at(1))
                    .await
            }
            4 => {
                directory
                    .remove_reply_address(tenant, &second.address)
                    .await
            }
            5 => directory.add_credential(other.clone()).await,
            6 => directory.revoke_credential(tenant, other.id).await,
            7 => directory.add_dkim_keys(vec![key.clone()]).await,
            8 => {
                directory
                    .set_limits(tenant, NewLimits::default(), Authority::Operator)
                    .await
            }
            _ => directory.revoke_dkim_key(key.id).await,
        };
        done.expect("a verb");
        let generation = directory.generation().await.expect("a generation");
        assert!(generation > last, "after step {step}");
        last = generation;
    }
    let found = snapshot(ports).await;
    assert_eq!(found.tenants[0].status, TenantStatus::Suspended);
    assert_eq!(found.reply_addresses.len(), 1);
    let revoked = found.credentials.iter().find(|key| key.id == other.id);
    assert_eq!(
        revoked.map(|key| key.status),
        Some(CredentialStatus::Revoked)
    );
    assert_eq!(found.dkim_keys[0].status, KeyStatus::Revoked);
}

pub async fn a_slug_and_a_from_address_are_taken_for_good(ports: &Ports) {
    let first = new_tenant();
    let directory = &ports.directory;
    directory.add_tenant(first.clone()).await.expect("a tenant");
    let removed = ports.upkeep.erase(first.tenant.id).await;
    assert!(removed.expect("an erasure").is_nothing());
    let mut same_slug = new_tenant();
    same_slug.tenant.slug = first.tenant.slug.clone();
    let mut same_from = new_tenant();
    same_from.tenant.from = first.tenant.from.clone();
    for new in [same_slug, same_from] {
        let refused = directory.add_tenant(new).await;
        assert!(
            matches!(refused, Err(StoreError::Taken { .. })),
            "{refused:?}"
        );
    }
    let found = snapshot(ports).await;
    assert!(found.tenants.is_empty() && found.credentials.is_empty());
    // What was refused has taken nothing.
    let mut free = new_tenant();
    free.tenant.reply_to = address("joe@joesgarage.example");
    free.reply_address.address = free.tenant.reply_to.clone();
    directory.add_tenant(free).await.expect("a free name");
}

pub async fn the_default_reply_address_cannot_be_removed(ports: &Ports) {
    let new = new_tenant();
    let tenant = new.tenant.id;
    let default = new.tenant.reply_to.clone();
    let directory = &ports.directory;
    directory.add_tenant(new).await.expect("a tenant");
    let refused = directory.remove_reply_address(tenant, &default).await;
    assert!(
        matches!(refused, Err(StoreError::Rejected { .. })),
        "{refused:?}"
    );
    assert_eq!(snapshot(ports).await.reply_addresses.len(), 1);
}

pub async fn reply_addresses_are_told_apart_without_case(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    let directory = &ports.directory;
    let first = reply_address(tenant, "Second@joesgarage.example");
    directory
        .add_reply_address(first)
        .await
        .expect("a second address");
    let again = reply_address(tenant, "second@joesgarage.example");
    let refused = directory.add_reply_address(again).await;
    assert!(
        matches!(refused, Err(StoreError::Taken { .. })),
        "{refused:?}"
    );
    let other = add_tenant(ports).await;
    let same = reply_address(other, "second@joesgarage.example");
    directory
        .add_reply_address(same)
        .await
        .expect("another tenant's");
    let confirmed = directory
        .set_reply_status(
            tenant,
            &address("SECOND@joesgarage.example"),
            ReplyStatus::Confirmed,
            at(1),
        )
        .await;
    confirmed.expect("a confirmation");
    let found = snapshot(ports).await.reply_addresses;
    let status = |of| {
        let mut found = found.iter();
        found.find(|a| a.tenant == of && a.address.folded().starts_with("second@"))
    };
    let (mine, others) = (status(tenant), status(other));
    assert_eq!(mine.map(|a| a.status), Some(ReplyStatus::Confirmed));
    assert_eq!(others.map(|a| a.status), Some(ReplyStatus::Unconfirmed));
}

pub async fn a_verb_about_nothing_is_told_so(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    let nobody = TenantId::new(at(9), [9; 10]);
    let stranger = address("stranger@example.org");
    let directory = &ports.directory;
    let key = credential(tenant, [9; 32]);
    let before = directory.generation().await.expect("a generation");
    for refused in [
        directory
            .set_status(nobody, TenantStatus::Active, Authority::Operator)
            .await,
        directory
            .set_limits(nobody, NewLimits::default(), Authority::Operator)
            .await,
        directory
            .add_reply_address(reply_address(nobody, "a@b.example"))
            .await,
        directory
            .set_reply_status(tenant, &stranger, ReplyStatus::Confirmed, at(1))
            .await,
        directory.remove_reply_address(tenant, &stranger).await,
        directory.add_credential(credential(nobody, [9; 32])).await,
        directory.revoke_credential(tenant, key.id).await,
        directory.revoke_dkim_key(dkim_key("x").id).await,
    ] {
        assert!(
            matches!(refused, Err(StoreError::NotFound { .. })),
            "{refused:?}"
        );
    }
    let after = directory.generation().await.expect("a generation");
    assert_eq!(after, before);
}

pub async fn signing_keys_are_added_all_or_none(ports: &Ports) {
    let directory = &ports.directory;
    let added = directory.add_dkim_keys(vec![dkim_key("r1")]).await;
    added.expect("a signing key");
    let refused = directory
        .add_dkim_keys(vec![dkim_key("r2"), dkim_key("r1")])
        .await;
    assert!(
        matches!(refused, Err(StoreError::Taken { .. })),
        "{refused:?}"
    );
    assert_eq!(snapshot(ports).await.dkim_keys.len(), 1);
}

pub async fn a_tenant_gets_the_limits_it_is_given(ports: &Ports) {
    let (tenant, other) = (add_tenant(ports).await, add_tenant(ports).await);
    let before = snapshot(ports).await.tenants;
    let limits = Limits {
        requests_per_second: 10_000,
        per_minute: u32::MAX,
        burst: 3,
        bulk_per_minute: 4,
        connections: 5,
        per_day: 6,
        per_month: 7,
    };
    let set = ports
        .directory
        .set_limits(tenant, NewLimits::all(limits), Authority::Operator)
        .await;
    set.expect("new limits");
    for (now, before) in snapshot(ports).await.tenants.iter().zip(&before) {
        let mut want = before.clone();
        if want.id == tenant {
            want.limits = limits;
        }
        assert_eq!(*now, want);
    }
    assert_ne!(tenant, other);
}

// Somebody else reads it all the time; what this reader's own change made must be seen at once, and
// an older reading must not come after a newer one.
pub async fn a_roster_shows_what_was_there_when_its_refresh_began(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    let roster = Roster::new();
    let directory = ports.directory.as_ref();
    let changes = async {
        for turn in 1..=CHANGES {
            let limits = Limits {
                per_minute: turn,
                ..Limits::default()
            };
            let changed = directory
                .set_limits(tenant, NewLimits::all(limits), Authority::Operator)
                .await;
            changed.expect("a change");
            roster.refresh(directory).await.expect("the directory");
            let shown = roster.tenant(tenant).expect("the tenant");
            assert_eq!(shown.limits.per_minute, turn);
        }
    };
    let others = futures_util::future::join_all((0..3).map(async |_| {
        loop {
            roster.refresh(directory).await.expect("the directory");
        }
    }));
    tokio::select! {
        () = changes => {}
        _ = others => {}
    }
}
