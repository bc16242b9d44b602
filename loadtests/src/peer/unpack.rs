//! Debian's packages of the peer: fetched once by `apt-get download`, unpacked by `dpkg -x`.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

/// The programs, and of what they are linked with what is not on every Debian.
const PACKAGES: [&str; 4] = ["postfix", "opendkim", "libopendkim11", "libmilter1.0.1"];
const PROGRAMS: [&str; 2] = ["usr/lib/postfix/sbin/master", "usr/sbin/opendkim"];

/// The folder that has the programs, unpacked where they are not yet. Fails, with the reason in
/// words, where they cannot run: without root, without Debian's tools, without a library.
pub(crate) fn unpacked(into: &Path) -> anyhow::Result<PathBuf> {
    ensure!(
        rustix::process::geteuid().is_root(),
        "Postfix's master runs as root only"
    );
    let root = into.join("root");
    if !PROGRAMS.iter().all(|program| root.join(program).exists()) {
        let fetched = into.join("packages");
        fs::create_dir_all(&fetched)?;
        run(
            &fetched,
            "apt-get",
            ["-q", "download"].into_iter().chain(PACKAGES),
        )?;
        for entry in fs::read_dir(&fetched)? {
            let package = entry?.path();
            let arguments = [OsStr::new("-x"), package.as_os_str(), root.as_os_str()];
            run(&fetched, "dpkg", arguments)?;
        }
    }
    let root = fs::canonicalize(&root)?;
    for program in PROGRAMS {
        linked(&root, program)?;
    }
    Ok(root)
}

fn run<S: AsRef<OsStr>>(
    folder: &Path,
    program: &str,
    arguments: impl IntoIterator<Item = S>,
) -> anyhow::Result<()> {
    let mut command = Command::new(program);
    let done = command.args(arguments).current_dir(folder).output();
    let done = done.with_context(|| format!("{program} cannot be run"))?;
    let said = String::from_utf8_lossy(&done.stderr);
    ensure!(done.status.success(), "{program}: {}", said.trim());
    Ok(())
}

/// Says which library is missing rather than that a program ended.
fn linked(root: &Path, program: &str) -> anyhow::Result<()> {
    let machine = format!("usr/lib/{}-linux-gnu", std::env::consts::ARCH);
    let libraries = [root.join("usr/lib/postfix"), root.join(machine)];
    let path = std::env::join_paths(libraries)?;
    let asked = Command::new("ldd")
        .arg(root.join(program))
        .env("LD_LIBRARY_PATH", path)
        .output()
        .context("ldd cannot be run")?;
    let answer = String::from_utf8_lossy(&asked.stdout);
    let missing: Vec<&str> = missing(&answer).collect();
    ensure!(
        missing.is_empty(),
        "{program} needs {}; apt-get install what has it",
        missing.join(", ")
    );
    Ok(())
}

fn missing(answer: &str) -> impl Iterator<Item = &str> {
    let lines = answer.lines().filter(|line| line.ends_with("not found"));
    lines.filter_map(|line| line.split_whitespace().next())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_that_is_not_there_is_named() {
        let answer = "\tlibc.so.6 => /lib/libc.so.6 (0x1)\n\tlibunbound.so.8 => not found\n";
        assert_eq!(missing(answer).collect::<Vec<_>>(), ["libunbound.so.8"]);
        assert_eq!(missing("").count(), 0);
    }
}
