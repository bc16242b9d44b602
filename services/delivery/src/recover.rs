//! What the last process left open in the journal, settled before anything is sent again.

use std::time::Duration;

use postrider_model::{Event, EventKind};
use postrider_runtime::Shutdown;
use postrider_store::{Outcome, Settlement};

use crate::journal::OpenEntry;
use crate::settle::{Again, offer};
use crate::{Shared, kept};

/// A recipient that was in flight at so many unclean starts in a row may be what ends the process.
const POISON_AT: u32 = 3;
const PAUSE: Duration = Duration::from_secs(1);

/// Settles each open entry: a known result as it is, an unknown one as `ambiguous`, poison as
/// held. Waits for the database as long as it takes, or until shutdown begins.
pub(crate) async fn settle_open_entries(
    shared: &Shared,
    entries: Vec<OpenEntry>,
    shutdown: &Shutdown,
) {
    for entry in entries {
        let settlement = settlement(shared, &entry);
        while let Again::Later = offer(shared, &settlement).await {
            tokio::select! {
                biased;
                () = shutdown.begun() => return,
                () = tokio::time::sleep(PAUSE) => {}
            }
        }
        let closed = match settlement.outcome {
            // Its count goes on until an attempt ends well.
            Outcome::Noted => shared.journal.noted(entry.recipient),
            _ => shared.journal.close(entry.recipient),
        };
        if let Err(fault) = closed {
            tracing::error!(%fault, "the journal cannot be written");
        }
    }
}

fn settlement(shared: &Shared, entry: &OpenEntry) -> Settlement {
    let (message, recipient) = (entry.message, entry.recipient);
    let known = entry
        .result
        .clone()
        .and_then(|value| kept::from_value(message, recipient, value));
    if let Some(settlement) = known {
        return settlement;
    }
    let at = shared.clock.now();
    let event = |kind, note: &str| Event {
        attempt: entry.attempt,
        note: Some(note.to_owned()),
        ..Event::new(recipient, at, kind)
    };
    tracing::warn!(
        message.id = %message,
        recipient.id = %recipient,
        unclean_starts = entry.unclean_starts,
        "the last process ended between a final dot and its record"
    );
    let doubt = event(
        EventKind::Ambiguous,
        "the relay ended between the end of the message and its record: the remote may have it already",
    );
    let (outcome, events) = if entry.unclean_starts >= POISON_AT {
        let held = event(
            EventKind::Held,
            "poison: in flight at three unclean starts in a row",
        );
        (
            Outcome::Held {
                attempts: entry.attempt,
            },
            vec![doubt, held],
        )
    } else {
        (Outcome::Noted, vec![doubt])
    };
    shared
        .instruments
        .results
        .add(EventKind::Ambiguous.as_str(), 1);
    Settlement {
        message,
        recipient,
        at,
        outcome,
        reply: None,
        events,
    }
}
