//! Relays as processes: a folder and a configuration each, started, measured, stopped, killed,
//! paused.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::database::{Database, Kind, Store};
use crate::meter::{Counters, Used};
use crate::sink::Sink;
use crate::source::Door;
use crate::stock::Stock;

/// The relays' name. Reserved for examples (RFC 6761).
pub(crate) const HOST: &str = "bench.example";
const CERTIFICATE: &str = "smtp.pem";
const KEY: &str = "smtp-key.pem";
/// Until a started relay listens, and until a stopped one is gone.
const PATIENCE: Duration = Duration::from_mins(2);
const LOOK: Duration = Duration::from_millis(2);

/// Everything relays of one run share: folder, database, binary.
pub(crate) struct Base {
    pub(crate) database: Database,
    folder: TempDir,
    binary: PathBuf,
}

/// What a relay does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    All,
    Ingest,
    Delivery,
}

/// Settings of a relay that differ between scenarios: lines of its `[delivery]` table.
pub(crate) type More<'a> = &'a str;

/// One relay: where it lives, and its process while it runs.
pub(crate) struct Relay {
    pub(crate) name: String,
    pub(crate) door: Door,
    /// Where it takes mail by SMTP: TLS at once or STARTTLS.
    pub(crate) smtp: Door,
    pub(crate) metrics: Door,
    role: Role,
    config: PathBuf,
    binary: PathBuf,
    log: PathBuf,
    child: Option<Child>,
    /// The one processor it runs on; any where none is named.
    pub(crate) core: Option<u32>,
    /// When its process was last started.
    pub(crate) started: Instant,
    /// What its processes before this one have used.
    before: Used,
}

impl Base {
    /// Makes the first relay's folder, with keys and an empty database.
    pub(crate) async fn found(binary: &Path, kind: Kind) -> anyhow::Result<Self> {
        let database = Database::new(kind).await?;
        let folder = tempfile::Builder::new()
            .prefix("postrider-bench")
            .tempdir()?;
        let base = Self {
            database,
            folder,
            binary: binary.to_owned(),
        };
        let mut init = Command::new(binary);
        init.arg("init").arg(base.home()).args(["--host", HOST]);
        init.args(["--contact", "ann@corp.example"]);
        if kind == Kind::Postgres {
            init.arg("--database").arg(base.database.url(&base.home()));
        }
        let made = init.output().context("the binary cannot be started")?;
        ensure!(
            made.status.success(),
            "init: {}",
            String::from_utf8_lossy(&made.stderr)
        );
        base.certify()?;
        Ok(base)
    }

    // Clients sign in under TLS only. Nobody checks whose certificate it is.
    fn certify(&self) -> anyhow::Result<()> {
        let made = Command::new("openssl")
            .current_dir(self.home())
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt"])
            .args(["ec_paramgen_curve:prime256v1", "-nodes", "-days", "30"])
            .args(["-keyout", KEY, "-out", CERTIFICATE])
            .args(["-subj", &format!("/CN={HOST}")])
            .args(["-addext", &format!("subjectAltName=DNS:{HOST}")])
            .output()
            .context("openssl, for a certificate")?;
        let said = String::from_utf8_lossy(&made.stderr);
        ensure!(made.status.success(), "openssl: {said}");
        Ok(())
    }

    fn home(&self) -> PathBuf {
        self.folder.path().join("relay")
    }

    /// The database without a relay, to lay in stock. Close it before one starts on SQLite.
    pub(crate) async fn stock(&self) -> anyhow::Result<(Stock, Store)> {
        let store = self.database.open(&self.home()).await?;
        let (directory, intake) = store.ports();
        let key = self.home().join("master.key");
        let stock = Stock::open(directory, intake, &key, HOST).await?;
        Ok((stock, store))
    }

    /// Prepares one relay, which does not run yet. Several may share the database on PostgreSQL.
    pub(crate) fn relay(
        &self,
        name: &str,
        role: Role,
        sink: &Sink,
        more: More<'_>,
    ) -> anyhow::Result<Relay> {
        let (door, smtp, metrics) = (free_address()?, free_address()?, free_address()?);
        let config = self.home().join(format!("{name}.toml"));
        let text = self.configuration(name, [door, smtp, metrics], sink, more);
        fs::write(&config, text)?;
        Ok(Relay {
            name: name.to_owned(),
            door,
            smtp,
            metrics,
            role,
            config,
            binary: self.binary.clone(),
            log: self.folder.path().join(format!("{name}.log")),
            child: None,
            core: None,
            started: Instant::now(),
            before: Used::default(),
        })
    }

    // What a relay reads, with these addresses of its doors.
    fn configuration(
        &self,
        name: &str,
        [door, smtp, metrics]: [SocketAddr; 3],
        sink: &Sink,
        more: More<'_>,
    ) -> String {
        let node = match self.database {
            Database::Sqlite => String::new(),
            Database::Postgres { .. } => format!("node = \"{name}\""),
        };
        format!(
            r#"[operator]
contact = "postmaster@relay.example"

[service]
host = "{HOST}"
send_domain = "send.{HOST}"
bounce_domain = "bounce.{HOST}"
[database]
url = "{url}"
[http]
listen = ["{door}"]
[smtp]
enabled = true
listen = [{{ address = "{smtp}", banner_after_ms = 3000 }}]
certificates = [{{ certificate = "{CERTIFICATE}", key = "{KEY}" }}]
[metrics]
listen = "{metrics}"
[dns]
servers = ["{dns}"]
[limits]
free_space_bytes = 1
[log]
filter = "warn"
[delivery]
port = {port}
dial = "loopback"
allow_destinations = ["127.0.0.0/8"]
journal = "{name}.journal"
{node}
{more}
"#,
            url = self.database.url(&self.home()),
            dns = sink.dns,
            port = sink.port,
        )
    }
}

pub(crate) fn free_address() -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?)
}

impl Relay {
    /// From its next start on its HTTP is under TLS.
    pub(crate) fn put_under_tls(&self) -> anyhow::Result<()> {
        let text = fs::read_to_string(&self.config)?;
        let pair = format!("tls_certificate = \"{CERTIFICATE}\"\ntls_key = \"{KEY}\"");
        let text = text.replacen("[http]", &format!("[http]\n{pair}"), 1);
        Ok(fs::write(&self.config, text)?)
    }

    /// Starts its process; it may not listen yet.
    pub(crate) fn start(&mut self) -> anyhow::Result<()> {
        // setpriv becomes the relay itself, which then ends with this process however that ends.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]);
        if let Some(core) = self.core {
            command.args(["taskset", "--cpu-list", &core.to_string()]);
        }
        command.arg(&self.binary);
        command.arg("serve").arg("--config").arg(&self.config);
        match self.role {
            Role::All => {}
            Role::Ingest => drop(command.args(["--role", "ingest"])),
            Role::Delivery => drop(command.args(["--role", "delivery"])),
        }
        let log = File::options().create(true).append(true).open(&self.log)?;
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        self.started = Instant::now();
        self.child = Some(command.spawn().context("setpriv of util-linux is needed")?);
        Ok(())
    }

    /// Waits until it listens.
    pub(crate) async fn listens(&mut self) -> anyhow::Result<()> {
        let door = if self.role == Role::Delivery {
            self.metrics
        } else {
            self.door
        };
        while self.started.elapsed() < PATIENCE {
            if TcpStream::connect(door).await.is_ok() {
                return Ok(());
            }
            if let Some(child) = &mut self.child
                && let Some(status) = child.try_wait()?
            {
                bail!("{} ended, {status}: {}", self.name, self.printed());
            }
            tokio::time::sleep(LOOK).await;
        }
        bail!("{} does not listen: {}", self.name, self.printed())
    }

    /// A command of an operator on it, answered in JSON.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(words).arg("--json");
        command.arg("--config").arg(&self.config);
        command
    }

    /// Its process, while it runs.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// What its processes have used, all together; memory of the one that runs.
    pub(crate) fn used(&self) -> Used {
        let now = self
            .child
            .as_ref()
            .map_or(Used::default(), |child| Used::by(child.id()));
        Used {
            cpu_micros: now.cpu_micros + self.before.cpu_micros,
            written_bytes: now.written_bytes + self.before.written_bytes,
            ..now
        }
    }

    pub(crate) async fn counters(&self) -> anyhow::Result<Counters> {
        Counters::of(self.metrics).await
    }

    /// Sends its process a signal.
    pub(crate) fn signal(&mut self, signal: Signal) -> anyhow::Result<()> {
        let child = self.child.as_ref().context("it does not run")?;
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        Ok(kill_process(pid.context("a process id")?, signal)?)
    }

    /// SIGTERM, and its end.
    pub(crate) async fn stop(&mut self) -> anyhow::Result<Duration> {
        let began = Instant::now();
        self.note_use();
        self.signal(Signal::TERM)?;
        self.ended().await?;
        Ok(began.elapsed())
    }

    /// SIGKILL, and its end.
    pub(crate) async fn kill(&mut self) -> anyhow::Result<()> {
        self.note_use();
        self.signal(Signal::KILL)?;
        self.ended().await
    }

    fn note_use(&mut self) {
        self.before = self.used();
    }

    async fn ended(&mut self) -> anyhow::Result<()> {
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            let Some(child) = &mut self.child else {
                return Ok(());
            };
            if child.try_wait()?.is_some() {
                self.child = None;
                return Ok(());
            }
            tokio::time::sleep(LOOK).await;
        }
        bail!("{} does not end: {}", self.name, self.printed())
    }

    /// The end of its log.
    pub(crate) fn printed(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let last = lines.len().saturating_sub(20);
        lines.get(last..).unwrap_or_default().join("\n")
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // It is gone already where that fails.
            let _gone = child.kill();
            let _reaped = child.wait();
        }
    }
}
