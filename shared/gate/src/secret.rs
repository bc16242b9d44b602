//! The master key, and what is sealed or signed with keys drawn from it.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hmac;
use postrider_runtime::Rng;

/// The one secret of a relay: 32 bytes from a file beside the database, never in it. Private
/// DKIM keys are sealed with it; return paths and the links in our mail are signed with it.
pub struct MasterKey {
    sealing: LessSafeKey,
    return_path: hmac::Key,
    links: hmac::Key,
}

/// Why something could not be sealed or opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    #[error("the master key has {0} bytes, it must have 32")]
    Length(usize),
    #[error("it was not sealed with this master key, or it was changed")]
    WrongKey,
    #[error("it could not be sealed")]
    Seal,
}

impl MasterKey {
    /// From the 32 bytes of its file.
    pub fn new(bytes: &[u8]) -> Result<Self, SecretError> {
        if bytes.len() != 32 {
            return Err(SecretError::Length(bytes.len()));
        }
        let sealing = derive(bytes, b"postrider/1 seal dkim keys");
        let sealing =
            UnboundKey::new(&AES_256_GCM, sealing.as_ref()).map_err(|_| SecretError::Seal)?;
        let return_path = derive(bytes, b"postrider/1 sign return paths");
        let links = derive(bytes, b"postrider/1 sign links");
        Ok(Self {
            links: hmac::Key::new(hmac::HMAC_SHA256, links.as_ref()),
            sealing: LessSafeKey::new(sealing),
            return_path: hmac::Key::new(hmac::HMAC_SHA256, return_path.as_ref()),
        })
    }

    /// Seals bytes with AES-256-GCM under a random nonce, which stands first in the result.
    /// `context` must be given again to open them.
    pub(crate) fn seal(
        &self,
        rng: &Rng,
        context: &str,
        secret: &[u8],
    ) -> Result<Vec<u8>, SecretError> {
        let nonce = rng.bytes::<NONCE_LEN>();
        let mut sealed = secret.to_vec();
        self.sealing
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(context.as_bytes()),
                &mut sealed,
            )
            .map_err(|_| SecretError::Seal)?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    /// Opens what `seal` gave.
    pub(crate) fn open(&self, context: &str, sealed: &[u8]) -> Result<Vec<u8>, SecretError> {
        let (nonce, sealed) = sealed
            .split_at_checked(NONCE_LEN)
            .ok_or(SecretError::WrongKey)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SecretError::WrongKey)?;
        let mut secret = sealed.to_vec();
        let length = self
            .sealing
            .open_in_place(nonce, Aad::from(context.as_bytes()), &mut secret)
            .map_err(|_| SecretError::WrongKey)?
            .len();
        secret.truncate(length);
        Ok(secret)
    }

    /// The tag over the content of a return path, HMAC-SHA256.
    pub(crate) fn tag_return_path(&self, content: &[u8]) -> hmac::Tag {
        hmac::sign(&self.return_path, content)
    }

    /// The tag over what a link in a mail says, HMAC-SHA256.
    pub(crate) fn tag_link(&self, content: &[u8]) -> hmac::Tag {
        hmac::sign(&self.links, content)
    }

    /// Whether a link was made with this key: `tag` is at least half of its tag.
    pub(crate) fn is_tag_of_link(&self, content: &[u8], tag: &[u8]) -> bool {
        let made = hmac::sign(&self.links, content);
        let made = made.as_ref().get(..tag.len());
        tag.len() >= 16
            && made.is_some_and(|made| {
                aws_lc_rs::constant_time::verify_slices_are_equal(made, tag).is_ok()
            })
    }
}

fn derive(master: &[u8], purpose: &[u8]) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, master), purpose)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_with_the_same_key_and_context_only() {
        let (rng, key) = (Rng::seeded(1), MasterKey::new(&[1; 32]).unwrap());
        let sealed = key.seal(&rng, "rsa._domainkey", b"private").unwrap();
        assert_eq!(key.open("rsa._domainkey", &sealed).unwrap(), b"private");
        assert_eq!(key.open("other", &sealed), Err(SecretError::WrongKey));
        let other = MasterKey::new(&[2; 32]).unwrap();
        assert_eq!(
            other.open("rsa._domainkey", &sealed),
            Err(SecretError::WrongKey)
        );
        assert_eq!(
            key.open("rsa._domainkey", &sealed[..5]),
            Err(SecretError::WrongKey)
        );
        assert_eq!(MasterKey::new(b"short").err(), Some(SecretError::Length(5)));
    }
}
