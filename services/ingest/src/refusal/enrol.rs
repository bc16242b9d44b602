//! What a vendor's program is told that is not enrolled.

use postrider_gate::{EnrolError, ProvisionError, TokenFault};
use postrider_http::Problem;
use postrider_model::Timestamp;

use super::{of_denied, of_entry, of_store};
use crate::catalogue::{Entry, moment};

/// Why a program was not enrolled, at `now`.
pub(crate) fn of_enrol(error: &EnrolError, now: Timestamp) -> Problem {
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
        EnrolError::Unreachable(why) => {
            // A client reads a sentence.
            let said = why.to_string().replacen("replies", "Replies", 1);
            Problem::field(422, "validation_error", "reply_to", format!("{said}."))
        }
        EnrolError::Outdated => of_entry(&Entry::TOKEN_OUTDATED, &[]),
        EnrolError::RotatedTooOften { until, tenant, .. } => rotated_too_often(tenant, *until, now),
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

// Nobody is told to come back where nothing will have changed by then.
fn rotated_too_often(tenant: &str, until: Option<Timestamp>, now: Timestamp) -> Problem {
    let at = until.map_or_else(|| "one is revoked".to_owned(), moment);
    let values = [("at", at.as_str()), ("tenant", tenant)];
    let problem = of_entry(&Entry::ROTATED_TOO_OFTEN, &values);
    match until {
        Some(until) => {
            let seconds = until.since(now).as_secs() + 1;
            problem.retry_after(u32::try_from(seconds).unwrap_or(u32::MAX))
        }
        None => problem,
    }
}

fn of_token(fault: &TokenFault) -> Problem {
    match fault {
        TokenFault::Malformed(why) => of_entry(&Entry::TOKEN_MALFORMED, &[("why", why)]),
        TokenFault::Algorithm { alg } => of_entry(&Entry::TOKEN_ALGORITHM, &[("alg", alg)]),
        TokenFault::UnknownKey { kid } => of_entry(&Entry::TOKEN_KEY, &[("kid", kid)]),
        TokenFault::UnknownIssuer { issuer } => {
            of_entry(&Entry::TOKEN_ISSUER, &[("issuer", issuer)])
        }
        TokenFault::Signature { kid } => not_signed_by(&format!("the key {kid}")),
        TokenFault::NoKeyOf { issuer } => not_signed_by(&format!("any key of vendor {issuer}")),
        TokenFault::Claim { claim, reason } => {
            let values = [("claim", *claim), ("reason", reason.as_str())];
            of_entry(&Entry::TOKEN_CLAIM, &values)
        }
        TokenFault::Expired { at } => of_entry(&Entry::TOKEN_EXPIRED, &[("at", &moment(*at))]),
        TokenFault::TooEarly { at } => of_entry(&Entry::TOKEN_TOO_EARLY, &[("at", &moment(*at))]),
    }
}

fn not_signed_by(signer: &str) -> Problem {
    of_entry(&Entry::TOKEN_SIGNATURE, &[("signer", signer)])
}
