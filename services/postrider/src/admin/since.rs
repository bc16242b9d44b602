//! Since when something is asked about: how far back, or from a day or a time on. One rule for all who ask.

use std::time::Duration;

use postrider_model::Timestamp;
use serde::{Deserialize, Serialize};

/// By how much the clock of who asks may be ahead of ours.
const CLOCKS_APART: Duration = Duration::from_mins(5);

/// Since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Since {
    /// So long before now.
    Back(Duration),
    At(Timestamp),
}

impl Since {
    /// Reads `30m`, `4h` or `2d`; a day as `2026-11-22`, which begins at midnight UTC; or a time of RFC 3339.
    /// The error is what to give.
    pub fn parse(text: &str) -> Result<Self, String> {
        let back = span(text).map(Self::Back);
        let at = || moment(text).map(Self::At);
        back.or_else(|_| at()).map_err(|_| {
            "give how far back, as 30m, 4h or 2d; a day, as 2026-11-22; or a time, as 2026-11-22T08:00:00Z"
                .to_owned()
        })
    }

    /// Where it begins, which is not ahead. The error is what to give.
    pub(crate) fn begun(self, now: Timestamp) -> Result<Timestamp, String> {
        let at = self.begins(now);
        if at > now.after(CLOCKS_APART) {
            return Err(format!(
                "{at} lies ahead: give a day or a time that has begun, or how far back, as 24h"
            ));
        }
        Ok(at)
    }

    /// Where it begins.
    pub(crate) fn begins(self, now: Timestamp) -> Timestamp {
        match self {
            Self::Back(span) => now.before(span),
            Self::At(at) => at,
        }
    }
}

/// A day, or a time. A day begins at midnight, UTC. The error is what to give.
pub(crate) fn moment(text: &str) -> Result<Timestamp, String> {
    let day = format!("{text}T00:00:00Z");
    Timestamp::parse(text)
        .or_else(|_| Timestamp::parse(&day))
        .map_err(|_| {
            "give a day such as 2027-01-31, or a time such as 2027-01-31T18:00:00+01:00".to_owned()
        })
}

/// A time as people write it. The error is what to give.
pub(crate) fn span(text: &str) -> Result<Duration, String> {
    let wrong = || "give a time such as 30m, 4h or 2d".to_owned();
    let unit = text.chars().next_back().ok_or_else(wrong)?;
    let seconds = match unit {
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return Err(wrong()),
    };
    let number = text.strip_suffix(unit).unwrap_or_default().parse::<u32>();
    let number = number.ok().filter(|number| *number > 0).ok_or_else(wrong)?;
    Ok(Duration::from_secs(u64::from(number) * seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_a_day_and_a_time_are_taken() {
        let now = Timestamp::parse("2026-11-22T12:00:00Z").unwrap();
        for (text, want) in [
            ("30m", Some("2026-11-22T11:30:00Z")),
            ("2d", Some("2026-11-20T12:00:00Z")),
            ("2026-11-22", Some("2026-11-22T00:00:00Z")),
            ("2026-11-22T09:00:00+01:00", Some("2026-11-22T08:00:00Z")),
            ("yesterday", None),
            ("0h", None),
            ("22.11.2026", None),
            ("", None),
        ] {
            let want = want.map(|want| Timestamp::parse(want).unwrap());
            let read = Since::parse(text).ok().map(|since| since.begins(now));
            assert_eq!(read, want, "{text}");
        }
        let why = Since::parse("yesterday").unwrap_err();
        assert!(why.contains("2d") && why.contains("2026-11-22;"), "{why}");
    }

    #[test]
    fn what_lies_ahead_is_refused() {
        let now = Timestamp::parse("2026-11-22T12:00:00Z").unwrap();
        for (text, is_taken) in [
            ("2026-11-22", true),
            ("2026-11-22T12:01:00Z", true),
            ("2026-11-23", false),
            ("2027-01-01", false),
        ] {
            let begun = Since::parse(text).unwrap().begun(now);
            assert_eq!(begun.is_ok(), is_taken, "{begun:?}");
        }
    }

    #[test]
    fn it_comes_back_from_its_line() {
        for text in ["4h", "2026-11-22"] {
            let since = Since::parse(text).unwrap();
            let line = serde_json::to_string(&since).unwrap();
            assert_eq!(serde_json::from_str::<Since>(&line).unwrap(), since);
        }
    }
}
