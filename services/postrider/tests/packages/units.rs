//! The systemd unit is one that systemd takes, gives the relay no more than it needs, and lets it do what
//! it does; the container's files say what they promise.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::figures::on_path;
use crate::tools;

const BINARY: &str = env!("CARGO_BIN_EXE_postrider");
const UNIT: &str = include_str!("../../../../infra/systemd/postrider.service");
const CONTAINERFILE: &str = include_str!("../../../../infra/container/Containerfile");
const COMPOSE: &str = include_str!("../../../../infra/container/compose.yml");
/// Tenths of systemd's measure, from 0 (nothing is exposed) to 100.
const EXPOSURE_MOST: &str = "20";

/// The unit, with the binary of this build in it, in a folder of its own.
fn unit(folder: &Path) -> PathBuf {
    let path = folder.join("postrider.service");
    let installed = "/usr/local/bin/postrider";
    assert!(UNIT.contains(installed), "{UNIT}");
    // The guide is not installed where the test runs.
    let lines = UNIT
        .lines()
        .filter(|line| !line.starts_with("Documentation="));
    let text: Vec<_> = lines.map(|line| line.replace(installed, BINARY)).collect();
    std::fs::write(&path, text.join("\n") + "\n").unwrap();
    path
}

fn analyze(words: &[&str], unit: &Path) -> Output {
    let mut command = Command::new("systemd-analyze");
    command.args(words).arg(unit).output().unwrap()
}

fn said(output: &Output) -> String {
    let all = [output.stdout.as_slice(), &output.stderr].concat();
    String::from_utf8_lossy(&all).into_owned()
}

fn has_systemd() -> bool {
    let is_there = on_path("systemd-analyze").is_some();
    if !is_there {
        tools::missing("systemd-analyze (the unit): apt-get install systemd");
    }
    is_there
}

#[test]
fn systemd_takes_the_unit_and_finds_little_exposed() {
    if !has_systemd() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let unit = unit(folder.path());
    let verified = analyze(&["verify"], &unit);
    assert!(verified.status.success(), "{}", said(&verified));
    let threshold = format!("--threshold={EXPOSURE_MOST}");
    let measured = analyze(&["security", "--offline=true", &threshold], &unit);
    assert!(measured.status.success(), "{}", said(&measured));
}

#[test]
fn what_the_relay_asks_of_the_kernel_is_in_the_units_filter() {
    if !has_systemd() {
        return;
    }
    if on_path("strace").is_none() {
        return tools::missing(
            "strace (the unit's filter of system calls): apt-get install strace",
        );
    }
    let folder = tempfile::tempdir().unwrap();
    let counts = folder.path().join("calls");
    let data = folder.path().join("relay");
    let mut traced = Command::new("strace");
    traced
        .args(["-f", "-c", "-U", "name", "-o"])
        .arg(&counts)
        .arg(BINARY);
    traced.args(["dev", "--once", "--data"]).arg(&data);
    let output = traced.output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let counted = std::fs::read_to_string(&counts).unwrap();
    let used: BTreeSet<_> = counted
        .lines()
        .map(str::trim)
        .filter(|line| is_call(line))
        .collect();
    assert!(
        used.contains("fdatasync") || used.contains("fsync"),
        "{counted}"
    );
    let (mut allowed, mut forbidden) = (BTreeSet::new(), BTreeSet::new());
    for line in UNIT
        .lines()
        .filter_map(|line| line.strip_prefix("SystemCallFilter="))
    {
        let (sets, into) = match line.strip_prefix('~') {
            Some(sets) => (sets, &mut forbidden),
            None => (line, &mut allowed),
        };
        sets.split(' ').for_each(|set| add(set, into));
    }
    // systemd allows these whatever a filter says.
    add("@default", &mut allowed);
    let refused: Vec<_> = used
        .iter()
        // SQLite gives its files to the folder's owner, where it runs as root alone.
        .filter(|call| **call != "fchown")
        .filter(|call| !allowed.contains(**call) || forbidden.contains(**call))
        .collect();
    assert!(refused.is_empty(), "{refused:?}");
}

fn is_call(line: &str) -> bool {
    let mut letters = line.chars();
    letters.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        && !["", "syscall", "total"].contains(&line)
}

/// The system calls of a set, and of the sets in it.
fn add(set: &str, calls: &mut BTreeSet<String>) {
    let listed = Command::new("systemd-analyze")
        .args(["syscall-filter", set])
        .output()
        .unwrap();
    assert!(listed.status.success(), "{}", said(&listed));
    let text = String::from_utf8_lossy(&listed.stdout).into_owned();
    // The first line is its own name.
    for line in text.lines().skip(1).map(str::trim) {
        if line.starts_with('@') {
            add(line, calls);
        } else if !line.starts_with('#') {
            calls.insert(line.to_owned());
        }
    }
}

#[test]
fn the_container_runs_as_nobody_special_and_its_root_cannot_be_written() {
    let last = CONTAINERFILE.rsplit("\nFROM ").next().unwrap();
    assert!(last.contains("\nUSER 10001:10001\n"), "{last}");
    assert!(
        last.contains("COPY --from=build") && !last.contains("COPY . "),
        "{last}"
    );
    let relay = COMPOSE.split("\nx-once:").next().unwrap();
    for promise in [
        "read_only: true",
        "cap_drop: [ALL]",
        "no-new-privileges:true",
    ] {
        assert!(relay.contains(promise), "{promise}: {relay}");
    }
    // Each process of the relay is made from that: only the database is not.
    let services = COMPOSE.split("\nservices:\n").nth(1).unwrap();
    let services = services.split("\nsecrets:\n").next().unwrap();
    let heads = services
        .lines()
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let names = heads.filter(|line| line.ends_with(':')).count();
    let made = services.matches("<<: *relay").count() + services.matches("<<: *once").count();
    assert_eq!(made + 1, names, "{services}");
}

#[test]
fn what_compose_says_to_the_relay_is_understood() {
    for line in COMPOSE.lines().map(str::trim) {
        let Some(words) = line
            .strip_prefix("command: [")
            .and_then(|rest| rest.strip_suffix(']'))
        else {
            continue;
        };
        let words: Vec<_> = words
            .split(", ")
            .map(|word| word.trim_matches('"'))
            .collect();
        // There is no such folder: all else has been understood by then.
        let folder = words
            .iter()
            .map(|word| word.replace("/etc/postrider", "/nonexistent"));
        let output = Command::new(BINARY).args(folder).output().unwrap();
        let said = said(&output);
        assert!(
            said.contains("there is no configuration /nonexistent"),
            "{words:?}: {said}"
        );
    }
}
