//! What was acknowledged is on the disk: seen from outside, by the system calls of the process.

use std::collections::HashMap;
use std::process::{Command, Stdio};

use serde_json::json;
use tokio::task::JoinSet;

use crate::harness::tools::missing;
use crate::harness::{Database, Sandbox, unique};

const MESSAGES: usize = 100;

/// The words that start `strace` as a bystander: the process stays our child. `None` where there
/// is none to use; then the test says so, or fails where all tools are required.
pub(crate) fn strace(what: &str) -> Option<Vec<String>> {
    let works = Command::new("strace")
        .args(["-f", "-o", "/dev/null", "true"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if works.is_ok_and(|status| status.success()) {
        return Some(["-D", "-f", "-qq"].map(str::to_owned).to_vec());
    }
    missing(&format!(
        "{what}: strace is missing or not permitted; apt-get install strace"
    ));
    None
}

#[tokio::test]
async fn each_message_is_synced_before_its_answer_is_written() {
    let Some(strace) = strace("the order of write, sync and answer") else {
        return;
    };
    let sandbox = Sandbox::prepared_on(Database::file()).await;
    let trace = traced(sandbox, strace, MESSAGES, 0).await;
    assert_eq!(trace.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn a_large_body_is_synced_before_the_commit_that_refers_to_it() {
    let Some(strace) = strace("the order of write, sync and commit of large bodies") else {
        return;
    };
    let sandbox = Sandbox::prepared_on(Database::file()).await;
    let trace = traced(sandbox, strace, 20, 100_000).await;
    let is_body = |call: &Call| call.name() == "pwrite64" && call.text.contains(".db.bodies/");
    assert!(trace.calls().iter().any(is_body));
    assert_eq!(trace.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn the_same_look_finds_that_a_weaker_setting_does_not_sync() {
    let Some(strace) = strace("the order of write, sync and answer, where it is wrong") else {
        return;
    };
    let sandbox = Sandbox::prepared_on(Database::file()).await;
    let url = "sqlite://postrider.db";
    sandbox.configure(url, &format!("{url}?synchronous=normal"));
    let trace = traced(sandbox, strace, MESSAGES, 0).await;
    let violations = trace.violations();
    assert!(violations.len() > MESSAGES / 2, "{violations:?}");
}

/// What a process called, line by line, and which marker belongs to which answer.
struct Trace {
    lines: Vec<String>,
    /// Marker in the body, id in the answer.
    messages: Vec<(String, String)>,
}

// `more` bytes stand behind the marker in each.
async fn traced(
    mut sandbox: Sandbox,
    mut strace: Vec<String>,
    messages: usize,
    more: usize,
) -> Trace {
    let path = sandbox.folder().join("strace.txt");
    let calls = "trace=write,writev,sendto,sendmsg,pwrite64,pwritev,fsync,fdatasync";
    // A page and what stands around it is printed whole, or a piece of a segment; -y names the files.
    let printed = if more == 0 { "20000" } else { "1100000" };
    for word in ["-y", "-s", printed, "-e", calls, "-o"] {
        strace.push(word.to_owned());
    }
    strace.push(path.to_str().unwrap().to_owned());
    sandbox.serve_under("strace", &strace).await;
    let mut all = JoinSet::new();
    for lane in 0..4 {
        let place = sandbox.place.clone();
        all.spawn(async move {
            let mut sent = Vec::new();
            for n in 0..messages / 4 {
                let marker = format!("Marker{lane}x{n}x{}Marker", unique());
                // Some of them stand whole on one page, wherever its end falls.
                let filling = "filling\r\n".repeat(more / 9);
                let text = format!("{}{filling}", format!("{marker}\r\n").repeat(8));
                // Nobody is dialled for it: the trace is of the door and the store.
                let message = json!({
                    "to": "ann@example.org", "subject": "x", "text": text, "scheduled_at": "in 1 hour",
                });
                sent.push((marker, place.send(message).await));
            }
            sent
        });
    }
    let sent = all.join_all().await.concat();
    assert_eq!(sent.len(), messages);
    sandbox.relay.take().unwrap().stop().await;
    let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
    Trace {
        lines: text.lines().map(str::to_owned).collect(),
        messages: sent,
    }
}

impl Trace {
    /// The messages for which «write of the data < return of a sync of that file that began after
    /// it < begin of the answer» was not seen; with data beside the database, a sync of the log
    /// has to begin after that.
    fn violations(&self) -> Vec<String> {
        let calls = self.calls();
        let mut found = Vec::new();
        for (marker, id) in &self.messages {
            let is_data = |call: &&Call| {
                (call.is_of(LOG) || call.is_of(BODIES)) && call.text.contains(marker)
            };
            let written = calls
                .iter()
                .filter(is_data)
                .find(|call| call.text.contains("pwrite"));
            let answered = calls
                .iter()
                .find(|call| call.text.contains("HTTP/1.1 200") && call.text.contains(id.as_str()));
            let (Some(written), Some(answered)) = (written, answered) else {
                found.push(format!(
                    "{marker}: {} not seen",
                    if written.is_none() { "write" } else { "answer" }
                ));
                continue;
            };
            let synced = |file: &str, after: usize| {
                let mut syncs = calls
                    .iter()
                    .filter(|call| call.is_of(file) && call.is_sync());
                let found = syncs.find(|call| after < call.begin && call.end < answered.begin);
                found.map(|call| call.end)
            };
            let done = if written.is_of(BODIES) {
                synced(BODIES, written.end).and_then(|end| synced(LOG, end))
            } else {
                synced(LOG, written.end)
            };
            if done.is_none() {
                found.push(format!(
                    "{marker}: no sync between lines {} and {}",
                    written.end, answered.begin
                ));
            }
        }
        found
    }

    /// The calls with the lines of their begin and their return: what another thread did in
    /// between divides a call into two lines.
    fn calls(&self) -> Vec<Call> {
        let mut open: HashMap<&str, (usize, &str)> = HashMap::new();
        let mut calls = Vec::new();
        for (at, line) in self.lines.iter().enumerate() {
            let Some((thread, text)) = line.split_once(' ') else {
                continue;
            };
            let text = text.trim_start();
            if let Some(first) = text.strip_suffix(" <unfinished ...>") {
                open.insert(thread, (at, first));
            } else if text.starts_with("<... ") {
                let Some((begin, first)) = open.remove(thread) else {
                    continue;
                };
                let rest = text.split_once(" resumed>").map_or("", |(_, rest)| rest);
                calls.push(Call {
                    begin,
                    end: at,
                    text: format!("{first}{rest}"),
                });
            } else {
                calls.push(Call {
                    begin: at,
                    end: at,
                    text: text.to_owned(),
                });
            }
        }
        calls
    }
}

struct Call {
    begin: usize,
    end: usize,
    text: String,
}

impl Call {
    fn is_of(&self, file: &str) -> bool {
        self.text.contains(file)
    }

    fn is_sync(&self) -> bool {
        matches!(self.name(), "fdatasync" | "fsync") && self.text.ends_with("= 0")
    }

    fn name(&self) -> &str {
        self.text.split('(').next().unwrap_or_default()
    }
}

/// The files that a promise is written to.
const LOG: &str = "postrider.db-wal>";
const BODIES: &str = "postrider.db.bodies/";

const WRITE: &str = r#"1 pwrite64(9</d/postrider.db-wal>, "..Marker1..", 16384, 0) = 16384"#;
const SYNC: &str = "1 fdatasync(9</d/postrider.db-wal>) = 0";
const SYNC_BEGINS: &str = "1 fdatasync(9</d/postrider.db-wal> <unfinished ...>";
const SYNC_ENDS: &str = "1 <... fdatasync resumed>) = 0";
const SYNC_FAILS: &str = "1 fdatasync(9</d/postrider.db-wal>) = -1 EIO (Input/output error)";
const OTHER_FILE: &str = "1 fdatasync(8</d/postrider.db>) = 0";
const WRITE_BODY: &str =
    r#"1 pwrite64(10</d/postrider.db.bodies/01.spool>, "..Marker1..", 99999, 0) = 99999"#;
const SYNC_BODY: &str = "1 fdatasync(10</d/postrider.db.bodies/01.spool>) = 0";
const ANSWER: &str = r#"2 sendto(5<socket:[1]>, "HTTP/1.1 200 OK\r\n{\"id\":\"id-1\"}", 99) = 99"#;

#[test]
fn the_look_at_a_trace_sees_what_is_wrong_with_it() {
    for (lines, good) in [
        (&[WRITE, SYNC, ANSWER][..], true),
        (&[WRITE, SYNC_BEGINS, SYNC_ENDS, ANSWER], true),
        (&[WRITE, ANSWER, SYNC], false),
        (&[SYNC, WRITE, ANSWER], false),
        (&[SYNC, ANSWER], false),
        (&[WRITE, SYNC], false),
        (&[WRITE, OTHER_FILE, ANSWER], false),
        (&[WRITE, SYNC_FAILS, ANSWER], false),
        // The answer began before the sync returned, or the sync before the write did.
        (&[WRITE, SYNC_BEGINS, ANSWER, SYNC_ENDS], false),
        (&[SYNC_BEGINS, WRITE, SYNC_ENDS, ANSWER], false),
        (&[WRITE_BODY, SYNC_BODY, SYNC, ANSWER], true),
        (&[WRITE_BODY, SYNC, ANSWER], false),
        (&[WRITE_BODY, SYNC_BODY, ANSWER], false),
        (&[WRITE_BODY, SYNC, SYNC_BODY, ANSWER], false),
    ] {
        let trace = Trace {
            lines: lines.iter().map(|line| (*line).to_owned()).collect(),
            messages: vec![("Marker1".to_owned(), "id-1".to_owned())],
        };
        assert_eq!(trace.violations().is_empty(), good, "{lines:#?}");
    }
}
