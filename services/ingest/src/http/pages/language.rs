//! In which language a page is shown.

use ::http::{HeaderMap, header};
use postrider_model::Language;

/// The one of ours that the reader likes best (RFC 9110 §12.5.4), else that of the tenant.
pub(super) fn of(headers: &HeaderMap, other: Language) -> Language {
    let fields = headers.get_all(header::ACCEPT_LANGUAGE).into_iter();
    let ranges = fields
        .filter_map(|field| field.to_str().ok())
        .flat_map(|text| text.split(','));
    let mut best: Option<(Language, f32)> = None;
    for (language, weight) in ranges.filter_map(wanted) {
        if weight > 0.0 && best.is_none_or(|(_, most)| weight > most) {
            best = Some((language, weight));
        }
    }
    best.map_or(other, |(language, _)| language)
}

fn wanted(range: &str) -> Option<(Language, f32)> {
    let mut parts = range.split(';').map(str::trim);
    let primary = parts.next()?.split('-').next()?;
    let language = [("en", Language::En), ("fr", Language::Fr)]
        .into_iter()
        .find_map(|(tag, language)| primary.eq_ignore_ascii_case(tag).then_some(language))?;
    let weight = parts.find_map(|part| part.strip_prefix("q="));
    Some((
        language,
        weight.map_or(Some(1.0), |weight| weight.parse().ok())?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reader_chooses_among_ours_and_the_tenant_else() {
        for (accept, want) in [
            ("fr-CA,fr;q=0.9,en;q=0.8", Language::Fr),
            ("en-US,en;q=0.5", Language::En),
            ("de, fr;q=0.3, en;q=0.7", Language::En),
            ("FR", Language::Fr),
            ("en;q=0, fr;q=0.1", Language::Fr),
            ("de, *;q=0.5", Language::Fr),
            ("", Language::Fr),
            ("fr;q=x;;,", Language::Fr),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_LANGUAGE, accept.parse().unwrap());
            assert_eq!(of(&headers, Language::Fr), want, "{accept}");
        }
    }
}
