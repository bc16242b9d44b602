//! Who did what: the audit.

use postrider_model::{AuditEntry, AuditId, VendorId};
use serde_json::json;

use super::Ports;
use super::fixture::{DAY, at, number, random};
use super::vendors::added;
use crate::{AUDIT_LIFE, AuditFilter};

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
