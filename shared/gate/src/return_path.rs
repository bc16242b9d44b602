//! Return paths: `b+<token>@bounce…`, signed, with no address inside, the same on every attempt.

use postrider_model::{Domain, EmailAddress, MessageId, RecipientId, Stream};

use crate::base32;
use crate::secret::MasterKey;

/// How far a return path reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope<'a> {
    /// One recipient: a bounce tells who it is about. The rule.
    Recipient(RecipientId),
    /// All recipients of a message at one domain, so that large mail travels once.
    Domain(MessageId, &'a Domain),
}

/// Size × recipients at one domain above which they share a return path, in bytes.
const SHARED_ABOVE: usize = 8_000_000;
const TAG_BYTES: usize = 10;

impl<'a> Scope<'a> {
    /// The scope of one recipient's return path, for a message of `size` bytes with `there`
    /// recipients at its domain. Bulk mail never shares one: each of its copies is for one alone.
    pub(crate) fn choose(
        message: MessageId,
        recipient: (RecipientId, &'a Domain),
        stream: Stream,
        size: usize,
        there: usize,
    ) -> Self {
        if stream == Stream::Transactional && there > 1 && size.saturating_mul(there) > SHARED_ABOVE
        {
            Self::Domain(message, recipient.1)
        } else {
            Self::Recipient(recipient.0)
        }
    }

    // Version and scope in one byte, then what it is about.
    fn content(self) -> Vec<u8> {
        match self {
            Self::Recipient(id) => [&[0x11], id.as_bytes().as_slice()].concat(),
            Self::Domain(id, domain) => {
                let digest = aws_lc_rs::digest::digest(
                    &aws_lc_rs::digest::SHA256,
                    domain.as_str().as_bytes(),
                );
                let short = digest.as_ref().get(..4).unwrap_or_default();
                [&[0x12], id.as_bytes().as_slice(), short].concat()
            }
        }
    }

    /// The address; `None` only where the bounce domain leaves no room for it (254 bytes).
    pub(crate) fn address(self, key: &MasterKey, bounce_domain: &Domain) -> Option<EmailAddress> {
        let mut token = self.content();
        let tag = key.tag_return_path(&token);
        token.extend_from_slice(tag.as_ref().get(..TAG_BYTES)?);
        EmailAddress::new(
            format!("b+{}", base32::encode(&token)),
            bounce_domain.clone(),
        )
        .ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_return_path_is_stable_fits_and_names_nobody() {
        let key = MasterKey::new(&[1; 32]).unwrap();
        let (message, id) = (
            MessageId::from_bytes([2; 16]),
            RecipientId::from_bytes([3; 16]),
        );
        let bounce = Domain::parse("bounce.relay.example").unwrap();
        let there = Domain::parse("example.org").unwrap();
        let choose =
            |stream, size, count| Scope::choose(message, (id, &there), stream, size, count);
        let one = choose(Stream::Transactional, 2_000, 2);
        assert_eq!(one, Scope::Recipient(id));
        let path = one.address(&key, &bounce).unwrap();
        assert_eq!(Some(&path), one.address(&key, &bounce).as_ref());
        assert!(path.local_part().len() <= 64);
        let shared = choose(Stream::Transactional, 5_000_000, 2);
        assert_eq!(shared, Scope::Domain(message, &there));
        assert!(shared.address(&key, &bounce).unwrap().local_part().len() <= 64);
        for (stream, size, count) in [
            (Stream::Transactional, 50_000_000, 1),
            (Stream::Bulk, 5_000_000, 2),
        ] {
            assert_eq!(choose(stream, size, count), Scope::Recipient(id));
        }
    }
}
