//! Display names on a shared domain: what may stand before the service's address.

/// What stands before the address, and what was asked for in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) name: String,
    /// The client's name where it is not acceptable; the event says so.
    pub(crate) refused: Option<String>,
}

/// The name to be shown: the client's if it is acceptable, else the tenant's.
pub(crate) fn choose(given: Option<&str>, tenant: &str) -> Shown {
    let given = given.map(str::trim).filter(|name| !name.is_empty());
    let good = given.filter(|name| is_acceptable(name));
    Shown {
        name: good.unwrap_or(tenant).to_owned(),
        refused: given.filter(|_| good.is_none()).map(str::to_owned),
    }
}

/// Not acceptable: empty, over 128 characters, control, invisible or direction-turning
/// characters, an `@` (a name that looks like another address).
pub(crate) fn is_acceptable(name: &str) -> bool {
    (1..=128).contains(&name.chars().count()) && !name.chars().any(is_deceptive)
}

// U+FF20 and U+FE6B are drawn like @.
fn is_deceptive(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '@' | '\u{ff20}' | '\u{fe6b}' | '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180e}'
        )
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
        // Fillers and marks that are drawn as nothing.
        || matches!(c, '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{2800}' | '\u{3164}' | '\u{ffa0}')
        || matches!(c, '\u{fff9}'..='\u{fffc}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deceptive_name_gives_way_to_the_tenants() {
        for (given, want) in [
            (Some("Joe Müller"), "Joe Müller"),
            (Some("  修理 "), "修理"),
            (None, "Tenant"),
            (Some(""), "Tenant"),
            (Some("a@bank.example"), "Tenant"),
            (Some("a＠bank.example"), "Tenant"),
            (Some("gar\u{202e}age"), "Tenant"),
            (Some("gar\u{200b}age"), "Tenant"),
            (Some("gar\nage"), "Tenant"),
            (Some("gar\u{3164}age"), "Tenant"),
        ] {
            let shown = choose(given, "Tenant");
            assert_eq!(shown.name, want, "{given:?}");
            let is_refused = want == "Tenant" && given.is_some_and(|name| !name.is_empty());
            assert_eq!(shown.refused.as_deref(), given.filter(|_| is_refused));
        }
        assert_eq!(choose(Some(&"x".repeat(129)), "Tenant").name, "Tenant");
    }
}
