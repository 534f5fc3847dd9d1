//! The moment at which a job shall start, as operators write it.

use jiff::{SignedDuration, Timestamp, ZonedDateTime, civil, tz::TimeZone};

use super::{
    coerce::integer_of,
    json::Json,
    text::python_trim,
    timestamp::{EPOCH, python_iso},
};

/// Of this day Python can say no time without an offset: it looks for the zone's a day before.
const FIRST_DAY: civil::Date = civil::date(1, 1, 1);

/// A number that is none, or infinite: no second is meant by it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("no finite number of seconds")]
pub struct NotFinite;

/// Reads a start: an ISO 8601 text (without an offset it means the server's own `zone`) or a number of seconds, which may
/// be beyond 64 bits. Fractions are cut toward zero. `None` where it is neither, or falsy.
///
/// # Errors
/// [`NotFinite`]
pub fn start_seconds(value: &Json, zone: &TimeZone) -> Result<Option<i128>, NotFinite> {
    match value {
        Json::Float(number) if !number.is_finite() => Err(NotFinite),
        value if !value.is_truthy() => Ok(None),
        // As the legacy does, wherever a Z stands.
        Json::Text(text) => Ok(iso_seconds(&python_trim(text).replace('Z', "+00:00"), zone).map(i128::from)),
        number => Ok(integer_of(number)),
    }
}

fn iso_seconds(text: &str, zone: &TimeZone) -> Option<i64> {
    let (civil, ahead) = python_iso::read(text)?;
    let moment = match ahead {
        Some(ahead) => civil.duration_since(EPOCH).checked_sub(ahead)?,
        None => since_epoch(civil, zone)?,
    };
    // Whole seconds, cut toward zero.
    Some(moment.as_secs())
}

/// When the clocks of `zone` show this. A `Timestamp` ends a day before the calendar, whose last day is how "never" is
/// written, so the zone's last offset counts behind it.
fn since_epoch(civil: civil::DateTime, zone: &TimeZone) -> Option<SignedDuration> {
    let zoned = civil.to_zoned_datetime(zone.clone()).ok();
    let offset = zoned
        .as_ref()
        .map_or_else(|| zone.to_offset(Timestamp::MAX), ZonedDateTime::offset);
    let ahead = SignedDuration::from_secs(i64::from(offset.seconds()));
    // Python takes the time for one in UTC first and asks what the zone's clocks show then: that has to be in the calendar.
    if civil.date() == FIRST_DAY || civil.checked_add(ahead).is_err() {
        return None;
    }
    match zoned {
        Some(zoned) => Some(zoned.timestamp().as_duration()),
        None => civil.duration_since(EPOCH).checked_sub(ahead),
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::Offset;
    use proptest::prelude::*;

    use super::*;

    fn read(value: impl Into<Json>) -> Option<i128> {
        start_seconds(&value.into(), &TimeZone::UTC).unwrap()
    }

    #[test]
    fn the_forms_of_iso_8601_are_read() {
        for text in [
            "2031-01-31T10:00:00Z",
            "2031-01-31T10:00:00.999Z",
            "2031-01-31T10:00:00",
            " 2031-01-31 10:00 ",
            "20310131T100000Z",
            "2031-W05-5T10:00:00Z",
            "2031W055T10:00:00Z",
            "2031-01-31T10Z",
            "2031-01-31T1000",
            "2031-01-31T12:00:00+02:00",
            "2031-01-31T12:00:00,5+0200",
            "2031-01-31T00-10",
        ] {
            assert_eq!(read(text), Some(1_927_620_000), "{text:?}");
        }
        // What becomes of the Z is taken for a time of midnight.
        for text in ["2031-01-31", "2031-01-31Z", "20310131Z"] {
            assert_eq!(read(text), Some(1_927_584_000), "{text:?}");
        }
        assert_eq!(read("1969-12-31T23:59:59.5Z"), Some(0));
    }

    #[test]
    fn a_separator_has_a_time_behind_it() {
        for text in [
            "2031-01-31T",
            "20310131T",
            "2031-W05-5T",
            "2031-01-31\u{e9}",
            "2031-01-31TT",
            "2031-01-31T+",
        ] {
            assert_eq!(read(text), None, "{text:?}");
        }
    }

    #[test]
    fn other_texts_are_no_start() {
        for text in [
            "",
            "1927620000",
            "next tuesday",
            "2031-13-01",
            "2031-02-29",
            "2031-01-31T24:00",
            "2031-01-31T10:00z",
            "10:00",
            "2031-01-31T10:60",
            "2031-01-31T10:00+24:00",
            "2031-01-3",
            "0000-01-01",
            "2031-0131",
            "2031-01-31T1:00",
            "2031-01-31T10:00.",
            "2031-01-31T10:00+0:00",
            "2031-01-31Z10:00",
            "2031-01-31T10:00ZZ",
            "2031-01-31T10:00+00:00Z",
            "Z",
        ] {
            assert_eq!(read(text), None, "{text:?}");
        }
    }

    #[test]
    fn numbers_are_cut_and_falsy_values_are_none() {
        assert_eq!(read(1_927_620_007_i64), Some(1_927_620_007));
        assert_eq!(read(1_927_620_007.9), Some(1_927_620_007));
        assert_eq!(read(true), Some(1));
        assert_eq!(read(-60), Some(-60));
        assert_eq!(read(1e30), Some(1e30 as i128));
        assert_eq!(
            read(Json::BigInt("9".repeat(20))),
            Some(99_999_999_999_999_999_999)
        );
        for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(start_seconds(&number.into(), &TimeZone::UTC), Err(NotFinite));
        }
        for falsy in [
            Json::Null,
            0.into(),
            false.into(),
            Json::List(vec![]),
            Json::list([1]),
        ] {
            assert_eq!(read(falsy), None);
        }
    }

    #[test]
    fn a_text_without_offset_means_the_servers_zone() {
        let zone = TimeZone::fixed(Offset::constant(-7));
        let read = |text: &str| start_seconds(&text.into(), &zone).unwrap();
        assert_eq!(read("2031-01-31T03:00:00"), Some(1_927_620_000));
        assert_eq!(read("2031-01-31Z"), Some(1_927_584_000 + 7 * 3600));
        assert_eq!(read("2031-01-31T10:00:00Z"), Some(1_927_620_000));
    }

    #[test]
    fn the_last_day_of_the_calendar_is_a_start_and_the_first_needs_an_offset() {
        for (text, expected) in [
            ("9999-12-31T23:59:59Z", Some(LAST)),
            ("9999-12-31T23:59:59", Some(LAST)),
            ("9999-12-31", Some(LAST - DAY + 1)),
            ("9999-12-31T23:59:59-10:00", Some(LAST + 36_000)),
            ("0001-01-01T00:00:00Z", Some(FIRST)),
            ("0001-01-01T00:00:00+10:00", Some(FIRST - 36_000)),
            ("0001-01-01T00:00:00", None),
            ("0001-01-01T23:59:59", None),
            ("0001-01-02T00:00:00", Some(FIRST + DAY)),
        ] {
            assert_eq!(read(text), expected.map(i128::from), "{text}");
        }
        let read_in = |hours, text: &str| {
            let zone = TimeZone::fixed(Offset::constant(hours));
            start_seconds(&text.into(), &zone).unwrap()
        };
        assert_eq!(
            read_in(-7, "9999-12-31T23:59:59"),
            Some(i128::from(LAST + 7 * 3600))
        );
        assert_eq!(
            read_in(9, "9999-12-31T14:59:59"),
            Some(i128::from(LAST - 18 * 3600))
        );
        for (hours, text) in [
            (9, "9999-12-31T23:59:59"),
            (14, "9999-12-31T11:00"),
            (-7, "0001-01-01T12:00"),
        ] {
            assert_eq!(read_in(hours, text), None, "{hours} {text}");
        }
    }

    const DAY: i64 = 86_400;
    /// The last second of the year 9999.
    const LAST: i64 = 253_402_300_799;
    /// The first second of the year 1.
    const FIRST: i64 = -62_135_596_800;

    /// A date in one of its forms, with the seconds of its midnight.
    fn any_date() -> impl Strategy<Value = (String, i64)> {
        (2_i16..9999, 1_i8..13, 1_i8..29, 0..4).prop_map(|(year, month, day, form)| {
            let date = civil::Date::new(year, month, day).unwrap();
            let week = date.iso_week_date();
            let (of, number, weekday) = (week.year(), week.week(), week.weekday().to_monday_one_offset());
            let text = match form {
                0 => format!("{year:04}-{month:02}-{day:02}"),
                1 => format!("{year:04}{month:02}{day:02}"),
                2 => format!("{of:04}-W{number:02}-{weekday}"),
                _ => format!("{of:04}W{number:02}{weekday}"),
            };
            let midnight = date
                .to_datetime(civil::Time::midnight())
                .to_zoned_datetime(TimeZone::UTC)
                .unwrap();
            (text, midnight.timestamp().as_second())
        })
    }

    /// A time of day in one of its forms with what separates it, and its microseconds.
    fn any_time() -> impl Strategy<Value = (String, i64)> {
        let fraction = proptest::option::of("[.,][0-9]{1,9}");
        (
            (0_i64..24, 0_i64..60, 0_i64..60),
            0..4,
            any::<bool>(),
            fraction,
            "[T _\u{e9}]",
        )
            .prop_map(|((hour, minute, second), fields, colons, fraction, separator)| {
                let colon = if colons { ":" } else { "" };
                let (text, seconds) = match fields {
                    0 => return (String::new(), 0),
                    1 => (format!("{hour:02}"), hour * 3600),
                    2 => (format!("{hour:02}{colon}{minute:02}"), (hour * 60 + minute) * 60),
                    _ => (
                        format!(
                            "{hour:02}{colon}{minute:02}{colon}{second:02}{}",
                            fraction.as_deref().unwrap_or("")
                        ),
                        (hour * 60 + minute) * 60 + second,
                    ),
                };
                let digits = fraction
                    .filter(|_| fields == 3)
                    .unwrap_or_default()
                    .replace(['.', ','], "");
                let micros: String = digits.chars().chain("000000".chars()).take(6).collect();
                (
                    separator + &text,
                    seconds * 1_000_000 + micros.parse::<i64>().unwrap(),
                )
            })
    }

    /// An offset in one of its forms, with its seconds; none says nothing.
    fn any_offset() -> impl Strategy<Value = (String, Option<i64>)> {
        (0_i64..24, 0_i64..60, 0..5, any::<bool>()).prop_map(|(hours, minutes, form, west)| {
            let (sign, factor) = if west { ('-', -1) } else { ('+', 1) };
            match form {
                0 => (String::new(), None),
                1 => ("Z".to_owned(), Some(0)),
                2 => (format!("{sign}{hours:02}"), Some(factor * hours * 3600)),
                3 => (
                    format!("{sign}{hours:02}:{minutes:02}"),
                    Some(factor * (hours * 60 + minutes) * 60),
                ),
                _ => (
                    format!("{sign}{hours:02}{minutes:02}"),
                    Some(factor * (hours * 60 + minutes) * 60),
                ),
            }
        })
    }

    proptest! {
        #[test]
        fn every_form_of_a_moment_is_that_moment(
            (date, midnight) in any_date(), (time, micros) in any_time(), (offset, seconds) in any_offset(), zone in -12_i8..13,
        ) {
            let has_time = !time.is_empty();
            let text = if has_time { date + &time + &offset } else { date };
            let own = i64::from(zone) * 3600;
            let ahead = if has_time { seconds.unwrap_or(own) } else { own };
            let cut_toward_zero = ((midnight - ahead) * 1_000_000 + micros) / 1_000_000;
            let zone = TimeZone::fixed(Offset::constant(zone));
            let start = start_seconds(&text.as_str().into(), &zone);
            prop_assert_eq!(start, Ok(Some(i128::from(cut_toward_zero))), "{}", text);
        }

        #[test]
        fn blanks_around_a_start_do_not_count_and_it_lies_in_the_calendar(
            text in prop_oneof!["\\PC*", "[0-9]{4}-?[0-9W]{2}-?[0-9W:T.,+\\-Z]{0,20}"],
        ) {
            let start = read(text.as_str());
            prop_assert_eq!(read(format!(" {text}\t")), start);
            if let Some(start) = start {
                let calendar = FIRST - DAY..=LAST + DAY;
                prop_assert!(i64::try_from(start).is_ok_and(|start| calendar.contains(&start)), "{}", start);
            }
        }

        #[test]
        fn every_second_reads_back(seconds in FIRST..Timestamp::MAX.as_second()) {
            let time = Timestamp::from_second(seconds).unwrap();
            prop_assert_eq!(read(time.to_string()), Some(seconds.into()));
        }
    }
}
