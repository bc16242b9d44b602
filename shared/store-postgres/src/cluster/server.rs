//! One server: its folder, its programs, its start and stop.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::{ClusterError, Settings};

/// PostgreSQL refuses to run as root: then its programs run as this user and group (`nobody` and
/// `nogroup` everywhere we know of).
const NOBODY: u32 = 65_534;
/// Part of the socket's name. Each socket lies in its server's own folder, and nothing is listened
/// on beside it: a server that is started again cannot find its place taken.
const PORT: u16 = 5_432;
/// Seconds that starting and stopping may take.
const PATIENCE: &str = "120";

pub(super) struct Server {
    /// Where PostgreSQL's programs are.
    programs: PathBuf,
    /// `data`, `s` (the socket), `log`, `port`.
    pub(super) folder: PathBuf,
    port: u16,
}

impl Server {
    /// Makes a new one in `folder`, which is there and empty, and starts it.
    pub(super) fn make(folder: &Path, settings: &Settings) -> Result<Self, ClusterError> {
        let programs = programs()?;
        for name in ["data", "s"] {
            own_folder(&folder.join(name))?;
        }
        let log = folder.join("log");
        file(&log, File::create(&log).map(drop))?;
        give_away(&log)?;
        let server = Self {
            programs,
            folder: folder.to_owned(),
            port: PORT,
        };
        let data = server.data();
        server.run("initdb", |initdb| {
            initdb
                .arg("-D")
                .arg(&data)
                .args(["-U", "postgres", "-A", "trust", "-E", "UTF8"])
                .args(["--locale=C", "--no-sync"]);
        })?;
        let conf = data.join("postgresql.auto.conf");
        file(&conf, fs::write(&conf, configuration(settings)))?;
        server.start()?;
        let path = folder.join("port");
        file(&path, fs::write(&path, PORT.to_string()))?;
        Ok(server)
    }

    /// The one that lives in `folder`, if it does.
    pub(super) fn find(folder: &Path) -> Result<Option<Self>, ClusterError> {
        let Some(port) = fs::read_to_string(folder.join("port"))
            .ok()
            .and_then(|text| text.trim().parse().ok())
        else {
            return Ok(None);
        };
        let server = Self {
            programs: programs()?,
            folder: folder.to_owned(),
            port,
        };
        let answers = server.run("pg_isready", |ready| {
            ready.arg("-q").arg("-h").arg(folder.join("s"));
            ready.args(["-t", "60", "-p", &port.to_string()]);
        });
        Ok(answers.is_ok().then_some(server))
    }

    pub(super) fn url(&self, database: &str) -> String {
        let socket = self.folder.join("s");
        let (port, socket) = (self.port, socket.display());
        format!("postgres://postgres@localhost:{port}/{database}?host={socket}")
    }

    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.programs.join(name)
    }

    pub(super) fn pid(&self) -> Result<i32, ClusterError> {
        let path = self.data().join("postmaster.pid");
        let text = file(&path, fs::read_to_string(&path))?;
        let first = text
            .lines()
            .next()
            .and_then(|line| line.trim().parse().ok());
        first.ok_or_else(|| ClusterError::Program {
            program: "postgres".to_owned(),
            said: "no process number".to_owned(),
        })
    }

    pub(super) fn start(&self) -> Result<(), ClusterError> {
        let (data, log, socket) = (self.data(), self.folder.join("log"), self.folder.join("s"));
        let options = format!("-p {} -k {}", self.port, socket.display());
        self.run("pg_ctl", |start| {
            start.arg("-D").arg(data).arg("-l").arg(log);
            start.args(["-s", "-w", "-t", PATIENCE, "-o", &options, "start"]);
        })?;
        Ok(())
    }

    pub(super) fn stop_immediate(&self) -> Result<(), ClusterError> {
        let data = self.data();
        self.run("pg_ctl", |stop| {
            stop.arg("-D").arg(data);
            stop.args(["-s", "-w", "-t", PATIENCE, "-m", "immediate", "stop"]);
        })?;
        Ok(())
    }

    pub(super) fn signal_all(&self, signal: Signal) -> Result<(), ClusterError> {
        let postmaster = self.pid()?;
        let mut all = vec![postmaster];
        all.extend(children(postmaster));
        for pid in all {
            if let Some(pid) = Pid::from_raw(pid) {
                // One that ended meanwhile needs no signal.
                let _gone = kill_process(pid, signal);
            }
        }
        Ok(())
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn run(&self, program: &str, say: impl FnOnce(&mut Command)) -> Result<Output, ClusterError> {
        let mut command = unprivileged(&self.program(program));
        say(&mut command);
        // Not a pipe: a server that is started keeps it open.
        let said = self.folder.join(format!("said{}", std::process::id()));
        let out = file(&said, File::create(&said))?;
        let both = file(&said, out.try_clone())?;
        let ended = command
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(both)
            .status();
        let ended = file(&self.program(program), ended)?;
        let text = fs::read_to_string(&said).unwrap_or_default();
        let _gone = fs::remove_file(&said);
        if ended.success() {
            return Ok(Output {
                status: ended,
                stdout: text.into_bytes(),
                stderr: Vec::new(),
            });
        }
        let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        let tail: Vec<&str> = log.lines().rev().take(5).collect();
        Err(ClusterError::Program {
            program: program.to_owned(),
            said: format!("{text} {}", tail.join(" | ")),
        })
    }
}

/// Ends a server that lives in `data` although nobody can reach it.
pub(super) fn put_down(data: &Path) {
    let text = fs::read_to_string(data.join("postmaster.pid")).unwrap_or_default();
    let pid = text
        .lines()
        .next()
        .and_then(|line| line.trim().parse().ok());
    let Some(pid) = pid.and_then(Pid::from_raw) else {
        return;
    };
    let there = PathBuf::from(format!("/proc/{}", pid.as_raw_nonzero()));
    // SIGQUIT is an immediate stop; other processes may have that number by now.
    let ours = fs::read_to_string(there.join("comm")).is_ok_and(|name| name.trim() == "postgres");
    if ours && kill_process(pid, Signal::QUIT).is_ok() {
        for _ in 0..100 {
            if !there.exists() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    }
}

/// A program as a user that PostgreSQL accepts.
pub(super) fn unprivileged(program: &Path) -> Command {
    if !rustix::process::geteuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    let (user, group) = (format!("--reuid={NOBODY}"), format!("--regid={NOBODY}"));
    command.args([&user, &group, "--clear-groups", "--"]);
    command.arg(program);
    command
}

/// A folder that is ours: nobody else put it there.
pub(super) fn private_folder(path: &Path) -> Result<(), ClusterError> {
    match fs::create_dir(path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => file(path, Err(error))?,
        _ => {}
    }
    let there = file(path, fs::symlink_metadata(path))?;
    if !there.is_dir() || there.uid() != rustix::process::geteuid().as_raw() {
        return Err(ClusterError::Foreign {
            path: path.to_owned(),
        });
    }
    // Seen into by the user that the server runs as.
    file(
        path,
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)),
    )
}

pub(super) fn file<T>(path: &Path, done: std::io::Result<T>) -> Result<T, ClusterError> {
    done.map_err(|source| ClusterError::File {
        path: path.to_owned(),
        source,
    })
}

fn own_folder(path: &Path) -> Result<(), ClusterError> {
    file(path, fs::create_dir(path))?;
    file(
        path,
        fs::set_permissions(path, fs::Permissions::from_mode(0o700)),
    )?;
    give_away(path)
}

fn give_away(path: &Path) -> Result<(), ClusterError> {
    if rustix::process::geteuid().is_root() {
        file(
            path,
            std::os::unix::fs::chown(path, Some(NOBODY), Some(NOBODY)),
        )?;
    }
    Ok(())
}

/// Where PostgreSQL's programs are: on the path, or where Debian puts them, the newest.
fn programs() -> Result<PathBuf, ClusterError> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let debian = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let mut versions: Vec<PathBuf> = debian.flatten().map(|entry| entry.path()).collect();
    versions.sort();
    folders.extend(versions.iter().rev().map(|version| version.join("bin")));
    // On the path there may be links to some of them only.
    let mut found = folders.into_iter().filter_map(|folder| {
        let folder = fs::canonicalize(folder.join("initdb"))
            .ok()?
            .parent()?
            .to_owned();
        let all = ["initdb", "pg_ctl", "postgres", "pg_isready", "psql"];
        all.iter()
            .all(|name| folder.join(name).is_file())
            .then_some(folder)
    });
    found.next().ok_or(ClusterError::Missing)
}

fn configuration(settings: &Settings) -> String {
    let switch = |on: bool| if on { "on" } else { "off" }.to_owned();
    let mut all = vec![
        ("listen_addresses", String::new()),
        ("max_connections", settings.max_connections.to_string()),
        ("fsync", switch(settings.fsync)),
        ("full_page_writes", switch(settings.fsync)),
        ("shared_buffers", "128MB".to_owned()),
        ("max_wal_size", "2GB".to_owned()),
        ("max_locks_per_transaction", "256".to_owned()),
        ("wal_level", "minimal".to_owned()),
        ("max_wal_senders", "0".to_owned()),
        ("jit", "off".to_owned()),
        ("log_checkpoints", "off".to_owned()),
    ];
    all.extend(settings.more.iter().cloned());
    let line = |(name, value): (&str, String)| format!("{name} = '{value}'\n");
    all.into_iter().map(line).collect()
}

/// Processes whose parent this is.
fn children(parent: i32) -> Vec<i32> {
    let all = fs::read_dir("/proc").into_iter().flatten().flatten();
    all.filter_map(|entry| {
        let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        // «pid (name) state parent …»: the name may have blanks and brackets in it.
        let behind = stat.get(stat.rfind(')')? + 1..)?;
        let of: i32 = behind.split_whitespace().nth(1)?.parse().ok()?;
        (of == parent).then_some(pid)
    })
    .collect()
}
