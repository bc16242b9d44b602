//! A relay with an admin API that two vendors use; every answer of it is judged.

use std::sync::LazyLock;

use postrider::admin::{AddedTenant, TokenAct, VendorAct, VendorChange, Verb};
use postrider_http::oracle::{Exchange, Oracle};
use postrider_model::AdminRole;
use serde_json::{Value, json};

use crate::harness::client::request;
use crate::harness::inside::{Setup, held};
use crate::harness::{Answer, Door, Inside};

/// The document that every answer is judged by.
static CONTRACT: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(postrider::admin_api::CONTRACT).unwrap());
static ORACLE: LazyLock<Oracle> = LazyLock::new(|| Oracle::new(CONTRACT.clone()).unwrap());

pub(super) const ROLES: [&str; 3] = ["read", "operate", "admin"];

/// A relay with two vendors, `acme` and `other`, each with a tenant.
pub(super) struct Scene {
    pub(super) inside: Inside,
    pub(super) door: Door,
    /// The slugs of their tenants.
    pub(super) acmes: String,
    pub(super) others: String,
}

/// One endpoint of the document.
pub(super) struct Operation {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) role: String,
    pub(super) is_operators: bool,
}

impl Scene {
    pub(super) async fn start() -> Self {
        Self::start_with("").await
    }

    /// With these lines in its configuration.
    pub(super) async fn start_with(more: &str) -> Self {
        let admin = "\n[admin]\nenabled = true\nlisten = \"127.0.0.1:0\"\n";
        let setup = Setup {
            more: format!("{admin}{more}").leak(),
            ..Setup::by(held())
        };
        let inside = Inside::start_with(setup).await;
        let door = Door {
            address: inside.relay.admin.unwrap(),
            tls: None,
        };
        let mut scene = Self {
            inside,
            door,
            acmes: String::new(),
            others: String::new(),
        };
        scene.acmes = scene.bring("acme").await;
        scene.others = scene.bring("other").await;
        scene
    }

    pub(super) async fn execute(&self, verb: Verb) -> Value {
        self.inside.relay.office.execute(verb).await.unwrap()
    }

    /// A vendor with a tenant, whose slug it gives.
    async fn bring(&self, slug: &str) -> String {
        let act = VendorAct::Add {
            slug: slug.to_owned(),
            name: slug.to_owned(),
            contact: "help@vendor.test".parse().unwrap(),
            change: VendorChange::default(),
        };
        self.execute(Verb::Vendor { act }).await;
        let verb = Verb::TenantAdd(AddedTenant {
            name: format!("Shop of {slug}"),
            reply_to: format!("owner@{slug}.test").parse().unwrap(),
            language: None,
            vouched: true,
            vendor: Some(slug.to_owned()),
            licence: None,
            plan: None,
        });
        let made = self.execute(verb).await;
        made["slug"].as_str().unwrap().to_owned()
    }

    /// A token, and the id that the audit knows it by.
    pub(super) async fn token(&self, role: &str, vendor: Option<&str>) -> (String, String) {
        let role: AdminRole = serde_json::from_value(json!(role)).unwrap();
        let act = TokenAct::Create {
            role,
            vendor: vendor.map(str::to_owned),
            note: String::new(),
            expires_at: None,
        };
        let made = self.execute(Verb::Token { act }).await;
        let word = |name: &str| made[name].as_str().unwrap().to_owned();
        (word("token"), word("id"))
    }

    pub(super) async fn ask(&self, token: &str, method: &str, path: &str, body: &Value) -> Answer {
        let text = match body {
            Value::Null => String::new(),
            body => body.to_string(),
        };
        self.ask_text(token, method, path, &text).await
    }

    /// With a body that may be no JSON.
    pub(super) async fn ask_text(
        &self,
        token: &str,
        method: &str,
        path: &str,
        text: &str,
    ) -> Answer {
        let bearer = format!("Bearer {token}");
        let mut fields = vec![("authorization", bearer.as_str())];
        if !text.is_empty() {
            fields.push(("content-type", "application/json"));
        }
        let body = text.as_bytes();
        let path = format!("/admin/v1{path}");
        let said = request(method, &path, &fields, body);
        let answer = self.door.say(&said).await.unwrap();
        let heard = [answer.head.as_bytes(), b"\r\n\r\n", &answer.body].concat();
        let exchange = Exchange::of_text(&said, &heard).unwrap();
        if let Err(fault) = ORACLE.check(&exchange) {
            panic!("{method} {path}: {fault}\n{}", answer.text());
        }
        answer
    }

    pub(super) async fn done(&self, token: &str, method: &str, path: &str, body: &Value) -> Value {
        let answer = self.ask(token, method, path, body).await;
        assert!(answer.status < 300, "{method} {path}: {}", answer.text());
        answer.json()
    }

    /// An operation's path, about this tenant.
    pub(super) fn about(operation: &Operation, tenant: &str) -> String {
        const NOTHING: &str = "0190a5b0-0000-7000-8000-000000000000";
        let path = operation.path.replace("{tenant}", tenant);
        let path = path.replace("{vendor}", "acme").replace("{kid}", "none");
        let path = path.replace("{key}", NOTHING).replace("{id}", NOTHING);
        path.replace("{address}", "ann@x.test")
            .replace("{code}", "7F3K-Q2")
    }
}

pub(super) fn operations() -> Vec<Operation> {
    let paths = CONTRACT["paths"].as_object().unwrap();
    let methods = ["get", "post", "patch", "delete"];
    let each = paths.iter().flat_map(|(path, item)| {
        methods.into_iter().filter_map(move |method| {
            let operation = item.get(method)?;
            Some(Operation {
                method: method.to_ascii_uppercase(),
                path: path.strip_prefix("/admin/v1").unwrap().to_owned(),
                role: operation.get("x-role")?.as_str()?.to_owned(),
                is_operators: operation["x-operator"] == true,
            })
        })
    });
    each.collect()
}

pub(super) fn body_of(operation: &Operation) -> Value {
    match operation.method.as_str() {
        "POST" | "PATCH" => json!({}),
        _ => Value::Null,
    }
}
