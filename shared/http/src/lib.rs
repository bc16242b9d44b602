//! An HTTP server for a handful of endpoints: HTTP/1.1, and HTTP/2 over TLS.
//!
//! Everything that is the same for each endpoint stands here: limits on headers, bodies, time and
//! connections, request ids, JSON for every error, what happens to a body that nobody reads, to a
//! client that hangs up, to a door that panics, and at shutdown. What is asked and answered is the
//! `Door`'s affair; there is no routing here, no authentication, no mail. Who has to ask another
//! server something does it by `ask`.
//!
//! The only crate that names hyper.

mod answer;
mod body;
mod client;
mod config;
mod connection;
mod crowd;
mod exchange;
mod instruments;
#[cfg(feature = "oracle")]
pub mod oracle;
mod problem;
mod request;
mod server;
mod target;
mod wire;

pub use answer::Answer;
pub use body::{Body, BodyError};
pub use client::{ClientError, ask};
pub use config::Config;
pub use exchange::Door;
pub use instruments::Instruments;
pub use problem::{FieldError, Problem, malformed};
pub use request::{Request, RequestId};
pub use server::serve;
pub use target::{Path, Query};
