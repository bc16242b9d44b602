//! The only binary: the command line, the configuration, and the relay put together.
//!
//! ```text
//! cli → commands → relay::Relay::start   core (database, gate), doors, delivery, caretakers
//!                → admin::Office         the operator's verbs, by socket or directly
//!                → sandbox               `dev`: serve plus the fake internet, and nothing else
//! ```
//!
//! No mail is handled here.

mod acme;
pub mod admin;
pub mod admin_api;
mod caretaker;
mod certificates;
pub mod cli;
mod commands;
pub mod config;
mod core;
mod database;
mod doctor;
pub mod folder;
mod holds;
mod inbound;
mod metrics;
mod print;
mod recheck;
pub mod relay;
mod sandbox;
mod seals;
mod signals;
pub mod sockets;
mod suspended;
mod waiting;
mod zone;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

/// Runs one command, from the process's arguments to its exit code: 0 done, 1 refused, failed or not found,
/// 2 not a command, or done in part: what is bad of an import was left out; 75 (`EX_TEMPFAIL`) a message
/// that is followed waits.
pub fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    arm_failpoint();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(fault) => return failed(&anyhow::anyhow!(fault).context("cannot start the runtime")),
    };
    match runtime.block_on(commands::run(cli.command)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => failed(&fault),
    }
}

fn failed(fault: &anyhow::Error) -> ExitCode {
    if let Some(end) = fault.downcast_ref::<commands::NotDelivered>() {
        // What it came to is printed already: it is the command's answer.
        return ExitCode::from(end.exit_code());
    }
    if fault.downcast_ref::<commands::NothingFound>().is_some() {
        return ExitCode::FAILURE;
    }
    // Where nobody reads it, the exit code still tells.
    let _unread = writeln!(std::io::stderr(), "postrider: {}", print::fault(fault));
    match fault.downcast_ref::<commands::Partly>() {
        Some(_) => ExitCode::from(2),
        None => ExitCode::FAILURE,
    }
}

/// Debug builds end themselves where a test asks for it, `POSTRIDER_FAILPOINT=name` or `name=3`, or
/// wait there once: `name=7s`.
fn arm_failpoint() {
    #[cfg(debug_assertions)]
    {
        #[expect(clippy::disallowed_methods, reason = "read once, here, for tests")]
        let asked = std::env::var("POSTRIDER_FAILPOINT").unwrap_or_default();
        let (point, nth) = asked.split_once('=').unwrap_or((&asked, "1"));
        let seconds = nth.strip_suffix('s').and_then(|span| span.parse().ok());
        if let Some(seconds) = seconds {
            let span = std::time::Duration::from_secs(seconds);
            postrider_runtime::failpoint::arm_stall(point, span);
        } else if !point.is_empty() {
            postrider_runtime::failpoint::arm(point, nth.parse().unwrap_or(1));
        }
    }
}
