//! The server's side of SMTP submission (RFC 5321, RFC 6409): bytes in, actions out.
//!
//! No socket, no clock, no TLS, no policy. What the first bytes of a connection are, how lines and
//! content are cut, what a command says and in which order commands may come: that is decided here.
//! Who may sign in, which recipient is taken, how long anybody waits, and the words of a refusal
//! are the driver's, who gives back one answer for each question, so that order holds under
//! pipelining (RFC 2920).
//!
//! A parser of our own rather than `smtp-proto`: that one drops a CR out of an address, loses the
//! quotes of a local part, takes bare line feeds and has no limit on content. Here a line is
//! framed once, strictly, and the address is `postrider_model`'s or none.

mod command;
mod content;
mod lines;
mod opening;
mod path;
mod redact;
mod refusal;
mod reply;
mod session;
mod sign_in;

pub use command::{Body, Mail, Sender};
pub use content::ContentReader;
pub use opening::{ClientHello, HelloError, Opening, TlsVersion, settle, sniff};
pub use refusal::Refusal;
pub use reply::Reply;
pub use session::{Action, Config, Layer, Limits, Session, StartTls};
pub use sign_in::{Mechanism, Password, SignIn};
