//! A relay, and a vendor whose program calls it.

use std::sync::Arc;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use postrider_gate::vendor_key;
use postrider_model::{
    EmailAddress, Language, Limits, ReplyStatus, Tenant, Timestamp, Vendor, VendorId, VendorStatus,
};
use postrider_store::Vendors as _;
use serde_json::{Value, json};

use crate::harness::{Answer, NOW, Relay};

/// A relay and a vendor of it, who signs.
pub(super) struct Scene {
    pub(super) relay: Relay,
    pub(super) vendor: Vendor,
    pub(super) kid: String,
    pair: Ed25519KeyPair,
}

pub(super) const JOE: &str = "joe@joesgarage.example";

impl Scene {
    pub(super) async fn start() -> Self {
        let relay = Relay::start().await;
        let (vendor, kid) = add_vendor(&relay, "acme", 1).await;
        Self {
            relay,
            vendor,
            kid,
            pair: pair(1),
        }
    }

    pub(super) fn seconds(&self) -> i64 {
        self.relay.clock.now().as_micros() / 1_000_000
    }

    /// A token that is good, but for what `change` has otherwise.
    pub(super) fn token(&self, licence: &str, change: &Value) -> String {
        let mut payload = json!({
            "iss": "acme", "sub": licence, "plan": "gold",
            "iat": self.seconds() - 10, "exp": self.seconds() + 600,
        });
        merge(&mut payload, change);
        self.signed(&json!({"alg": "EdDSA", "kid": self.kid}), &payload)
    }

    pub(super) fn signed(&self, header: &Value, payload: &Value) -> String {
        let part = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
        let input = format!("{}.{}", part(header), part(payload));
        let signature = URL_SAFE_NO_PAD.encode(self.pair.sign(input.as_bytes()));
        format!("{input}.{signature}")
    }

    pub(super) async fn enrol(&self, token: &str, reply_to: &str) -> Answer {
        self.enrol_with(token, reply_to, &json!({})).await
    }

    pub(super) async fn enrol_with(&self, token: &str, reply_to: &str, more: &Value) -> Answer {
        let mut body = json!({"token": token, "reply_to": reply_to, "name": "Joe's Garage"});
        merge(&mut body, more);
        self.ask("POST", "/enroll", body.to_string()).await
    }

    pub(super) async fn rotate(&self, token: &str) -> Answer {
        let body = json!({"token": token}).to_string();
        self.ask("POST", "/enroll/rotate", body).await
    }

    pub(super) async fn status(&self, bearer: &str) -> Answer {
        let bearer = format!("Bearer {bearer}");
        let fields = [("authorization", bearer.as_str())];
        self.relay.ask("GET", "/enroll/status", &fields, "").await
    }

    pub(super) async fn ask(&self, method: &str, path: &str, body: String) -> Answer {
        let fields = [("content-type", "application/json")];
        self.relay.ask(method, path, &fields, body).await
    }

    /// The tenant that an answer told of.
    pub(super) fn tenant(&self, told: &Value) -> Arc<Tenant> {
        let slug = told["tenant"].as_str().unwrap();
        self.relay.roster.tenant_named(slug).unwrap()
    }

    /// Whether a key opens the door.
    pub(super) async fn opens(&self, key: &Value) -> bool {
        let bearer = format!("Bearer {}", key.as_str().unwrap());
        let fields = [("authorization", bearer.as_str())];
        self.relay.ask("GET", "/usage", &fields, "").await.status == 200
    }

    pub(super) async fn refresh(&self) {
        let directory = &*self.relay.provision.directory;
        self.relay.roster.refresh(directory).await.unwrap();
    }

    /// As the button in the letter does.
    pub(super) async fn confirm(&self, tenant: &str, address: &str) {
        let provision = &self.relay.provision;
        let tenant = self.relay.roster.tenant_named(tenant).unwrap();
        let (address, now) = (address.parse().unwrap(), provision.clock.now());
        let status = ReplyStatus::Confirmed;
        let done = provision
            .directory
            .set_reply_status(tenant.id, &address, status, now);
        done.await.unwrap();
        self.refresh().await;
    }
}

fn merge(json: &mut Value, change: &Value) {
    for (name, value) in change.as_object().unwrap() {
        json[name] = value.clone();
    }
}

pub(super) fn pair(seed: u8) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()
}

pub(super) async fn add_vendor(relay: &Relay, slug: &str, seed: u8) -> (Vendor, String) {
    let at = Timestamp::parse(NOW).unwrap();
    let vendor = Vendor {
        id: VendorId::new(at, [seed; 10]),
        slug: slug.to_owned(),
        name: "Acme".to_owned(),
        contact: EmailAddress::parse("help@acme.example").ok(),
        status: VendorStatus::Active,
        per_day: 0,
        tenant_limits: Limits {
            requests_per_second: 100,
            per_minute: 120,
            per_day: 2_000,
            ..Limits::default()
        },
        languages: vec![Language::Fr, Language::En],
        created_at: at,
    };
    relay.store.add_vendor(vendor.clone()).await.unwrap();
    let public = URL_SAFE_NO_PAD.encode(pair(seed).public_key());
    let key = vendor_key(vendor.id, &public, at).unwrap();
    relay.store.add_vendor_key(key.clone()).await.unwrap();
    let directory = &*relay.provision.directory;
    relay.roster.refresh(directory).await.unwrap();
    (vendor, key.kid)
}
