//! What looks like a domain in a name, and whose domains belong to nobody in particular.

use std::collections::HashSet;
use std::sync::LazyLock;

use unicode_normalization::UnicodeNormalization;

use super::lookalike::key;

/// The ends of domain names that people know as such: countries, then others.
const COUNTRIES: &str = include_str!("countries.txt");
const OTHERS: &str = include_str!("endings.txt");
/// Providers at whose domains everybody has a mailbox.
const PROVIDERS: &str = include_str!("providers.txt");

static PROVIDER_DOMAINS: LazyLock<HashSet<&'static str>> =
    LazyLock::new(|| words(PROVIDERS).collect());

/// Whether a domain, in lowercase, is a mailbox provider's: whoever has an address there says
/// nothing about who else has.
pub(crate) fn is_provider(domain: &str) -> bool {
    PROVIDER_DOMAINS.contains(domain)
}

fn words(text: &'static str) -> impl Iterator<Item = &'static str> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.flat_map(str::split_ascii_whitespace)
}

/// The last labels that make a domain of a word, by what they look like.
pub(crate) struct Endings {
    countries: HashSet<String>,
    others: HashSet<String>,
}

impl Endings {
    pub(crate) fn new() -> Self {
        Self {
            countries: words(COUNTRIES).map(key).collect(),
            others: words(OTHERS).map(key).collect(),
        }
    }

    /// The first word of a name that looks like a domain and is not `own`.
    pub(crate) fn foreign_domain(&self, name: &str, own: &dyn Fn(&str) -> bool) -> Option<String> {
        let name: String = name
            .nfkc()
            .map(|c| if is_dot(c) { '.' } else { c })
            .collect();
        let is_part = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_');
        let mut words = name
            .split(|c| !is_part(c))
            .map(|word| word.trim_matches(['.', '-']));
        let is_own = |word: &str| {
            let word = word.to_lowercase();
            own(word.strip_prefix("www.").unwrap_or(&word))
        };
        let found = words.find(|word| self.is_domain(word) && !is_own(word));
        found.map(str::to_owned)
    }

    fn is_domain(&self, word: &str) -> bool {
        let Some((left, ending)) = word.rsplit_once('.') else {
            return false;
        };
        if word.to_lowercase().starts_with("www.") {
            return true;
        }
        let label = left.rsplit('.').next().unwrap_or_default();
        let ending = key(ending);
        if self.others.contains(&ending) {
            return !label.is_empty();
        }
        // `S.A.`, `e.K.` and `Dr.Jo` are no domains.
        let letters = label.chars().count();
        let is_lower = !word.chars().any(char::is_uppercase);
        self.countries.contains(&ending) && (letters > 2 || letters == 2 && is_lower)
    }
}

// What is drawn like a full stop, or is one in another script, and stays after NFKC.
fn is_dot(c: char) -> bool {
    matches!(
        c,
        '\u{3002}'
            | '\u{701}'
            | '\u{702}'
            | '\u{660}'
            | '\u{6d4}'
            | '\u{a4f8}'
            | '\u{2e31}'
            | '\u{fbb2}'
    )
}
