//! A process of ours: started, watched, ended by its id.

use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};

use super::until;

const BINARY: &str = env!("CARGO_BIN_EXE_postrider");

/// Ends with this value, and with the test program whatever way that ends.
pub(crate) struct Process {
    child: Child,
    watchdog: Child,
    log: PathBuf,
}

/// One command of the binary, run to its end.
pub(crate) fn run<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Output {
    let mut command = Command::new(BINARY);
    command.args(arguments).stdin(Stdio::null());
    command.output().unwrap()
}

/// The same; what it prints goes there.
pub(crate) fn run_into(arguments: &[&str], printed: impl Into<Stdio>) -> Output {
    let mut command = Command::new(BINARY);
    command.args(arguments).stdin(Stdio::null()).stdout(printed);
    command.stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    child.wait_with_output().unwrap()
}

impl Process {
    /// Starts the binary. What it prints goes to `folder`/`name`.log.
    pub(crate) fn start<S: AsRef<OsStr>>(
        folder: &Path,
        name: &str,
        arguments: impl IntoIterator<Item = S>,
    ) -> Self {
        let mut command = Command::new(BINARY);
        command.args(arguments);
        Self::spawn(command, folder, name)
    }

    /// The same with a failpoint armed: the process kills itself there, or waits (`name=7s`). None
    /// where it is empty.
    pub(crate) fn start_armed<S: AsRef<OsStr>>(
        folder: &Path,
        name: &str,
        failpoint: &str,
        arguments: impl IntoIterator<Item = S>,
    ) -> Self {
        let mut command = Command::new(BINARY);
        command
            .args(arguments)
            .env("POSTRIDER_FAILPOINT", failpoint);
        Self::spawn(command, folder, name)
    }

    /// Starts any command that runs the binary, in a folder that is removed should the test
    /// program die.
    pub(crate) fn spawn(mut command: Command, folder: &Path, name: &str) -> Self {
        let log = folder.join(format!("{name}.log"));
        let file = File::create(&log).unwrap();
        command
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file);
        let child = command.spawn().unwrap();
        let watchdog = watchdog(child.id(), folder);
        Self {
            child,
            watchdog,
            log,
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has printed so far.
    pub(crate) fn printed(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// How it ended, if it did.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// SIGTERM.
    pub(crate) fn terminate(&self) {
        signal("TERM", self.id());
    }

    /// SIGTERM, and its end.
    pub(crate) async fn stop(mut self) -> ExitStatus {
        self.terminate();
        self.end().await
    }

    /// SIGKILL, and its end.
    pub(crate) async fn kill(mut self) {
        self.child.kill().unwrap();
        assert_eq!(self.end().await.signal(), Some(9));
    }

    /// Its end, whatever brings it.
    pub(crate) async fn end(&mut self) -> ExitStatus {
        let id = self.id();
        until(&format!("the end of process {id}"), async || self.ended()).await
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            let _gone = self.child.kill();
        }
        let _reaped = self.child.wait();
        // Only now: its process id is nobody else's until it was waited for.
        let _gone = self.watchdog.kill();
        let _reaped = self.watchdog.wait();
    }
}

/// Sends a signal to one process.
pub(crate) fn signal(name: &str, id: u32) {
    let sent = Command::new("kill")
        .arg(format!("-{name}"))
        .arg(id.to_string())
        .status()
        .unwrap();
    assert!(sent.success(), "kill -{name} {id}");
}

// Reads from the test program until that is no more. What stands in a `static` is never dropped,
// and a test program can be killed.
fn watchdog(id: u32, folder: &Path) -> Child {
    Command::new("sh")
        .args(["-c", r#"read -r _; kill -9 "$1"; rm -rf -- "$2""#, "sh"])
        .arg(id.to_string())
        .arg(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}
