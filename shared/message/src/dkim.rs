//! DKIM (RFC 6376, RFC 8301, RFC 8463): keys, signatures with one body hash for all keys, and
//! verdicts. No DNS: key records are arguments.

mod canonical;
mod key;
mod sealed;
mod sign;
mod verify;

pub use key::{Generated, KeyError, SigningKey, generate_key};
pub use sealed::{sealed_until, unsigned};
pub use sign::{SignError, sign, sign_at};
pub use verify::{DkimVerdict, SignatureCheck, signature_names, verify};

/// The machine's time, for `t=` and for «is it expired».
#[expect(
    clippy::disallowed_methods,
    reason = "a signature is dated when it is made and judged when it is read, as mail-auth does; sign_at takes the time as an argument"
)]
fn now() -> postrider_model::Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    postrider_model::Timestamp::from_micros(0).after(since.unwrap_or_default())
}
