//! The questions that mail asks of DNS: MX, A and AAAA, TXT.
//!
//! Own types come out, and each failure is one of three that a caller treats differently. What a
//! failure means for a mail, and which address may be dialled, is decided in `delivery`. The
//! only crate that names `hickory-resolver`. No DNSSEC yet, no hosts file, no search list.

mod answer;
mod cache;
mod chase;
mod instruments;
mod resolver;

pub use answer::{Failure, Mx, MxName};
pub use resolver::{DnsConfig, DnsError, Resolver};
