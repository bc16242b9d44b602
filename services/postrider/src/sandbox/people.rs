//! Who is in a sandbox from its first start: a vendor with a key, its tenant, and an operator's
//! token for the admin API.

use anyhow::Context;
use postrider_gate::VendorSigner;
use postrider_model::{AdminRole, Language};
use postrider_runtime::Rng;
use serde_json::Value;

use super::state::State;
use crate::admin::{AddedTenant, TokenAct, VendorAct, VendorChange, Verb};
use crate::relay::Relay;

/// What the sandbox's vendor is called, in `iss` of its tokens too.
const VENDOR: &str = "sandbox";

/// Makes who is not there yet. What is made is in `state`.
pub(super) async fn ensure(relay: &Relay, state: &mut State, rng: &Rng) -> anyhow::Result<()> {
    if state.vendor_key.is_none() {
        state.vendor_key = Some(vendor(relay, rng).await?);
    }
    if state.api_key.is_none() {
        let made = tenant(relay).await?;
        state.api_key = word(&made, "api_key");
        state.tenant = word(&made, "slug");
    }
    if state.admin_token.is_none() {
        let act = TokenAct::Create {
            role: AdminRole::Admin,
            vendor: None,
            note: "sandbox".to_owned(),
            expires_at: None,
        };
        let made = relay.office.execute(Verb::Token { act }).await?;
        state.admin_token = word(&made, "token");
    }
    Ok(())
}

async fn vendor(relay: &Relay, rng: &Rng) -> anyhow::Result<String> {
    let vendor = VENDOR.to_owned();
    let act = VendorAct::Show {
        vendor: vendor.clone(),
    };
    // A start that was broken off may have left it without its key.
    if relay.office.execute(Verb::Vendor { act }).await.is_err() {
        let act = VendorAct::Add {
            slug: vendor.clone(),
            name: "The sandbox's vendor".to_owned(),
            contact: "vendor@sandbox.test".parse()?,
            change: VendorChange::default(),
        };
        relay.office.execute(Verb::Vendor { act }).await?;
    }
    let signer = VendorSigner::mint(rng).context("no key can be made")?;
    let key = signer.public();
    let act = VendorAct::KeyAdd { vendor, key };
    relay.office.execute(Verb::Vendor { act }).await?;
    Ok(signer.pem())
}

async fn tenant(relay: &Relay) -> anyhow::Result<Value> {
    let verb = Verb::TenantAdd(AddedTenant {
        name: "Sandbox".to_owned(),
        reply_to: "owner@sandbox.test".parse()?,
        language: Some(Language::En),
        vouched: true,
        vendor: Some(VENDOR.to_owned()),
        licence: None,
        plan: None,
    });
    relay.office.execute(verb).await
}

fn word(made: &Value, name: &str) -> Option<String> {
    made.get(name).and_then(Value::as_str).map(str::to_owned)
}
