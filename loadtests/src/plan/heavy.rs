//! The largest mail there is, from many at once: what does not fit the memory for bodies waits for
//! its turn, and none is turned away.

use serde::Deserialize;

use super::Stage;
use crate::relay::Role;
use crate::report::{Found, Verdict, say};
use crate::scenario::{Mail, unlimited};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Heavy {
    messages: u64,
    tenants: u32,
    /// With as many clients as messages, all are under way at once.
    mail: Mail,
    rss_mb: f64,
}

pub(crate) async fn run(heavy: &Heavy, stage: &Stage<'_>) -> anyhow::Result<Found> {
    let (stock, store) = stage.base.stock().await?;
    let tenants = stock.tenants(heavy.tenants, unlimited()).await?;
    store.close().await;
    let mut relay = stage
        .base
        .relay("one", Role::All, &stage.sink, &stage.scenario.delivery)?;
    relay.start()?;
    relay.listens().await?;
    let pass = stage
        .pass(stage.load(heavy.mail, &tenants, 0, heavy.messages), &relay)
        .await?;
    say(&format!("  {:.1} s, {:?}", pass.seconds, pass.told));
    let mut found = Found::default();
    pass.note(&mut found.figures, "");
    #[expect(clippy::cast_precision_loss, reason = "kB")]
    let peak = relay.used().rss_peak_kb as f64 / 1_024.0;
    found.figures.set("RSS peak MB", peak);
    found.verdicts.push(Verdict::figure(
        "memory is bounded",
        peak < heavy.rss_mb,
        format!("{peak:.0} MB of {:.0}", heavy.rss_mb),
    ));
    found.verdicts.push(Verdict::figure(
        "none is refused",
        pass.is_whole && pass.told.accepted == heavy.messages && pass.told.refused == 0,
        format!("{:?}", pass.told),
    ));
    found
        .verdicts
        .extend(stage.promises(&tenants, &relay).await?);
    relay.stop().await?;
    Ok(found)
}
