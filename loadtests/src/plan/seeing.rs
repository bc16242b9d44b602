//! How soon an operator is answered who asks what became of mail, with a million messages of one day in
//! the database: by the commands, from their start to their end.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde::Deserialize;
use serde_json::Value;

use super::Stage;
use crate::figures::Spread;
use crate::relay::{Relay, Role};
use crate::report::{Figures, Found, Verdict, say};
use crate::scenario::unlimited;
use crate::sink::recipient;
use crate::stock::past::Past;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Seeing {
    /// Of the last 24 hours, all of which have ended.
    messages: u64,
    tenants: u32,
    /// Of each message, in bytes.
    size: usize,
    /// How often each question is asked.
    asked: u32,
}

const DAY: Duration = Duration::from_hours(24);
/// An answer takes no longer.
const MOST_MILLIS: f64 = 100.0;

pub(crate) async fn run(seeing: &Seeing, stage: &Stage<'_>) -> anyhow::Result<Found> {
    let (stock, store) = stage.base.stock().await?;
    let past = Past {
        tenants: stock.tenants(seeing.tenants, unlimited()).await?,
        count: seeing.messages,
        over: DAY,
        size: seeing.size,
        sites: stage.sink.sites,
    };
    let began = Instant::now();
    stock.lay_past(past, store.queue()).await?;
    store.close().await;
    stage.base.database.settle()?;
    say(&format!(
        "  {} laid in within {:?}",
        seeing.messages,
        began.elapsed()
    ));
    let mut relay = stage
        .base
        .relay("one", Role::All, &stage.sink, &stage.scenario.delivery)?;
    relay.start()?;
    relay.listens().await?;
    asked(seeing, stage, &relay)
}

fn asked(seeing: &Seeing, stage: &Stage<'_>, relay: &Relay) -> anyhow::Result<Found> {
    let somebody = recipient(seeing.messages / 2, stage.sink.sites);
    let mut found = Found::default();
    let day = &["report", "--since", "25h"];
    for (name, words) in [
        ("report", day.to_vec()),
        ("report by tenant", [&day[..], &["--by", "tenant"]].concat()),
        ("report by vendor", [&day[..], &["--by", "vendor"]].concat()),
        (
            "report of a vendor",
            [&day[..], &["--by", "tenant", "--vendor", "operator"]].concat(),
        ),
        (
            "report by provider",
            [&day[..], &["--by", "provider"]].concat(),
        ),
        ("find", vec!["find", &somebody]),
    ] {
        let answer = times(seeing, relay, (name, &words), &mut found.figures)?;
        let slowest = found.figures.get(&format!("{name} ms p90"));
        found.verdicts.push(Verdict::figure(
            &format!("`{name}` answers in {MOST_MILLIS} ms"),
            slowest <= MOST_MILLIS,
            format!("{slowest:.0} ms at p90, from the command's start to its end"),
        ));
        found.verdicts.extend(truth(seeing, name, &answer));
    }
    Ok(found)
}

fn times(
    seeing: &Seeing,
    relay: &Relay,
    (name, words): (&str, &[&str]),
    figures: &mut Figures,
) -> anyhow::Result<Value> {
    let (mut spans, mut answer) = (Vec::new(), Value::Null);
    for _ in 0..seeing.asked {
        let mut command = relay.command(words);
        let began = Instant::now();
        let output = command.output().context("a command")?;
        spans.push(u64::try_from(began.elapsed().as_micros())?);
        let fault = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{name}: {fault}");
        answer = serde_json::from_slice(&output.stdout)?;
    }
    let spread = Spread::of(spans);
    figures.set(format!("{name} ms p50"), spread.p50);
    figures.set(format!("{name} ms p90"), spread.p90);
    Ok(answer)
}

/// Whether an answer is right, where one run can tell.
fn truth(seeing: &Seeing, name: &str, answer: &Value) -> Option<Verdict> {
    match name {
        "report" => {
            let total = answer.get("total")?;
            let count = |name| total.get(name).and_then(Value::as_u64).unwrap_or(0);
            let counted = (count("accepted"), count("delivered") + count("bounced"));
            Some(Verdict::promise(
                "a report counts each message once",
                counted == (seeing.messages, seeing.messages),
                format!("{} accepted, {} ended", counted.0, counted.1),
            ))
        }
        "find" => {
            let messages = answer.get("messages").and_then(Value::as_array)?;
            Some(Verdict::promise(
                "a message is found by its recipient",
                messages.len() == 1,
                format!("{} found", messages.len()),
            ))
        }
        _ => None,
    }
}
