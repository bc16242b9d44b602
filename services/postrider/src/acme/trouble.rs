//! Why there is no certificate: in words, with what to do.

use std::time::Duration;

use postrider_acme::{AcmeError, Reason, Refusal};
use tokio::task::JoinError;

use super::due::Due;

/// What an attempt failed by.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The authority said no.
    Refused(Refusal),
    /// It could not be asked, or what it gave could not be used.
    Failed(AcmeError),
    /// What has to be kept could not be read or written.
    Disk(anyhow::Error),
    /// What it gave would be replaced at once.
    StillDue(Due),
    /// The attempt ended in a panic, or was stopped.
    Broken(JoinError),
}

impl Trouble {
    pub(super) fn said(&self) -> String {
        match self {
            Self::Refused(refusal) => refusal.to_string(),
            Self::Failed(fault) => chain(fault),
            Self::Disk(fault) => format!("{fault:#}"),
            Self::StillDue(why) => format!("of the certificate that came: {}", why.word()),
            Self::Broken(fault) => chain(fault),
        }
    }

    pub(super) fn remedy(&self) -> &'static str {
        match self {
            Self::Refused(refusal) => refusal.remedy(),
            Self::Failed(fault) => fault.remedy(),
            Self::Disk(_) => {
                "let this process read and write in the folder acme beside the configuration"
            }
            Self::StillDue(_) => {
                "look at the clock of this machine, and how long the authority's certificates are good"
            }
            Self::Broken(_) => {
                "look whether acme.directory is the address of an ACME directory (RFC 8555)"
            }
        }
    }

    /// What it came from; none where nothing went wrong.
    pub(super) fn fault(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Refused(_) | Self::StillDue(_) => None,
            Self::Failed(fault) => Some(fault),
            Self::Disk(fault) => Some(&**fault),
            Self::Broken(fault) => Some(fault),
        }
    }

    /// How long the authority wants to be left alone.
    pub(super) fn at_least(&self) -> Duration {
        match self {
            Self::Refused(refusal) if refusal.reason == Reason::RateLimited => {
                refusal.retry_after.unwrap_or(Duration::ZERO)
            }
            Self::Failed(fault) => fault.retry_after().unwrap_or(Duration::ZERO),
            _ => Duration::ZERO,
        }
    }

    /// Whether a key of another kind may have its certificate all the same. What is wrong with a name
    /// would be wrong again, and authorities count failures by name.
    pub(super) fn is_about_key(&self) -> bool {
        match self {
            Self::Refused(refusal) => refusal.reason == Reason::Other,
            Self::Failed(fault) => fault.is_about_key(),
            Self::Disk(_) | Self::StillDue(_) | Self::Broken(_) => false,
        }
    }
}

fn chain(fault: &dyn std::error::Error) -> String {
    let mut text = fault.to_string();
    let mut source = fault.source();
    while let Some(inner) = source {
        let inner_text = format!(": {inner}");
        text.push_str(&inner_text);
        source = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_answers_in_an_authoritys_place_is_left_alone_for_as_long_as_he_says() {
        let busy = |status, seconds: Option<u64>| {
            Trouble::Failed(AcmeError::NotAcme {
                host: "ca.example".to_owned(),
                status,
                retry_after: seconds.map(Duration::from_secs),
            })
        };
        assert_eq!(busy(429, Some(90)).at_least(), Duration::from_secs(90));
        assert_eq!(busy(503, None).at_least(), Duration::ZERO);
        assert!(busy(429, None).remedy().starts_with("wait"));
        assert!(!busy(404, None).remedy().starts_with("wait"));
    }
}
