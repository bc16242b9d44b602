//! What a message costs while many others wait, and how soon a relay delivers again after its
//! death with all of them in its database.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::ensure;
use postrider_model::Stream;
use serde::Deserialize;

use super::{PATIENCE, Stage};
use crate::database::Kind;
use crate::relay::{Relay, Role};
use crate::report::{Figures, Found, Verdict, say};
use crate::scenario::{Mail, Scenario, paced, unlimited};
use crate::source::send;
use crate::stock::{Tenant, Waiting};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Growth {
    /// How many wait; rising.
    levels: Vec<u64>,
    /// Whose mail waits, at this pace.
    waiting_tenants: u32,
    waiting_per_minute: u32,
    waiting_size: usize,
    /// Whose mail passes.
    tenants: u32,
    messages: u64,
    #[serde(default)]
    mail: Mail,
}

/// What waits.
const WAITING: u16 = 0;
/// What lies in the database beside it and is free to go.
const PROBE: u16 = 1;
const PASSING: u16 = 2;
const AFTER_DEATH: u16 = 3;
const PROBES: u64 = 20;
/// CPU time in a second below which a relay is said to be at rest.
const REST_MICROS: u64 = 100_000;
const REST_MOST: Duration = Duration::from_mins(2);

pub(crate) async fn run(
    growth: &Growth,
    scenario: &Scenario,
    (kind, binary): (Kind, &Path),
) -> anyhow::Result<Found> {
    let mut found = Found::default();
    for level in &growth.levels {
        let stage = Stage::set(scenario, kind, binary).await?;
        let of_level = at(growth, *level, &stage).await?;
        found.verdicts.extend(of_level.verdicts);
        found
            .figures
            .merge(&of_level.figures, &format!("{level:>8} waiting: "));
    }
    if let (Some(least), Some(most)) = (growth.levels.first(), growth.levels.last()) {
        found
            .verdicts
            .extend(verdicts(&found.figures, *least, *most));
    }
    Ok(found)
}

fn verdicts(figures: &Figures, least: u64, most: u64) -> Vec<Verdict> {
    let name = |level: u64, name: &str| format!("{level:>8} waiting: {name}");
    let cost = |level| {
        figures.get(&name(level, "relay CPU µs/message"))
            + figures.get(&name(level, "database CPU µs/message"))
    };
    let ratio = cost(most) / cost(least);
    let restart = figures.get(&name(most, "s from exec to delivery after kill -9"));
    let first = figures.get(&name(most, "s from exec to the first delivery"));
    let memory = figures.get(&name(most, "RSS peak MB"));
    vec![
        Verdict::figure(
            &format!("a message costs at most 1.5× at {most} waiting what it costs at {least}"),
            ratio <= 1.5,
            format!("{ratio:.2}×: {:.0} and {:.0} µs", cost(most), cost(least)),
        ),
        Verdict::figure(
            &format!("with {most} waiting a restarted relay delivers within 5 s"),
            restart.max(first) <= 5.0,
            format!("{first:.2} s, and {restart:.2} s after kill -9"),
        ),
        Verdict::figure(
            &format!("{most} waiting take less than 500 MB"),
            memory < 500.0,
            format!("{memory:.0} MB"),
        ),
    ]
}

async fn at(growth: &Growth, level: u64, stage: &Stage<'_>) -> anyhow::Result<Found> {
    let tenants = lay_in(growth, level, stage).await?;
    let mut figures = Figures::default();
    let mut relay = stage
        .base
        .relay("one", Role::All, &stage.sink, &stage.scenario.delivery)?;
    relay.start()?;
    relay.listens().await?;
    let listens = relay.started.elapsed();
    figures.set(
        "s from exec to the first delivery",
        first_of(PROBE, stage, &relay).await?,
    );
    ensure!(
        stage.ledger.drained(PROBE, PATIENCE).await,
        "mail free to go does not leave"
    );
    at_rest(&relay).await;
    figures.set("s from exec to rest", relay.started.elapsed().as_secs_f64());
    say(&format!(
        "  {level} waiting: listens after {listens:?}, at rest after {:?}",
        relay.started.elapsed()
    ));

    let pass = stage
        .pass(
            stage.load(growth.mail, &tenants, PASSING, growth.messages),
            &relay,
        )
        .await?;
    pass.note(&mut figures, "");
    let sweep = stage.sweep(std::slice::from_ref(&relay)).await?;
    killed(growth, (stage, &tenants), &mut relay, &mut figures).await?;
    let passed = stage.ledger.count(|entry| entry.phase != WAITING);
    let verdict = Verdict::promise(
        &format!("LOST = 0 of what passed {level} that wait"),
        passed.missing == 0 && pass.is_whole,
        format!("{} of {} are missing", passed.missing, passed.acknowledged),
    );
    Ok(Found {
        figures,
        verdicts: vec![verdict, sweep],
    })
}

/// Ends the relay as a crash would, starts it again, and lets it go in the end.
async fn killed(
    growth: &Growth,
    (stage, tenants): (&Stage<'_>, &[Arc<Tenant>]),
    relay: &mut Relay,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    let peak = relay.used().rss_peak_kb;
    relay.kill().await?;
    relay.start()?;
    relay.listens().await?;
    let mail = Mail {
        clients: 1,
        ..growth.mail
    };
    let one = stage.load(mail, tenants, AFTER_DEATH, 1);
    send(one, &[relay.door], &stage.ledger).done().await;
    let seconds = first_of(AFTER_DEATH, stage, relay).await?;
    figures.set("s from exec to delivery after kill -9", seconds);
    at_rest(relay).await;
    #[expect(clippy::cast_precision_loss, reason = "kB")]
    let megabytes = peak.max(relay.used().rss_peak_kb) as f64 / 1_024.0;
    figures.set("RSS peak MB", megabytes);
    let gone = relay.stop().await?;
    figures.set("s from SIGTERM to the end", gone.as_secs_f64());
    Ok(())
}

async fn lay_in(
    growth: &Growth,
    level: u64,
    stage: &Stage<'_>,
) -> anyhow::Result<Vec<Arc<Tenant>>> {
    let (stock, store) = stage.base.stock().await?;
    let pace = paced(growth.waiting_per_minute, 1);
    let mut waiting = Waiting {
        tenants: stock.tenants(growth.waiting_tenants, pace).await?,
        phase: WAITING,
        stream: Stream::Transactional,
        size: growth.waiting_size,
        sites: stage.sink.sites,
        count: level,
    };
    let began = Instant::now();
    stock.lay_in(&waiting, &stage.ledger).await?;
    say(&format!("  {level} laid in within {:?}", began.elapsed()));
    let tenants = stock.tenants(growth.tenants, unlimited()).await?;
    waiting.tenants.clone_from(&tenants);
    (waiting.phase, waiting.count) = (PROBE, PROBES);
    stock.lay_in(&waiting, &stage.ledger).await?;
    store.close().await;
    stage.base.database.settle()?;
    Ok(tenants)
}

/// Seconds from the relay's start to the first arrival of a phase.
async fn first_of(phase: u16, stage: &Stage<'_>, relay: &Relay) -> anyhow::Result<f64> {
    let before = stage
        .ledger
        .count(|entry| entry.phase == phase)
        .acknowledged;
    while stage.ledger.missing(phase) == before {
        ensure!(
            relay.started.elapsed() < PATIENCE,
            "nothing is delivered: {}",
            relay.printed()
        );
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(relay.started.elapsed().as_secs_f64())
}

async fn at_rest(relay: &Relay) {
    let began = Instant::now();
    loop {
        let before = relay.used();
        tokio::time::sleep(Duration::from_secs(1)).await;
        let is_quiet = relay.used().since(before).cpu_micros < REST_MICROS;
        if is_quiet || began.elapsed() > REST_MOST {
            return;
        }
    }
}
