//! API tokens: `pr_live_` + 43 base62 characters (256 random bits) + 6 that check them.

use aws_lc_rs::digest::{SHA256, digest};
use postrider_model::ApiToken;
use postrider_runtime::Rng;

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const SECRET_CHARACTERS: usize = 43;
const CHECK_CHARACTERS: usize = 6;
/// How much of a token is kept in the clear, for lists and for finding it again.
const SHOWN_CHARACTERS: usize = 16;

/// A new token.
pub(crate) fn mint(rng: &Rng) -> ApiToken {
    let mut text = ApiToken::PREFIX.to_owned();
    text.extend((0..SECRET_CHARACTERS).map(|_| base62(rng.below(62))));
    text.push_str(&check(&text));
    // Visible ASCII of 57 characters: `parse` lets every such text through.
    ApiToken::parse(&text).unwrap_or_else(|_| std::process::abort())
}

/// Whether a text can be a token of ours at all: told from its form and its check characters,
/// without asking the directory.
pub(crate) fn is_well_formed(token: &ApiToken) -> bool {
    let text = token.expose();
    let length = ApiToken::PREFIX.len() + SECRET_CHARACTERS;
    text.len() == length + CHECK_CHARACTERS
        && text.starts_with(ApiToken::PREFIX)
        && text
            .split_at_checked(length)
            .is_some_and(|(body, given)| given == check(body))
}

/// What the directory keeps of a token and finds it by.
pub(crate) fn hash(token: &ApiToken) -> [u8; 32] {
    let mut hash = [0; 32];
    let digest = digest(&SHA256, token.expose().as_bytes());
    hash.iter_mut()
        .zip(digest.as_ref())
        .for_each(|(to, from)| *to = *from);
    hash
}

/// The part of a token that may be shown.
pub(crate) fn shown(token: &ApiToken) -> String {
    token.expose().chars().take(SHOWN_CHARACTERS).collect()
}

// 32 bits of SHA-256 in six base62 digits: what a typing error does not survive.
fn check(body: &str) -> String {
    let digest = digest(&SHA256, body.as_bytes());
    let mut left = digest
        .as_ref()
        .iter()
        .take(4)
        .fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
    let mut check = String::with_capacity(CHECK_CHARACTERS);
    for _ in 0..CHECK_CHARACTERS {
        check.push(base62(left % 62));
        left /= 62;
    }
    check
}

fn base62(digit: u64) -> char {
    let at = usize::try_from(digit).unwrap_or(0);
    char::from(BASE62.get(at).copied().unwrap_or(b'0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minted_token_is_well_formed_and_one_wrong_character_is_seen() {
        let token = mint(&Rng::seeded(1));
        assert_eq!(token.expose().len(), 57);
        assert!(is_well_formed(&token));
        for at in 8..57 {
            let mut text = token.expose().to_owned().into_bytes();
            text[at] = if text[at] == b'x' { b'y' } else { b'x' };
            let wrong = ApiToken::parse(std::str::from_utf8(&text).unwrap()).unwrap();
            assert!(!is_well_formed(&wrong), "{at}");
        }
        for wrong in ["x", "pr_live_", "pr_test_0123456789"] {
            assert!(!is_well_formed(&ApiToken::parse(wrong).unwrap()), "{wrong}");
        }
    }
}
