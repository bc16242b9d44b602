//! `GET /domains`: setup wizards ask for it and want to see a verified domain. It is the
//! service's: each tenant sends from an address below it.

use postrider_gate::Caller;
use postrider_http::Answer;
use postrider_model::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use crate::http::email::List;
use crate::http::files::derived;

#[derive(Serialize)]
struct Domain<'a> {
    object: &'static str,
    id: Uuid,
    name: &'a str,
    status: &'static str,
    created_at: Timestamp,
    /// Says nothing about where we are: SDKs know four words and fail on any other.
    region: &'static str,
    capabilities: Capabilities,
}

#[derive(Serialize)]
struct Capabilities {
    sending: &'static str,
    receiving: &'static str,
}

/// One domain, since the tenant has been here.
pub(crate) fn seen_by(caller: &Caller) -> Answer {
    let tenant = &caller.tenant;
    let name = tenant.from.domain().as_str();
    let domain = Domain {
        object: "domain",
        id: derived(name.as_bytes()),
        name,
        status: "verified",
        created_at: tenant.created_at,
        region: "us-east-1",
        capabilities: Capabilities {
            sending: "enabled",
            receiving: "disabled",
        },
    };
    Answer::json(200, &List::whole(vec![domain]))
}
