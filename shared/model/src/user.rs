//! The user name of an SMTP form.

/// User names of old forms end here, in characters.
pub const USER_MOST: usize = 20;

/// The user name that is proposed for a tenant's SMTP form: its slug, cut in the middle where it
/// is longer than old forms take. Any other name is accepted too: the password is the key.
pub fn user_name(slug: &str) -> String {
    if slug.len() <= USER_MOST {
        return slug.to_owned();
    }
    let (stem, ending) = slug.rsplit_once('-').unwrap_or((slug, ""));
    let room = USER_MOST.saturating_sub(ending.len() + 1);
    let stem = stem.get(..room).unwrap_or_default().trim_end_matches('-');
    if ending.is_empty() {
        stem.to_owned()
    } else {
        format!("{stem}-{ending}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_name_fits_old_forms() {
        for (slug, want) in [
            ("joes-garage-7k2f", "joes-garage-7k2f"),
            ("a-very-long-name-of-a-company-7k2f", "a-very-long-nam-7k2f"),
            ("a-very-long-nam-company-7k2f", "a-very-long-nam-7k2f"),
            ("abcdefghijklmn-xyz-company-7k2f", "abcdefghijklmn-7k2f"),
            ("abcdefghijklmnopqrstuvwxyz", "abcdefghijklmnopqrs"),
        ] {
            let user = user_name(slug);
            assert_eq!(user, want);
            assert!(user.chars().count() <= USER_MOST);
        }
    }
}
