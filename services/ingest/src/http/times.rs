//! Times as clients give them: ISO 8601 with a zone, or a few words of English.

use std::time::Duration;

use postrider_model::Timestamp;

/// Reads `2026-01-31T08:00:00+01:00` or `in 5 minutes`. `Err` says what to write.
pub(crate) fn read(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    if let Some(span) = from_now(text) {
        return Ok(now.after(span));
    }
    // RFC 3339 allows a blank in place of T, and people use it.
    let iso = text.trim();
    let iso = if iso.get(10..11) == Some(" ") {
        iso.replacen(' ', "T", 1)
    } else {
        iso.to_owned()
    };
    Timestamp::parse(&iso).map_err(|_| {
        let text = super::json::shortened(text).escape_debug().to_string();
        format!(
            "'{text}' is not a time; write 2026-01-31T08:00:00Z (with a zone) or \"in 5 minutes\"."
        )
    })
}

fn from_now(text: &str) -> Option<Duration> {
    let text = text.to_ascii_lowercase();
    let mut words = text.split_ascii_whitespace();
    let ("in", count, unit, None) = (words.next()?, words.next()?, words.next()?, words.next())
    else {
        return None;
    };
    let count = match count {
        "a" | "an" | "one" => 1,
        digits => digits.parse::<u32>().ok()?,
    };
    let seconds = match unit {
        "s" | "sec" | "secs" | "second" | "seconds" => 1,
        "m" | "min" | "mins" | "minute" | "minutes" => 60,
        "h" | "hr" | "hrs" | "hour" | "hours" => 60 * 60,
        "d" | "day" | "days" => 24 * 60 * 60,
        _ => return None,
    };
    Some(Duration::from_secs(u64::from(count) * seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_iso_with_a_zone_or_a_few_words() {
        let now = Timestamp::parse("2026-01-31T08:00:00Z").unwrap();
        for (given, want) in [
            ("2026-01-31T10:00:00+01:00", "2026-01-31T09:00:00.000000Z"),
            ("2026-01-31 10:00:00.5Z", "2026-01-31T10:00:00.500000Z"),
            ("in 1 min", "2026-01-31T08:01:00.000000Z"),
            ("in 5 minutes", "2026-01-31T08:05:00.000000Z"),
            ("In an hour", "2026-01-31T09:00:00.000000Z"),
            ("in  2  days ", "2026-02-02T08:00:00.000000Z"),
        ] {
            assert_eq!(
                read(given, now).map(|at| at.to_string()).as_deref(),
                Ok(want),
                "{given}"
            );
        }
        for wrong in [
            "",
            "tomorrow",
            "2026-01-31T10:00:00",
            "in 5",
            "in -5 minutes",
            "in 1.5 hours",
            "in 5 minutes or so",
            "5 minutes",
            "in é m",
        ] {
            assert!(read(wrong, now).is_err(), "{wrong}");
        }
    }
}
