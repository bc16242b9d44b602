//! Each «no» of the SMTP door: which of the catalogue's entries it is, with which values. Every
//! kind of error has its exhaustive table here, as `refusal` has for the HTTP door.

use std::net::IpAddr;

use postrider_gate::{AcceptError, Denied, QuotaExceeded, QuotaOf};
use postrider_message::MessageError;
use postrider_model::{Domain, SessionCode};
use postrider_smtp::{Refusal, Reply};
use postrider_store::{Period, StoreError};

use crate::catalogue::{Entry, limit_words, moment};
use crate::refusal;
use crate::submission::SmtpConfig;
use crate::submission::crowd::Full;

/// An entry with its values filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) entry: Entry,
    pub(crate) sentence: String,
}

/// Without values.
pub(crate) fn plain(entry: Entry) -> Told {
    told(entry, &[])
}

pub(crate) fn told(entry: Entry, values: &[(&str, &str)]) -> Told {
    let sentence = entry.say(values);
    Told { entry, sentence }
}

impl Told {
    /// As it goes out. The code is what people read out on the telephone. Of several lines some
    /// programs show the first and some the last: it is in both.
    pub(crate) fn reply(&self, code: Option<SessionCode>, config: &SmtpConfig) -> Reply {
        let code = code.map_or_else(String::new, |code| format!(" ({code})"));
        let text = format!("{} {}{code}", self.entry.id, self.sentence);
        // An entry without a reply is a verdict and never gets here; 421 is true of every end.
        let reply = match self.entry.smtp {
            Some(smtp) => Reply::new(smtp.code, smtp.enhanced, text),
            None => Reply::new(421, None, text),
        };
        match &config.documentation {
            Some(page) => reply.line(format!("See {page}#{}{code}", self.entry.anchor())),
            None => reply,
        }
    }
}

/// What is said to one connection too many.
pub(crate) fn full(config: &SmtpConfig, ip: IpAddr, full: Full) -> Reply {
    let told = match full {
        Full::All => plain(Entry::CONNECTIONS),
        Full::OfOne => {
            let most = config.connections_of_one_most.to_string();
            let values = [("most", most.as_str()), ("ip", &ip.to_string())];
            told(Entry::CONNECTIONS_OF_ONE, &values)
        }
    };
    told.reply(None, config)
}

/// What the conversation itself refuses.
pub(crate) fn of_refusal(refusal: &Refusal, config: &SmtpConfig) -> Told {
    match refusal {
        Refusal::Http => spoke_http(config),
        Refusal::TlsRequired => plain(Entry::TLS_FIRST),
        Refusal::AuthNeedsTls => plain(Entry::AUTH_IN_THE_CLEAR),
        Refusal::TlsUnavailable => plain(Entry::TLS_UNAVAILABLE),
        Refusal::TlsAlready => plain(Entry::TLS_IS_ON),
        Refusal::BehindStartTls => plain(Entry::BEFORE_TLS),
        Refusal::AuthRequired => plain(Entry::AUTH_FIRST),
        Refusal::NoMechanism => plain(Entry::NO_MECHANISM),
        Refusal::Mechanism(name) => {
            let name = name.unwrap_or("that mechanism");
            told(Entry::MECHANISM, &[("mechanism", name)])
        }
        Refusal::Base64 | Refusal::PlainForm => plain(Entry::AUTH_UNREADABLE),
        Refusal::OtherIdentity => plain(Entry::OTHER_IDENTITY),
        Refusal::NoPassword => plain(Entry::NO_PASSWORD),
        Refusal::SignInCancelled => plain(Entry::AUTH_CANCELLED),
        Refusal::SignedInAlready => plain(Entry::SIGNED_IN),
        Refusal::TooManySignIns => plain(Entry::TOO_MANY_PASSWORDS),
        Refusal::NoHello => plain(Entry::HELLO_FIRST),
        Refusal::MailOpen => plain(Entry::MAIL_IS_OPEN),
        Refusal::NoMail => plain(Entry::MAIL_FIRST),
        Refusal::NoRecipients => plain(Entry::NO_RECIPIENTS),
        Refusal::Sender => plain(Entry::BAD_SENDER),
        Refusal::RecipientForm => told(Entry::SYNTAX, &[("command", "RCPT")]),
        Refusal::Recipient(error) => told(Entry::BAD_RECIPIENT, &[("reason", &error.to_string())]),
        Refusal::Parameter { command, name } => told(
            Entry::PARAMETER,
            &[("command", command), ("parameter", name)],
        ),
        Refusal::ParameterValue { command, name } => told(
            Entry::PARAMETER_VALUE,
            &[("command", command), ("parameter", name)],
        ),
        Refusal::TooManyRecipients { most } => {
            told(Entry::TOO_MANY_RECIPIENTS, &[("most", &most.to_string())])
        }
        Refusal::TooLarge { most } => told(Entry::TOO_LARGE, &[("most", &megabytes(*most))]),
        Refusal::UnknownCommand => plain(Entry::UNKNOWN_COMMAND),
        Refusal::NotOffered(command) => told(Entry::NOT_IMPLEMENTED, &[("command", command)]),
        Refusal::Argument(command) => told(Entry::SYNTAX, &[("command", command)]),
        Refusal::LineTooLong { .. } => plain(Entry::LINE_TOO_LONG),
        Refusal::BareLineFeed => plain(Entry::BARE_LINE_FEED),
        Refusal::ControlCharacters => plain(Entry::CONTROL_CHARACTERS),
        Refusal::ContentUnasked => plain(Entry::CONTENT_UNASKED),
        Refusal::TooManyErrors => plain(Entry::TOO_MANY_ERRORS),
    }
}

// Rounded down, so that what fits in the figure fits.
fn megabytes(bytes: u64) -> String {
    const MEGABYTE: u64 = 1024 * 1024;
    if bytes < MEGABYTE {
        return format!("{bytes} bytes");
    }
    format!("{} MB", bytes / MEGABYTE)
}

/// What is said to a program that speaks HTTP.
pub(crate) fn spoke_http(config: &SmtpConfig) -> Told {
    let api = config.api.as_deref().unwrap_or("the address of the API");
    told(Entry::SPOKE_HTTP, &[("api", api)])
}

/// Why nobody is signed in.
pub(crate) fn of_denied(denied: &Denied) -> Told {
    match denied {
        // One answer for both: nobody learns which passwords were once good.
        Denied::UnknownKey | Denied::RevokedKey => plain(Entry::PASSWORD_UNKNOWN),
        Denied::Expired { at } => told(Entry::KEY_EXPIRED, &[("at", &moment(*at))]),
        Denied::WrongNetwork { from } => told(Entry::OTHER_NETWORK, &[("ip", &from.to_string())]),
        Denied::Suspended { by, contact } => {
            told(Entry::SUSPENDED, &[("by", by), ("contact", contact)])
        }
        Denied::SuspendedKey => plain(Entry::KEY_SUSPENDED),
        Denied::SuspendedVendor { vendor } => {
            let contact = vendor.whom_to_ask();
            let values = [("vendor", vendor.name.as_str()), ("contact", &contact)];
            told(Entry::VENDOR_SUSPENDED, &values)
        }
        Denied::RateLimited { rate, .. } => {
            told(Entry::RATE, &[("limit", &rate.limit.to_string())])
        }
    }
}

/// Why a message was not accepted.
pub(crate) fn of_accept(error: &AcceptError) -> Told {
    match error {
        AcceptError::NoRecipients => plain(Entry::NO_RECIPIENTS),
        AcceptError::TooManyRecipients { most, .. } => {
            told(Entry::TOO_MANY_RECIPIENTS, &[("most", &most.to_string())])
        }
        AcceptError::SeveralFrom { given } => {
            let reason = format!("it lists {given} addresses");
            told(Entry::BAD_FROM, &[("reason", &reason)])
        }
        AcceptError::TooLarge { most, .. } => {
            told(Entry::TOO_LARGE, &[("most", &megabytes(*most as u64))])
        }
        AcceptError::ScheduledTooLate { most, .. } => {
            let days = (most.as_secs() / (24 * 60 * 60)).to_string();
            told(Entry::SCHEDULED_TOO_LATE, &[("days", &days)])
        }
        AcceptError::ExpiresTooEarly { at, .. } => {
            told(Entry::EXPIRES_TOO_EARLY, &[("at", &moment(*at))])
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
        AcceptError::KeyOfOtherRequest => plain(Entry::KEY_OF_OTHER_REQUEST),
        AcceptError::KeyInProgress => plain(Entry::KEY_IN_PROGRESS),
        AcceptError::OverQuota(over) => of_quota(over),
        AcceptError::SpaceIsShort => plain(Entry::NO_SPACE),
        AcceptError::NoSigningKey => plain(Entry::NO_SIGNING_KEY),
        AcceptError::Stopped => plain(Entry::STOPPING),
        AcceptError::NoReturnPath | AcceptError::Sign(_) => plain(Entry::INTERNAL),
        AcceptError::Store(error) => of_store(error),
    }
}

/// Who may send what, under which name.
fn of_identity(error: &AcceptError) -> Told {
    match error {
        AcceptError::BadOption { header, reason, .. } => {
            told(Entry::OPTION, &[("header", header), ("reason", reason)])
        }
        AcceptError::BulkTooLarge { recipients, .. } => {
            told(Entry::BULK_TOO_LARGE, &[("given", &recipients.to_string())])
        }
        AcceptError::DeniedNow(denied) => of_denied(denied),
        AcceptError::TestKey { simulator } => {
            let simulator = simulator.as_ref().map_or("(none here)", Domain::as_str);
            told(Entry::TEST_KEY, &[("simulator", simulator)])
        }
        AcceptError::NotConfirmed { reply_to } => {
            told(Entry::UNCONFIRMED, &[("address", &reply_to.to_string())])
        }
        AcceptError::AskedInVain { reply_to } => {
            told(Entry::ASKED_IN_VAIN, &[("address", &reply_to.to_string())])
        }
        AcceptError::Disowned { reply_to } => {
            told(Entry::OWNER_DENIED, &[("address", &reply_to.to_string())])
        }
        AcceptError::UnknownReplyTo { address } => {
            told(Entry::REPLY_UNKNOWN, &[("address", &address.to_string())])
        }
        AcceptError::NameRefused { name, reason } => {
            let reason = reason.to_string();
            told(Entry::NAME_REFUSED, &[("name", name), ("reason", &reason)])
        }
        _ => plain(Entry::INTERNAL),
    }
}

fn of_message(error: &MessageError) -> Told {
    let reason = error.to_string();
    match error {
        // The sentence names the field and the remedy itself.
        MessageError::FromGroup => told(Entry::BAD_FROM, &[("reason", "it is a group")]),
        MessageError::BadFrom { reason } => told(Entry::BAD_FROM, &[("reason", reason)]),
        MessageError::Loop { hops, .. } => told(Entry::LOOP, &[("hops", &hops.to_string())]),
        MessageError::Sealed => plain(Entry::SIGNED_PART),
        _ => told(Entry::UNREADABLE, &[("reason", &reason)]),
    }
}

fn of_quota(over: &QuotaExceeded) -> Told {
    let entry = match (over.by, over.period) {
        (QuotaOf::Unconfirmed, _) => Entry::UNCONFIRMED,
        (QuotaOf::NewRecipients, _) if over.never_fits => Entry::NEW_RECIPIENTS_OF_ONE,
        _ if over.never_fits => Entry::QUOTA_OF_ONE,
        (QuotaOf::Key, _) => Entry::KEY_DAY,
        (QuotaOf::Ramp, _) => Entry::RAMP,
        (QuotaOf::NewRecipients, _) => Entry::NEW_RECIPIENTS,
        (QuotaOf::Vendor, _) => Entry::VENDOR_DAY,
        (QuotaOf::Plan, Period::Month) => Entry::MONTH,
        (QuotaOf::Plan, _) => Entry::DAY,
    };
    let (limit, used) = (over.limit.to_string(), over.used.to_string());
    let (vendor, contact) = refusal::vendor_of(over);
    let (given, at) = (over.recipients.to_string(), moment(over.resets_at));
    let address = over.reply_to.to_string();
    let values = [
        ("address", address.as_str()),
        ("quota", limit_words(over)),
        ("limit", limit.as_str()),
        ("used", used.as_str()),
        ("given", given.as_str()),
        ("at", at.as_str()),
        ("vendor", vendor.as_str()),
        ("contact", contact.as_str()),
    ];
    told(entry, &values)
}

/// What is said where the store could not do its work.
pub(crate) fn of_store(error: &StoreError) -> Told {
    match error {
        StoreError::Unavailable(_) => plain(Entry::UNAVAILABLE),
        StoreError::Full(_) => plain(Entry::NO_SPACE),
        StoreError::NotFound { .. }
        | StoreError::Rejected { .. }
        | StoreError::Taken { .. }
        | StoreError::Corrupt { .. } => plain(Entry::INTERNAL),
    }
}

#[cfg(test)]
mod tests;
