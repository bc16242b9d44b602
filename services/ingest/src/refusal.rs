//! What a client is told: one table for each kind of error. A new variant does not compile until
//! it has an answer here.

use postrider_gate::{
    AcceptError, BudgetBusy, Denied, QuotaExceeded, RescheduleError, ResealError,
};
use postrider_http::Problem;
use postrider_message::{ComposeError, ComposeReason, MessageError};
use postrider_model::{KeyError, RecipientState};
use postrider_store::{Period, StoreError, StoredEmail};

/// How long a client should wait for what mends itself, and for what a person must mend.
const SOON: u32 = 5;
const LATER: u32 = 60;

/// Why a message was not accepted.
pub(crate) fn of_accept(error: &AcceptError) -> Problem {
    match error {
        AcceptError::NoRecipients => Problem::field(
            422,
            "missing_required_field",
            "to",
            "is missing; give at least one recipient.",
        ),
        AcceptError::TooManyRecipients { given, most } => {
            let message = format!("the message has {given} recipients; {most} are the most.");
            Problem::field(422, "validation_error", "to", message)
        }
        AcceptError::SeveralFrom { given } => {
            let message = format!("lists {given} addresses; give exactly one.");
            Problem::field(422, "invalid_from_address", "from", message)
        }
        AcceptError::TooLarge { size, most } => {
            let message = format!(
                "The message has {size} bytes as it is sent; {most} are the most. Send smaller attachments."
            );
            Problem::new(413, "validation_error", message)
        }
        AcceptError::ScheduledTooLate { at, most } => {
            let days = most.as_secs() / (24 * 60 * 60);
            let message = format!("{at} is more than {days} days ahead; give an earlier time.");
            Problem::field(422, "invalid_parameter", "scheduled_at", message)
        }
        AcceptError::ExpiresTooEarly { at, due } => {
            let message =
                format!("{at} is not after {due}, when the message is sent; give a later time.");
            Problem::field(422, "invalid_parameter", "expires_at", message)
        }
        AcceptError::Message(error) => of_message(error),
        AcceptError::KeyOfOtherRequest => {
            let message =
                "This Idempotency-Key was used with another request; use a new key for it.";
            Problem::new(409, "invalid_idempotent_request", message)
        }
        AcceptError::KeyInProgress => {
            let message =
                "The first request with this Idempotency-Key is still under way; ask again.";
            Problem::new(409, "concurrent_idempotent_requests", message).retry_after(1)
        }
        AcceptError::OverQuota(over) => of_quota(over),
        AcceptError::SpaceIsShort => space_is_short(),
        AcceptError::NoSigningKey => Problem::unavailable(
            "The service has no key to sign with now; send it again later.",
            LATER,
        ),
        AcceptError::Stopped => {
            Problem::unavailable("The service is restarting; send it again.", SOON)
        }
        AcceptError::NoReturnPath | AcceptError::Sign(_) => Problem::internal(),
        AcceptError::Store(error) => of_store(error),
    }
}

/// Why a tenant's quota does not allow a message.
fn of_quota(over: &QuotaExceeded) -> Problem {
    let (name, daily) = match over.period {
        Period::Day => ("daily_quota_exceeded", "daily"),
        Period::Month => ("monthly_quota_exceeded", "monthly"),
    };
    let QuotaExceeded {
        limit,
        used,
        recipients,
        resets_at,
        ..
    } = over;
    let message = if *recipients as u64 > u64::from(*limit) {
        format!(
            "The request has {recipients} recipients, more than your whole {daily} quota of {limit} (used so far: {used}); send it to fewer at a time, or ask the service's operator for a higher quota."
        )
    } else {
        format!(
            "Your {daily} quota is {limit} recipients; {used} of them are used, and the request has {recipients}. It begins anew at {resets_at}: send it again then, or ask the service's operator for a higher quota."
        )
    };
    let seconds = over.retry_after.as_micros().div_ceil(1_000_000).max(1);
    Problem::new(429, name, message).retry_after(u32::try_from(seconds).unwrap_or(u32::MAX))
}

/// What is asked for with a scheduled message.
#[derive(Clone, Copy)]
pub(crate) enum Verb {
    Cancel,
    Reschedule,
}

/// Why a message did not get another time.
pub(crate) fn of_reschedule(error: &RescheduleError) -> Problem {
    match error {
        RescheduleError::Refused(AcceptError::ExpiresTooEarly { at, due }) => {
            let message =
                format!("{due} is not before {at}, when the email expires; give an earlier time.");
            Problem::field(422, "invalid_parameter", "scheduled_at", message)
        }
        RescheduleError::Refused(error) => of_accept(error),
        RescheduleError::Seal(ResealError::NoSigningKey) => of_accept(&AcceptError::NoSigningKey),
        RescheduleError::Seal(ResealError::Stopped) => of_accept(&AcceptError::Stopped),
        RescheduleError::Seal(ResealError::Store(error)) => of_store(error),
        RescheduleError::Seal(ResealError::NoTenant | ResealError::Sign(_))
        | RescheduleError::Unsealed => Problem::internal(),
    }
}

/// Why a message cannot be given another time now: others seal it all the while.
pub(crate) fn sealed_by_another() -> Problem {
    Problem::unavailable(
        "The email is being changed by another request; ask again.",
        SOON,
    )
}

/// Why a message cannot be taken back or get another time: what it is instead of scheduled.
pub(crate) fn not_scheduled(email: &StoredEmail, verb: Verb) -> Problem {
    let mut states: Vec<_> = email.recipients.iter().map(|one| one.state).collect();
    states.sort_unstable();
    states.dedup();
    let now = match states.as_slice() {
        [state] => all_are(*state).to_owned(),
        several => {
            let words: Vec<_> = several.iter().map(|state| state.as_str()).collect();
            format!("its recipients are {}", words.join(", "))
        }
    };
    let any_more = match email.summary.scheduled_at {
        Some(_) => " any more",
        None => "",
    };
    let verb = match verb {
        Verb::Cancel => "cancelled",
        Verb::Reschedule => "rescheduled",
    };
    let message = format!("The email cannot be {verb}: it is not scheduled{any_more}; {now}.");
    Problem::new(422, "validation_error", message)
}

fn all_are(state: RecipientState) -> &'static str {
    match state {
        RecipientState::Scheduled => "its time has come",
        RecipientState::Queued => "it is queued and being sent",
        RecipientState::Held => "it is held by the service's operator",
        RecipientState::Delivered => "it was delivered",
        RecipientState::Failed => "it could not be delivered",
        RecipientState::Suppressed => "its recipients are on the suppression list",
        RecipientState::Expired => "it expired before it could be delivered",
        RecipientState::Cancelled => "it was cancelled before",
    }
}

/// Why a message's own text cannot be taken. The texts name field or line and the remedy.
pub(crate) fn of_message(error: &MessageError) -> Problem {
    let name = match error {
        MessageError::FromGroup | MessageError::BadFrom { .. } => "invalid_from_address",
        _ => "validation_error",
    };
    Problem::new(422, name, sentence(&error.to_string()))
}

/// Why a message cannot be composed of the fields that were given.
pub(crate) fn of_compose(error: &ComposeError) -> Problem {
    let name = match &error.reason {
        ComposeReason::NoBody => "missing_required_field",
        ComposeReason::BadContentType | ComposeReason::BadContentId | ComposeReason::NoFilename => {
            "invalid_attachment"
        }
        ComposeReason::LineEnd
        | ComposeReason::TooLong { .. }
        | ComposeReason::HeadersTooLarge { .. }
        | ComposeReason::BadName
        | ComposeReason::Reserved
        | ComposeReason::UseField(_)
        | ComposeReason::Twice
        | ComposeReason::NeedsListUnsubscribe
        | ComposeReason::NotAscii
        | ComposeReason::LongWord => "validation_error",
    };
    let name = match error.field.as_str() {
        "from" => "invalid_from_address",
        field if field.starts_with("attachments") => "invalid_attachment",
        _ => name,
    };
    Problem::field(422, name, error.field.clone(), format!("{}.", error.reason))
}

/// Why a caller was turned away.
pub(crate) fn of_denied(denied: &Denied) -> Problem {
    match denied {
        // One answer for both: nobody learns which keys were once good.
        Denied::UnknownKey | Denied::RevokedKey => invalid_key(),
        Denied::Suspended => {
            let message = "This account is suspended; write to the service's operator.";
            Problem::new(403, "validation_error", message)
        }
        Denied::RateLimited { rate, retry_after } => {
            let seconds = u32::try_from(retry_after.as_millis().div_ceil(1_000)).unwrap_or(LATER);
            let message = format!(
                "More than {} requests came in one second; wait and send it again.",
                rate.limit
            );
            Problem::new(429, "rate_limit_exceeded", message).retry_after(seconds.max(1))
        }
    }
}

/// What is said where the store could not do its work.
pub(crate) fn of_store(error: &StoreError) -> Problem {
    match error {
        StoreError::Unavailable(_) => Problem::unavailable(
            "The service is not available for the moment; send it again.",
            SOON,
        ),
        StoreError::Full(_) => space_is_short(),
        StoreError::NotFound { .. } => Problem::not_found(),
        StoreError::Rejected { .. } | StoreError::Taken { .. } | StoreError::Corrupt { .. } => {
            Problem::internal()
        }
    }
}

/// What is said where memory is taken.
pub(crate) fn of_budget(_busy: BudgetBusy) -> Problem {
    Problem::unavailable(
        "Too many large requests are under way; send it again.",
        SOON,
    )
}

/// Why an `Idempotency-Key` is none.
pub(crate) fn of_idempotency_key(error: &KeyError) -> Problem {
    let message = format!("The Idempotency-Key is not usable: {error}.");
    Problem::new(400, "invalid_idempotency_key", message)
}

pub(crate) fn invalid_key() -> Problem {
    let message = "This API key is not known; check that it was copied whole and was not revoked.";
    Problem::new(403, "invalid_api_key", message)
}

pub(crate) fn missing_key() -> Problem {
    let message = "No API key came with the request; send it as Authorization: Bearer pr_live_….";
    let challenge = ::http::HeaderValue::from_static("Bearer");
    Problem::new(401, "missing_api_key", message)
        .header(::http::header::WWW_AUTHENTICATE, challenge)
}

pub(crate) fn space_is_short() -> Problem {
    Problem::unavailable(
        "The service has no room for more mail now; send it again later.",
        LATER,
    )
}

// Our errors begin in lowercase and end without a stop; a client reads a sentence.
fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first: String = chars
        .next()
        .into_iter()
        .flat_map(char::to_uppercase)
        .collect();
    format!("{first}{}.", chars.as_str())
}

#[cfg(test)]
mod tests;
