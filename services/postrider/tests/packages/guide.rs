//! The guide's commands work as they are written: each page's blocks marked `run` are run in their order, as one
//! script, beside a relay of their own. `run sqlite` and `run postgres` are for that database alone,
//! `run fresh` where there is no relay yet. `walk`, and `walk shop`, is for the rehearsal, which has
//! several machines.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::figures::on_path;
use crate::tools;

const BINARY: &str = env!("CARGO_BIN_EXE_postrider");
const STAGE: &str = include_str!("stage.sh");
const BEFORE_BACKUP: &str = include_str!("before.sh");
const AFTER_RESTORE: &str = include_str!("after.sh");
/// Seconds that a page may take, on a machine that does much else.
const PATIENCE: &str = "540";

fn infra() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../infra")
        .canonicalize()
        .unwrap()
}

/// One fenced block: its language, the words after it, its text.
struct Block {
    language: String,
    words: Vec<String>,
    text: String,
}

fn blocks(page: &str) -> Vec<Block> {
    let mut found = Vec::new();
    // What stands between fences is every second part.
    for part in page.split("```").skip(1).step_by(2) {
        let (head, text) = part.split_once('\n').unwrap();
        let ours = head.split_once(" walk").map_or(head, |(ours, _)| ours);
        let mut words = ours.split(' ').map(str::to_owned);
        found.push(Block {
            language: words.next().unwrap(),
            words: words.collect(),
            text: text.to_owned(),
        });
    }
    found
}

/// A page's commands for this database, with the test's folders and addresses in the place of the guide's.
fn commands(page: &str, database: &str, folder: &Path) -> String {
    let folder = folder.display();
    let url = |name: &str| format!("postgres://postgres@localhost/{name}?host={folder}/pg");
    let mut script = String::new();
    for block in blocks(page) {
        let is_for_us = match block.words.as_slice() {
            [run] => run == "run" && database != "fresh",
            [run, only] => run == "run" && only == database,
            _ => false,
        };
        if !is_for_us {
            continue;
        }
        let text = match block.language.as_str() {
            "python" => format!("python3 - <<'PYTHON'\n{}PYTHON\n", block.text)
                .replace("\"https://relay.example/", "os.environ[\"HTTP\"] + \"/"),
            _ => block.text.replace("'https://relay.example/", "\"$HTTP\"'/"),
        };
        script += &text.replace("https://relay.example", "$HTTP");
    }
    [
        ("/var/lib/postrider", format!("{folder}/relay")),
        ("/srv/", format!("{folder}/srv/")),
        ("/usr/local/share/postrider", infra().display().to_string()),
        (
            "postgres://postrider@db.example/postrider",
            url("postrider"),
        ),
        ("postgres://postrider@db.example/postgres", url("postgres")),
        ("postgres://postrider@db.example/restored", url("restored")),
    ]
    .into_iter()
    .fold(script, |script, (guide, test)| script.replace(guide, &test))
}

/// Runs a page, or panics with what it said.
fn walk(page: &str, database: &str, before: &str, after: &str) {
    if database == "postgres" && on_path("pg_dump").is_none() {
        return tools::missing("PostgreSQL (backup and restore): apt-get install postgresql");
    }
    let folder = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string(infra().join("guide").join(page)).unwrap();
    let commands = commands(&text, database, folder.path());
    assert!(
        !commands.is_empty(),
        "nothing in {page} is run on {database}"
    );
    let start = if database == "fresh" { "" } else { "stage" };
    let script = [STAGE, start, before, &commands, after].join("\n");
    let path = folder.path().join("page.sh");
    std::fs::write(&path, script).unwrap();
    let url = format!(
        "postgres://postgres@localhost/postrider?host={}/pg",
        folder.path().display()
    );
    let mut bash = Command::new("timeout");
    bash.args(["--kill-after=5", PATIENCE, "bash", "-x"])
        .arg(&path);
    bash.env("W", folder.path()).env("POSTRIDER", BINARY);
    bash.env("DATABASE", database).env("DATABASE_URL", url);
    // Where a page makes files of its own.
    bash.current_dir(folder.path());
    let output = bash.stdin(std::process::Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{page} on {database}: {}\n{said}",
        output.status
    );
}

#[test]
fn a_backup_of_sqlite_is_restored_with_all_mail_and_delivers_what_waited() {
    if on_path("sqlite3").is_none() {
        return tools::missing("sqlite3 (backup and restore): apt-get install sqlite3");
    }
    walk("backup.md", "sqlite", BEFORE_BACKUP, AFTER_RESTORE);
}

#[test]
fn a_dump_of_postgresql_is_restored_with_all_mail_and_delivers_what_waited() {
    walk("backup.md", "postgres", BEFORE_BACKUP, AFTER_RESTORE);
}

#[test]
fn the_commands_of_the_other_pages_work() {
    for page in ["data.md", "feedback-loops.md", "vendor.md", "operator.md"] {
        walk(page, "sqlite", "", "");
    }
}

#[test]
fn an_operator_s_first_commands_work_where_nothing_is_yet() {
    walk("operator.md", "fresh", "", "");
}
