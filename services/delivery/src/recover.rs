//! What the last process left open in the journal, settled before anything is sent again.

use std::time::Duration;

use postrider_model::{Event, EventKind, Provider, Waits};
use postrider_runtime::Shutdown;
use postrider_store::{Outcome, Settled, Settlement, StoreError};

use crate::instruments::ResultKind;
use crate::journal::OpenEntry;
use crate::settle::{Offered, note_double, offer, said};
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
        let mut settled = settle_entry(shared, &entry).await;
        while settled == Entry::Waits {
            tokio::select! {
                biased;
                () = shutdown.begun() => return,
                () = tokio::time::sleep(PAUSE) => {}
            }
            settled = settle_entry(shared, &entry).await;
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Entry {
    Done,
    /// For the database.
    Waits,
}

async fn settle_entry(shared: &Shared, entry: &OpenEntry) -> Entry {
    match is_recorded(shared, entry).await {
        Ok(true) => {
            said(shared.journal.close(entry.recipient));
            return Entry::Done;
        }
        Ok(false) => {}
        // It will not be read better later, and the mail of all others waits for this.
        Err(fault @ (StoreError::Corrupt { .. } | StoreError::Rejected { .. })) => {
            tracing::error!(error = &fault as &dyn std::error::Error, recipient.id = %entry.recipient, "what an open entry of the journal is about cannot be read; its doubt is noted");
        }
        Err(fault) => {
            tracing::error!(
                error = &fault as &dyn std::error::Error,
                "the journal waits for the database"
            );
            return Entry::Waits;
        }
    }
    let settlement = settlement(shared, entry);
    match offer(shared, &settlement).await {
        Offered::Later => return Entry::Waits,
        // Another node had its shard and has ended it meanwhile.
        Offered::Settled(Settled::TooLate) => note_double(shared, &settlement).await,
        Offered::Settled(_) | Offered::Useless => {}
    }
    said(match settlement.outcome {
        // Its count goes on until an attempt ends well.
        Outcome::Noted => shared.journal.noted(entry.recipient),
        _ => shared.journal.close(entry.recipient),
    });
    Entry::Done
}

/// Whether the database has this attempt's result: the process ended after the commit and before
/// the entry was closed. Then there is no doubt to note. Where there are other nodes, one of them
/// may have recorded an attempt of its own, so that nothing is known and the doubt stands.
async fn is_recorded(shared: &Shared, entry: &OpenEntry) -> Result<bool, StoreError> {
    let nodes = shared.nodes.nodes(shared.clock.now()).await?;
    if nodes.iter().any(|node| node.name != shared.config.node) {
        return Ok(false);
    }
    let opened = shared.queue.open(entry.message, &[entry.recipient]).await?;
    let live = opened.and_then(|message| message.recipients.into_iter().next());
    Ok(live.is_none_or(|recipient| recipient.attempts >= entry.attempt))
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
        "an attempt was cut off between a final dot and its record"
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
    for kind in events.iter().filter_map(|event| ResultKind::of(event.kind)) {
        let results = &shared.instruments.outcomes.results;
        results.add(Provider::None, kind, 1);
    }
    Settlement {
        message,
        recipient,
        at,
        outcome,
        reply: None,
        events,
        waits: Waits::default(),
        lease: None,
        suppress_until: None,
        tell_tenant: false,
        provider: Provider::None,
        simulated: false,
    }
}
