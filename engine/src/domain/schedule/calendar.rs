//! A minute of the UTC calendar, and the steps that keep its day and time.

use jiff::civil;

use crate::domain::timestamp::{EPOCH, calendar_of_seconds};

/// The years that the legacy's calendar knows.
const YEARS: std::ops::RangeInclusive<i16> = 1..=9999;

/// No month or year is reckoned from this day: Python looks for the zone's offset a day before a time that says none, and
/// its calendar begins here.
const FIRST_DAY: civil::Date = civil::date(1, 1, 1);

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
    /// The calendar fields of a moment in seconds; `None` outside the years 1 to 9999, and on the first day of these.
    pub(super) fn of(seconds: i64) -> Option<Self> {
        let civil = calendar_of_seconds(seconds)?;
        (civil.date() != FIRST_DAY).then(|| Self {
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
        Some(civil.duration_since(EPOCH).as_secs())
    }
}
