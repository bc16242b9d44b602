//! The document has every route, and the router every operation.

use std::collections::BTreeSet;

use serde_json::Value;

use super::*;
use crate::admin_api::CONTRACT;

/// Where an act stands in the document. Each has a line here, so that none is added without a look
/// at it; the test below finds what the document has and this has not, and the other way round.
fn documented(act: &Act) -> (&'static str, &'static str) {
    match act {
        Act::Contract => ("get", "/openapi.json"),
        Act::Vendor(act) => match act {
            VendorAct::List => ("get", "/vendors"),
            VendorAct::Add => ("post", "/vendors"),
            VendorAct::Show(_) => ("get", "/vendors/{vendor}"),
            VendorAct::Change(_) => ("patch", "/vendors/{vendor}"),
            VendorAct::Suspend(_) => ("post", "/vendors/{vendor}/suspend"),
            VendorAct::Resume(_) => ("post", "/vendors/{vendor}/resume"),
            VendorAct::Keys(_) => ("get", "/vendors/{vendor}/keys"),
            VendorAct::AddKey(_) => ("post", "/vendors/{vendor}/keys"),
            VendorAct::RevokeKey(..) => ("delete", "/vendors/{vendor}/keys/{kid}"),
        },
        Act::Tenants => ("get", "/tenants"),
        Act::AddTenant => ("post", "/tenants"),
        Act::Tenant(_, act) => of_one_tenant(act),
        Act::Messages => ("get", "/messages"),
        Act::Message(_) => ("get", "/messages/{id}"),
        Act::Session(_) => ("get", "/sessions/{code}"),
        Act::Audit => ("get", "/audit"),
        Act::Report => ("get", "/report"),
    }
}

fn of_one_tenant(act: &TenantAct) -> (&'static str, &'static str) {
    match act {
        TenantAct::Show => ("get", "/tenants/{tenant}"),
        TenantAct::Change => ("patch", "/tenants/{tenant}"),
        TenantAct::Suspend => ("post", "/tenants/{tenant}/suspend"),
        TenantAct::Resume => ("post", "/tenants/{tenant}/resume"),
        TenantAct::Keys => ("get", "/tenants/{tenant}/keys"),
        TenantAct::AddKey => ("post", "/tenants/{tenant}/keys"),
        TenantAct::Key(_, act) => match act {
            KeyAct::Change => ("patch", "/tenants/{tenant}/keys/{key}"),
            KeyAct::Suspend => ("post", "/tenants/{tenant}/keys/{key}/suspend"),
            KeyAct::Resume => ("post", "/tenants/{tenant}/keys/{key}/resume"),
            KeyAct::Revoke => ("delete", "/tenants/{tenant}/keys/{key}"),
        },
        TenantAct::Replies => ("get", "/tenants/{tenant}/reply-addresses"),
        TenantAct::AddReply => ("post", "/tenants/{tenant}/reply-addresses"),
        TenantAct::Reply(_, act) => match act {
            ReplyAct::Ask => ("post", "/tenants/{tenant}/reply-addresses/{address}/ask"),
            ReplyAct::Confirm => (
                "post",
                "/tenants/{tenant}/reply-addresses/{address}/confirm",
            ),
            ReplyAct::Remove => ("delete", "/tenants/{tenant}/reply-addresses/{address}"),
        },
        TenantAct::Messages => ("get", "/tenants/{tenant}/messages"),
        TenantAct::Suppressions => ("get", "/tenants/{tenant}/suppressions"),
        TenantAct::Suppress => ("post", "/tenants/{tenant}/suppressions"),
        TenantAct::Lift(_) => ("delete", "/tenants/{tenant}/suppressions/{address}"),
    }
}

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

fn routed(method: &str, path: &str) -> Result<Act, Problem> {
    let path = path
        .replace("{tenant}", "joes-garage")
        .replace("{vendor}", "wrench")
        .replace("{kid}", "abc")
        .replace("{key}", "0190a5b0-0000-7000-8000-000000000000")
        .replace("{id}", "0190a5b0-0000-7000-8000-000000000000")
        .replace("{address}", "ann@garage.example")
        .replace("{code}", "7F3K-Q2");
    let segments: Vec<_> = path.split('/').skip(1).collect();
    routes(&method.to_ascii_uppercase().parse().unwrap(), &segments)
}

#[test]
fn each_operation_of_the_document_is_routed_and_no_other_method_of_its_path() {
    let document: Value = serde_json::from_str(CONTRACT).unwrap();
    let mut seen = BTreeSet::new();
    for (whole, item) in document["paths"].as_object().unwrap() {
        let path = whole.strip_prefix("/admin/v1").unwrap();
        for method in METHODS {
            let found = routed(method, path);
            let Some(operation) = item.get(method) else {
                let refused = found.map(|act| format!("{act:?}"));
                let refused = refused.expect_err("a route that the document has not");
                assert_eq!(refused.status, 405, "{method} {path}");
                continue;
            };
            let act = found.unwrap_or_else(|_| panic!("{method} {path} leads nowhere"));
            assert_eq!(documented(&act), (method, path));
            let role = operation.get("x-role").and_then(Value::as_str);
            let needed = (act != Act::Contract).then(|| act.role().as_str());
            assert_eq!(role, needed, "{method} {path}");
            let is_operators = operation["x-operator"] == true;
            assert_eq!(act.is_operators(), is_operators, "{method} {path}");
            let takes = operation.get("requestBody").is_some();
            assert_eq!(act.takes_body(), takes, "{method} {path}");
            seen.insert((method, path));
        }
    }
    let lines = include_str!("tests.rs").lines();
    let is_arm = |line: &&str| {
        let (start, _) = line.trim_start().split_once("::").unwrap_or_default();
        start.ends_with("Act") && line.contains("=> (")
    };
    let arms = lines.filter(is_arm).count();
    assert_eq!(arms, seen.len(), "an act above is not in the document");
}
