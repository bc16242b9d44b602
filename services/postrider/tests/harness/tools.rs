//! What a test needs of the machine and may not find there.

use std::path::{Path, PathBuf};

/// Says what did not run for want of a tool, with the line that installs it; or fails, where all
/// tools are required.
pub(crate) fn missing(hint: &str) {
    assert!(
        environment("POSTRIDER_REQUIRE_ALL").is_none_or(|all| all != "1"),
        "{hint}"
    );
    eprintln!("NOT RUN: {hint}");
    if let Some(list) = environment("POSTRIDER_NOT_RUN") {
        use std::io::Write;
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.append(true).create(true).open(list).unwrap();
        writeln!(file, "{hint}").unwrap();
    }
}

/// What `.ci/tools` has put below `target/tools`, if it could.
pub(crate) fn installed(path: &str) -> Option<PathBuf> {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools");
    Some(tools.join(path)).filter(|path| path.exists())
}

#[expect(clippy::disallowed_methods, reason = "says what the test run requires")]
pub(crate) fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
