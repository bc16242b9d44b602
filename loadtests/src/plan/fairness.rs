//! A whale with a great deal of mail waiting, and small tenants in its shard and in others: how
//! soon the small ones' mail starts, beside the same on an idle relay. Then equals that all have
//! mail waiting: what each of them gets.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use postrider_model::Stream;
use serde::Deserialize;

use super::{PATIENCE, Stage};
use crate::figures::jain;
use crate::ledger::{answer_spread, start_spread, whole_spread};
use crate::relay::{Relay, Role};
use crate::report::{Figures, Found, Verdict, say};
use crate::scenario::{Mail, unlimited};
use crate::source::send;
use crate::stock::{Stock, Tenant, Waiting};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fairness {
    /// All of them; the whale and the small ones are some of these.
    tenants: u32,
    /// What the whale has waiting, in messages.
    whale: u64,
    whale_size: usize,
    /// Clients that hand over more of the whale's mail all the while, as fast as they can.
    #[serde(default)]
    whale_clients: usize,
    /// Small tenants: in the whale's shard (as many as there are, at most these), and in others.
    inside: usize,
    outside: usize,
    /// The small tenants' mail, and for how long it is sent.
    mail: Mail,
    seconds: u64,
    /// Equals with mail waiting, how much each has, and for how long they are watched.
    equals: usize,
    equal_waiting: u64,
    equal_seconds: u64,
}

const WHALE: u16 = 0;
const WARM: u16 = 1;
const IDLE: u16 = 2;
const UNDER: u16 = 3;
const EQUALS: u16 = 4;
/// What the whale hands over while it is watched.
const MORE: u16 = 5;
/// Until a relay that was just started with much to load is what it will be.
const SETTLING: Duration = Duration::from_secs(5);

/// Who is who.
struct Cast {
    whale: Vec<Arc<Tenant>>,
    inside: Vec<Arc<Tenant>>,
    outside: Vec<Arc<Tenant>>,
    equals: Vec<Arc<Tenant>>,
}

pub(crate) async fn run(fairness: &Fairness, stage: &Stage<'_>) -> anyhow::Result<Found> {
    let (stock, store) = stage.base.stock().await?;
    let tenants = stock.tenants(fairness.tenants, unlimited()).await?;
    store.close().await;
    let cast = Cast::of(fairness, &tenants)?;
    let mut relay = stage
        .base
        .relay("one", Role::All, &stage.sink, &stage.scenario.delivery)?;
    let mut found = Found::default();

    relay.start()?;
    relay.listens().await?;
    small(fairness, (&cast, WARM, 5), stage, &relay).await?;
    small(fairness, (&cast, IDLE, fairness.seconds), stage, &relay).await?;
    note(&mut found.figures, "idle: ", IDLE, (stage, &cast));
    relay.stop().await?;

    under_the_whale(fairness, &cast, stage, &mut relay, &mut found).await?;
    equals(fairness, &cast, stage, &mut relay, &mut found).await?;
    let strangers = stage.ledger.strangers();
    let twice = stage.ledger.count(|_| true).doubled;
    found.verdicts.push(Verdict::promise(
        "nothing comes twice or from nowhere",
        strangers == 0 && twice == 0,
        format!("{twice} came twice, {strangers} from nowhere"),
    ));
    Ok(found)
}

impl Cast {
    fn of(fairness: &Fairness, tenants: &[Arc<Tenant>]) -> anyhow::Result<Self> {
        let whale = most_accompanied(tenants).context("there are no tenants")?;
        let others = tenants.iter().filter(|tenant| tenant.id != whale.id);
        let (inside, outside): (Vec<_>, Vec<_>) = others
            .cloned()
            .partition(|tenant| tenant.shard() == whale.shard());
        let some = |of: &[Arc<Tenant>], most| of.iter().take(most).cloned().collect::<Vec<_>>();
        let cast = Self {
            whale: vec![whale],
            inside: some(&inside, fairness.inside),
            equals: some(
                outside.get(fairness.outside..).unwrap_or_default(),
                fairness.equals,
            ),
            outside: some(&outside, fairness.outside),
        };
        ensure!(
            !cast.inside.is_empty() && cast.equals.len() == fairness.equals,
            "too few tenants: none in the whale's shard, or too few equals"
        );
        Ok(cast)
    }

    /// Small tenants, those inside and outside by turns.
    fn small(&self) -> Vec<Arc<Tenant>> {
        let inside = self.inside.iter().cycle();
        let pairs = self.outside.iter().zip(inside);
        pairs
            .flat_map(|(outside, inside)| [Arc::clone(outside), Arc::clone(inside)])
            .collect()
    }
}

/// A tenant of the shard that has the most of them.
fn most_accompanied(tenants: &[Arc<Tenant>]) -> Option<Arc<Tenant>> {
    let mut shards = BTreeMap::new();
    for tenant in tenants {
        *shards.entry(tenant.shard()).or_insert(0_u32) += 1;
    }
    let whale = tenants
        .iter()
        .max_by_key(|tenant| shards.get(&tenant.shard()));
    whale.map(Arc::clone)
}

async fn small(
    fairness: &Fairness,
    (cast, phase, seconds): (&Cast, u16, u64),
    stage: &Stage<'_>,
    relay: &Relay,
) -> anyhow::Result<()> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a number of messages"
    )]
    let most = (fairness.mail.rate * seconds as f64) as u64;
    let load = stage.load(fairness.mail, &cast.small(), phase, most);
    let (told, _) = send(load, &[relay.door], &stage.ledger).done().await;
    ensure!(told.accepted == most, "not all was accepted: {told:?}");
    ensure!(
        stage.ledger.drained(phase, PATIENCE).await,
        "mail of small tenants is lost"
    );
    Ok(())
}

fn note(figures: &mut Figures, prefix: &str, phase: u16, (stage, cast): (&Stage<'_>, &Cast)) {
    let numbers: Vec<u32> = cast.inside.iter().map(|tenant| tenant.number).collect();
    for (where_, is_inside) in [("whale's shard", true), ("other shards", false)] {
        let entries = stage
            .ledger
            .entries(|entry| entry.phase == phase && numbers.contains(&entry.tenant) == is_inside);
        let (start, whole) = (start_spread(&entries), whole_spread(&entries));
        let answer = answer_spread(&entries);
        for (name, value) in [
            ("start ms p50", start.p50),
            ("start ms p99", start.p99),
            ("start ms most", start.most),
            ("request to start ms p50", whole.p50),
            ("request to start ms p99", whole.p99),
            ("answer ms p99", answer.p99),
        ] {
            figures.set(format!("{prefix}{where_}: {name}"), value);
        }
    }
}

async fn under_the_whale(
    fairness: &Fairness,
    cast: &Cast,
    stage: &Stage<'_>,
    relay: &mut Relay,
    found: &mut Found,
) -> anyhow::Result<()> {
    let whale = waiting(
        stage,
        &cast.whale,
        (WHALE, fairness.whale, fairness.whale_size),
    );
    lay_in(stage, &whale).await?;
    relay.start()?;
    relay.listens().await?;
    tokio::time::sleep(SETTLING).await;
    let (before, began) = (stage.ledger.missing(WHALE), std::time::Instant::now());
    let more = Mail {
        clients: fairness.whale_clients,
        rate: 0.0,
        ..fairness.mail
    };
    let more = stage.load(more, &cast.whale, MORE, u64::MAX);
    let more = send(more, &[relay.door], &stage.ledger);
    small(fairness, (cast, UNDER, fairness.seconds), stage, relay).await?;
    more.stop().await;
    let left = stage.ledger.missing(WHALE);
    note(
        &mut found.figures,
        "under the whale: ",
        UNDER,
        (stage, cast),
    );
    #[expect(clippy::cast_precision_loss, reason = "a number of messages")]
    let whales = (before - left) as f64 / began.elapsed().as_secs_f64();
    found
        .figures
        .set("under the whale: whale's messages/s", whales);
    say(&format!("  the whale: {whales:.0}/s, {left} left"));
    relay.stop().await?;
    found.verdicts.push(Verdict::figure(
        "the whale had mail waiting all the time",
        left > 0 && before > left,
        format!("{before} at first, {left} at last"),
    ));
    for where_ in ["whale's shard", "other shards"] {
        for figure in ["start ms p99", "request to start ms p99"] {
            let of = format!("under the whale: {where_}: {figure}");
            let to = format!("idle: {where_}: {figure}");
            let ratio = found.figures.ratio(&of, &to);
            let (under, idle) = (found.figures.get(&of), found.figures.get(&to));
            found.verdicts.push(Verdict::figure(
                &format!("{where_}: {figure} within 2× of idle"),
                ratio <= 2.0,
                format!("{ratio:.2}×: {under:.1} and {idle:.1} ms"),
            ));
        }
    }
    Ok(())
}

async fn equals(
    fairness: &Fairness,
    cast: &Cast,
    stage: &Stage<'_>,
    relay: &mut Relay,
    found: &mut Found,
) -> anyhow::Result<()> {
    let each = fairness.equal_waiting * cast.equals.len() as u64;
    lay_in(
        stage,
        &waiting(stage, &cast.equals, (EQUALS, each, fairness.whale_size)),
    )
    .await?;
    relay.start()?;
    relay.listens().await?;
    tokio::time::sleep(SETTLING).await;
    let began = stage.ledger.now();
    tokio::time::sleep(Duration::from_secs(fairness.equal_seconds)).await;
    let ended = stage.ledger.now();
    let left = stage.ledger.missing(EQUALS);
    let got = stage
        .ledger
        .entries(|entry| (began..ended).contains(&entry.arrived));
    relay.stop().await?;
    #[expect(clippy::cast_precision_loss, reason = "a number of messages")]
    let of = |number| got.iter().filter(|entry| entry.tenant == number).count() as f64;
    let shares: Vec<f64> = cast.equals.iter().map(|tenant| of(tenant.number)).collect();
    let index = jain(&shares);
    #[expect(clippy::cast_precision_loss, reason = "a number of tenants")]
    let mean = shares.iter().sum::<f64>() / shares.len() as f64;
    let whale: f64 = cast.whale.iter().map(|tenant| of(tenant.number)).sum();
    found.figures.set("equals: Jain's index", index);
    found.figures.set("equals: messages each", mean);
    found
        .figures
        .set("equals: the whale over one of them", whale / mean);
    found.verdicts.push(Verdict::figure(
        "Jain's index among equals is at least 0.95",
        index >= 0.95 && left > 0,
        format!(
            "{index:.4} over {} tenants, {left} left waiting",
            shares.len()
        ),
    ));
    Ok(())
}

fn waiting(
    stage: &Stage<'_>,
    tenants: &[Arc<Tenant>],
    (phase, count, size): (u16, u64, usize),
) -> Waiting {
    Waiting {
        tenants: tenants.to_vec(),
        phase,
        stream: Stream::Transactional,
        size,
        sites: stage.sink.sites,
        count,
    }
}

async fn lay_in(stage: &Stage<'_>, waiting: &Waiting) -> anyhow::Result<()> {
    let (stock, store): (Stock, _) = stage.base.stock().await?;
    stock.lay_in(waiting, &stage.ledger).await?;
    store.close().await;
    stage.base.database.settle()
}
