//! `postrider doctor`.

use std::time::Duration;

use anyhow::bail;
use postrider_runtime::Clock;

use super::config_path;
use crate::cli::DoctorArgs;
use crate::config::Config;
use crate::doctor::{Doctor, Level};
use crate::print;

/// Between two looks of `--wait`.
const PAUSE: Duration = Duration::from_secs(5);

/// Says whether mail may leave: exit code 0 only then.
pub(super) async fn doctor(args: DoctorArgs) -> anyhow::Result<()> {
    let config = Config::read(&config_path(&args.place)?)?;
    let doctor = Doctor::alone(config, Clock::system())?;
    let mut shown = None;
    loop {
        let report = doctor.examine().await?;
        let text = report.text();
        // What has not changed is not said again.
        if shown.as_ref() != Some(&text) {
            if args.place.json {
                print::answer(&report.json(), true)?;
            } else {
                print::line(text.trim_end())?;
            }
            shown = Some(text);
        }
        if report.may_leave() {
            return Ok(());
        }
        if !args.wait {
            bail!(
                "mail may not leave yet: {} hard findings",
                report.count(Level::Hard)
            );
        }
        tokio::time::sleep(PAUSE).await;
    }
}
