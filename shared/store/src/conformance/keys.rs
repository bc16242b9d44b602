//! Keys with properties of their own.

use std::time::Duration;

use postrider_model::{
    Authority, Credential, CredentialStatus, KeyDefaults, KeyKind, Network, Stream, Tag,
    TenantStatus, UnknownReplyTo,
};

use super::Ports;
use super::fixture::{
    DAY, add_tenant, address, at, commit, commit_all, credential, credential_id, email, message,
    message_to,
};
use crate::{Committed, NewMessage, OverQuota, Period, Quota, StoreError};

fn with_all(key: Credential) -> Credential {
    Credential {
        kind: KeyKind::Smtp,
        user: Some("front-desk".to_owned()),
        networks: ["203.0.113.0/24", "2001:db8::/32"]
            .map(|text| Network::parse(text).expect("a network"))
            .to_vec(),
        per_day: 200,
        expires_at: Some(at(1_000)),
        defaults: KeyDefaults {
            stream: Some(Stream::Bulk),
            tags: vec![Tag {
                name: "advisor".to_owned(),
                value: "zoé-1".to_owned(),
            }],
            expires_after: Some(Duration::from_hours(6)),
            reply_to: Some(address("zoe@joesgarage.example")),
        },
        unknown_reply_to: UnknownReplyTo::Refuse,
        skips_duplicates: false,
        is_test: true,
        is_enrolled: true,
        ..key
    }
}

async fn keys(ports: &Ports) -> Vec<Credential> {
    let snapshot = ports.directory.snapshot().await;
    snapshot.expect("the directory").credentials
}

pub async fn a_key_comes_back_as_it_was_added(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    let key = with_all(credential(tenant, [9; 32]));
    let added = ports.directory.add_credential(key.clone()).await;
    added.expect("a key");
    assert!(keys(ports).await.contains(&key));
}

pub async fn a_key_is_changed_and_keeps_its_secret(ports: &Ports) {
    let (tenant, other) = (add_tenant(ports).await, add_tenant(ports).await);
    let key = credential(tenant, [9; 32]);
    let directory = &ports.directory;
    directory.add_credential(key.clone()).await.expect("a key");
    let before = directory.generation().await.expect("a generation");
    let wanted = Credential {
        note: "at the front desk".to_owned(),
        ..with_all(key.clone())
    };
    // What cannot be changed is not.
    let asked = Credential {
        hash: [8; 32],
        prefix: "other".to_owned(),
        status: CredentialStatus::Revoked,
        created_at: at(5),
        ..wanted.clone()
    };
    directory.change_credential(asked).await.expect("a change");
    assert!(directory.generation().await.expect("a generation") > before);
    let changed = Credential {
        kind: key.kind,
        user: key.user.clone(),
        is_test: key.is_test,
        is_enrolled: key.is_enrolled,
        ..wanted.clone()
    };
    assert!(keys(ports).await.contains(&changed));
    let of_another = Credential {
        tenant: other,
        note: "stolen".to_owned(),
        ..wanted
    };
    let refused = directory.change_credential(of_another).await;
    assert!(
        matches!(refused, Err(StoreError::NotFound { .. })),
        "{refused:?}"
    );
    assert!(keys(ports).await.contains(&changed));
}

pub async fn what_the_operator_stopped_no_vendor_lets_go_on(ports: &Ports) {
    use Authority::{Operator, Vendor};
    let tenant = add_tenant(ports).await;
    let key = credential(tenant, [9; 32]);
    let directory = &ports.directory;
    directory.add_credential(key.clone()).await.expect("a key");
    for (stops, by, is_done, is_stopped) in [
        (true, Vendor, true, true),
        (false, Vendor, true, false),
        (true, Operator, true, true),
        (false, Vendor, false, true),
        (true, Vendor, true, true),
        (false, Vendor, false, true),
        (false, Operator, true, false),
        (true, Vendor, true, true),
        (true, Operator, true, true),
        (false, Vendor, false, true),
        (false, Operator, true, false),
        (true, Vendor, true, true),
        (false, Operator, true, false),
    ] {
        let (of_tenant, of_key) = if stops {
            (TenantStatus::Suspended, CredentialStatus::Suspended)
        } else {
            (TenantStatus::Active, CredentialStatus::Active)
        };
        let set = directory.set_credential_status(tenant, key.id, of_key, by);
        for done in [set.await, directory.set_status(tenant, of_tenant, by).await] {
            let is_refused = matches!(done, Err(StoreError::Rejected { .. }));
            assert_eq!((done.is_ok(), is_refused), (is_done, !is_done), "{done:?}");
        }
        let found = directory.snapshot().await.expect("a snapshot");
        let mut keys = found.credentials.iter().filter(|one| one.id == key.id);
        let mut tenants = found.tenants.iter().filter(|one| one.id == tenant);
        let stopped_by = tenants.clone().next().and_then(|one| one.stopped_by);
        assert_eq!(stopped_by.is_some(), is_stopped, "{stops} {by}");
        if stops && by == Operator {
            assert_eq!(stopped_by, Some(Operator));
        }
        let stand = (
            keys.next()
                .map(|key| key.status == CredentialStatus::Suspended),
            tenants
                .next()
                .map(|one| one.status == TenantStatus::Suspended),
        );
        assert_eq!(stand, (Some(is_stopped), Some(is_stopped)), "{stops} {by}");
    }
}

pub async fn a_suspended_key_is_resumed_and_a_revoked_one_stays(ports: &Ports) {
    use CredentialStatus::{Active, Revoked, Suspended};
    let (tenant, other) = (add_tenant(ports).await, add_tenant(ports).await);
    let key = credential(tenant, [9; 32]);
    let directory = &ports.directory;
    directory.add_credential(key.clone()).await.expect("a key");
    let set = async |of, status| {
        let by = Authority::Operator;
        directory
            .set_credential_status(of, key.id, status, by)
            .await
    };
    let status = async || {
        let keys = keys(ports).await.into_iter();
        let mut keys = keys.filter(|one| one.id == key.id);
        keys.next().map(|key| key.status)
    };
    for wanted in [Suspended, Active, Suspended] {
        set(tenant, wanted).await.expect("a status");
        assert_eq!(status().await, Some(wanted));
    }
    let refused = set(other, Active).await;
    assert!(
        matches!(refused, Err(StoreError::NotFound { .. })),
        "{refused:?}"
    );
    let revoked = directory.revoke_credential(tenant, key.id).await;
    revoked.expect("a revocation");
    let refused = set(tenant, Active).await;
    assert!(
        matches!(refused, Err(StoreError::Rejected { .. })),
        "{refused:?}"
    );
    assert_eq!(status().await, Some(Revoked));
}

pub async fn a_message_knows_the_key_it_came_with(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    let mut with = message(tenant);
    with.credential = Some(credential_id());
    let without = message(tenant);
    commit_all(ports, &[with.clone(), without.clone()]).await;
    for message in [with, without] {
        let stored = email(ports, &message).await.expect("the message");
        assert_eq!(stored.credential, message.credential);
    }
}

fn under(key: postrider_model::CredentialId, limit: u32, mut message: NewMessage) -> NewMessage {
    message.credential = Some(key);
    message.quota = Quota {
        key_per_day: limit,
        ..Quota::default()
    };
    message
}

fn over(limit: u32, used: u64) -> Committed {
    Committed::OverQuota(OverQuota {
        period: Period::KeyDay,
        limit,
        used,
        more: 1,
    })
}

pub async fn the_quota_of_a_key_is_exact_and_its_own(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    let (key, second) = (credential_id(), credential_id());
    let mut messages: Vec<_> = (0..30).map(|_| under(key, 20, message(tenant))).collect();
    messages.extend((0..10).map(|_| under(second, 20, message(tenant))));
    messages.extend((0..10).map(|_| message(tenant)));
    let outcomes = commit_all(ports, &messages).await;
    let outcomes: Vec<_> = outcomes
        .into_iter()
        .map(|done| done.expect("a commit"))
        .collect();
    let stored = |done: &&Committed| **done == Committed::Stored;
    assert_eq!(outcomes[..30].iter().filter(stored).count(), 20);
    assert_eq!(outcomes[30..].iter().filter(stored).count(), 20);
    let usage = |key| ports.mail.key_usage(tenant, key, at(0));
    assert_eq!(usage(key).await.expect("an answer"), 20);
    assert_eq!(usage(second).await.expect("an answer"), 10);
    let two = under(
        second,
        11,
        message_to(tenant, &["a@x.example", "b@x.example"]),
    );
    let refused = OverQuota {
        period: Period::KeyDay,
        limit: 11,
        used: 10,
        more: 2,
    };
    assert_eq!(commit(ports, &two).await, Committed::OverQuota(refused));
    assert_eq!(
        commit(ports, &under(key, 20, message(tenant))).await,
        over(20, 20)
    );
    // The next day begins at nothing.
    let mut tomorrow = under(key, 20, message(tenant));
    tomorrow.accepted_at = at(0).after(DAY);
    assert_eq!(commit(ports, &tomorrow).await, Committed::Stored);
    let used = ports.mail.usage(tenant, at(0)).await.expect("an answer");
    assert_eq!(used.day, 40, "the tenant's own count has all of it");
    let other = add_tenant(ports).await;
    let seen = ports.mail.key_usage(other, key, at(0)).await;
    assert_eq!(seen.expect("an answer"), 0, "another tenant's");
}

pub async fn a_group_over_the_quota_of_its_key_is_refused_whole(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    let key = credential_id();
    commit(ports, &under(key, 5, message(tenant))).await;
    let group: Vec<_> = (0..5).map(|_| under(key, 5, message(tenant))).collect();
    let refused = ports.intake.commit_all(group.clone()).await;
    assert_eq!(refused.expect("an answer"), over(5, 1));
    let usage = ports.mail.key_usage(tenant, key, at(0)).await;
    assert_eq!(usage.expect("an answer"), 1);
    let fits = ports.intake.commit_all(group[..4].to_vec()).await;
    assert_eq!(fits.expect("an answer"), Committed::Stored);
    // Told again, as after a lost connection, it counts once.
    let again = ports.intake.commit_all(group[..4].to_vec()).await;
    assert_eq!(again.expect("an answer"), Committed::Stored);
    let usage = ports.mail.key_usage(tenant, key, at(0)).await;
    assert_eq!(usage.expect("an answer"), 5);
}
