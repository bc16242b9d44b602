use super::*;
use crate::holds::eva;

#[test]
fn a_vendor_is_told_whom_to_ask_and_not_what_the_operator_has_to_mend() {
    let (mut tenant, operator) = (eva(), "ops@relay.example".parse().unwrap());
    let reason = |tenant: &Tenant, vendors: bool, hold: Hold| {
        let asked = Asked {
            tenant,
            vendors,
            operator: Some(&operator),
        };
        asked.reason(&[hold]).unwrap()
    };
    let doctor = || Hold::Doctor(Some("no PTR of 192.0.2.1".to_owned()));
    let ask = "Ask the service's operator, ops@relay.example.";
    let said = reason(&tenant, true, doctor());
    assert!(said.ends_with(ask) && !said.contains("PTR"), "{said}");
    let said = reason(&tenant, false, doctor());
    assert!(!said.contains(ask) && said.contains("PTR"), "{said}");
    let (vendor, key) = (
        Hold::Vendor("acme".to_owned()),
        Hold::Key {
            id: "03".to_owned(),
            name: "pr_live_03".to_owned(),
        },
    );
    assert!(reason(&tenant, true, vendor).ends_with(ask));
    assert!(!reason(&tenant, true, key).contains(ask));
    let own = || Hold::Tenant("eva".to_owned());
    tenant.stopped_by = Some(Authority::Operator);
    assert!(reason(&tenant, true, own()).ends_with(ask));
    tenant.stopped_by = Some(Authority::Vendor);
    assert!(!reason(&tenant, true, own()).contains(ask));
}
