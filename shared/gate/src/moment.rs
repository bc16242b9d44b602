//! Times as clients give them, in JSON and in header fields: ISO 8601 with a zone, or a few words of
//! English.

use std::time::Duration;

use postrider_model::Timestamp;

/// More is cut to this: it is further ahead than any limit, and its refusal can still print it.
const FAR_AHEAD: Duration = Duration::from_hours(100 * 365 * 24);

/// Reads `2026-01-31T08:00:00+01:00` or `in 5 minutes`.
pub fn read(text: &str, now: Timestamp) -> Option<Timestamp> {
    if let Some(span) = from_now(text) {
        return Some(now.after(span));
    }
    let text = rfc_3339(text.trim())?;
    Timestamp::parse(&text).ok()
}

// ISO 8601 as programs print it: a blank in place of T, no seconds, zones without a colon or
// without minutes, a comma before decimals. Never without a zone.
fn rfc_3339(text: &str) -> Option<String> {
    let (date, rest) = (text.get(..10)?, text.get(10..)?);
    let rest = rest.strip_prefix(['T', 't', ' '])?;
    let (clock, zone) = rest.split_at_checked(rest.find(['Z', 'z', '+', '-'])?)?;
    let zone = match zone.split_at_checked(1)? {
        ("Z" | "z", "") => "Z".to_owned(),
        ("Z" | "z", _) => return None,
        (sign, digits) => match digits.len() {
            2 => format!("{sign}{digits}:00"),
            4 => format!("{sign}{}:{}", digits.get(..2)?, digits.get(2..)?),
            _ => zone.to_owned(),
        },
    };
    let clock = clock.trim_end().replace(',', ".");
    let seconds = if clock.len() == 5 { ":00" } else { "" };
    Some(format!("{date}T{clock}{seconds}{zone}"))
}

// The words of the contract and no others: who writes more of them means what we might not.
fn from_now(text: &str) -> Option<Duration> {
    let text = text.to_ascii_lowercase();
    let mut words = text.split_ascii_whitespace();
    let ("in", count, unit, None) = (words.next()?, words.next()?, words.next()?, words.next())
    else {
        return None;
    };
    if !count.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let count = count.parse::<u32>().unwrap_or(u32::MAX);
    let seconds = match unit {
        "min" | "minute" | "minutes" => 60,
        "hour" | "hours" => 60 * 60,
        "day" | "days" => 24 * 60 * 60,
        _ => return None,
    };
    Some(Duration::from_secs(u64::from(count) * seconds).min(FAR_AHEAD))
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
                Some(want),
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
            assert!(read(wrong, now).is_none(), "{wrong}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_a_time_or_refused(text in ".{0,40}", clock in "[0-9é:,.+Zz -]{0,24}") {
            let now = Timestamp::from_micros(0);
            for given in [text, format!("2026-01-31T{clock}"), format!("in {clock} min")] {
                if let Some(at) = read(&given, now) {
                    proptest::prop_assert_eq!(read(&at.to_string(), now), Some(at));
                }
            }
        }
    }
}
