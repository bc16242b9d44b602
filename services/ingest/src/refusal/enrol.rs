//! What a vendor's program is told that is not enrolled.

use postrider_gate::{EnrolError, ProvisionError, TokenFault};
use postrider_http::Problem;

use super::{of_denied, of_entry, of_store};
use crate::catalogue::{Entry, moment};

/// How long a program should wait for keys to end.
const DAY: u32 = 24 * 60 * 60;

/// Why a program was not enrolled.
pub(crate) fn of_enrol(error: &EnrolError) -> Problem {
    match error {
        EnrolError::Token(fault) => of_token(fault),
        EnrolError::OtherVendor { issuer } => {
            of_entry(&Entry::TOKEN_OTHER_VENDOR, &[("issuer", issuer)])
        }
        EnrolError::OtherReplyTo { bound, given } => {
            let (bound, given) = (bound.to_string(), given.to_string());
            let values = [("bound", bound.as_str()), ("given", &given)];
            of_entry(&Entry::TOKEN_OTHER_REPLY_TO, &values)
        }
        EnrolError::Replayed => of_entry(&Entry::TOKEN_REPLAYED, &[]),
        EnrolError::NotEnrolled { licence } => {
            of_entry(&Entry::NOT_ENROLLED, &[("licence", licence.as_str())])
        }
        EnrolError::Disowned { address } => {
            of_entry(&Entry::DISOWNED, &[("address", &address.to_string())])
        }
        EnrolError::OwnAddress { address } => {
            let message = format!("'{address}' is the service's own; give the shop's mailbox.");
            Problem::field(422, "validation_error", "reply_to", message)
        }
        EnrolError::RotatedTooOften { .. } => {
            of_entry(&Entry::ROTATED_TOO_OFTEN, &[]).retry_after(DAY)
        }
        EnrolError::Denied(denied) => of_denied(denied),
        EnrolError::Provision(ProvisionError::BadName) => {
            let message = "cannot stand before an address: give 1 to 128 characters without @, control or invisible ones.";
            Problem::field(422, "validation_error", "name", message)
        }
        EnrolError::Provision(ProvisionError::Store(fault)) => of_store(fault),
        EnrolError::Provision(
            ProvisionError::BadUser | ProvisionError::Key(_) | ProvisionError::Secret(_),
        ) => Problem::internal(),
    }
}

fn of_token(fault: &TokenFault) -> Problem {
    match fault {
        TokenFault::Malformed(why) => of_entry(&Entry::TOKEN_MALFORMED, &[("why", why)]),
        TokenFault::Algorithm { alg } => of_entry(&Entry::TOKEN_ALGORITHM, &[("alg", alg)]),
        TokenFault::UnknownKey { kid } => of_entry(&Entry::TOKEN_KEY, &[("kid", kid)]),
        TokenFault::Signature => of_entry(&Entry::TOKEN_SIGNATURE, &[]),
        TokenFault::Claim { claim, reason } => {
            let values = [("claim", *claim), ("reason", reason.as_str())];
            of_entry(&Entry::TOKEN_CLAIM, &values)
        }
        TokenFault::Expired { at } => of_entry(&Entry::TOKEN_EXPIRED, &[("at", &moment(*at))]),
        TokenFault::TooEarly { at } => of_entry(&Entry::TOKEN_TOO_EARLY, &[("at", &moment(*at))]),
    }
}
