//! What a test needs of the machine and may not find there.

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

#[expect(clippy::disallowed_methods, reason = "says what the test run requires")]
pub(crate) fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
