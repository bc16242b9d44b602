//! `postrider doctor`.

use std::time::Duration;

use anyhow::bail;
use postrider_runtime::Clock;

use super::config_path;
use crate::cli::DoctorArgs;
use crate::config::Config;
use crate::doctor::{Doctor, Level, Report};
use crate::print;

/// Between two looks of `--wait`.
const PAUSE: Duration = Duration::from_secs(5);

/// Says whether mail may leave: exit code 0 only then.
pub(super) async fn doctor(args: DoctorArgs) -> anyhow::Result<()> {
    let config = Config::read(&config_path(&args.place)?)?;
    let (clock, is_json) = (Clock::system(), args.place.json);
    let doctor = Doctor::alone(config, clock.clone())?;
    let mut report = doctor.examine().await?;
    if args.wait && !report.may_leave() {
        if !is_json {
            show(&report, is_json)?;
        }
        report = wait(&doctor, &clock, report, is_json).await?;
    }
    show(&report, is_json)?;
    if !report.may_leave() {
        bail!(
            "mail may not leave yet: {} hard findings",
            report.count(Level::Hard)
        );
    }
    Ok(())
}

/// Looks until mail may leave. People are told what changes meanwhile, not all of it again; a program
/// gets one document, at the end.
async fn wait(
    doctor: &Doctor,
    clock: &Clock,
    mut report: Report,
    is_json: bool,
) -> anyhow::Result<Report> {
    while !report.may_leave() {
        tokio::time::sleep(PAUSE).await;
        let next = doctor.examine().await?;
        let changes = next.changes_since(&report).filter(|_| !is_json);
        if let Some(changes) = changes {
            let at = print::when(&clock.now().to_string());
            print::line(&format!("\n{at}: {}", changes.trim_end()))?;
        }
        report = next;
    }
    if !is_json {
        print::line("")?;
    }
    Ok(report)
}

fn show(report: &Report, is_json: bool) -> anyhow::Result<()> {
    if is_json {
        return print::answer(&report.json(), true);
    }
    print::line(report.text().trim_end())
}
