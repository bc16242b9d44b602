//! Each operation of the document is granted to who has the role that it names.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::net::TcpStream;

use super::dialogue::{refused, smtp_door};
use super::scene::{ROLES, Scene, operations};
use crate::harness::{unique, until};

/// RFC 8032 §7.1, test 1: the public half.
const PUBLIC_KEY: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

/// Calls operations, each with a token of just the role that it needs.
struct Walk<'a> {
    scene: &'a Scene,
    tokens: Vec<String>,
    /// What stands for the parts of paths in braces.
    names: Vec<(&'static str, String)>,
    granted: BTreeSet<(String, String)>,
}

impl<'a> Walk<'a> {
    /// In the operator's name, or in a vendor's.
    async fn of(scene: &'a Scene, vendor: Option<&str>) -> Self {
        let mut tokens = Vec::new();
        for role in ROLES {
            tokens.push(scene.token(role, vendor).await.0);
        }
        Self {
            scene,
            tokens,
            names: Vec::new(),
            granted: BTreeSet::new(),
        }
    }

    fn names(&mut self, name: &'static str, value: &Value) {
        let value = value.as_str().unwrap().to_owned();
        self.names.retain(|(known, _)| *known != name);
        self.names.push((name, value));
    }

    /// A path as the document has it, with a query or without; gives the answer, which must be a yes.
    async fn does(&mut self, method: &str, path: &str, body: Value) -> Value {
        let documented = path.split('?').next().unwrap();
        let all = operations();
        let mut found = all.iter();
        let found = found.find(|one| one.method == method && one.path == documented);
        let found = found.unwrap_or_else(|| panic!("{method} {documented} is not in the document"));
        let rank = ROLES.iter().position(|role| *role == found.role).unwrap();
        let mut whole = path.to_owned();
        for (name, value) in &self.names {
            whole = whole.replace(name, value);
        }
        let token = &self.tokens[rank];
        let given = self.scene.done(token, method, &whole, &body).await;
        self.granted
            .insert((method.to_owned(), documented.to_owned()));
        given
    }

    async fn gets(&mut self, path: &str) -> Value {
        self.does("GET", path, Value::Null).await
    }

    async fn posts(&mut self, path: &str) -> Value {
        self.does("POST", path, Value::Null).await
    }

    async fn deletes(&mut self, path: &str) {
        self.does("DELETE", path, Value::Null).await;
    }

    /// A tenant from its beginning, its keys, and what it sent.
    async fn tenants(&mut self) {
        let new = json!({"name": "Ann's Shop", "reply_to": "ann@shop.test", "vendor": "acme", "attested": true});
        let made = self.does("POST", "/tenants", new).await;
        self.names("{tenant}", &made["slug"]);
        self.gets("/tenants").await;
        self.gets("/tenants/{tenant}").await;
        let change = json!({"language": "fr", "limits": {"per_day": 9}});
        self.does("PATCH", "/tenants/{tenant}", change).await;
        self.posts("/tenants/{tenant}/suspend").await;
        self.posts("/tenants/{tenant}/resume").await;
        let (key, slug) = (made["api_key"].as_str(), made["slug"].as_str());
        let shop = self
            .scene
            .inside
            .place
            .as_tenant(key.unwrap(), slug.unwrap());
        let to = format!("bob-{}@example.org", unique());
        self.names("{id}", &json!(shop.send_to(&to).await));
        self.gets(&format!("/messages?recipient={to}")).await;
        self.gets("/messages/{id}").await;
        self.gets("/tenants/{tenant}/messages").await;
    }

    async fn keys(&mut self) {
        let keys = "/tenants/{tenant}/keys";
        let made = self.does("POST", keys, json!({"note": "till"})).await;
        self.names("{key}", &made["id"]);
        self.gets(keys).await;
        let one = "/tenants/{tenant}/keys/{key}";
        self.does("PATCH", one, json!({"note": "desk"})).await;
        self.posts(&format!("{one}/suspend")).await;
        self.posts(&format!("{one}/resume")).await;
        self.deletes(one).await;
    }

    async fn addresses(&mut self) {
        let address = json!({"address": format!("desk-{}@shop.test", unique())});
        self.names("{address}", &address["address"]);
        let replies = "/tenants/{tenant}/reply-addresses";
        self.does("POST", replies, address.clone()).await;
        self.gets(replies).await;
        let one = "/tenants/{tenant}/reply-addresses/{address}";
        // It was asked a moment ago.
        self.scene.inside.advance(Duration::from_mins(11));
        self.posts(&format!("{one}/ask")).await;
        self.posts(&format!("{one}/confirm")).await;
        self.deletes(one).await;
        let suppressions = "/tenants/{tenant}/suppressions";
        self.does("POST", suppressions, address).await;
        self.gets(suppressions).await;
        self.deletes("/tenants/{tenant}/suppressions/{address}")
            .await;
    }

    async fn vendors(&mut self) {
        let slug = json!("third");
        self.names("{vendor}", &slug);
        let new = json!({"slug": slug, "name": "Third", "contact": "help@third.test"});
        self.does("POST", "/vendors", new).await;
        self.gets("/vendors").await;
        self.gets("/vendors/{vendor}").await;
        let change = json!({"name": "The third", "per_day": 9});
        self.does("PATCH", "/vendors/{vendor}", change).await;
        self.posts("/vendors/{vendor}/suspend").await;
        self.posts("/vendors/{vendor}/resume").await;
        let keys = "/vendors/{vendor}/keys";
        let key = self.does("POST", keys, json!({"key": PUBLIC_KEY})).await;
        self.names("{kid}", &key["kid"]);
        self.gets(keys).await;
        self.deletes("/vendors/{vendor}/keys/{kid}").await;
    }

    /// What there is to be granted and was not.
    fn left(&self, is_there: impl Fn(&str, bool) -> bool) -> Vec<(String, String)> {
        let all = operations().into_iter();
        let there = all.filter(|one| is_there(&one.path, one.is_operators));
        let there = there.map(|one| (one.method, one.path));
        there.filter(|one| !self.granted.contains(one)).collect()
    }
}

#[tokio::test]
async fn each_operation_is_granted_to_the_role_that_it_names() {
    let folder = tempfile::tempdir().unwrap();
    let scene = Scene::start_with(&smtp_door(folder.path())).await;
    let mut operator = Walk::of(&scene, None).await;
    operator.tenants().await;
    operator.keys().await;
    operator.addresses().await;
    operator.vendors().await;
    operator.gets("/audit").await;
    operator.gets("/report").await;
    let door = TcpStream::connect(scene.inside.relay.smtp[0]).await;
    let code = refused(
        door.unwrap(),
        &["EHLO shop.test", "MAIL FROM:<joe@shop.test>"],
    )
    .await;
    operator.names("{code}", &json!(code));
    let token = operator.tokens[0].clone();
    until("the session is kept", async || {
        let path = format!("/sessions/{code}");
        let answer = scene.ask(&token, "GET", &path, &Value::Null).await;
        (answer.status == 200).then_some(())
    })
    .await;
    operator.gets("/sessions/{code}").await;
    assert_eq!(operator.left(|_, _| true), []);

    let mut vendor = Walk::of(&scene, Some("acme")).await;
    vendor.tenants().await;
    vendor.keys().await;
    vendor.addresses().await;
    vendor.gets("/audit").await;
    vendor.gets("/report").await;
    // A session in which nobody signed in is no vendor's.
    let is_there = |path: &str, is_operators: bool| !is_operators && !path.starts_with("/sessions");
    assert_eq!(vendor.left(is_there), []);
}
