//! Dates and timestamps.

use std::{str::FromStr, time::SystemTime};

use chrono::{DateTime, Datelike as _, NaiveDate, SecondsFormat, SubsecRound as _, Utc};
use derive_more::Display;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::ToSchema;

use super::strict;

/// A calendar date: year, month and day.
// RFC 3339 `full-date`: years 0000 to 9999 of the proleptic Gregorian calendar.
#[derive(Debug, Display, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ToSchema)]
#[schema(value_type = String, format = Date, min_length = 10, max_length = 10)]
pub struct Date(NaiveDate);

/// Why a text is not a [`Date`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a calendar date, YYYY-MM-DD")]
pub struct InvalidDate;

impl FromStr for Date {
    type Err = InvalidDate;

    fn from_str(text: &str) -> Result<Self, InvalidDate> {
        let &[y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = text.as_bytes() else {
            return Err(InvalidDate);
        };
        let year = number(&[y1, y2, y3, y4])?;
        let date = NaiveDate::from_ymd_opt(year.cast_signed(), number(&[m1, m2])?, number(&[d1, d2])?);
        date.map(Self).ok_or(InvalidDate)
    }
}

fn number(digits: &[u8]) -> Result<u32, InvalidDate> {
    digits.iter().try_fold(0, |number, digit| {
        if digit.is_ascii_digit() { Ok(number * 10 + u32::from(digit - b'0')) } else { Err(InvalidDate) }
    })
}

impl Serialize for Date {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Date {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        strict::parsed(deserializer)
    }
}

/// A timestamp in UTC with microseconds, as both engines keep it and the contract prints it: RFC 3339 with six fractional
/// digits and `Z`.
#[derive(Debug, Display, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[display("{}", _0.to_rfc3339_opts(SecondsFormat::Micros, true))]
pub struct Timestamp(DateTime<Utc>);

impl Timestamp {
    /// Microseconds since the Unix epoch.
    pub fn micros(self) -> i64 {
        self.0.timestamp_micros()
    }

    /// Whole seconds since the Unix epoch.
    pub fn seconds(self) -> i64 {
        self.0.timestamp()
    }

    /// The timestamp so many microseconds after the Unix epoch; `None` if it is too far from it.
    pub fn from_micros(micros: i64) -> Option<Self> {
        DateTime::from_timestamp_micros(micros).map(Self)
    }
}

impl From<DateTime<Utc>> for Timestamp {
    fn from(time: DateTime<Utc>) -> Self {
        Self(time.trunc_subsecs(6))
    }
}

impl From<Timestamp> for SystemTime {
    fn from(timestamp: Timestamp) -> Self {
        timestamp.0.into()
    }
}

/// Why a text is not a [`Timestamp`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a time of RFC 3339 with at most six fractional digits, such as 2026-01-31T12:00:00.000000Z")]
pub struct InvalidTimestamp;

impl FromStr for Timestamp {
    type Err = InvalidTimestamp;

    /// Takes RFC 3339, if the time can be kept as it is.
    fn from_str(text: &str) -> Result<Self, InvalidTimestamp> {
        let time = DateTime::parse_from_rfc3339(text).map_err(|_| InvalidTimestamp)?.to_utc();
        let nanoseconds = time.timestamp_subsec_nanos();
        // A leap second has more than a second's nanoseconds.
        let is_kept = nanoseconds.is_multiple_of(1000) && nanoseconds < 1_000_000_000;
        if is_kept && (0..=9999).contains(&time.year()) { Ok(Self(time)) } else { Err(InvalidTimestamp) }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_read_if_it_is_kept_as_it_is() {
        for text in
            ["2026-01-31T12:00:00.000001Z", "0000-01-01T00:00:00.000000Z", "9999-12-31T23:59:59.999999Z"]
        {
            assert_eq!(text.parse::<Timestamp>().unwrap().to_string(), text);
        }
        let spelled: Timestamp = "2026-01-31T14:00:00.5+02:00".parse().unwrap();
        assert_eq!(spelled.to_string(), "2026-01-31T12:00:00.500000Z");
        for text in [
            "",
            "2026-01-31",
            "2026-02-30T12:00:00Z",
            "2026-01-31T12:00:00.0000001Z",
            "2026-01-31T23:59:60Z",
            "9999-12-31T23:59:59-01:00",
            "+10000-01-01T00:00:00Z",
            "1750000000000000",
        ] {
            assert_eq!(text.parse::<Timestamp>(), Err(InvalidTimestamp), "{text}");
        }
    }
}
