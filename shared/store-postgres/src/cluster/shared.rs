//! Who uses a server: a lock that each user holds for as long as its process lives. Beside each
//! server runs a small shell that waits for the lock and then stops the server.

use std::fs::{self, File};
use std::path::Path;
use std::process::Stdio;

use super::server::{Server, file, private_folder, put_down};
use super::{ClusterError, DRAWN, Settings};

/// The lock of one user. It falls back with the process, however that ends.
pub(super) struct Users(#[expect(dead_code, reason = "held, not read")] File);

/// The server that all processes of this user share.
pub(super) fn join() -> Result<(Server, Users), ClusterError> {
    let user = rustix::process::geteuid().as_raw();
    let folder = std::env::temp_dir().join(format!("postrider-pg-{user}"));
    private_folder(&folder)?;
    // Waits while a server is being stopped.
    let users = open(&folder.join("users"))?;
    file(&folder, users.lock_shared())?;
    // One at a time looks and starts.
    let start = open(&folder.join("start"))?;
    file(&folder, start.lock())?;
    let server = if let Some(server) = Server::find(&folder)? {
        server
    } else {
        clear(&folder)?;
        let settings = Settings {
            fsync: false,
            max_connections: 500,
            more: Vec::new(),
        };
        Server::make(&folder, &settings)?
    };
    let watch = open(&folder.join("watch"))?;
    if watch.try_lock().is_ok() {
        drop(watch);
        supervise(&server, "10")?;
    }
    Ok((server, Users(users)))
}

/// A server for this process alone.
pub(super) fn found(settings: &Settings) -> Result<(Server, Users), ClusterError> {
    let number = DRAWN.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let name = format!("postrider-pg-own-{}-{number}", std::process::id());
    let folder = std::env::temp_dir().join(name);
    private_folder(&folder)?;
    clear(&folder)?;
    let users = open(&folder.join("users"))?;
    file(&folder, users.lock_shared())?;
    let server = Server::make(&folder, settings)?;
    supervise(&server, "0")?;
    Ok((server, Users(users)))
}

/// Waits until nobody holds `users`, for a while, then stops the server and removes what it had.
/// The lock files of the shared folder stay: who waits for one must find the one that others take.
const SUPERVISE: &str = r#"
folder=$1; programs=$2; grace=$3
exec 8>>"$folder/watch"; flock -n 8 || exit 0
while :; do
  exec 9>>"$folder/users"; flock -x 9; flock -u 9; sleep "$grace"
  flock -n -x 9 && break
done
pid=$(head -n 1 "$folder/data/postmaster.pid" 2>/dev/null)
if [ -n "$pid" ]; then
  kill -CONT "$pid" $(cat /proc/"$pid"/task/*/children 2>/dev/null) 2>/dev/null
  "$programs/pg_ctl" -D "$folder/data" -s -w -t 20 -m immediate stop 8>&- 9>&- || kill -KILL "$pid"
fi
rm -rf "$folder/data" "$folder/s" "$folder/port" "$folder/log"
[ "$grace" = 0 ] && rm -rf "$folder"
exit 0
"#;

fn supervise(server: &Server, grace: &str) -> Result<(), ClusterError> {
    for name in ["watch", "users"] {
        open(&server.folder.join(name))?;
    }
    let programs = server.program("");
    let mut shell = std::process::Command::new("setsid");
    if rustix::process::geteuid().is_root() {
        // Stops the server as the user that it runs as; removes it as ours.
        shell.args([
            "sh",
            "-c",
            &SUPERVISE.replace(
                "\"$programs/pg_ctl\"",
                "setpriv --reuid=65534 --regid=65534 --clear-groups \"$programs/pg_ctl\"",
            ),
        ]);
    } else {
        shell.args(["sh", "-c", SUPERVISE]);
    }
    shell.arg("sh").arg(&server.folder).arg(programs).arg(grace);
    shell
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    // Not waited for: it outlives us.
    file(&server.folder, shell.spawn()).map(drop)
}

/// Removes what a server left that was not stopped by its supervisor.
fn clear(folder: &Path) -> Result<(), ClusterError> {
    put_down(&folder.join("data"));
    for name in ["data", "s"] {
        let path = folder.join(name);
        if path.exists() {
            file(&path, fs::remove_dir_all(&path))?;
        }
    }
    for name in ["port", "log"] {
        let path = folder.join(name);
        if path.exists() {
            file(&path, fs::remove_file(&path))?;
        }
    }
    Ok(())
}

fn open(path: &Path) -> Result<File, ClusterError> {
    let mut options = File::options();
    file(path, options.append(true).create(true).open(path))
}
