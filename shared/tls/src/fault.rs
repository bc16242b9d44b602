//! How a handshake failed: for telling people what to change.

use std::io;

use rustls::{AlertDescription, Error, InvalidMessage, PeerIncompatible};

/// How a handshake failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HandshakeFault {
    /// The client offers TLS 1.1 at most.
    TooOld,
    /// No cipher suite, group or signature in common.
    NothingInCommon,
    /// The client refused ours: `unknown_ca`, `bad_certificate`.
    Alert(String),
    /// What came is not TLS.
    NotTls,
    /// The client hung up, or the line broke.
    Closed,
    Other(String),
}

impl HandshakeFault {
    /// What the error of `Acceptor::accept` means.
    pub fn of(error: &io::Error) -> Self {
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
        match inner {
            Some(Error::PeerIncompatible(
                PeerIncompatible::Tls12NotOffered | PeerIncompatible::Tls12NotOfferedOrEnabled,
            )) => Self::TooOld,
            Some(Error::PeerIncompatible(_)) => Self::NothingInCommon,
            Some(Error::AlertReceived(alert)) => Self::Alert(word(*alert)),
            Some(Error::InvalidMessage(InvalidMessage::UnknownProtocolVersion)) => Self::TooOld,
            Some(Error::InvalidMessage(_)) => Self::NotTls,
            Some(other) => Self::Other(other.to_string()),
            None => Self::Closed,
        }
    }
}

// As RFC 8446 §6 writes it: `UnknownCA` is `unknown_ca` there.
fn word(alert: AlertDescription) -> String {
    let Some(name) = alert.as_str() else {
        return format!("alert {}", u8::from(alert));
    };
    let mut word = String::new();
    let mut was_upper = true;
    for c in name.chars() {
        if c.is_ascii_uppercase() && !was_upper {
            word.push('_');
        }
        was_upper = c.is_ascii_uppercase();
        word.push(c.to_ascii_lowercase());
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alerts_have_the_words_of_the_rfc() {
        assert_eq!(word(AlertDescription::UnknownCA), "unknown_ca");
        assert_eq!(word(AlertDescription::BadCertificate), "bad_certificate");
    }
}
