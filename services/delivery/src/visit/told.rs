//! What a visit tells of itself, for the event and the log.

use std::time::Duration;

use postrider_model::MxHost;

use crate::pool::Lease;
use crate::session::{End, Fault, OpenFailure, Spent, Transaction};
use crate::settle::Report;

/// What is told of a session that was not opened.
pub(super) fn of_failure(failure: OpenFailure) -> Report {
    let note = format!("{}: {}", failure.phase.as_str(), in_full(&failure.cause));
    Report {
        note: failure.reply.is_none().then_some(note),
        reply: failure.reply,
        mx: Some(MxHost {
            host: failure.peer.host,
            address: failure.peer.address.ip(),
        }),
        tls: None,
        took: Some(total(&failure.spent)),
    }
}

/// What is told of a transaction; a recipient's own reply is added to it.
pub(super) fn of_transaction(lease: &Lease, transaction: &Transaction) -> Report {
    let facts = lease.connection.facts();
    Report {
        reply: None,
        mx: Some(facts.mx.clone()),
        tls: facts.tls.clone(),
        took: Some(total(&facts.opening) + transaction.took),
        note: note(&transaction.end),
    }
}

fn note(end: &End) -> Option<String> {
    match end {
        End::Answered => None,
        End::Broken { phase, cause } => Some(format!("{}: {}", phase.as_str(), in_full(cause))),
        End::Ambiguous { cause } => Some(format!(
            "no reply to the end of the message ({}): the remote may have it already",
            in_full(cause)
        )),
        End::TooLarge { most } => Some(format!("5.3.4 the exchanger takes at most {most} bytes")),
        End::NeedsSmtpUtf8 => {
            Some("5.6.7 the exchanger takes no internationalised addresses (SMTPUTF8)".to_owned())
        }
        End::NotJournaled(fault) => Some(format!("not sent: {fault}")),
    }
}

fn in_full(fault: &Fault) -> String {
    let mut text = fault.to_string();
    let mut source = std::error::Error::source(fault);
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    text
}

fn total(spent: &Spent) -> Duration {
    spent.0.iter().map(|(_, span)| *span).sum()
}
