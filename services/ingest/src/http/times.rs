//! Times as clients give them: ISO 8601 with a zone, or a few words of English.

use postrider_gate::read_moment;
use postrider_model::Timestamp;

/// Reads `2026-01-31T08:00:00+01:00` or `in 5 minutes`. `Err` says what to write.
pub(crate) fn read(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    read_moment(text, now).ok_or_else(|| {
        let text = super::json::shortened(text).escape_debug().to_string();
        format!(
            "'{text}' is not a time; write 2026-01-31T08:00:00Z (with a zone) or \"in 5 minutes\"."
        )
    })
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
            ("2026-01-31T10:00Z", "2026-01-31T10:00:00.000000Z"),
            ("2026-01-31T10:00:00+0100", "2026-01-31T09:00:00.000000Z"),
            ("2026-01-31 10:00:00 -0130", "2026-01-31T11:30:00.000000Z"),
            ("2026-01-31t10:00:00,25+01", "2026-01-31T09:00:00.250000Z"),
            ("in 99999999999 days", "2126-01-07T08:00:00.000000Z"),
            ("in 0 minutes", "2026-01-31T08:00:00.000000Z"),
            ("in 1 min", "2026-01-31T08:01:00.000000Z"),
            ("in 5 minutes", "2026-01-31T08:05:00.000000Z"),
            ("In 1 HOUR", "2026-01-31T09:00:00.000000Z"),
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
            "in an hour",
            "in 5 mins",
            "in 30 seconds",
            "in 2 weeks",
            "in  minutes",
            "in +5 minutes",
            "2026-01-31",
            "2026-01-31Z",
            "2026-01-31T10:00:00 Z!",
            "2026-01-31T10:00:00+1",
            "2026-01-31T10:00:00+010",
            "2026-01-31T10:00:00+éé",
            "2026-01-31T10:00:00+01:00:00",
            "2026-01-31T10Z",
            "2026-02-30T10:00:00Z",
            "2026-01-31T24:00:00Z",
            "1769846400",
        ] {
            assert!(read(wrong, now).is_err(), "{wrong}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_a_time_or_refused(text in ".{0,40}", clock in "[0-9é:,.+Zz -]{0,24}") {
            let now = Timestamp::from_micros(0);
            for given in [text, format!("2026-01-31T{clock}"), format!("in {clock} min")] {
                if let Ok(at) = read(&given, now) {
                    proptest::prop_assert_eq!(read(&at.to_string(), now), Ok(at));
                }
            }
        }
    }
}
