//! Mail that has waited: whom their tenant's mail does not go to any more.

use std::collections::HashSet;
use std::time::Duration;

use postrider_model::{EmailAddress, Timestamp};

use super::{Left, rest};
use crate::Shared;
use crate::settle::{Fate, Party, Report, settle};

/// Of mail that was accepted a moment ago the gate has asked.
const ASKED_LATELY: Duration = Duration::from_mins(1);
/// How long rows rest when the database cannot tell.
const DATABASE_REST: Duration = Duration::from_secs(1);

/// Ends those who unsubscribed, or were suppressed, since their mail was accepted; the others go on.
pub(super) async fn without_them(
    shared: &Shared,
    parties: Vec<Party>,
    begun: Timestamp,
) -> (Vec<Left>, Vec<Party>) {
    let Some(first) = parties.first().map(|party| party.row.clone()) else {
        return (Vec::new(), parties);
    };
    if begun.since(first.accepted_at) < ASKED_LATELY {
        return (Vec::new(), parties);
    }
    let addresses: Vec<EmailAddress> = parties
        .iter()
        .map(|party| party.recipient.address.clone())
        .collect();
    let now = shared.clock.now();
    let asked = shared
        .suppressions
        .among(first.tenant, first.stream, &addresses, now);
    let suppressed: HashSet<String> = match asked.await {
        Ok(found) => found.iter().map(EmailAddress::folded).collect(),
        Err(fault) => {
            tracing::error!(error = &fault as &dyn std::error::Error, message.id = %first.message, "whether a message may still be sent cannot be read");
            let rows = parties.into_iter().map(|party| party.row);
            return (rest(rows, now.after(DATABASE_REST), None), Vec::new());
        }
    };
    let (ended, parties): (Vec<Party>, Vec<Party>) = parties
        .into_iter()
        .partition(|party| suppressed.contains(&party.recipient.address.folded()));
    let mut left = Vec::with_capacity(ended.len());
    for party in ended {
        let note = "the address came onto your suppression list while the message waited; nothing is sent to it";
        let report = Report {
            note: Some(note.to_owned()),
            ..Report::default()
        };
        left.push(settle(shared, &party, Fate::Suppressed, report).await);
    }
    (left, parties)
}
