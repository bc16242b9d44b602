//! Points in time: whole microseconds since 1970-01-01 UTC.

use std::fmt;
use std::time::Duration;

use ::time::OffsetDateTime;
use ::time::format_description::well_known::{Rfc2822, Rfc3339};

/// A point in time in UTC, to the microsecond. Always an argument: only `runtime::Clock`
/// asks the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(i64);

/// What was given as a time is not one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an RFC 3339 time with a zone, such as 2026-01-31T08:00:00Z")]
pub struct TimestampError;

impl Timestamp {
    /// From microseconds since 1970, as a database keeps them.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since 1970, as a database keeps them.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since 1970, rounded down.
    pub const fn as_seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// This time and a span; the latest time there is where that is past it.
    #[must_use]
    pub fn after(self, span: Duration) -> Self {
        Self(self.0.saturating_add(micros(span)))
    }

    /// This time less a span.
    #[must_use]
    pub fn before(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(micros(span)))
    }

    /// How long ago `earlier` was; zero where it lies ahead.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Reads RFC 3339 with a zone (`2026-01-31T08:00:00+01:00`).
    pub fn parse(text: &str) -> Result<Self, TimestampError> {
        let at = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| TimestampError)?;
        i64::try_from(at.unix_timestamp_nanos() / 1_000)
            .map(Self)
            .map_err(|_| TimestampError)
    }

    /// The `Date` field's form, RFC 5322 §3.3, in UTC.
    pub fn to_rfc5322(self) -> String {
        self.to_offset_date_time()
            .format(&Rfc2822)
            .unwrap_or_default()
    }

    /// The number of the UTC day since 1970-01-01, as `usage` counts.
    pub const fn day(self) -> i64 {
        self.0.div_euclid(DAY)
    }

    /// The first moment of a UTC day, counted as `day` counts.
    pub const fn of_day(day: i64) -> Self {
        Self(day.saturating_mul(DAY))
    }

    /// The number of the first UTC day of its month, counted as `day` counts.
    pub const fn month_begin(self) -> i64 {
        let (year, month) = month_of(self.day());
        first_day(year, month)
    }

    /// The first moment of the next UTC day.
    #[must_use]
    pub const fn next_day(self) -> Self {
        Self::of_day(self.day() + 1)
    }

    /// The first moment of the next UTC month.
    #[must_use]
    pub const fn next_month(self) -> Self {
        let (year, month) = month_of(self.day());
        let next = match month {
            12 => first_day(year + 1, 1),
            _ => first_day(year, month + 1),
        };
        Self::of_day(next)
    }

    fn to_offset_date_time(self) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000)
            .unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC with exactly six decimals, so that texts sort as times do.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.to_offset_date_time();
        write!(
            f,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z",
            at.year(),
            u8::from(at.month()),
            at.day(),
            at.hour(),
            at.minute(),
            at.second(),
            at.microsecond()
        )
    }
}

impl serde::Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

// In microseconds.
const DAY: i64 = 86_400_000_000;

// The Gregorian calendar in eras of 400 years (146,097 days), with years that begin in March so
// that the leap day is their last: year and month of a day, counted from 1970-01-01.
const fn month_of(day: i64) -> (i64, i64) {
    let day = day + 719_468;
    let era = day.div_euclid(146_097);
    let day_of_era = day.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let year = era * 400 + year_of_era;
    if from_march < 10 {
        (year, from_march + 3)
    } else {
        (year + 1, from_march - 9)
    }
}

const fn first_day(year: i64, month: i64) -> i64 {
    let (year, from_march) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * from_march + 2) / 5;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

fn micros(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_printed_as_it_is_read() {
        for (given, want) in [
            ("2026-01-31T08:00:00+01:00", "2026-01-31T07:00:00.000000Z"),
            (
                "2026-01-31T08:00:00.123456789Z",
                "2026-01-31T08:00:00.123456Z",
            ),
        ] {
            assert_eq!(
                Timestamp::parse(given).unwrap().to_string(),
                want,
                "{given}"
            );
        }
        for wrong in [
            "",
            "tomorrow",
            "2026-01-31",
            "2026-01-31T08:00:00",
            "2026-13-01T00:00:00Z",
        ] {
            assert_eq!(Timestamp::parse(wrong), Err(TimestampError), "{wrong}");
        }
    }

    #[test]
    fn days_and_months_end_where_the_calendar_says() {
        for (given, day, month, begin) in [
            (
                "2026-01-31T08:00:00Z",
                "2026-02-01",
                "2026-02-01",
                "2026-01-01",
            ),
            (
                "2026-02-28T23:59:59.999999Z",
                "2026-03-01",
                "2026-03-01",
                "2026-02-01",
            ),
            (
                "2026-03-01T00:00:00Z",
                "2026-03-02",
                "2026-04-01",
                "2026-03-01",
            ),
            (
                "2028-02-28T12:00:00Z",
                "2028-02-29",
                "2028-03-01",
                "2028-02-01",
            ),
            (
                "2000-02-29T12:00:00Z",
                "2000-03-01",
                "2000-03-01",
                "2000-02-01",
            ),
            (
                "2100-02-28T12:00:00Z",
                "2100-03-01",
                "2100-03-01",
                "2100-02-01",
            ),
            (
                "2026-12-31T12:00:00Z",
                "2027-01-01",
                "2027-01-01",
                "2026-12-01",
            ),
            (
                "1969-12-31T12:00:00Z",
                "1970-01-01",
                "1970-01-01",
                "1969-12-01",
            ),
        ] {
            let midnight = |day: &str| Timestamp::parse(&format!("{day}T00:00:00Z")).unwrap();
            let at = Timestamp::parse(given).unwrap();
            assert_eq!(at.next_day(), midnight(day), "{given}");
            assert_eq!(at.next_month(), midnight(month), "{given}");
            assert_eq!(at.month_begin(), midnight(begin).day(), "{given}");
        }
    }

    #[test]
    fn every_day_of_the_calendar_is_in_the_month_that_the_library_says() {
        for day in -1_000..200_000 {
            let at = Timestamp::of_day(day);
            let begin = Timestamp::of_day(at.month_begin()).to_offset_date_time();
            let date = at.to_offset_date_time();
            assert_eq!(
                (begin.year(), begin.month(), begin.day()),
                (date.year(), date.month(), 1)
            );
        }
    }

    #[test]
    fn the_date_field_is_rfc_5322() {
        let at = Timestamp::parse("2026-01-31T08:09:10Z").unwrap();
        assert_eq!(at.to_rfc5322(), "Sat, 31 Jan 2026 08:09:10 +0000");
    }
}
