//! What each SDK is given to walk through the story, and what it tells.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use postrider_http::oracle::{Exchange, Oracle};
use postrider_runtime::Clock;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::harness::{Place, Sandbox, unique};
use crate::proxy::Proxy;
use crate::traps;

/// A tenant of its own with all that the story needs.
pub(crate) struct Story {
    pub(crate) place: Place,
    pub(crate) proxy: Proxy,
    /// Recipients and keys are told apart by it.
    pub(crate) word: String,
    /// What the SDK cannot know.
    pub(crate) given: Value,
    /// A sandbox that no other story is in.
    _own: Option<Sandbox>,
}

/// What an SDK gave or said at each step.
#[derive(Default)]
pub(crate) struct Told(HashMap<String, Value>);

/// What every attachment of the story holds.
pub(crate) fn content() -> Vec<u8> {
    (0..48_u8)
        .map(|n| n.wrapping_mul(37).wrapping_add(128))
        .collect()
}

/// Nobody has a message of this id.
pub(crate) const NOBODYS: &str = "019c12f8-6c00-7a4e-9d51-2f8c6a1b7e30";

/// Who answers for the tenants that tests make.
pub(crate) const REPLY_TO: &str = "owner@another.test";

/// More than a request may have.
const TOO_LARGE: usize = 42_000_000;

impl Story {
    pub(crate) async fn begin() -> Self {
        static SHARED: OnceCell<Sandbox> = OnceCell::const_new();
        let shared = &SHARED.get_or_init(Sandbox::over_tls).await.place;
        Self::of(shared, None).await
    }

    /// In a relay that takes longer over its first message than an equal request waits for it.
    pub(crate) async fn begin_stalled() -> Self {
        let own = Sandbox::over_tls_stalled("store.before_commit=8s").await;
        Self::of(&own.place.clone(), Some(own)).await
    }

    async fn of(place: &Place, own: Option<Sandbox>) -> Self {
        let place = place.another("Story").await;
        let word = unique();
        let given = given(&place, &word, own.is_some()).await;
        Self {
            proxy: Proxy::before(&place).await,
            place,
            word,
            given,
            _own: own,
        }
    }

    /// The story's recipient of this name.
    pub(crate) fn to(&self, who: &str) -> String {
        format!("{who}-{}@example.org", self.word)
    }

    /// One of its keys and texts.
    pub(crate) fn word(&self, name: &str) -> &str {
        self.given[name].as_str().unwrap()
    }

    /// The authority that clients must trust.
    pub(crate) fn ca(&self) -> PathBuf {
        self.place.folder.join("ca.pem")
    }

    /// Runs a script that prints a line of JSON for each step.
    pub(crate) async fn told_by(
        &self,
        program: &Path,
        script: &str,
        words: &[(&str, &str)],
    ) -> Told {
        let mut command = Command::new(program);
        command
            .arg(
                Path::new(env!("CARGO_MANIFEST_DIR"))
                    .join("tests/sdk")
                    .join(script),
            )
            .arg(self.given.to_string())
            // What else is set here could lead elsewhere: proxies, other keys.
            .env_clear()
            .env("RESEND_API_KEY", &self.place.key)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .envs(words.iter().copied())
            .stdin(Stdio::null());
        let ran = tokio::task::spawn_blocking(move || command.output());
        let output = ran.await.unwrap().unwrap();
        let printed = String::from_utf8(output.stdout).unwrap();
        let fault = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{script}: {fault}\n{printed}");
        Told::read(&printed)
    }

    /// All that passed, after the contract and what is known of SDKs have judged it.
    pub(crate) async fn judged(&mut self) -> Vec<Exchange> {
        let contract = self.place.http.get("/openapi.json").await.json();
        let oracle = Oracle::new(contract).unwrap_or_else(|fault| panic!("{fault}"));
        let passed = self.proxy.passed();
        for exchange in &passed {
            let judged = oracle.check(exchange);
            judged.unwrap_or_else(|fault| panic!("{fault}"));
            traps::avoids_all(exchange);
        }
        passed
    }
}

/// In a stalled relay nothing is sent before the story, whose first message is to be the slow one.
async fn given(place: &Place, word: &str, is_stalled: bool) -> Value {
    let used = !is_stalled;
    let now = Clock::system().now();
    let after = |hours| now.after(Duration::from_hours(hours)).to_string();
    json!({
        "word": word,
        "bytes": content(),
        "reply_to": REPLY_TO,
        "nobodys": NOBODYS,
        "too_large": TOO_LARGE,
        "in_an_hour": after(1),
        "in_two_hours": after(2),
        "invalid_key": revoked(place),
        "quota_key": with_quota(place, "--per-day", used).await,
        "monthly_key": with_quota(place, "--per-month", used).await,
        "limited_key": limited(place, ["--requests-per-second", "1"]).await,
    })
}

fn revoked(place: &Place) -> String {
    let made = place.command(&["key", "create", &place.tenant]);
    place.command(&["key", "revoke", made["id"].as_str().unwrap()]);
    made["api_key"].as_str().unwrap().to_owned()
}

async fn limited(place: &Place, limit: [&str; 2]) -> String {
    tenant(place, limit).await.key
}

/// Of two recipients one is left, where it is used.
async fn with_quota(place: &Place, quota: &str, is_used: bool) -> String {
    let tenant = tenant(place, [quota, "2"]).await;
    if is_used {
        tenant.send_to("first@example.org").await;
    }
    tenant.key
}

async fn tenant(place: &Place, limit: [&str; 2]) -> Place {
    let tenant = place.another("Limited").await;
    place.command(&["tenant", "limit", &tenant.tenant, limit[0], limit[1]]);
    tenant
}

impl Told {
    fn read(printed: &str) -> Self {
        let mut told = Self::default();
        for line in printed.lines() {
            let mut line: Value = serde_json::from_str(line).unwrap();
            let step = line["step"].as_str().unwrap().to_owned();
            told.add(&step, line.take());
        }
        told
    }

    /// `{"ok":…}` or `{"error":…}`.
    pub(crate) fn add(&mut self, step: &str, line: Value) {
        let twice = self.0.insert(step.to_owned(), line);
        assert!(twice.is_none(), "{step} is told twice");
    }

    /// What the SDK gave.
    #[track_caller]
    pub(crate) fn ok(&self, step: &str) -> &Value {
        let line = self.line(step);
        assert!(line.get("ok").is_some(), "{step}: {line}");
        &line["ok"]
    }

    /// The id in what it gave.
    #[track_caller]
    pub(crate) fn id(&self, step: &str) -> &str {
        self.ok(step)["id"].as_str().unwrap()
    }

    /// The ids of the list in what it gave.
    #[track_caller]
    pub(crate) fn ids(&self, step: &str) -> Vec<&str> {
        let data = self.ok(step)["data"].as_array().unwrap();
        data.iter().map(|one| one["id"].as_str().unwrap()).collect()
    }

    /// What it said of a refusal.
    #[track_caller]
    pub(crate) fn error(&self, step: &str) -> &Value {
        let line = self.line(step);
        assert!(line.get("error").is_some(), "{step}: {line}");
        &line["error"]
    }

    #[track_caller]
    fn line(&self, step: &str) -> &Value {
        let line = self.0.get(step);
        line.unwrap_or_else(|| panic!("nothing is told of {step}"))
    }
}
