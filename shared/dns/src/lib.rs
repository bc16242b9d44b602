//! Names looked up: MX, addresses, TXT. The only crate that names hickory-resolver.
//!
//! What it keeps exact is the difference between «there is no such name», «the name has no such
//! records» and «nobody could tell us now»: mail is returned on the first two and kept on the
//! third. What follows from an answer (implicit MX, null MX, which address may be dialled) is
//! decided elsewhere.

mod answer;
mod recent;
mod resolver;

pub use answer::{DnsFailure, MxAnswer, MxRecord, MxTarget};
pub use resolver::{DnsConfig, DnsError, Resolver};
