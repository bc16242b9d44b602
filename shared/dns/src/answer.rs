//! What was answered, in words of our own.

use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::Name;
use hickory_resolver::proto::rr::rdata::MX;
use postrider_model::Domain;

/// Why there is no answer with records in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DnsFailure {
    /// The name does not exist, or what its CNAME leads to does not: NXDOMAIN (RFC 2308 §2.1).
    #[error("no such name")]
    NoSuchName,
    /// The name exists and has no records of this type: NODATA (RFC 2308 §2.2).
    #[error("the name has no such records")]
    NoRecords,
    /// Nobody could tell: SERVFAIL, REFUSED, a timeout, a lame or garbled answer, a CNAME chain
    /// without end. Says nothing about the name.
    #[error("no usable answer: {0}")]
    Temporary(String),
}

/// The MX records of a domain, best preference first; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MxAnswer {
    pub records: Vec<MxRecord>,
}

/// One MX record (RFC 1035 §3.3.9). A lower preference is tried first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MxRecord {
    pub preference: u16,
    pub target: MxTarget,
}

/// What an MX record points to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MxTarget {
    Host(Domain),
    /// The root, `.`: «no mail is taken here» where it stands alone (RFC 7505 §3).
    Root,
    /// Not a host name, as it was given, with odd bytes escaped. RFC 5321 §5.1 wants a domain
    /// name by §2.3.5, so letters, digits and hyphens: an underscore is DNS, but no host.
    NoHostName(String),
}

impl MxRecord {
    pub(crate) fn of(record: &MX) -> Self {
        Self {
            preference: record.preference,
            target: target(&record.exchange),
        }
    }
}

fn target(name: &Name) -> MxTarget {
    if name.is_root() {
        return MxTarget::Root;
    }
    // Escapes what is not plain ASCII, so that no odd byte passes for a label's.
    let text = name.to_ascii();
    match Domain::parse(&text) {
        Ok(host) => MxTarget::Host(host),
        Err(_) => MxTarget::NoHostName(text),
    }
}

impl DnsFailure {
    /// Sorts an error of the library. Only a clear NXDOMAIN or NODATA is more than temporary.
    pub(crate) fn of(error: &NetError) -> Self {
        let NetError::Dns(DnsError::NoRecordsFound(none)) = error else {
            return Self::Temporary(error.to_string());
        };
        match none.response_code {
            ResponseCode::NXDomain => Self::NoSuchName,
            // RFC 2308 §2.2: NS without SOA is a referral. To a stub it is a lame answer.
            ResponseCode::NoError if none.ns.is_some() && none.soa.is_none() => {
                Self::Temporary("a referral in place of an answer".to_owned())
            }
            ResponseCode::NoError => Self::NoRecords,
            code => Self::Temporary(format!("error response: {code}")),
        }
    }
}
