//! What a client is told: one table for each kind of error. A new variant does not compile until
//! it has an answer here.

mod enrol;

use postrider_gate::{
    AcceptError, BudgetBusy, Denied, QuotaExceeded, QuotaOf, RescheduleError, ResealError,
};
use postrider_http::Problem;
use postrider_message::{ComposeError, ComposeReason, MessageError};
use postrider_model::{Domain, KeyError, RecipientState};
use postrider_store::{Period, StoreError, StoredEmail};

pub(crate) use enrol::of_enrol;

use crate::catalogue::{Entry, limit_words, moment};

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
            Problem::new(413, "validation_error", message).entry(Entry::TOO_LARGE.id)
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
        AcceptError::BadOption { .. }
        | AcceptError::BulkTooLarge { .. }
        | AcceptError::DeniedNow(_)
        | AcceptError::NotConfirmed { .. }
        | AcceptError::TestKey { .. }
        | AcceptError::AskedInVain { .. }
        | AcceptError::Disowned { .. }
        | AcceptError::UnknownReplyTo { .. }
        | AcceptError::NameRefused { .. } => of_identity(error),
        AcceptError::Message(error) => of_message(error),
        AcceptError::KeyOfOtherRequest => {
            let message =
                "This Idempotency-Key was used with another request; use a new key for it.";
            Problem::new(409, "invalid_idempotent_request", message)
                .entry(Entry::KEY_OF_OTHER_REQUEST.id)
        }
        AcceptError::KeyInProgress => {
            let message =
                "The first request with this Idempotency-Key is still under way; ask again.";
            Problem::new(409, "concurrent_idempotent_requests", message).retry_after(1)
        }
        AcceptError::OverQuota(over) => of_quota(over),
        AcceptError::SpaceIsShort => space_is_short(),
        AcceptError::NoSigningKey => of_entry(&Entry::NO_SIGNING_KEY, &[]).retry_after(LATER),
        AcceptError::Stopped => of_entry(&Entry::STOPPING, &[]).retry_after(SOON),
        AcceptError::NoReturnPath | AcceptError::Sign(_) => Problem::internal(),
        AcceptError::Store(error) => of_store(error),
    }
}

/// Who may send what, under which name: the same words at both doors.
fn of_identity(error: &AcceptError) -> Problem {
    match error {
        AcceptError::BadOption { header, reason, .. } => {
            let values = [("header", header.as_str()), ("reason", *reason)];
            of_entry(&Entry::OPTION, &values)
        }
        AcceptError::BulkTooLarge { recipients, .. } => of_entry(
            &Entry::BULK_TOO_LARGE,
            &[("given", &recipients.to_string())],
        ),
        AcceptError::DeniedNow(denied) => of_denied(denied),
        AcceptError::TestKey { simulator } => {
            let simulator = simulator.as_ref().map_or("(none here)", Domain::as_str);
            of_entry(&Entry::TEST_KEY, &[("simulator", simulator)])
        }
        AcceptError::NotConfirmed { reply_to } => {
            of_entry(&Entry::UNCONFIRMED, &[("address", &reply_to.to_string())])
        }
        AcceptError::AskedInVain { reply_to } => {
            of_entry(&Entry::ASKED_IN_VAIN, &[("address", &reply_to.to_string())])
        }
        AcceptError::Disowned { reply_to } => {
            of_entry(&Entry::OWNER_DENIED, &[("address", &reply_to.to_string())])
        }
        AcceptError::UnknownReplyTo { address } => {
            of_entry(&Entry::REPLY_UNKNOWN, &[("address", &address.to_string())])
        }
        AcceptError::NameRefused { name, reason } => {
            let values = [("name", name.as_str()), ("reason", &reason.to_string())];
            of_entry(&Entry::NAME_REFUSED, &values)
        }
        _ => Problem::internal(),
    }
}

/// The catalogue's words, where they are the same at both doors.
fn of_entry(entry: &Entry, values: &[(&str, &str)]) -> Problem {
    let sentence = entry.say(values);
    match entry.http {
        Some(http) => Problem::new(http.status, http.name, sentence).entry(entry.id),
        None => Problem::internal(),
    }
}

/// Why a quota does not allow a message.
fn of_quota(over: &QuotaExceeded) -> Problem {
    let seconds = over.retry_after.as_micros().div_ceil(1_000_000).max(1);
    let seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
    if over.never_fits && over.by != QuotaOf::Unconfirmed {
        return of_what_never_fits(over);
    }
    let entry = match over.by {
        // Not a matter of time, but of a button behind a link.
        QuotaOf::Unconfirmed => {
            let address = over.reply_to.to_string();
            return of_entry(&Entry::UNCONFIRMED, &[("address", &address)]);
        }
        QuotaOf::Plan => return of_plan(over).retry_after(seconds),
        QuotaOf::Ramp => Entry::RAMP,
        QuotaOf::Key => Entry::KEY_DAY,
        QuotaOf::NewRecipients => Entry::NEW_RECIPIENTS,
        QuotaOf::Vendor => Entry::VENDOR_DAY,
    };
    let (vendor, contact) = vendor_of(over);
    let (limit, used) = (over.limit.to_string(), over.used.to_string());
    let (given, at) = (over.recipients.to_string(), moment(over.resets_at));
    let values = [
        ("limit", limit.as_str()),
        ("used", &used),
        ("given", &given),
        ("at", &at),
        ("vendor", &vendor),
        ("contact", &contact),
    ];
    of_entry(&entry, &values).retry_after(seconds)
}

// No matter of time: it has to be split.
fn of_what_never_fits(over: &QuotaExceeded) -> Problem {
    let (given, limit) = (over.recipients.to_string(), over.limit.to_string());
    if over.by == QuotaOf::NewRecipients {
        return of_entry(&Entry::NEW_RECIPIENTS_OF_ONE, &[("limit", &limit)]);
    }
    let values = [
        ("given", given.as_str()),
        ("quota", limit_words(over)),
        ("limit", &limit),
    ];
    of_entry(&Entry::QUOTA_OF_ONE, &values)
}

/// Whose volume is used up and whom to ask, where it is a vendor's.
pub(crate) fn vendor_of(over: &QuotaExceeded) -> (String, String) {
    let vendor = over.vendor.as_ref();
    vendor.map_or_else(Default::default, |vendor| {
        (vendor.name.clone(), vendor.whom_to_ask())
    })
}

fn of_plan(over: &QuotaExceeded) -> Problem {
    let (name, daily, entry) = match over.period {
        Period::Month => ("monthly_quota_exceeded", "monthly", Entry::MONTH),
        Period::Day
        | Period::RampDay
        | Period::KeyDay
        | Period::NewHour
        | Period::Unconfirmed
        | Period::VendorDay => ("daily_quota_exceeded", "daily", Entry::DAY),
    };
    let QuotaExceeded {
        limit,
        used,
        recipients,
        resets_at,
        ..
    } = over;
    let message = format!(
        "Your {daily} quota is {limit} recipients; {used} of them are used, and the request has {recipients}. It begins anew at {resets_at}: send it again then, or ask the service's operator for a higher quota."
    );
    Problem::new(429, name, message).entry(entry.id)
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
    let (name, field) = (name_of_compose(error), error.field.clone());
    Problem::field(422, name, field, format!("{}.", error.reason))
}

/// The contract's name for it.
pub(crate) fn name_of_compose(error: &ComposeError) -> &'static str {
    match error.field.as_str() {
        "from" => return "invalid_from_address",
        field if field.starts_with("attachments") => return "invalid_attachment",
        _ => {}
    }
    match &error.reason {
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
    }
}

/// Why a caller was turned away.
pub(crate) fn of_denied(denied: &Denied) -> Problem {
    match denied {
        // One answer for both: nobody learns which keys were once good.
        Denied::UnknownKey | Denied::RevokedKey => invalid_key(),
        Denied::Expired { at } => of_entry(&Entry::KEY_EXPIRED, &[("at", &moment(*at))]),
        Denied::WrongNetwork { from } => {
            of_entry(&Entry::OTHER_NETWORK, &[("ip", &from.to_string())])
        }
        Denied::Suspended { by, contact } => {
            let values = [("by", by.as_str()), ("contact", contact)];
            of_entry(&Entry::SUSPENDED, &values)
        }
        Denied::SuspendedKey => of_entry(&Entry::KEY_SUSPENDED, &[]),
        Denied::SuspendedVendor { vendor } => {
            let contact = vendor.whom_to_ask();
            let values = [("vendor", vendor.name.as_str()), ("contact", &contact)];
            of_entry(&Entry::VENDOR_SUSPENDED, &values)
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
        StoreError::Unavailable(_) => of_entry(&Entry::UNAVAILABLE, &[]).retry_after(SOON),
        StoreError::Full(_) => space_is_short(),
        StoreError::NotFound { .. } => Problem::not_found(),
        StoreError::Rejected { .. } | StoreError::Taken { .. } | StoreError::Corrupt { .. } => {
            Problem::internal()
        }
    }
}

/// What is said where memory is taken.
pub(crate) fn of_budget(_busy: BudgetBusy) -> Problem {
    of_entry(&Entry::BUSY, &[]).retry_after(SOON)
}

/// Why an `Idempotency-Key` is none.
pub(crate) fn of_idempotency_key(error: &KeyError) -> Problem {
    let message = format!("The Idempotency-Key is not usable: {error}.");
    Problem::new(400, "invalid_idempotency_key", message)
}

pub(crate) fn invalid_key() -> Problem {
    let message = "This API key is not known; check that it was copied whole and was not revoked.";
    Problem::new(403, "invalid_api_key", message).entry(Entry::PASSWORD_UNKNOWN.id)
}

pub(crate) fn missing_key() -> Problem {
    let message = "No API key came with the request; send it as Authorization: Bearer pr_live_….";
    let challenge = ::http::HeaderValue::from_static("Bearer");
    Problem::new(401, "missing_api_key", message)
        .entry(Entry::AUTH_FIRST.id)
        .header(::http::header::WWW_AUTHENTICATE, challenge)
}

pub(crate) fn space_is_short() -> Problem {
    of_entry(&Entry::NO_SPACE, &[]).retry_after(LATER)
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
pub(crate) mod tests;
