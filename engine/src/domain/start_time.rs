//! The moment at which a job shall start, as operators write it.

use jiff::{SignedDuration, Timestamp, civil, tz::TimeZone};

use super::{coerce::integer_of, json::Json, text::python_trim};

/// Reads a start: an ISO 8601 text (without an offset it means the server's own `zone`) or a number of seconds.
/// Fractions are cut toward zero. `None` where it is neither, or falsy, or beyond 64 bits.
pub fn start_seconds(value: &Json, zone: &TimeZone) -> Option<i64> {
    if !value.is_truthy() {
        return None;
    }
    match value {
        Json::Text(text) => iso_seconds(python_trim(text), zone),
        number => integer_of(number).and_then(|seconds| i64::try_from(seconds).ok()),
    }
}

/// The forms that Python's `datetime.fromisoformat` reads.
fn iso_seconds(text: &str, zone: &TimeZone) -> Option<i64> {
    let split = date_length(text.as_bytes())?;
    let date = date(text.get(..split)?)?;
    let rest = text.get(split..)?;
    let (time, offset) = match rest.chars().next() {
        None => (civil::Time::midnight(), None),
        // Any one character separates.
        Some(separator) => time_and_offset(rest.get(separator.len_utf8()..)?)?,
    };
    let civil = date.to_datetime(time);
    let moment: Timestamp = match offset {
        Some(offset) => {
            let as_utc = civil.to_zoned_datetime(TimeZone::UTC).ok()?.timestamp();
            as_utc.checked_sub(offset).ok()?
        }
        None => civil.to_zoned_datetime(zone.clone()).ok()?.timestamp(),
    };
    // Integer division cuts toward zero.
    i64::try_from(moment.as_nanosecond() / 1_000_000_000).ok()
}

/// How many bytes the date has, decided as Python does: the forms are ambiguous.
fn date_length(text: &[u8]) -> Option<usize> {
    let digit = |index: usize| text.get(index).is_some_and(u8::is_ascii_digit);
    match (text.get(4)?, text.get(5)?) {
        (b'-', b'W') if text.get(8) == Some(&b'-') && text.len() != 9 => {
            Some(if digit(10) && text.len() > 10 { 8 } else { 10 })
        }
        (b'-', b'W') => Some(8),
        (b'-', _) => Some(10),
        (b'W', _) => {
            let end = (7..text.len()).find(|index| !digit(*index)).unwrap_or(text.len());
            Some(match end {
                ..9 => end.max(7),
                _ if end % 2 == 0 => 7,
                _ => 8,
            })
        }
        _ => Some(8),
    }
}

fn date(text: &str) -> Option<civil::Date> {
    let year: i16 = digits(text.get(..4)?)?;
    let (separated, rest) = without_dash(text.get(4..)?);
    let date = if let Some(week) = rest.strip_prefix('W') {
        let number = digits(week.get(..2)?)?;
        let rest = week.get(2..)?;
        let day: i8 = if rest.is_empty() {
            1
        } else {
            let (dash, day) = without_dash(rest);
            if dash != separated || day.len() != 1 {
                return None;
            }
            digits(day)?
        };
        let weekday = civil::Weekday::from_monday_one_offset(day).ok()?;
        civil::ISOWeekDate::new(year, number, weekday).ok()?.date()
    } else {
        let (dash, day) = without_dash(rest.get(2..)?);
        if dash != separated || day.len() != 2 {
            return None;
        }
        civil::Date::new(year, digits(rest.get(..2)?)?, digits(day)?).ok()?
    };
    (date.year() >= 1).then_some(date)
}

fn without_dash(text: &str) -> (bool, &str) {
    text.strip_prefix('-').map_or((false, text), |rest| (true, rest))
}

fn time_and_offset(text: &str) -> Option<(civil::Time, Option<SignedDuration>)> {
    let zone_at = ['-', '+', 'Z'].iter().find_map(|sign| text.find(*sign));
    let (time, zone) = zone_at.map_or((text, ""), |at| text.split_at(at));
    let [hour, minute, second, micros] = clock_fields(time)?;
    let time = civil::Time::new(
        hour.try_into().ok()?,
        minute.try_into().ok()?,
        second.try_into().ok()?,
        micros.checked_mul(1_000)?,
    )
    .ok()?;
    let offset = match zone {
        "" => None,
        "Z" => Some(SignedDuration::ZERO),
        _ => {
            let fields = zone.get(1..)?;
            if matches!(fields.len(), 0 | 1 | 3) {
                return None;
            }
            let [hours, minutes, seconds, micros] = clock_fields(fields)?.map(i64::from);
            if hours > 23 || minutes > 59 || seconds > 59 {
                return None;
            }
            let offset =
                SignedDuration::from_micros(((hours * 60 + minutes) * 60 + seconds) * 1_000_000 + micros);
            match zone.as_bytes().first()? {
                b'-' => Some(-offset),
                b'+' => Some(offset),
                _ => return None,
            }
        }
    };
    Some((time, offset))
}

/// Hours, minutes, seconds, microseconds of `HH[:MM[:SS[.f…]]]` or `HH[MM[SS[.f…]]]`.
fn clock_fields(text: &str) -> Option<[i32; 4]> {
    let mut fields = [0; 4];
    let mut rest = text;
    let separated = text.get(2..3) == Some(":");
    let (whole, micros) = fields.split_at_mut(3);
    for (index, field) in whole.iter_mut().enumerate() {
        *field = digits(rest.get(..2)?)?;
        rest = rest.get(2..)?;
        if rest.is_empty() || index == 2 {
            break;
        }
        if separated {
            rest = rest.strip_prefix(':')?;
        } else if rest.starts_with(['.', ',']) {
            break;
        }
    }
    if !rest.is_empty() {
        let fraction = rest.strip_prefix(['.', ','])?;
        if fraction.is_empty() || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let shown: String = fraction.chars().chain("000000".chars()).take(6).collect();
        *micros.first_mut()? = shown.parse().ok()?;
    }
    Some(fields)
}

fn digits<T: std::str::FromStr>(text: &str) -> Option<T> {
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use jiff::tz::Offset;
    use proptest::prelude::*;

    use super::*;

    fn read(value: impl Into<Json>) -> Option<i64> {
        start_seconds(&value.into(), &TimeZone::UTC)
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
        assert_eq!(read("2031-01-31"), Some(1_927_584_000));
        assert_eq!(read("1969-12-31T23:59:59.5Z"), Some(0));
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
        assert_eq!(read(f64::NAN), None);
        assert_eq!(read(1e30), None);
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
        let read = |text: &str| start_seconds(&text.into(), &zone);
        assert_eq!(read("2031-01-31T03:00:00"), Some(1_927_620_000));
        assert_eq!(read("2031-01-31T10:00:00Z"), Some(1_927_620_000));
    }

    proptest! {
        #[test]
        fn no_text_breaks_it(text in "\\PC*", zoned in "[0-9W:T.,+\\-Z]{0,30}") {
            let _ = (read(text), read(zoned));
        }

        #[test]
        fn every_second_reads_back(seconds in -62_135_596_800_i64..253_402_300_800) {
            let time = Timestamp::from_second(seconds).unwrap();
            prop_assert_eq!(read(time.to_string()), if seconds == 0 { Some(0) } else { Some(seconds) });
        }
    }
}
