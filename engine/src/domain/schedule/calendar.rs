//! A minute of the UTC calendar, and the steps that keep its day and time.

use jiff::{Timestamp, civil, tz::TimeZone};

/// The years that the legacy's calendar knows.
const YEARS: std::ops::RangeInclusive<i16> = 1..=9999;

/// A whole minute; compares as time does.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Minute {
    year: i16,
    month: i8,
    day: i8,
    hour: i8,
    minute: i8,
}

impl Minute {
    /// The calendar fields of a moment in seconds; `None` outside the years 1 to 9999.
    pub(super) fn of(seconds: i64) -> Option<Self> {
        let time = Timestamp::from_second(seconds).ok()?;
        let civil = time.to_zoned_datetime(TimeZone::UTC).datetime();
        YEARS.contains(&civil.year()).then(|| Self {
            year: civil.year(),
            month: civil.month(),
            day: civil.day(),
            hour: civil.hour(),
            minute: civil.minute(),
        })
    }

    /// The same day and time a month later; the day is clamped to the month's length.
    pub(super) fn next_month(self) -> Option<Self> {
        if self.month == 12 {
            Self { month: 1, ..self }.in_year(self.year.checked_add(1)?)
        } else {
            Self {
                month: self.month + 1,
                ..self
            }
            .in_year(self.year)
        }
    }

    /// The same day and time a year later; 29 February becomes 28 February.
    pub(super) fn next_year(self) -> Option<Self> {
        self.in_year(self.year.checked_add(1)?)
    }

    fn in_year(self, year: i16) -> Option<Self> {
        if !YEARS.contains(&year) {
            return None;
        }
        let longest = civil::Date::new(year, self.month, 1).ok()?.days_in_month();
        Some(Self {
            year,
            day: self.day.min(longest),
            ..self
        })
    }

    /// Seconds since 1970.
    pub(super) fn seconds(self) -> Option<i64> {
        let civil =
            civil::DateTime::new(self.year, self.month, self.day, self.hour, self.minute, 0, 0).ok()?;
        civil
            .to_zoned_datetime(TimeZone::UTC)
            .ok()
            .map(|zoned| zoned.timestamp().as_second())
    }
}
