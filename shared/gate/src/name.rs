//! Display names on a shared domain: what may stand before the service's address.

/// The name to be shown: the client's if it is acceptable, else the tenant's.
///
/// Not acceptable: empty, over 128 characters, control, zero-width or direction-turning
/// characters, an `@` (a name that looks like another address).
pub(crate) fn choose(given: Option<&str>, tenant: &str) -> String {
    let given = given.map(str::trim).filter(|name| is_acceptable(name));
    given.unwrap_or(tenant).to_owned()
}

fn is_acceptable(name: &str) -> bool {
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
        || matches!(c, '\u{e0000}'..='\u{e007f}')
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
        ] {
            assert_eq!(choose(given, "Tenant"), want, "{given:?}");
        }
        assert_eq!(choose(Some(&"x".repeat(129)), "Tenant"), "Tenant");
    }
}
