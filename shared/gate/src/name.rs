//! Display names on a shared domain: what may stand before the service's address.
//!
//! Everybody's mail comes from one domain here, so that SPF, DKIM and DMARC say nothing about a
//! name. What makes a reader believe in somebody else is refused: characters that are not seen or
//! turn the line round, another address or domain, a protected brand in whatever letters.

mod domains;
mod lookalike;

use domains::Endings;
pub(crate) use domains::is_provider;
use lookalike::Brands;

/// The brands that are protected where the operator names none, one in each line.
const BRANDS: &str = include_str!("name/brands.txt");
/// Longest name, in characters.
const LENGTH_MOST: usize = 128;

/// What becomes of a message whose display name is not acceptable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NamePolicy {
    /// Accepted with the tenant's own name, and held until the operator releases it.
    Hold,
    /// Sent with the tenant's own name; the event says so.
    #[default]
    Replace,
    Refuse,
}

/// The operator's rules for display names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameConfig {
    pub policy: NamePolicy,
    /// Names of others that no tenant may look like, but where they stand in its own name.
    pub brands: Vec<String>,
}

impl Default for NameConfig {
    fn default() -> Self {
        let lines = BRANDS.lines().map(str::trim);
        let brands = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
        Self {
            policy: NamePolicy::default(),
            brands: brands.map(str::to_owned).collect(),
        }
    }
}

/// Why a name is not shown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameFault {
    #[error("a name has 1 to {LENGTH_MOST} characters")]
    Length,
    #[error("a name has no control characters")]
    Control,
    #[error("a name has no characters that are not seen or turn the direction of writing")]
    Invisible,
    #[error("a name has no @: it would pass for another address")]
    At,
    #[error("\"{0}\" looks like a domain that is not the sender's own")]
    Domain(String),
    #[error("it looks like the protected name \"{0}\"")]
    Brand(String),
}

/// What stands before the address, and what was asked for in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) name: String,
    /// The client's name where it is not acceptable, and why not; the event says so.
    pub(crate) refused: Option<(String, NameFault)>,
}

/// Whose name it is to be.
pub(crate) struct Own<'a> {
    /// The tenant's own name, which somebody vouched for.
    pub(crate) name: &'a str,
    /// Whether a domain, in lowercase, is the tenant's own.
    pub(crate) domain: &'a dyn Fn(&str) -> bool,
}

/// The rules, ready for use.
pub(crate) struct Names {
    pub(crate) policy: NamePolicy,
    brands: Brands,
    endings: Endings,
}

impl Names {
    pub(crate) fn new(config: &NameConfig) -> Self {
        Self {
            policy: config.policy,
            brands: Brands::new(&config.brands),
            endings: Endings::new(),
        }
    }

    /// The name to be shown: the client's if it is acceptable, else the tenant's.
    pub(crate) fn choose(&self, given: Option<&str>, own: &Own<'_>) -> Shown {
        let given = given.map(str::trim).filter(|name| !name.is_empty());
        let fault = given.and_then(|name| self.fault(name, own));
        let shown = given.filter(|_| fault.is_none()).unwrap_or(own.name);
        Shown {
            name: shown.to_owned(),
            refused: given.map(str::to_owned).zip(fault),
        }
    }

    // The tenant's own name is as good as it was when the tenant was made.
    fn fault(&self, name: &str, own: &Own<'_>) -> Option<NameFault> {
        if name == own.name {
            return None;
        }
        if let Some(fault) = malformed(name) {
            return Some(fault);
        }
        if let Some(domain) = self.endings.foreign_domain(name, own.domain) {
            return Some(NameFault::Domain(domain));
        }
        let brands = self.brands.found(name);
        if brands.is_empty() {
            return None;
        }
        let known = self.brands.found(own.name);
        let foreign = brands.into_iter().find(|brand| !known.contains(brand));
        foreign.map(|brand| NameFault::Brand(brand.to_owned()))
    }
}

/// Whether a tenant may be called so: what `malformed` finds is all that is wrong with names
/// that somebody vouches for.
pub fn is_acceptable(name: &str) -> bool {
    malformed(name).is_none()
}

// What is wrong with the characters of a name.
fn malformed(name: &str) -> Option<NameFault> {
    if !(1..=LENGTH_MOST).contains(&name.chars().count()) {
        return Some(NameFault::Length);
    }
    name.chars().find_map(|c| match c {
        // U+FF20 and U+FE6B are drawn like @.
        '@' | '\u{ff20}' | '\u{fe6b}' => Some(NameFault::At),
        c if c.is_control() => Some(NameFault::Control),
        c if is_invisible(c) => Some(NameFault::Invisible),
        _ => None,
    })
}

fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{feff}')
        || matches!(c, '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
        // Fillers and marks that are drawn as nothing.
        || matches!(c, '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{2800}' | '\u{3164}' | '\u{ffa0}')
        || matches!(c, '\u{fff0}'..='\u{fffc}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests;
