//! A sandbox of the real binary in its two arrangements, and what can be asked of it from outside.
//!
//! One process is `postrider dev`. Two processes are `postrider fakenet` and `postrider serve` in a
//! folder that a `dev` run made. Both look the same from here: a `Place`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio::time::{Instant, sleep};

use super::process::run;
use super::{Answer, Database, Door, PATIENCE, Process, Timeline, until};

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

/// A running sandbox in a folder of its own.
pub(crate) struct Sandbox {
    pub(crate) place: Place,
    /// `dev`, or `serve`.
    pub(crate) relay: Option<Process>,
    pub(crate) internet: Option<Process>,
    pub(crate) database: Database,
    folder: TempDir,
}

/// The one-process sandbox that tests share which do not disturb each other.
pub(crate) async fn one_process() -> &'static Place {
    static SHARED: OnceCell<Sandbox> = OnceCell::const_new();
    &SHARED.get_or_init(Sandbox::one_process).await.place
}

/// The two-process sandbox that they share.
pub(crate) async fn two_processes() -> &'static Place {
    static SHARED: OnceCell<Sandbox> = OnceCell::const_new();
    &SHARED.get_or_init(Sandbox::two_processes).await.place
}

impl Sandbox {
    pub(crate) async fn one_process() -> Self {
        Self::on(Database::fresh().await).await
    }

    /// As `one_process`, on this database.
    pub(crate) async fn on(database: Database) -> Self {
        Self::started(database, &["--fast"]).await
    }

    /// As `one_process`, over HTTPS, with a certificate of its own authority for `localhost`.
    pub(crate) async fn over_tls() -> Self {
        let words = ["--fast", "--public", "localhost"];
        Self::started(Database::fresh().await, &words).await
    }

    /// The same; who comes first to this failpoint waits there: `name=7s`.
    pub(crate) async fn over_tls_stalled(failpoint: &str) -> Self {
        let (database, words) = (Database::fresh().await, ["--fast", "--public", "localhost"]);
        Self::begun(database, &words, failpoint).await
    }

    async fn started(database: Database, words: &[&str]) -> Self {
        Self::begun(database, words, "").await
    }

    async fn begun(database: Database, words: &[&str], failpoint: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let data = folder.path().join("relay");
        let mut dev = start_dev_armed(&data, &database, words, failpoint);
        let place = Place::announced(&data, &mut dev).await;
        Self {
            place,
            relay: Some(dev),
            internet: None,
            database,
            folder,
        }
    }

    pub(crate) async fn two_processes() -> Self {
        let mut sandbox = Self::prepared().await;
        sandbox.serve().await;
        sandbox
    }

    /// A two-process sandbox whose relay does not run yet.
    pub(crate) async fn prepared() -> Self {
        Self::prepared_on(Database::fresh().await).await
    }

    /// As `prepared`, on this database.
    pub(crate) async fn prepared_on(database: Database) -> Self {
        let mut sandbox = Self::on(database).await;
        sandbox.stop_relay().await;
        sandbox.start_internet().await;
        sandbox
    }

    /// Starts the fake internet alone, on the ports that the folder keeps.
    pub(crate) async fn start_internet(&mut self) {
        let data = self.place.folder.as_path();
        let mut internet = Process::start(
            self.folder.path(),
            "fakenet",
            [
                Path::new("fakenet"),
                "--fast".as_ref(),
                "--data".as_ref(),
                data,
            ],
        );
        let answered = until("the fake internet", async || {
            assert!(internet.ended().is_none(), "{}", internet.printed());
            internet
                .printed()
                .ends_with("}\n")
                .then(|| internet.printed())
        })
        .await;
        let said: Value = serde_json::from_str(&answered).unwrap();
        self.place.mailbox = Door::plain(said["mailbox"].as_str().unwrap());
        self.internet = Some(internet);
    }

    /// Starts the relay alone; returns when it accepts.
    pub(crate) async fn serve(&mut self) {
        let serve = Process::start(self.folder.path(), "serve", self.serve_arguments());
        self.await_door(serve).await;
    }

    /// The same with a failpoint armed.
    pub(crate) async fn serve_armed(&mut self, failpoint: &str) {
        let arguments = self.serve_arguments();
        let serve = Process::start_armed(self.folder.path(), "armed", failpoint, arguments);
        self.await_door(serve).await;
    }

    /// The relay, started by another program that gets its command line after these words.
    pub(crate) async fn serve_under(&mut self, program: &str, words: &[String]) {
        let mut command = Command::new(program);
        command
            .args(words)
            .arg(env!("CARGO_BIN_EXE_postrider"))
            .args(self.serve_arguments());
        let serve = Process::spawn(command, self.folder.path(), "serve");
        self.await_door(serve).await;
    }

    async fn await_door(&mut self, mut serve: Process) {
        let address = self.place.http.address;
        until("the relay's door", async || {
            if let Some(status) = serve.ended() {
                panic!("serve ended, {status}: {}", serve.printed());
            }
            TcpStream::connect(address).await.ok()
        })
        .await;
        self.relay = Some(serve);
    }

    fn serve_arguments(&self) -> Vec<PathBuf> {
        let config = self.place.config();
        vec!["serve".into(), "--config".into(), config]
    }

    /// Changes the configuration that the relay reads at its next start.
    pub(crate) fn configure(&self, from: &str, to: &str) {
        let path = self.place.config();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{from} is not in {text}");
        std::fs::write(&path, text.replacen(from, to, 1)).unwrap();
    }

    /// The relay's end by its own hand.
    pub(crate) async fn relay_dies(&mut self) {
        use std::os::unix::process::ExitStatusExt;
        let mut relay = self.relay.take().unwrap();
        let status = relay.end().await;
        assert_eq!(status.signal(), Some(9), "{status}: {}", relay.printed());
    }

    pub(crate) async fn stop_relay(&mut self) {
        let mut relay = self.relay.take().unwrap();
        relay.terminate();
        let status = relay.end().await;
        assert!(status.success(), "{status}: {}", relay.printed());
    }

    /// Where the relay's folder and the logs lie.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }
}

/// Starts `dev` in a folder, on a port that the system gives; its log lies beside the folder.
pub(crate) fn start_dev(folder: &Path, database: &Database, more: &[&str]) -> Process {
    start_dev_armed(folder, database, more, "")
}

fn start_dev_armed(folder: &Path, database: &Database, more: &[&str], failpoint: &str) -> Process {
    let words = [
        "dev",
        "--http",
        "127.0.0.1:0",
        "--smtp",
        "127.0.0.1:0",
        "--data",
    ];
    let words = words.iter().map(AsRef::as_ref).chain([folder]);
    let more = database.words().into_iter().chain(more.iter().copied());
    let all: Vec<&Path> = words.chain(more.map(Path::new)).collect();
    Process::start_armed(folder.parent().unwrap(), "dev", failpoint, all)
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
            Door {
                address: ([127, 0, 0, 1], port.parse().unwrap()).into(),
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
