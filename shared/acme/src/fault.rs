//! Why there was not even a «no».

use std::io;
use std::time::Duration;

use postrider_dns::Failure;
use postrider_http::ClientError;
use postrider_tls::TlsError;

/// We could not ask, or could not use what came. `remedy` says what to do.
#[derive(Debug, thiserror::Error)]
pub enum AcmeError {
    #[error("{0:?} is no address of a directory")]
    NoDirectory(String),
    #[error("the authority's host {host} cannot be found")]
    Unresolved {
        host: String,
        #[source]
        source: Failure,
    },
    #[error("cannot connect to the authority's host {host}")]
    Unreachable {
        host: String,
        #[source]
        source: io::Error,
    },
    #[error("no TLS with the authority's host {host}")]
    NoTls {
        host: String,
        #[source]
        source: io::Error,
    },
    #[error("the authority's host {host} did not answer within {} seconds", .after.as_secs())]
    Late { host: String, after: Duration },
    #[error("the exchange with the authority's host {host} failed")]
    Broken {
        host: String,
        #[source]
        source: ClientError,
    },
    #[error("the authority's host {host} answers with status {status} and no word why")]
    NotAcme {
        host: String,
        status: u16,
        /// How long whoever answered wants to be left alone (`Retry-After`).
        retry_after: Option<Duration>,
    },
    #[error("the authority's answer cannot be understood")]
    Unintelligible(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("the authority did not come to an end with the order within {} seconds", .0.as_secs())]
    Unfinished(Duration),
    #[error("the authority does not offer to look by HTTP whether {0} is ours")]
    NoHttp(String),
    #[error("the account's file does not hold what was written there")]
    BadAccount(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("a key cannot be made")]
    NoKey(#[source] TlsError),
    #[error("the certificate that came cannot be used")]
    Unusable(#[source] TlsError),
    #[error("the certificate that came is not for {0}")]
    NotFor(String),
    #[error("it was stopped")]
    Stopped,
}

impl AcmeError {
    /// What the operator can do.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::NoDirectory(_) => {
                "set acme.directory to an address that begins with https://, as the authority publishes it"
            }
            Self::Unresolved { .. } => {
                "look at the name in acme.directory, and whether the resolvers of dns.servers answer"
            }
            Self::Unreachable { .. } => {
                "look whether this machine may connect outward by HTTPS, and at acme.directory"
            }
            Self::NoTls { .. } => {
                "where another than the web's authorities vouches for the directory, name its file in acme.root; look at the clock"
            }
            Self::NotAcme {
                status: 408 | 429 | 500..,
                ..
            }
            | Self::Late { .. }
            | Self::Broken { .. }
            | Self::Unfinished(_) => "wait: the authority is in trouble, and is asked again",
            Self::NotAcme { .. } | Self::Unintelligible(_) => {
                "look whether acme.directory is the address of an ACME directory (RFC 8555)"
            }
            Self::NoHttp(_) | Self::Unusable(_) | Self::NotFor(_) => {
                "name another authority in acme.directory, or put certificates there yourself"
            }
            Self::BadAccount(_) => "remove acme/account.json: a new account is made",
            Self::NoKey(_) | Self::Stopped => "start again",
        }
    }

    /// How long the authority wants to be left alone, where it said so.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::NotAcme { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// Whether it is about this key or what came for it: one of another kind may come all the same.
    pub fn is_about_key(&self) -> bool {
        matches!(self, Self::NoKey(_) | Self::Unusable(_) | Self::NotFor(_))
    }

    /// What went wrong below the library, which hands our own errors back as it got them.
    pub(crate) fn of(fault: instant_acme::Error) -> Self {
        match fault {
            instant_acme::Error::Other(inner) => match inner.downcast::<Self>() {
                Ok(own) => *own,
                Err(other) => Self::Unintelligible(other),
            },
            key @ instant_acme::Error::KeyRejected => Self::BadAccount(Box::new(key)),
            other => Self::Unintelligible(Box::new(other)),
        }
    }
}

impl From<AcmeError> for instant_acme::Error {
    fn from(fault: AcmeError) -> Self {
        Self::Other(Box::new(fault))
    }
}
