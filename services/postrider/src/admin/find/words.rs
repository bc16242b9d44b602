//! Where a recipient stands, what a remote's words mean and what happens next, in sentences. Pure.

use postrider_model::{EnhancedCode, RecipientState, Reply, Timestamp, WaitCause};
use postrider_store::Traced;

/// What became of it.
pub(super) fn what(traced: &Traced, now: Timestamp) -> String {
    let recipient = &traced.recipient;
    let tries = match recipient.attempts {
        0 => "not tried yet".to_owned(),
        1 => "tried once".to_owned(),
        n => format!("tried {n} times"),
    };
    let at = when(recipient.updated_at);
    match recipient.state {
        RecipientState::Delivered => format!("Delivered at {at}."),
        RecipientState::Failed => format!("Refused for good at {at} ({tries})."),
        RecipientState::Expired => format!("Given up at {at}: its time had passed ({tries})."),
        RecipientState::Suppressed => {
            format!("Not sent: the address was suppressed at {at} ({tries}).")
        }
        RecipientState::Cancelled => format!("Taken back at {at} ({tries})."),
        RecipientState::Held => format!("Held since {at} ({tries})."),
        RecipientState::Scheduled => "Scheduled for later by its sender.".to_owned(),
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

fn cause(cause: Option<WaitCause>) -> &'static str {
    match cause {
        None | Some(WaitCause::Turn) => "its turn comes",
        Some(WaitCause::Scheduled) => "its sender asked for a later time",
        Some(WaitCause::TenantPace) => "its tenant sends at its pace",
        Some(WaitCause::DestinationCap) => "the recipient's server takes no more at a time",
        Some(WaitCause::DestinationBackoff) => {
            "the recipient's server could not be reached, or takes no mail from us for now"
        }
        Some(WaitCause::Greylisting) => {
            "the recipient's server wants the same again a little later"
        }
        Some(WaitCause::Retry) => "the recipient's server said «later»",
        Some(WaitCause::WarmUp) => {
            "our address is new, and has sent this provider what it may send today"
        }
        Some(WaitCause::NoRoute) => {
            "DNS does not tell where its mail goes, or nothing may leave until `postrider doctor` is content"
        }
        Some(WaitCause::Held) => "it was held",
        Some(WaitCause::Attempt) => "it is being tried",
    }
}

/// What the last words mean; `None` where nothing is known beyond them.
pub(super) fn meaning(traced: &Traced) -> Option<&'static str> {
    let state = traced.recipient.state;
    match &traced.recipient.last_reply {
        _ if state == RecipientState::Delivered => Some(
            "The recipient's server took it. If it is not in the inbox, it is in the spam folder, or a rule of the recipient moved it.",
        ),
        Some(reply) => of_reply(reply),
        None => None,
    }
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
pub(super) fn next(traced: &Traced, suspended: bool, now: Timestamp) -> String {
    let recipient = &traced.recipient;
    let message = traced.message;
    match recipient.state {
        RecipientState::Delivered => "Nothing more.".to_owned(),
        RecipientState::Failed | RecipientState::Expired | RecipientState::Cancelled => {
            "It is not tried again: its sender sends it anew, if it is still wanted.".to_owned()
        }
        RecipientState::Suppressed => {
            "It is not tried again; `postrider suppression lift` lets new mail through.".to_owned()
        }
        RecipientState::Held => {
            format!("It waits until `postrider queue release --message {message}`.")
        }
        RecipientState::Scheduled | RecipientState::Queued if suspended => {
            "Its tenant is suspended: nothing leaves until `postrider tenant resume`.".to_owned()
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
