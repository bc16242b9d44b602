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
        self.0.div_euclid(86_400_000_000)
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
    fn the_date_field_is_rfc_5322() {
        let at = Timestamp::parse("2026-01-31T08:09:10Z").unwrap();
        assert_eq!(at.to_rfc5322(), "Sat, 31 Jan 2026 08:09:10 +0000");
    }
}
