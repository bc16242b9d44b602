//! `postrider send --trace`: sends one message and shows how it goes, to its end.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::asked::Asked;
use crate::admin::{TraceAct, Verb};
use crate::cli::Place;
use crate::print;

/// How often it is looked whether something was said.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How long its turn is waited for.
const TURN_WAIT: Duration = Duration::from_secs(30);
/// How long a host may be silent that was spoken to: longer than delivery itself waits for any reply.
const SILENCE_MOST: Duration = Duration::from_mins(11);

/// A message that was followed and is not delivered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotDelivered {
    #[error("refused for good")]
    Refused,
    #[error("it waits")]
    Waits,
}

impl NotDelivered {
    /// As shells and scripts read it.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Refused => 1,
            // `EX_TEMPFAIL` of sysexits.h.
            Self::Waits => 75,
        }
    }
}

/// Sends and follows; returns at its first result.
pub(super) async fn follow((place, verb): (Place, Verb)) -> anyhow::Result<()> {
    let (asked, sent) = Asked::first(&place, &verb).await?;
    let followed = to_its_end(&asked, &sent, place.json).await;
    asked.close().await;
    let outcome = followed?;
    print::trace_end(&outcome, place.json)?;
    match outcome.get("kind").and_then(Value::as_str) {
        Some("delivered") => Ok(()),
        Some("refused") => Err(NotDelivered::Refused.into()),
        _ => Err(NotDelivered::Waits.into()),
    }
}

async fn to_its_end(asked: &Asked, sent: &Value, json: bool) -> anyhow::Result<Value> {
    print::trace_begin(sent, json)?;
    if !asked.may_be_served() {
        return Ok(waits("no relay runs here: it leaves when one does"));
    }
    let follow = Following::of(sent)?;
    let (mut seen, mut news) = (0, Instant::now());
    loop {
        let told = asked.ask(follow.beyond(seen)).await?;
        let lines = told.get("lines").and_then(Value::as_array);
        for line in lines.into_iter().flatten() {
            print::trace_line(line, json)?;
            (seen, news) = (seen + 1, Instant::now());
        }
        if let Some(outcome) = told.get("outcome").filter(|outcome| !outcome.is_null()) {
            return Ok(outcome.clone());
        }
        // Of one that another process delivers, the events tell no more than that it was accepted.
        let was_tried = seen > 0 && follow.live;
        let patience = if was_tried { SILENCE_MOST } else { TURN_WAIT };
        if news.elapsed() > patience {
            let text = "it was not tried to the end meanwhile: `postrider find` tells of it later";
            return Ok(waits(text));
        }
        sleep(LOOK_EVERY).await;
    }
}

fn waits(text: &str) -> Value {
    json!({"kind": "waits", "text": text})
}

/// What is asked again and again.
struct Following {
    act: TraceAct,
    live: bool,
}

impl Following {
    fn of(sent: &Value) -> anyhow::Result<Self> {
        let field = |name| sent.get(name).cloned().unwrap_or_default();
        Ok(Self {
            act: TraceAct::Follow {
                message: serde_json::from_value(field("id"))?,
                tenant: serde_json::from_value(field("tenant"))?,
                seen: 0,
            },
            live: field("live") == true,
        })
    }

    fn beyond(&self, lines: usize) -> Verb {
        let mut act = self.act.clone();
        if let TraceAct::Follow { seen, .. } = &mut act {
            *seen = lines;
        }
        Verb::Trace { act }
    }
}
