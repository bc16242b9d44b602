//! What can be asked of a relay from outside, however it runs.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::process::run;
use super::{Answer, Door, PATIENCE, Process, Timeline, until};

/// Where a relay is and what is needed to use it. The same from one start to the next.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) folder: PathBuf,
    pub(crate) http: Door,
    /// The sandbox tenant's key and slug.
    pub(crate) key: String,
    pub(crate) tenant: String,
    pub(crate) mailbox: Door,
    pub(crate) metrics: Door,
}

impl Place {
    /// What `dev.json` says, once it is there.
    pub(crate) async fn announced(folder: &Path, dev: &mut Process) -> Self {
        let path = folder.join("dev.json");
        let text = until("dev.json", async || {
            if let Some(status) = dev.ended() {
                panic!("dev ended, {status}: {}", dev.printed());
            }
            std::fs::read(&path).ok()
        })
        .await;
        // It is renamed into place, so it is whole as soon as it is there.
        let said: Value = serde_json::from_slice(&text).unwrap();
        Self::of(folder, &said)
    }

    fn of(folder: &Path, said: &Value) -> Self {
        let word = |name: &str| said[name].as_str().unwrap();
        let door = if let Some(rest) = word("http").strip_prefix("https://") {
            let (name, port) = rest.rsplit_once(':').unwrap();
            let ca = std::fs::read(word("ca")).unwrap();
            // The name is known here only: it stands where its metrics are.
            let host = Door::plain(word("metrics")).address.ip();
            Door {
                address: (host, port.parse().unwrap()).into(),
                tls: Some((postrider_tls::trusting(&ca).unwrap(), name.to_owned())),
            }
        } else {
            Door::plain(word("http"))
        };
        let kept = std::fs::read(folder.join("sandbox.json")).unwrap();
        let kept: Value = serde_json::from_slice(&kept).unwrap();
        Self {
            folder: folder.to_owned(),
            http: door,
            key: word("api_key").to_owned(),
            tenant: kept["tenant"].as_str().unwrap().to_owned(),
            mailbox: Door::plain(word("mailbox")),
            metrics: Door::plain(word("metrics")),
        }
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.folder.join("postrider.toml")
    }

    /// The same place, used by another tenant.
    pub(crate) fn as_tenant(&self, key: &str, tenant: &str) -> Self {
        Self {
            key: key.to_owned(),
            tenant: tenant.to_owned(),
            ..self.clone()
        }
    }

    /// A new tenant of this place: tests that change a tenant take one of their own.
    /// Its key is good at the door when this returns.
    pub(crate) async fn another(&self, name: &str) -> Self {
        let tenant = self.added(name);
        until("the door knows the tenant", async || {
            (tenant.get("/usage").await.status == 200).then_some(())
        })
        .await;
        tenant
    }

    /// A new tenant, made whether the relay runs or not.
    pub(crate) fn added(&self, name: &str) -> Self {
        let reply_to = "owner@another.test";
        let made = self.command(&["tenant", "add", "--name", name, "--reply-to", reply_to]);
        let word = |name: &str| made[name].as_str().unwrap();
        self.as_tenant(word("api_key"), word("slug"))
    }

    /// A request with the tenant's key.
    pub(crate) async fn ask(
        &self,
        method: &str,
        path: &str,
        fields: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let bearer = format!("Bearer {}", self.key);
        let mut all = vec![("authorization", bearer.as_str())];
        all.extend_from_slice(fields);
        self.http.ask(method, path, &all, body).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], b"").await
    }

    /// `POST /emails`.
    pub(crate) async fn post(&self, body: impl AsRef<[u8]>) -> Answer {
        let json = [("content-type", "application/json")];
        self.ask("POST", "/emails", &json, body.as_ref()).await
    }

    /// `POST /emails/raw` to these.
    pub(crate) async fn post_raw(&self, to: &[&str], raw: &[u8]) -> Answer {
        let to: Vec<_> = to.iter().map(|one| format!("to={one}")).collect();
        let path = format!("/emails/raw?{}", to.join("&"));
        let kind = [("content-type", "message/rfc822")];
        self.ask("POST", &path, &kind, raw).await
    }

    /// Sends a message; gives its id.
    pub(crate) async fn send(&self, message: Value) -> String {
        self.post(message.to_string()).await.id()
    }

    /// Sends a short message to one; gives its id.
    pub(crate) async fn send_to(&self, recipient: &str) -> String {
        let text = "It is ready.";
        self.send(json!({"to": recipient, "subject": "Your car", "text": text}))
            .await
    }

    pub(crate) async fn email(&self, id: &str) -> Value {
        let answer = self.get(&format!("/emails/{id}")).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }

    pub(crate) async fn events(&self, id: &str) -> Timeline {
        let answer = self.get(&format!("/emails/{id}/events")).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        Timeline(answer.json()["data"].as_array().unwrap().clone())
    }

    /// The events as soon as this holds of them.
    pub(crate) async fn events_when(
        &self,
        id: &str,
        holds: impl Fn(&Timeline) -> bool,
    ) -> Timeline {
        let end = Instant::now() + PATIENCE;
        loop {
            let seen = self.events(id).await;
            if holds(&seen) {
                return seen;
            }
            assert!(Instant::now() < end, "waited in vain: {:#?}", seen.0);
            sleep(Duration::from_millis(25)).await;
        }
    }

    /// The events once each recipient has come to an end.
    pub(crate) async fn settled(&self, id: &str) -> Timeline {
        self.events_when(id, Timeline::is_settled).await
    }

    /// What the fake exchangers received for this recipient, the oldest first.
    pub(crate) async fn received(&self, recipient: &str) -> Vec<Value> {
        let list = self.mailbox.get("/dev/mailbox").await.json();
        let entries = list.as_array().unwrap().iter();
        entries
            .filter(|entry| {
                entry["rcpt_to"]
                    .as_array()
                    .unwrap()
                    .contains(&recipient.into())
            })
            .cloned()
            .collect()
    }

    /// The one message that came for this recipient, with its bytes.
    pub(crate) async fn received_once(&self, recipient: &str) -> (Value, Vec<u8>) {
        let mut entries = self.received(recipient).await;
        assert_eq!(entries.len(), 1, "{entries:#?}");
        let entry = entries.remove(0);
        let raw = self.raw(&entry).await;
        (entry, raw)
    }

    /// The bytes of an entry of the mailbox.
    pub(crate) async fn raw(&self, entry: &Value) -> Vec<u8> {
        let id = entry["id"].as_str().unwrap();
        let answer = self.mailbox.get(&format!("/dev/mailbox/{id}/raw")).await;
        assert_eq!(answer.status, 200);
        answer.body
    }

    /// One of the operator's commands on this place, answered in JSON.
    pub(crate) fn command(&self, words: &[&str]) -> Value {
        let output = self.try_command(words);
        let fault = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{words:?}: {fault}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    pub(crate) fn try_command(&self, words: &[&str]) -> std::process::Output {
        let config = self.config();
        let place = ["--json".as_ref(), "--config".as_ref(), config.as_path()];
        run(words.iter().map(Path::new).chain(place))
    }
}
