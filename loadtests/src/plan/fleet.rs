//! Several relays on one PostgreSQL while nodes die, freeze and are replaced, and the database
//! does. Nothing is lost, each double says why, and one tenant's pace stays exact.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::process::Signal;
use serde::Deserialize;

use super::{PATIENCE, Stage};
use crate::figures::window_most;
use crate::ledger::{answer_spread, start_spread};
use crate::relay::{Relay, Role};
use crate::report::{Found, Verdict, say};
use crate::scenario::{Mail, paced, unlimited};
use crate::source::{Door, Sending, Told, send};
use crate::stock::Tenant;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fleet {
    ingest: usize,
    delivery: usize,
    /// The pace of one tenant, and its mail.
    per_minute: u32,
    burst: u32,
    paced: Mail,
    /// The others.
    tenants: u32,
    mail: Mail,
    /// For how long mail is sent.
    seconds: u64,
    steps: Vec<Step>,
}

/// Something happens, so many seconds after the first mail.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    at: u64,
    what: What,
    /// Which delivery node, from 0.
    #[serde(default)]
    node: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum What {
    Kill,
    Start,
    /// SIGSTOP.
    Freeze,
    /// SIGCONT.
    Wake,
    /// All delivery nodes, one after the other.
    Roll,
    /// Stopped as by a crash, and started.
    RestartDatabase,
    FreezeDatabase,
    WakeDatabase,
}

const PACED: u16 = 0;
const OTHERS: u16 = 1;
const MINUTE: u64 = 60_000_000;
/// Between two nodes of a rolling restart.
const ROLL_PAUSE: Duration = Duration::from_secs(2);

struct Nodes {
    doors: Vec<Relay>,
    delivery: Vec<Relay>,
}

pub(crate) async fn run(fleet: &Fleet, stage: &Stage<'_>) -> anyhow::Result<Found> {
    let (stock, store) = stage.base.stock().await?;
    let slow = stock
        .tenants(1, paced(fleet.per_minute, fleet.burst))
        .await?;
    let others = stock.tenants(fleet.tenants, unlimited()).await?;
    store.close().await;
    let mut nodes = Nodes::start(fleet, stage).await?;
    let doors: Vec<Door> = nodes.doors.iter().map(|relay| relay.door).collect();
    let sending = [
        send(
            stage.load(fleet.paced, &slow, PACED, u64::MAX),
            &doors,
            &stage.ledger,
        ),
        send(
            stage.load(fleet.mail, &others, OTHERS, u64::MAX),
            &doors,
            &stage.ledger,
        ),
    ];
    let began = Instant::now();
    for step in &fleet.steps {
        until(began, step.at).await;
        say(&format!(
            "  {:5.1} s: {:?} {}, {}",
            began.elapsed().as_secs_f64(),
            step.what,
            step.node,
            waiting(stage)
        ));
        nodes
            .take(step, stage)
            .await
            .with_context(|| format!("{step:?}"))?;
    }
    until(began, fleet.seconds).await;
    let told = stop(sending).await;
    say(&format!(
        "  {:5.1} s: all is sent, {told:?}, {}",
        began.elapsed().as_secs_f64(),
        waiting(stage)
    ));
    drain(stage, began).await;
    let everybody: Vec<Arc<Tenant>> = slow.into_iter().chain(others).collect();
    let mut found = findings(fleet, stage);
    let door = nodes.doors.first().context("an ingest node")?;
    found
        .verdicts
        .extend(stage.promises(&everybody, door).await?);
    found.verdicts.push(stage.sweep(&nodes.delivery).await?);
    if !found.verdicts.iter().all(|verdict| verdict.holds) {
        nodes.show();
    }
    nodes.stop().await?;
    Ok(found)
}

fn waiting(stage: &Stage<'_>) -> String {
    let (paced, others) = (stage.ledger.missing(PACED), stage.ledger.missing(OTHERS));
    format!("waiting: {paced} paced, {others} of others")
}

async fn drain(stage: &Stage<'_>, began: Instant) {
    for phase in [OTHERS, PACED] {
        let is_whole = stage.ledger.drained(phase, PATIENCE).await;
        say(&format!(
            "  {:5.1} s: drained: {is_whole}",
            began.elapsed().as_secs_f64()
        ));
    }
}

async fn stop(sending: [Sending; 2]) -> Told {
    let [slow, others] = sending;
    let ((slow, _), (others, _)) = tokio::join!(slow.stop(), others.stop());
    Told {
        accepted: slow.accepted + others.accepted,
        put_off: slow.put_off + others.put_off,
        refused: slow.refused + others.refused,
        unanswered: slow.unanswered + others.unanswered,
    }
}

async fn until(began: Instant, seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds).saturating_sub(began.elapsed())).await;
}

impl Nodes {
    async fn start(fleet: &Fleet, stage: &Stage<'_>) -> anyhow::Result<Self> {
        let several = |count: usize, word: &str, role| {
            let names = (0..count).map(move |number| format!("{word}{number}"));
            let make = |name: String| {
                stage
                    .base
                    .relay(&name, role, &stage.sink, &stage.scenario.delivery)
            };
            names.map(make).collect::<anyhow::Result<Vec<_>>>()
        };
        let mut nodes = Self {
            doors: several(fleet.ingest, "ingest", Role::Ingest)?,
            delivery: several(fleet.delivery, "delivery", Role::Delivery)?,
        };
        for relay in nodes.delivery.iter_mut().chain(&mut nodes.doors) {
            relay.start()?;
        }
        for relay in nodes.delivery.iter_mut().chain(&mut nodes.doors) {
            relay.listens().await?;
        }
        Ok(nodes)
    }

    async fn take(&mut self, step: &Step, stage: &Stage<'_>) -> anyhow::Result<()> {
        let cluster = stage
            .base
            .database
            .cluster()
            .context("a fleet stands on PostgreSQL");
        let node = self.delivery.get_mut(step.node).context("no such node");
        match step.what {
            What::Kill => node?.kill().await?,
            What::Start => node?.start()?,
            What::Freeze => node?.signal(Signal::STOP)?,
            What::Wake => node?.signal(Signal::CONT)?,
            What::Roll => self.roll().await?,
            What::RestartDatabase => cluster?.restart_immediate().await?,
            What::FreezeDatabase => cluster?.pause()?,
            What::WakeDatabase => cluster?.resume()?,
        }
        Ok(())
    }

    /// What they logged at last.
    fn show(&self) {
        for relay in self.doors.iter().chain(&self.delivery) {
            say(&format!("--- {}\n{}", relay.name, relay.printed()));
        }
    }

    async fn stop(&mut self) -> anyhow::Result<()> {
        for relay in self.delivery.iter_mut().chain(&mut self.doors) {
            relay.stop().await?;
        }
        Ok(())
    }

    async fn roll(&mut self) -> anyhow::Result<()> {
        for relay in &mut self.delivery {
            let took = relay.stop().await?;
            say(&format!("         {} stopped within {took:?}", relay.name));
            relay.start()?;
            relay.listens().await?;
            tokio::time::sleep(ROLL_PAUSE).await;
        }
        Ok(())
    }
}

fn findings(fleet: &Fleet, stage: &Stage<'_>) -> Found {
    let mut found = Found::default();
    let slow = stage.ledger.entries(|entry| entry.phase == PACED);
    let others = stage.ledger.entries(|entry| entry.phase == OTHERS);
    let mut starts: Vec<u64> = slow
        .iter()
        .map(|entry| entry.started)
        .filter(|started| *started != 0)
        .collect();
    starts.sort_unstable();
    let most = window_most(&starts, MINUTE);
    let allowed = (fleet.per_minute + fleet.burst) as usize;
    found.verdicts.push(Verdict::promise(
        &format!("in no minute more than {allowed} first attempts of the paced tenant"),
        most <= allowed,
        format!("{most} at most, of {} in all", starts.len()),
    ));
    let mut arrived: Vec<u64> = others
        .iter()
        .map(|entry| entry.arrived)
        .filter(|arrived| *arrived != 0)
        .collect();
    arrived.sort_unstable();
    let gap = arrived
        .windows(2)
        .map(|pair| pair.last().zip(pair.first()).map_or(0, |(b, a)| b - a));
    let (start, answer) = (start_spread(&others), answer_spread(&others));
    #[expect(
        clippy::cast_precision_loss,
        reason = "counts and microseconds of one run"
    )]
    for (name, value) in [
        ("first attempts in a minute, most", most as f64),
        ("others: messages", others.len() as f64),
        (
            "others: doubles",
            others.iter().filter(|entry| entry.copies > 1).count() as f64,
        ),
        (
            "others: longest time without an arrival s",
            gap.max().unwrap_or(0) as f64 / 1e6,
        ),
        ("others: answer ms p50", answer.p50),
        ("others: answer ms p99", answer.p99),
        ("others: start ms p50", start.p50),
        ("others: start ms p90", start.p90),
        ("others: start ms p99", start.p99),
    ] {
        found.figures.set(name, value);
    }
    found
}
