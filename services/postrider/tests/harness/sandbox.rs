//! A sandbox of the real binary in its two arrangements.
//!
//! One process is `postrider dev`. Two processes are `postrider fakenet` and `postrider serve` in a
//! folder that a `dev` run made. Both look the same from outside: a `Place`. Each sandbox has a network
//! of the loopback for itself, so that none takes a port of another that is being restarted.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;

use postrider_fakenet::OwnNetwork;
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::sync::OnceCell;

use super::{Database, Door, Place, Process, until};

/// A running sandbox in a folder of its own.
pub(crate) struct Sandbox {
    pub(crate) place: Place,
    /// `dev`, or `serve`.
    pub(crate) relay: Option<Process>,
    pub(crate) internet: Option<Process>,
    pub(crate) database: Database,
    pub(crate) network: OwnNetwork,
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
        let network = OwnNetwork::take().unwrap();
        let words = [database.words().as_slice(), words].concat();
        let mut dev = start_dev_armed(&data, network.host(), &words, failpoint);
        let place = Place::announced(&data, &mut dev).await;
        Self {
            place,
            relay: Some(dev),
            internet: None,
            database,
            network,
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

    /// What the relay logs from its next start on.
    pub(crate) fn log_as(&self, filter: &str) {
        let text = std::fs::read_to_string(self.place.config()).unwrap();
        let now = text.lines().find(|line| line.starts_with("filter = "));
        self.configure(now.unwrap(), &format!("filter = \"{filter}\""));
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

/// Starts `dev` in a folder, at ports of this host that are free; its log lies beside the folder.
pub(crate) fn start_dev(folder: &Path, host: Ipv4Addr, words: &[&str]) -> Process {
    start_dev_armed(folder, host, words, "")
}

fn start_dev_armed(folder: &Path, host: Ipv4Addr, words: &[&str], failpoint: &str) -> Process {
    let any = format!("{host}:0");
    let doors = ["dev", "--http", &any, "--smtp", &any, "--data"];
    let all = doors.iter().map(Path::new).chain([folder]);
    let all = all.chain(words.iter().map(Path::new));
    Process::start_armed(folder.parent().unwrap(), "dev", failpoint, all)
}
