//! What a certificate says of itself: whom it names, and when it ends. Whether anybody trusts it is
//! not asked here.

use postrider_model::Timestamp;
use rustls::client::verify_server_name;
use rustls::server::ParsedCertificate;
use rustls_pki_types::{CertificateDer, ServerName};

use crate::TlsError;
use crate::pem::{self, Pem};

/// A certificate that is shown to clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    der: CertificateDer<'static>,
    /// It is good from then on.
    pub starts_at: Timestamp,
    /// It is good until then.
    pub ends_at: Timestamp,
    /// It names itself as its issuer: nobody else vouches for it.
    pub is_self_signed: bool,
}

impl Certificate {
    /// `None` where it does not parse: no client can read it either.
    pub(crate) fn read(der: &CertificateDer<'static>) -> Option<Self> {
        let (starts_at, ends_at, is_self_signed) = facts(der)?;
        Some(Self {
            der: der.clone(),
            starts_at,
            ends_at,
            is_self_signed,
        })
    }

    /// The first certificate of a chain, PEM. `called` is its name in errors.
    pub fn from_pem(called: &str, text: &[u8]) -> Result<Self, TlsError> {
        let pem = Pem {
            name: called.to_owned(),
            text,
        };
        let chain = pem::certificates(&pem)?;
        let first = chain.first().and_then(Self::read);
        first.ok_or(TlsError::NoCertificate(pem.name))
    }

    /// Whether a client that was told this host name, or this address, finds it here (RFC 9525).
    pub fn is_for(&self, host: &str) -> bool {
        let name = ServerName::try_from(host);
        let parsed = ParsedCertificate::try_from(&self.der);
        matches!((name, parsed), (Ok(name), Ok(parsed)) if verify_server_name(&parsed, &name).is_ok())
    }
}

const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// `tbsCertificate.validity`, and whether issuer and subject are the same (RFC 5280 §4.1).
fn facts(certificate: &[u8]) -> Option<(Timestamp, Timestamp, bool)> {
    let (tag, certificate, _) = element(certificate)?;
    let (inner, to_be_signed, _) = element(certificate)?;
    if (tag, inner) != (SEQUENCE, SEQUENCE) {
        return None;
    }
    let (tag, _, mut rest) = element(to_be_signed)?;
    if tag == VERSION {
        // The serial number.
        (_, _, rest) = element(rest)?;
    }
    let (_signature, _, rest) = element(rest)?;
    let (_, issuer, rest) = element(rest)?;
    let (_, validity, rest) = element(rest)?;
    let (_, subject, _) = element(rest)?;
    let (tag, text, rest) = element(validity)?;
    let starts_at = moment(tag, std::str::from_utf8(text).ok()?)?;
    let (tag, text, _) = element(rest)?;
    let ends_at = moment(tag, std::str::from_utf8(text).ok()?)?;
    Some((starts_at, ends_at, issuer == subject))
}

/// One element of DER (X.690 §8.1, §10.1): its tag, what is in it, what comes behind it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = der.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match usize::from(*first) {
        short @ ..=0x7f => (short, rest),
        // How many octets the length has: four are enough for any certificate.
        long @ 0x81..=0x84 => {
            let (octets, rest) = rest.split_at_checked(long - 0x80)?;
            let length = octets
                .iter()
                .fold(0, |sum, octet| (sum << 8) | usize::from(*octet));
            (length, rest)
        }
        _ => return None,
    };
    let (content, behind) = rest.split_at_checked(length)?;
    Some((*tag, content, behind))
}

/// RFC 5280 §4.1.2.5: `YYMMDDHHMMSSZ` of 1950 to 2049, `YYYYMMDDHHMMSSZ` else.
fn moment(tag: u8, text: &str) -> Option<Timestamp> {
    let whole = match tag {
        UTC_TIME if text.get(..2)?.parse::<u8>().ok()? < 50 => format!("20{text}"),
        UTC_TIME => format!("19{text}"),
        GENERALIZED_TIME => text.to_owned(),
        _ => return None,
    };
    let part = |from: usize, to: usize| whole.get(from..to);
    let (year, month, day) = (part(0, 4)?, part(4, 6)?, part(6, 8)?);
    let (hour, minute, second) = (part(8, 10)?, part(10, 12)?, part(12, 14)?);
    let text = format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z");
    Timestamp::parse(&text).ok().filter(|_| whole.len() == 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_both_forms_and_nothing_else_is() {
        for (tag, text, want) in [
            (
                UTC_TIME,
                "260131080000Z",
                Some("2026-01-31T08:00:00.000000Z"),
            ),
            (
                UTC_TIME,
                "490131080000Z",
                Some("2049-01-31T08:00:00.000000Z"),
            ),
            (
                UTC_TIME,
                "500131080000Z",
                Some("1950-01-31T08:00:00.000000Z"),
            ),
            (
                GENERALIZED_TIME,
                "20500131080000Z",
                Some("2050-01-31T08:00:00.000000Z"),
            ),
            (
                GENERALIZED_TIME,
                "40960101000000Z",
                Some("4096-01-01T00:00:00.000000Z"),
            ),
            (UTC_TIME, "2601310800Z", None),
            (UTC_TIME, "261331080000Z", None),
            (UTC_TIME, "ä", None),
            (GENERALIZED_TIME, "20500131080000.5Z", None),
            (SEQUENCE, "260131080000Z", None),
        ] {
            let read = moment(tag, text).map(|at| at.to_string());
            assert_eq!(read.as_deref(), want, "{text}");
        }
    }

    #[test]
    fn who_vouches_for_a_certificate_is_told() {
        let names = ["relay.example".to_owned()];
        let own = crate::self_signed(&names, crate::KeyKind::Ecdsa).unwrap();
        let read = Certificate::from_pem("own.pem", own.certificate_pem.as_bytes()).unwrap();
        assert!(read.starts_at < read.ends_at);
        assert!(read.is_self_signed && read.is_for("relay.example"));
        assert!(!read.is_for("other.example"));
        let fault = Certificate::from_pem("none.pem", b"").unwrap_err();
        assert!(fault.to_string().contains("none.pem"), "{fault}");
    }

    #[test]
    fn what_is_cut_or_lies_about_its_length_is_no_certificate() {
        for der in [
            &[][..],
            &[SEQUENCE],
            &[SEQUENCE, 0x80],
            &[SEQUENCE, 0x85, 1, 1, 1, 1, 1],
            &[SEQUENCE, 0x84, 0xff, 0xff, 0xff, 0xff],
            &[SEQUENCE, 0x02, SEQUENCE, 0x00],
            &[SEQUENCE, 0x05, SEQUENCE, 0x7f, 1, 2, 3],
        ] {
            assert_eq!(facts(der), None, "{der:?}");
        }
    }
}
