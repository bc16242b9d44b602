//! What scenarios do, a file for each kind; and what all of them need.

pub(crate) mod burst;
pub(crate) mod enrolling;
pub(crate) mod fairness;
pub(crate) mod fleet;
pub(crate) mod flow;
pub(crate) mod growth;
pub(crate) mod heavy;
pub(crate) mod seeing;
pub(crate) mod slow;
pub(crate) mod speed;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use postrider_model::MessageId;
use serde_json::Value;

use crate::database::Kind;
use crate::figures::Spread;
use crate::ledger::{Entry, Ledger, answer_spread, start_spread};
use crate::meter::Used;
use crate::relay::{Base, Relay};
use crate::report::{Figures, Found, Verdict};
use crate::scenario::{Mail, Plan, Scenario};
use crate::sink::Sink;
use crate::source::{Client, Load, Told, Way, send};
use crate::stock::Tenant;

/// Nothing arrives for so long: what is missing is lost.
const PATIENCE: Duration = Duration::from_mins(2);

/// What a run has.
pub(crate) struct Stage<'a> {
    pub(crate) scenario: &'a Scenario,
    pub(crate) ledger: Ledger,
    pub(crate) sink: Sink,
    pub(crate) base: Base,
}

/// Runs a scenario once on one database.
pub(crate) async fn run(
    scenario: &Scenario,
    kind: Kind,
    binary: &Path,
    out: &Path,
) -> anyhow::Result<Found> {
    if let Plan::Speed(speed) = &scenario.plan {
        return speed::run(speed, scenario, (kind, binary, out)).await;
    }
    if let Plan::Growth(growth) = &scenario.plan {
        return growth::run(growth, scenario, (kind, binary)).await;
    }
    let stage = Stage::set(scenario, kind, binary).await?;
    match &scenario.plan {
        Plan::Flow(flow) => flow::run(flow, &stage).await,
        Plan::Burst(burst) => burst::run(burst, &stage).await,
        Plan::Heavy(heavy) => heavy::run(heavy, &stage).await,
        Plan::Seeing(seeing) => seeing::run(seeing, &stage).await,
        Plan::Enrolling(enrolling) => enrolling::run(enrolling, &stage).await,
        Plan::Slow(slow) => slow::run(slow, &stage).await,
        Plan::Fairness(fairness) => fairness::run(fairness, &stage).await,
        Plan::Fleet(fleet) => fleet::run(fleet, &stage).await,
        Plan::Growth(_) | Plan::Speed(_) => Ok(Found::default()),
    }
}

impl<'a> Stage<'a> {
    pub(crate) async fn set(
        scenario: &'a Scenario,
        kind: Kind,
        binary: &Path,
    ) -> anyhow::Result<Self> {
        let ledger = Ledger::open();
        Ok(Self {
            scenario,
            sink: Sink::start(scenario.sink, ledger.clone()).await?,
            base: Base::found(binary, kind).await?,
            ledger,
        })
    }

    pub(crate) fn load(&self, mail: Mail, tenants: &[Arc<Tenant>], phase: u16, most: u64) -> Load {
        Load {
            tenants: tenants.to_vec(),
            phase,
            stream: mail.stream(),
            size: mail.size,
            attachment: mail.attachment,
            way: Way::Http,
            sites: self.sink.sites,
            clients: mail.clients,
            rate: mail.rate(),
            most,
            keys: mail.keys,
        }
    }

    /// Sends a load through one relay and waits until all of it has arrived.
    pub(crate) async fn pass(&self, load: Load, relay: &Relay) -> anyhow::Result<Pass> {
        let phase = load.phase;
        let commits = relay.counters().await?.commits();
        let used = (relay.used(), self.base.database.used());
        let began = Instant::now();
        let (told, _) = send(load, &[relay.door], &self.ledger).done().await;
        let is_whole = self.ledger.drained(phase, PATIENCE).await;
        let seconds = began.elapsed().as_secs_f64();
        let entries = self.ledger.entries(|entry| entry.phase == phase);
        Ok(Pass {
            told,
            is_whole,
            seconds,
            relay: relay.used().since(used.0),
            database: self.base.database.used().since(used.1),
            commits: relay.counters().await?.commits() - commits,
            start: start_spread(&entries),
            answer: answer_spread(&entries),
        })
    }

    /// What these relays' slow sweeps found: mail that the quick ways to it had missed.
    pub(crate) async fn sweep(&self, relays: &[Relay]) -> anyhow::Result<Verdict> {
        let mut found = 0.0;
        for relay in relays {
            found += relay
                .counters()
                .await?
                .get("postrider_delivery_sweep_found_total");
        }
        Ok(Verdict::figure(
            "the slow sweep finds nothing",
            found == 0.0,
            format!("{found} found"),
        ))
    }

    /// Everything that was acknowledged has arrived, and what arrived twice says why.
    pub(crate) async fn promises(
        &self,
        tenants: &[Arc<Tenant>],
        relay: &Relay,
    ) -> anyhow::Result<Vec<Verdict>> {
        let count = self.ledger.count(|_| true);
        let doubled = self.ledger.entries(|entry| entry.copies > 1);
        let unexplained = unexplained(&doubled, tenants, relay).await?;
        let strangers = self.ledger.strangers();
        Ok(vec![
            Verdict::promise(
                "LOST = 0",
                count.missing == 0,
                format!(
                    "{} of {} acknowledged are missing",
                    count.missing, count.acknowledged
                ),
            ),
            Verdict::promise(
                "each double is explained by an event",
                unexplained.is_empty(),
                format!("{} doubles, unexplained {unexplained:?}", count.doubled),
            ),
            Verdict::promise(
                "nothing comes that nobody sent",
                strangers == 0,
                format!("{strangers} came"),
            ),
        ])
    }
}

/// What passing a load came to.
pub(crate) struct Pass {
    pub(crate) told: Told,
    /// All that was acknowledged arrived.
    pub(crate) is_whole: bool,
    /// From the first request to the last arrival.
    pub(crate) seconds: f64,
    pub(crate) relay: Used,
    pub(crate) database: Used,
    pub(crate) commits: f64,
    pub(crate) start: Spread,
    pub(crate) answer: Spread,
}

impl Pass {
    /// Notes its figures under names that begin so.
    #[expect(
        clippy::cast_precision_loss,
        reason = "counts and microseconds of one run"
    )]
    pub(crate) fn note(&self, figures: &mut Figures, prefix: &str) {
        let messages = self.told.accepted.max(1) as f64;
        for (name, value) in [
            ("messages", self.told.accepted as f64),
            ("put off", self.told.put_off as f64),
            ("refused", self.told.refused as f64),
            ("per second", messages / self.seconds),
            (
                "relay CPU µs/message",
                self.relay.cpu_micros as f64 / messages,
            ),
            (
                "database CPU µs/message",
                self.database.cpu_micros as f64 / messages,
            ),
            ("commits/message", self.commits / messages),
            (
                "bytes written/message",
                (self.relay.written_bytes + self.database.written_bytes) as f64 / messages,
            ),
            ("answer ms p50", self.answer.p50),
            ("answer ms p99", self.answer.p99),
            ("start ms p50", self.start.p50),
            ("start ms p99", self.start.p99),
        ] {
            figures.set(format!("{prefix}{name}"), value);
        }
    }
}

/// Of these doubles, the messages whose events do not say why: neither that the outcome of an
/// attempt was not known, nor that two nodes delivered.
async fn unexplained(
    doubled: &[Entry],
    tenants: &[Arc<Tenant>],
    relay: &Relay,
) -> anyhow::Result<Vec<MessageId>> {
    let tenants: BTreeMap<u32, &Arc<Tenant>> = tenants
        .iter()
        .map(|tenant| (tenant.number, tenant))
        .collect();
    let mut client = Client::new(relay.door);
    let mut unexplained = Vec::new();
    for entry in doubled {
        let (Some(message), Some(tenant)) = (entry.message, tenants.get(&entry.tenant)) else {
            continue;
        };
        let path = format!("/emails/{message}/events");
        let answer = client.get(&path, tenant.token.expose()).await?;
        let said: Value = serde_json::from_slice(&answer.body)?;
        if !explains(&said) {
            unexplained.push(message);
        }
    }
    Ok(unexplained)
}

fn explains(said: &Value) -> bool {
    let events = said.get("data").and_then(Value::as_array);
    let kinds = events
        .into_iter()
        .flatten()
        .filter_map(|event| event.get("type")?.as_str());
    let (ambiguous, delivered) = kinds.fold((0, 0), |(ambiguous, delivered), kind| {
        (
            ambiguous + u32::from(kind == "ambiguous"),
            delivered + u32::from(kind == "delivered"),
        )
    });
    ambiguous > 0 || delivered > 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_double_is_explained_by_a_doubt_or_by_two_deliveries() {
        for (kinds, want) in [
            (&["accepted", "delivered"][..], false),
            (&["accepted", "ambiguous", "delivered"], true),
            (&["accepted", "delivered", "delivered"], true),
            (&[], false),
        ] {
            let data: Vec<_> = kinds
                .iter()
                .map(|kind| serde_json::json!({"type": kind}))
                .collect();
            assert_eq!(
                explains(&serde_json::json!({ "data": data })),
                want,
                "{kinds:?}"
            );
        }
    }
}
