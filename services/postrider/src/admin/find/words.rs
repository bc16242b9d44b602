//! Where a recipient stands, what a remote's words mean and what happens next, in sentences. Pure.

use postrider_gate::Remedy;
use postrider_model::{
    EnhancedCode, Language, MessageId, OwnVerdict, RecipientState, Reply, Timestamp, WaitCause,
};
use postrider_store::Traced;

use super::{Told, suppressed};
use crate::holds::{Hold, cause, together};

/// What became of it.
pub(super) fn what(traced: &Traced, told: &Told<'_>) -> String {
    let (recipient, now) = (&traced.recipient, told.now);
    let tries = match recipient.attempts {
        0 => "not tried yet".to_owned(),
        1 => "tried once".to_owned(),
        n => format!("tried {n} times"),
    };
    let at = when(recipient.updated_at);
    match recipient.state {
        RecipientState::Delivered => format!("Delivered at {at}."),
        RecipientState::Failed if own(traced).is_some() => {
            format!("Not sent, and given up at {at} ({tries}).")
        }
        RecipientState::Failed => format!("Refused for good at {at} ({tries})."),
        RecipientState::Expired => format!("Given up at {at}: its time had passed ({tries})."),
        RecipientState::Suppressed => {
            format!("Not sent: the address was suppressed at {at} ({tries}).")
        }
        RecipientState::Cancelled => format!("Taken back at {at} ({tries})."),
        RecipientState::Held => format!("Held since {at} ({tries})."),
        RecipientState::Scheduled => "Scheduled for later by its sender.".to_owned(),
        RecipientState::Queued if !told.holds.is_empty() => {
            let holds: Vec<_> = told.holds.iter().map(Hold::briefly).collect();
            format!("It waits ({tries}): {}.", holds.join(", and "))
        }
        RecipientState::Queued => {
            let later = recipient.due_at.is_some_and(|due_at| due_at > now);
            // Where nothing may leave, what is due waits for that.
            let waits = |cause: &WaitCause| later || *cause == WaitCause::NoRoute;
            let cause = cause(recipient.cause.filter(waits));
            format!("It waits ({tries}): {cause}.")
        }
    }
}

/// To the second: an operator reads it.
fn when(at: Timestamp) -> String {
    let text = at.to_string();
    let second = text.split('.').next().unwrap_or_default();
    format!("{} UTC", second.replace('T', " "))
}

/// What the last words mean; `None` where nothing is known beyond them.
pub(super) fn meaning(traced: &Traced) -> Option<&'static str> {
    let state = traced.recipient.state;
    match &traced.recipient.last_reply {
        _ if state == RecipientState::Delivered => Some(
            "The recipient's server took it. If it is not in the inbox, it is in the spam folder, or a rule of the recipient moved it.",
        ),
        Some(reply) => of_reply(reply),
        None => own(traced).map(|verdict| Remedy::of_own(verdict).sentence(Language::En)),
    }
}

/// Our own verdict, where no remote said one.
fn own(traced: &Traced) -> Option<OwnVerdict> {
    if traced.recipient.last_reply.is_some() {
        return None;
    }
    OwnVerdict::of_note(traced.last.as_ref()?.note.as_deref()?)
}

// RFC 3463 §3; where there is no enhanced code, RFC 5321 §4.2.3.
fn of_reply(reply: &Reply) -> Option<&'static str> {
    let permanent = reply.code >= 500;
    let meaning = match reply.enhanced {
        Some(EnhancedCode(_, 1, 7 | 8)) => "The server does not accept the sender's address.",
        Some(EnhancedCode(_, 1, 10)) => "The domain takes no mail.",
        Some(EnhancedCode(_, 1, 2)) => "The domain is not known: the address is probably misspelt.",
        Some(EnhancedCode(_, 1, _)) if permanent => {
            "There is no such mailbox: the address is wrong or was closed."
        }
        Some(EnhancedCode(_, 1, _)) => {
            "The server cannot tell now whether there is such a mailbox."
        }
        Some(EnhancedCode(_, 2, 1)) => "The mailbox is disabled.",
        Some(EnhancedCode(_, 2, 2)) => "The mailbox is full: the recipient has to make room.",
        Some(EnhancedCode(_, 2, 3) | EnhancedCode(_, 3, 4)) => "The message is too large for it.",
        Some(EnhancedCode(_, 3, _)) => "The server has trouble of its own, or too much to do.",
        Some(EnhancedCode(_, 4, 7)) => "The time in which it was to be delivered has passed.",
        Some(EnhancedCode(_, 4, _)) => "The way to the server is disturbed.",
        Some(EnhancedCode(_, 5, 3)) => "Too many recipients at a time.",
        Some(EnhancedCode(_, 6, _)) => "The server cannot handle the form of the message.",
        Some(EnhancedCode(4, 7, 1)) if matches!(reply.code, 450 | 451) => {
            "Greylisting: the server takes the same again a little later."
        }
        Some(EnhancedCode(4, 7, _)) => {
            "The server takes no more from us for now: its policy, or our reputation there."
        }
        Some(EnhancedCode(5, 7, 20..=27)) => {
            "The server refuses it by the sender's SPF, DKIM or DMARC."
        }
        Some(EnhancedCode(_, 7, _)) => {
            "The server refuses it by policy: a block list, a filter, or what the recipient allows."
        }
        _ => match reply.code {
            421 => "The server takes no mail at this moment.",
            452 | 552 => "The mailbox is full, or the message too large.",
            550 | 551 | 553 => "The server does not take mail for this address.",
            554 => "The server refuses it and does not say why in a code: its words do.",
            400..=499 => "The server asks to try again later.",
            500..=599 => "The server refuses it for good.",
            _ => return None,
        },
    };
    Some(meaning)
}

/// What happens next, and what can be done.
pub(super) fn next(traced: &Traced, told: &Told<'_>) -> String {
    let (recipient, now) = (&traced.recipient, told.now);
    let message = traced.message;
    let stopped = stopped(told.holds, message);
    match recipient.state {
        RecipientState::Delivered => "Nothing more.".to_owned(),
        RecipientState::Failed | RecipientState::Expired | RecipientState::Cancelled => {
            "It is not tried again: its sender sends it anew, if it is still wanted.".to_owned()
        }
        RecipientState::Suppressed => suppressed::next(traced.stream, told),
        RecipientState::Held => {
            let release = format!("It waits until `postrider queue release --message {message}`.");
            let then = stopped.map(|stopped| format!(" Then it waits on: {stopped}"));
            release + &then.unwrap_or_default()
        }
        RecipientState::Scheduled | RecipientState::Queued if stopped.is_some() => {
            let until = format!(" It is worth sending until {}.", when(traced.expires_at));
            stopped.unwrap_or_default() + &until
        }
        RecipientState::Scheduled => match recipient.due_at {
            Some(due_at) => format!("It leaves at {}.", when(due_at)),
            None => "It leaves at its time.".to_owned(),
        },
        RecipientState::Queued => match recipient.due_at {
            Some(due_at) if due_at > now => format!(
                "It is tried at {}, and again until {}; `postrider queue retry-now --message {message}` tries it at once.",
                when(due_at),
                when(traced.expires_at)
            ),
            _ => format!("It is due, and tried until {}.", when(traced.expires_at)),
        },
    }
}

/// What stops it, and what lets each go.
fn stopped(holds: &[Hold], message: MessageId) -> Option<String> {
    if holds.is_empty() {
        return None;
    }
    let remedies: Vec<_> = holds.iter().map(|hold| hold.remedy(message)).collect();
    Some(format!(
        "It does not leave, for {}. {}",
        together(holds),
        remedies.join(" ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remotes_codes_are_told_in_words() {
        let code = |class, subject, detail| Some(EnhancedCode(class, subject, detail));
        for (number, enhanced, want) in [
            (550, code(5, 1, 1), Some("no such mailbox")),
            (450, code(4, 1, 1), Some("cannot tell now")),
            (550, code(5, 1, 2), Some("misspelt")),
            (553, code(5, 1, 8), Some("sender's address")),
            (552, code(5, 2, 2), Some("mailbox is full")),
            (450, code(4, 7, 1), Some("Greylisting")),
            (421, code(4, 7, 28), Some("reputation")),
            (550, code(5, 7, 26), Some("DMARC")),
            (554, code(5, 7, 1), Some("block list")),
            (550, None, Some("does not take mail for this address")),
            (451, None, Some("again later")),
            (599, None, Some("for good")),
            (299, None, None),
        ] {
            let told = of_reply(&Reply::new(number, enhanced, b"x"));
            let fits = match want {
                Some(want) => told.is_some_and(|told| told.contains(want)),
                None => told.is_none(),
            };
            assert!(fits, "{number} {enhanced:?}: {told:?}");
        }
    }
}
