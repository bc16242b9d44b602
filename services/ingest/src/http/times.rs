//! Times as clients give them: ISO 8601 with a zone, or a few words of English.

use postrider_gate::read_moment;
use postrider_model::Timestamp;

/// Reads `2026-01-31T08:00:00+01:00` or `in 5 minutes`. `Err` says what to write.
pub(crate) fn read(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    read_moment(text, now).ok_or_else(|| {
        let text = super::json::shortened(text).escape_debug().to_string();
        format!(
            "'{text}' is not a time; write 2026-01-31T08:00:00Z (with a zone) or \"in 5 minutes\" (minutes, hours or days)."
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_time_is_named_with_what_to_write() {
        let now = Timestamp::parse("2026-01-31T08:00:00Z").unwrap();
        let read = |text: &str| read(text, now).map(|at| at.to_string());
        let want = "2026-01-31T08:05:00.000000Z".to_owned();
        assert_eq!(read("in 5 minutes"), Ok(want));
        let told = read("next \u{7}tuesday").unwrap_err();
        assert!(
            told.starts_with("'next \\u{7}tuesday' is not a time; write 2026-"),
            "{told}"
        );
    }
}
