//! The load harness: a source, a sink, a ledger between them, and scenarios as data. It starts
//! `postrider` itself, on loopback, measures what the server costs, and says for each promise
//! whether it holds. Figures are ratios of one run on one machine; they are printed, never tested.
//!
//! ```text
//! scenario   what is done, from a TOML file
//! database   SQLite in a temporary folder, or a PostgreSQL server of its own
//!   stock    tenants and mail that lie in it before a relay starts
//! relay      processes: started, measured, stopped, killed, frozen
//! source     HTTP clients          sink   mail exchangers
//!       └──────── ledger ────────────┘    who was promised what, and what came
//! peer       Postfix with OpenDKIM, unpacked, for the same work
//! meter      CPU, memory, writes from /proc; fsyncs; the relay's own counters
//! machine    what it all ran on, and what a signature costs there
//! memory     the page cache, full as on a machine that has been up
//! plan       the kinds of scenario: flow, fairness, growth, fleet, speed, burst, heavy, slow
//! report     figures side by side, verdicts
//! ```

mod database;
mod figures;
mod ledger;
mod machine;
mod memory;
mod meter;
mod peer;
mod plan;
mod relay;
mod report;
mod scenario;
mod sink;
mod source;
mod stock;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;

use database::Kind;
use machine::Machine;
use memory::PageCache;
use report::{Report, say};
use scenario::{Plan, Scenario};

/// All that was found, and where.
#[derive(serde::Serialize)]
struct Findings {
    machine: Machine,
    scenarios: Vec<Report>,
}

/// Runs load scenarios against release binaries of postrider, on loopback only
#[derive(Debug, Parser)]
struct Args {
    /// Names of files in loadtests/scenarios, or paths to others without their .toml; all of the
    /// folder where none is given
    scenarios: Vec<String>,
    /// Only on this database
    #[arg(long)]
    database: Option<Kind>,
    /// How often each database is measured, in place of what the scenario says
    #[arg(long)]
    runs: Option<u32>,
    /// Scenarios that are done in part are done whole
    #[arg(long)]
    full: bool,
    /// The relay; beside this program where it is not given
    #[arg(long)]
    binary: Option<PathBuf>,
    /// Where the findings are written: bench.json, and bench-SCENARIO.json for each
    #[arg(long, default_value = "target")]
    out: PathBuf,
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    let binary = match &args.binary {
        Some(binary) => binary.clone(),
        None => std::env::current_exe()?.with_file_name("postrider"),
    };
    let binary = std::fs::canonicalize(&binary)
        .with_context(|| format!("there is no relay {}", binary.display()))?;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let names = if args.scenarios.is_empty() {
        all(&folder)?
    } else {
        args.scenarios.clone()
    };
    let mut holds = true;
    let mut findings = Findings {
        machine: Machine::look()?,
        scenarios: Vec::new(),
    };
    say(&findings.machine.text());
    for name in names {
        let mut scenario = Scenario::read(&folder.join(format!("{name}.toml")))?;
        scenario.is_full = args.full;
        let name = name.rsplit('/').next().unwrap_or(&name);
        let report = run(name, &scenario, &args, &binary).await?;
        say(&report.text());
        report.write(&args.out)?;
        holds &= report.holds();
        findings.scenarios.push(report);
        let all = serde_json::to_vec_pretty(&findings)?;
        std::fs::write(args.out.join("bench.json"), all)?;
    }
    Ok(if holds {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn run(
    name: &str,
    scenario: &Scenario,
    args: &Args,
    binary: &Path,
) -> anyhow::Result<Report> {
    let mut report = Report {
        scenario: name.to_owned(),
        about: scenario.about.clone(),
        databases: BTreeMap::new(),
    };
    let kinds = scenario
        .databases
        .iter()
        .filter(|kind| args.database.is_none_or(|one| one == **kind));
    let is_of_cost = matches!(scenario.plan, Plan::Speed(_));
    let cache = is_of_cost.then(|| PageCache::filled(&args.out));
    let mut cache = cache.transpose()?;
    for run in 1..=args.runs.unwrap_or(scenario.runs) {
        // By turns, so that what else the machine does falls on all of them.
        for kind in kinds.clone() {
            say(&format!("{name}: run {run} on {}", kind.as_str()));
            if let Some(cache) = &mut cache {
                cache.fill()?;
            }
            let found = plan::run(scenario, *kind, binary, &args.out).await?;
            report.add(kind.as_str(), found);
        }
    }
    if let Plan::Speed(speed) = &scenario.plan {
        speed.compare(&mut report);
    }
    Ok(report)
}

fn all(folder: &Path) -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if let (Some(name), Some("toml")) = (
            path.file_stem().and_then(|name| name.to_str()),
            path.extension().and_then(|ending| ending.to_str()),
        ) {
            names.push(name.to_owned());
        }
    }
    names.sort_unstable();
    Ok(names)
}
