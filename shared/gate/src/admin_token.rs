//! Tokens of the admin API: `pra_` + 43 base62 characters (256 random bits). Kept as their hash.

use aws_lc_rs::digest::{SHA256, digest};
use postrider_runtime::Rng;

const PREFIX: &str = "pra_";
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const SECRET_CHARACTERS: usize = 43;

/// A token in the clear, to be shown this one time.
#[derive(Clone, PartialEq, Eq)]
pub struct AdminSecret(String);

impl AdminSecret {
    pub(crate) fn mint(rng: &Rng) -> Self {
        let mut text = PREFIX.to_owned();
        text.extend((0..SECRET_CHARACTERS).map(|_| {
            let at = usize::try_from(rng.below(62)).unwrap_or(0);
            char::from(BASE62.get(at).copied().unwrap_or(b'0'))
        }));
        Self(text)
    }

    /// `None` for what cannot be one, told from its form.
    pub fn parse(text: &str) -> Option<Self> {
        let secret = text.strip_prefix(PREFIX)?;
        let is_good =
            secret.len() == SECRET_CHARACTERS && secret.bytes().all(|c| BASE62.contains(&c));
        is_good.then(|| Self(text.to_owned()))
    }

    /// What the directory keeps of it and finds it by.
    pub fn hash(&self) -> [u8; 32] {
        let mut hash = [0; 32];
        let digest = digest(&SHA256, self.0.as_bytes());
        for (to, from) in hash.iter_mut().zip(digest.as_ref()) {
            *to = *from;
        }
        hash
    }

    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for AdminSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AdminSecret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_back_and_never_printed() {
        let token = AdminSecret::mint(&Rng::seeded(1));
        assert_eq!(AdminSecret::parse(token.expose()), Some(token.clone()));
        assert_eq!(format!("{token:?}"), "AdminSecret(…)");
        assert_ne!(token.hash(), AdminSecret::mint(&Rng::seeded(2)).hash());
    }

    #[test]
    fn what_is_none_is_not_looked_up() {
        let token = AdminSecret::mint(&Rng::seeded(1));
        let text = token.expose();
        for wrong in [
            "",
            "pra_",
            &text[1..],
            &text[..46],
            &format!("{text}0"),
            "pra_ü",
        ] {
            assert_eq!(AdminSecret::parse(wrong), None, "{wrong}");
        }
    }
}
