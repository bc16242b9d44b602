//! Mail straight through: what a message costs and how many pass in a second; on PostgreSQL also
//! beside a client that forgot its open transaction.

use serde::Deserialize;

use super::{Pass, Stage};
use crate::relay::Role;
use crate::report::{Found, Verdict, say};
use crate::scenario::{Mail, unlimited};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Flow {
    /// In each turn.
    messages: u64,
    /// How often with and without the forgotten transaction, by turns.
    #[serde(default = "two")]
    turns: u32,
    tenants: u32,
    #[serde(default)]
    mail: Mail,
}

fn two() -> u32 {
    2
}

pub(crate) async fn run(flow: &Flow, stage: &Stage<'_>) -> anyhow::Result<Found> {
    let (stock, store) = stage.base.stock().await?;
    let tenants = stock.tenants(flow.tenants, unlimited()).await?;
    store.close().await;
    let mut relay = stage
        .base
        .relay("one", Role::All, &stage.sink, &stage.scenario.delivery)?;
    relay.start()?;
    relay.listens().await?;

    let mut found = Found::default();
    let (mut plain, mut beside) = (Vec::new(), Vec::new());
    // The first turn fills caches, here and there.
    let warm = stage.load(flow.mail, &tenants, 0, flow.messages / 10);
    stage.pass(warm, &relay).await?;
    for turn in 0..flow.turns {
        let phase = u16::try_from(turn)? * 2 + 1;
        let pass = stage
            .pass(
                stage.load(flow.mail, &tenants, phase, flow.messages),
                &relay,
            )
            .await?;
        say(&said("alone", &pass));
        plain.push(pass);
        if let Some(forgotten) = stage.base.database.forgotten_transaction()? {
            let load = stage.load(flow.mail, &tenants, phase + 1, flow.messages);
            let pass = stage.pass(load, &relay).await?;
            drop(forgotten);
            say(&said("beside a forgotten transaction", &pass));
            beside.push(pass);
        }
    }
    if let Some(last) = plain.last() {
        last.note(&mut found.figures, "");
    }
    found.figures.set("per second", middle_rate(&plain));
    if let Some(last) = beside.last() {
        last.note(&mut found.figures, "forgotten: ");
        found
            .figures
            .set("forgotten: per second", middle_rate(&beside));
        let ratio = found.figures.ratio("forgotten: per second", "per second");
        found.verdicts.push(Verdict::figure(
            "a forgotten transaction takes less than 25 % of the throughput",
            ratio > 0.75,
            format!("{:.1} % is left", ratio * 100.0),
        ));
    }
    #[expect(clippy::cast_precision_loss, reason = "kB")]
    found
        .figures
        .set("RSS peak MB", relay.used().rss_peak_kb as f64 / 1_024.0);
    found
        .verdicts
        .extend(stage.promises(&tenants, &relay).await?);
    relay.stop().await?;
    Ok(found)
}

fn said(how: &str, pass: &Pass) -> String {
    #[expect(clippy::cast_precision_loss, reason = "a number of messages")]
    let rate = pass.told.accepted as f64 / pass.seconds;
    format!("  {how}: {rate:.0}/s, {:?}", pass.told)
}

#[expect(clippy::cast_precision_loss, reason = "a number of messages")]
fn middle_rate(passes: &[Pass]) -> f64 {
    let rates = passes
        .iter()
        .map(|pass| pass.told.accepted as f64 / pass.seconds);
    crate::figures::median(rates.collect()).unwrap_or(0.0)
}
