//! The text forms of time that the legacy stores and reads.

pub(super) mod python_iso;

use jiff::{
    SignedDuration, Timestamp, civil,
    tz::{Offset, TimeZone},
};

/// The stored form: UTC with microseconds and `+00:00`; the fraction is left out when it is exactly zero.
///
/// SQL compares these texts, so every writer must use this one form.
pub fn iso_utc(time: Timestamp) -> String {
    let utc = time.to_zoned_datetime(TimeZone::UTC);
    if time.as_microsecond().rem_euclid(1_000_000) == 0 {
        utc.strftime("%Y-%m-%dT%H:%M:%S+00:00").to_string()
    } else {
        utc.strftime("%Y-%m-%dT%H:%M:%S.%6f+00:00").to_string()
    }
}

/// Unix seconds in that form; empty for 0, which means unknown, and for a moment that Python's calendar lacks.
pub fn iso_of_seconds(seconds: i64) -> String {
    utc_of_seconds(seconds)
        .map(|time| time.strftime("%Y-%m-%dT%H:%M:%S+00:00").to_string())
        .unwrap_or_default()
}

/// Unix seconds on the calendar; nothing for 0, which means unknown, and for a moment that Python's calendar lacks.
pub fn utc_of_seconds(seconds: i64) -> Option<civil::DateTime> {
    calendar_of_seconds(seconds).filter(|_| seconds != 0)
}

/// What Unix seconds are counted from.
pub(super) const EPOCH: civil::DateTime = civil::date(1970, 1, 1).at(0, 0, 0, 0);

/// Unix seconds on the calendar, 0 too; nothing for a moment that Python's calendar lacks. A [`Timestamp`] ends a day
/// before that calendar does.
pub(super) fn calendar_of_seconds(seconds: i64) -> Option<civil::DateTime> {
    EPOCH
        .checked_add(SignedDuration::from_secs(seconds))
        .ok()
        .filter(|time| time.year() > 0)
}

/// Reads a time as the legacy does, with `datetime.fromisoformat`: blanks around it are not allowed. A text without an offset
/// counts as UTC. `None` where it is no such text. Of the last day of the calendar, which is how "never" is written, it is
/// the last moment that there is.
pub fn parse_iso(text: &str) -> Option<Timestamp> {
    let (local, ahead) = python_iso::read(text)?;
    let utc = local.checked_sub(ahead.unwrap_or_default());
    // A `Timestamp` ends before the calendar does, and begins long before it.
    let time = utc.and_then(|utc| Offset::UTC.to_timestamp(utc));
    Some(time.unwrap_or(Timestamp::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fraction_is_left_out_only_when_it_is_zero() {
        let whole = Timestamp::from_second(1_893_553_445).unwrap();
        assert_eq!(iso_utc(whole), "2030-01-02T03:04:05+00:00");
        let fraction = Timestamp::from_microsecond(1_893_553_445_678_901).unwrap();
        assert_eq!(iso_utc(fraction), "2030-01-02T03:04:05.678901+00:00");
    }

    #[test]
    fn seconds_that_no_calendar_has_are_empty() {
        assert_eq!(iso_of_seconds(1_600_000_000), "2020-09-13T12:26:40+00:00");
        assert_eq!(iso_of_seconds(-1), "1969-12-31T23:59:59+00:00");
        assert_eq!(iso_of_seconds(-62_135_596_800), "0001-01-01T00:00:00+00:00");
        assert_eq!(iso_of_seconds(253_402_207_200), "9999-12-30T22:00:00+00:00");
        assert_eq!(iso_of_seconds(253_402_300_799), "9999-12-31T23:59:59+00:00");
        for nothing in [0, -62_135_596_801, 253_402_300_800, i64::MAX, i64::MIN] {
            assert_eq!(iso_of_seconds(nothing), "", "{nothing}");
        }
    }

    #[test]
    fn every_stored_spelling_is_read() {
        let expected = Timestamp::from_second(1_893_553_445).unwrap();
        for text in [
            "2030-01-02T03:04:05+00:00",
            "2030-01-02T03:04:05Z",
            "2030-01-02 03:04:05+00:00",
            "2030-01-02T05:04:05+02:00",
            "2030-01-02T03:04:05",
        ] {
            assert_eq!(parse_iso(text), Some(expected), "{text}");
        }
        assert_eq!(
            parse_iso("2999-01-01").map(iso_utc).as_deref(),
            Some("2999-01-01T00:00:00+00:00")
        );
        for no_time in ["soon", "", "9999-12-32", "9999-12-31T24:30:00Z", "10000-01-01"] {
            assert_eq!(parse_iso(no_time), None, "{no_time}");
        }
    }

    #[test]
    fn the_end_of_the_calendar_is_the_last_moment_that_there_is() {
        for never in [
            "9999-12-31T23:59:59+00:00",
            "9999-12-31T23:59:59.999999+00:00",
            "9999-12-31 23:59:59Z",
            "9999-12-31T23:59:59",
            "9999-12-31",
            "9999-12-31T01:00:00-05:00",
        ] {
            assert_eq!(parse_iso(never), Some(Timestamp::MAX), "{never}");
        }
    }
}
