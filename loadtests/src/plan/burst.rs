//! The morning: every tenant releases what it wrote overnight, one after the other, to a relay on
//! one core; in the middle of it somebody sends an estimate that a customer waits for.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use super::Stage;
use crate::figures::window_most;
use crate::ledger::{Entry, answer_spread};
use crate::relay::{Relay, Role};
use crate::report::{Found, Verdict};
use crate::scenario::{Mail, paced};
use crate::source::{Told, send};
use crate::stock::Tenant;

const RELEASED: u16 = 0;
const URGENT: u16 = 1;
/// Pace is promised per minute.
const MINUTE: u64 = 60_000_000;
/// Paced mail comes slower than the rest of the harness waits for anything.
const PATIENCE: Duration = Duration::from_mins(3);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Burst {
    /// At full size. Where it is not asked for, one such part of tenants, messages and time is done,
    /// at the same rate.
    tenants: u32,
    messages: u64,
    seconds: u64,
    part: u32,
    /// What a tenant may send.
    per_minute: u32,
    at_once: u32,
    size: usize,
    attachment: usize,
    clients: usize,
    /// The processor that the relay runs on.
    core: u32,
}

impl Burst {
    fn scaled(&self, is_full: bool) -> (u32, u64, u64) {
        let part = if is_full { 1 } else { self.part.max(1) };
        let of = u64::from(part);
        (self.tenants / part, self.messages / of, self.seconds / of)
    }

    fn mail(&self, messages: u64, seconds: u64) -> Mail {
        #[expect(clippy::cast_precision_loss, reason = "a number of messages")]
        let rate = messages as f64 / seconds.max(1) as f64;
        Mail {
            size: self.size,
            attachment: self.attachment,
            bulk: true,
            clients: self.clients,
            rate,
            keys: false,
        }
    }
}

pub(crate) async fn run(burst: &Burst, stage: &Stage<'_>) -> anyhow::Result<Found> {
    let (tenants, _, _) = burst.scaled(stage.scenario.is_full);
    let (stock, store) = stage.base.stock().await?;
    let tenants = stock
        .tenants(tenants, paced(burst.per_minute, burst.at_once))
        .await?;
    store.close().await;
    let mut relay = stage
        .base
        .relay("one", Role::All, &stage.sink, &stage.scenario.delivery)?;
    relay.core = Some(burst.core);
    relay.start()?;
    relay.listens().await?;

    let used = (relay.used(), stage.base.database.used());
    let (told, urgent) = release(burst, stage, (&relay, &tenants)).await?;
    let mut is_whole = true;
    for phase in [URGENT, RELEASED] {
        is_whole &= stage.ledger.drained(phase, PATIENCE).await;
    }
    let mut found = figures(burst, stage, &relay);
    #[expect(
        clippy::cast_precision_loss,
        reason = "counts and microseconds of one run"
    )]
    {
        let accepted = told.accepted.max(1) as f64;
        let cpu = relay.used().since(used.0).cpu_micros as f64;
        let database = stage.base.database.used().since(used.1).cpu_micros as f64;
        found.figures.set("messages", accepted);
        found.figures.set("CPU µs/message", cpu / accepted);
        found
            .figures
            .set("database CPU µs/message", database / accepted);
    }
    let refused = told.put_off + told.refused + told.unanswered;
    found.verdicts.push(Verdict::figure(
        "all of it is taken at once",
        refused == 0 && is_whole && urgent.accepted == 1,
        format!("{told:?}"),
    ));
    found
        .verdicts
        .extend(stage.promises(&tenants, &relay).await?);
    relay.stop().await?;
    Ok(found)
}

/// What the tenants were told, and who was in a hurry.
async fn release(
    burst: &Burst,
    stage: &Stage<'_>,
    (relay, tenants): (&Relay, &[Arc<Tenant>]),
) -> anyhow::Result<(Told, Told)> {
    let (_, messages, seconds) = burst.scaled(stage.scenario.is_full);
    // Each releases all of its own before the next begins.
    let each = usize::try_from(messages)? / tenants.len().max(1);
    let in_turn: Vec<Arc<Tenant>> = tenants
        .iter()
        .flat_map(|tenant| std::iter::repeat_n(Arc::clone(tenant), each.max(1)))
        .collect();
    let mail = burst.mail(messages, seconds);
    let released = stage.load(mail, &in_turn, RELEASED, messages);
    let released = send(released, &[relay.door], &stage.ledger);
    tokio::time::sleep(Duration::from_secs(seconds) / 2).await;
    // By one whose own release has just been taken and waits for its pace.
    let middle = tenants.len() / 2;
    let hasty = tenants
        .get(middle.saturating_sub(1)..middle)
        .unwrap_or_default();
    let mail = Mail {
        bulk: false,
        clients: 1,
        rate: 0.0,
        ..mail
    };
    let urgent = stage.load(mail, hasty, URGENT, 1);
    let (urgent, _) = send(urgent, &[relay.door], &stage.ledger).done().await;
    let (told, _) = released.done().await;
    Ok((told, urgent))
}

fn figures(burst: &Burst, stage: &Stage<'_>, relay: &Relay) -> Found {
    let mut found = Found::default();
    let released = stage.ledger.entries(|entry| entry.phase == RELEASED);
    let answered = answer_spread(&released);
    found.figures.set("acknowledged ms p50", answered.p50);
    found.figures.set("acknowledged ms p99", answered.p99);
    found.verdicts.push(Verdict::figure(
        "acknowledged within 100 ms at p99",
        answered.p99 < 100.0,
        format!("{:.1} ms", answered.p99),
    ));
    let hasty = stage.ledger.entries(|entry| entry.phase == URGENT);
    let took = hasty.iter().map(|entry| match entry.arrived {
        0 => u64::MAX,
        arrived => arrived.saturating_sub(entry.posted),
    });
    let took = took.max().unwrap_or(u64::MAX);
    #[expect(clippy::cast_precision_loss, reason = "microseconds of one run")]
    found
        .figures
        .set("urgent delivered ms", took as f64 / 1_000.0);
    found.verdicts.push(Verdict::figure(
        "an urgent one is delivered within 10 s",
        took < 10_000_000,
        format!("{} ms", took / 1_000),
    ));
    let most = fullest_minute(&released);
    let allowed = usize::try_from(burst.per_minute + burst.at_once).unwrap_or(usize::MAX);
    found.verdicts.push(Verdict::promise(
        "no tenant is faster than its own pace",
        most <= allowed,
        format!("{most} begun in a minute, {allowed} may be"),
    ));
    #[expect(clippy::cast_precision_loss, reason = "kB")]
    let peak = relay.used().rss_peak_kb as f64 / 1_024.0;
    found.figures.set("RSS peak MB", peak);
    found.verdicts.push(Verdict::figure(
        "1 GB is enough",
        peak < 1_024.0,
        format!("{peak:.0} MB"),
    ));
    found
}

/// The most that any tenant began within a minute.
fn fullest_minute(entries: &[Entry]) -> usize {
    let mut begun: BTreeMap<u32, Vec<u64>> = BTreeMap::new();
    for entry in entries.iter().filter(|entry| entry.started != 0) {
        begun.entry(entry.tenant).or_default().push(entry.started);
    }
    let most = begun.into_values().map(|mut times| {
        times.sort_unstable();
        window_most(&times, MINUTE)
    });
    most.max().unwrap_or(0)
}
