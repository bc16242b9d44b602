//! The bytes of a mail: split, read, compose, stamp, sign, verify.
//!
//! Pure: bytes in, bytes out. Time and random bytes are arguments (only `sign` and `verify` ask
//! the machine for the time of a signature). No I/O, no async, no DNS: `verify` is given its key
//! records. Who may send, and under which name, is decided by the caller; nothing here knows a
//! tenant.
//!
//! One truth for all readers: the header is cut by our own splitter, the MIME structure by our
//! own scanner, both without recursion and with bounds, and what two readers could understand
//! differently is refused.

mod compose;
mod dkim;
mod error;
mod field;
mod fold;
mod legible;
mod lines;
mod mailboxes;
mod mime;
mod options;
mod parameters;
mod read;
mod redate;
mod show;
mod stamp;
mod transfer;
mod words;

pub use compose::{ComposeError, ComposeReason, Composed, Draft, DraftAttachment, compose, faults};
pub use dkim::{
    DkimVerdict, Generated, KeyError, SignError, SignatureCheck, SigningKey, generate_key,
    sealed_until, sign, sign_at, signature_names, unsigned, verify,
};
pub use error::MessageError;
pub use legible::legible;
pub use lines::normalise;
pub use options::{Asked, Wish, asked};
pub use read::{Received, read};
pub use redate::redate;
pub use show::{Texts, answers_to, header_value, header_values, texts};
pub use stamp::{Stamp, Stamped, stamp};
