//! Times as `datetime.fromisoformat` of Python 3.11 reads them, in C: with everything that it takes beyond ISO 8601.

use jiff::{
    SignedDuration,
    civil::{self, ISOWeekDate, Weekday},
};

/// The shortest date: `YYYYWww`.
const SHORTEST: usize = 7;
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// Reads a date, or a date and a time with any one character between them: the time of the clock, and how far it is ahead
/// of UTC, where the text says that.
pub(in crate::domain) fn read(text: &str) -> Option<(civil::DateTime, Option<SignedDuration>)> {
    let bytes = text.as_bytes();
    if bytes.len() < SHORTEST {
        return None;
    }
    let separator = separator(bytes)?;
    let date = date(bytes, separator)?;
    let Some(character) = text.get(separator..)?.chars().next() else {
        return Some((date.at(0, 0, 0, 0), None));
    };
    let (time, ahead) = time(bytes.get(separator + character.len_utf8()..)?)?;
    Some((date.to_datetime(time), ahead))
}

/// Where the date ends. Its form shows in the fifth and sixth character; a day of the week behind `-` may as well be an
/// hour, which counts where two digits are there.
fn separator(bytes: &[u8]) -> Option<usize> {
    let is_digit = |at: usize| byte(bytes, at).is_ascii_digit();
    let place = match (byte(bytes, 4), byte(bytes, 5)) {
        _ if bytes.len() == SHORTEST => SHORTEST,
        (b'-', b'W') if byte(bytes, 8) != b'-' => 8,
        (b'-', b'W') if bytes.len() == 9 => return None,
        (b'-', b'W') if is_digit(10) => 8,
        (b'-', _) => 10,
        (b'W', _) => {
            let end = (7..).find(|at| !is_digit(*at))?;
            match end {
                ..9 => end,
                _ if end % 2 == 0 => 7,
                _ => 8,
            }
        }
        _ => 8,
    };
    Some(place)
}

fn date(bytes: &[u8], length: usize) -> Option<civil::Date> {
    let year = i16::try_from(digits(bytes, 0, 4)?)
        .ok()
        .filter(|year| *year > 0)?;
    let dash = usize::from(byte(bytes, 4) == b'-');
    let is_dashed = |at| dash == 0 || byte(bytes, at) == b'-';
    let at = 4 + dash;
    if byte(bytes, at) == b'W' {
        let week = i8::try_from(digits(bytes, at + 1, 2)?).ok()?;
        let at = at + 3;
        let day = match at < length {
            true if is_dashed(at) => digits(bytes, at + dash, 1)?,
            true => return None,
            false => 1,
        };
        let day = Weekday::from_monday_one_offset(i8::try_from(day).ok()?).ok()?;
        let date = ISOWeekDate::new(year, week, day).ok()?.date();
        return (date.year() > 0).then_some(date);
    }
    let month = digits(bytes, at, 2)?;
    if !is_dashed(at + 2) {
        return None;
    }
    let day = digits(bytes, at + 2 + dash, 2)?;
    civil::Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
}

fn time(bytes: &[u8]) -> Option<(civil::Time, Option<SignedDuration>)> {
    let zone = bytes.iter().position(|byte| matches!(byte, b'+' | b'-' | b'Z'));
    let end = zone.unwrap_or(bytes.len());
    let (clock, has_more) = Clock::read(bytes, 0, end)?;
    let ahead = match byte(bytes, end) {
        // That there is more shows only where it is.
        _ if zone.is_none() && has_more => return None,
        _ if zone.is_none() => None,
        b'Z' if byte(bytes, end + 1) == 0 => Some(SignedDuration::ZERO),
        b'Z' => return None,
        sign => {
            let (ahead, has_more) = Clock::read(bytes, end + 1, bytes.len())?;
            let ahead = ahead.duration();
            if has_more || ahead >= DAY {
                return None;
            }
            Some(if sign == b'-' { -ahead } else { ahead })
        }
    };
    Some((clock.time()?, ahead))
}

/// What a clock shows, not bounded to a day.
#[derive(Clone, Copy, Debug, Default)]
struct Clock {
    hour: i32,
    minute: i32,
    second: i32,
    microsecond: i32,
}

impl Clock {
    /// Reads `HH[:MM[:SS[.f]]]` or `HH[MM[SS[f]]]` up to `end`, and tells whether anything stands behind it.
    fn read(bytes: &[u8], start: usize, end: usize) -> Option<(Self, bool)> {
        let mut clock = Self::default();
        let mut at = start;
        let mut has_colons = true;
        for field in 0..3 {
            let value = digits(bytes, at, 2)?;
            match field {
                0 => clock.hour = value,
                1 => clock.minute = value,
                _ => clock.second = value,
            }
            let next = byte(bytes, at + 2);
            at += 3;
            if field == 0 {
                has_colons = next == b':';
            }
            if at >= end {
                return Some((clock, next != 0));
            }
            match next {
                b':' if has_colons => {}
                b'.' | b',' => break,
                _ if has_colons => return None,
                _ => at -= 1,
            }
        }
        // Digits beyond the sixth are passed over.
        let count = (end - at).min(6);
        let missing = u32::try_from(6 - count).ok()?;
        clock.microsecond = digits(bytes, at, count)? * 10_i32.pow(missing);
        let rest = (at + count..).find(|at| !byte(bytes, *at).is_ascii_digit())?;
        Some((clock, byte(bytes, rest) != 0))
    }

    fn time(self) -> Option<civil::Time> {
        let field = |value: i32| i8::try_from(value).ok();
        let (hour, minute, second) = (field(self.hour)?, field(self.minute)?, field(self.second)?);
        civil::Time::new(hour, minute, second, self.microsecond * 1000).ok()
    }

    fn duration(self) -> SignedDuration {
        match self.hour * 3600 + self.minute * 60 + self.second {
            // A part of a second alone does not count.
            0 => SignedDuration::ZERO,
            seconds => {
                SignedDuration::from_secs(seconds.into())
                    + SignedDuration::from_micros(self.microsecond.into())
            }
        }
    }
}

/// The byte at this place; 0 behind the end, as in C.
fn byte(bytes: &[u8], at: usize) -> u8 {
    bytes.get(at).copied().unwrap_or(0)
}

/// The number that exactly so many digits are, at most six.
fn digits(bytes: &[u8], at: usize, count: usize) -> Option<i32> {
    let digits = bytes.get(at..at + count)?;
    digits.iter().try_fold(0, |number, digit| {
        digit
            .is_ascii_digit()
            .then(|| number * 10 + i32::from(digit - b'0'))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{iso_utc, parse_iso};

    #[test]
    fn what_python_takes_is_read_as_python_reads_it() {
        for (text, time) in [
            ("2999-01-02", "2999-01-02T00:00:00+00:00"),
            ("29990102", "2999-01-02T00:00:00+00:00"),
            ("2999-W01", "2998-12-31T00:00:00+00:00"),
            ("2999W01", "2998-12-31T00:00:00+00:00"),
            ("2999-W01-3", "2999-01-02T00:00:00+00:00"),
            ("2999W013", "2999-01-02T00:00:00+00:00"),
            ("2999-01-01T03", "2999-01-01T03:00:00+00:00"),
            ("2999-01-01T0304", "2999-01-01T03:04:00+00:00"),
            ("29990101T03:04:05", "2999-01-01T03:04:05+00:00"),
            ("29990101_030405Z", "2999-01-01T03:04:05+00:00"),
            ("2999-01-01\u{6f22}03:04", "2999-01-01T03:04:00+00:00"),
            ("2999W013+03:04", "2999-01-02T03:04:00+00:00"),
            ("2999W01303:04", "2998-12-31T03:04:00+00:00"),
            ("2999-W01-0304", "2998-12-31T03:04:00+00:00"),
            (
                "2999-01-01T03:04:05,1234567-05:30",
                "2999-01-01T08:34:05.123456+00:00",
            ),
            ("2999-01-01T030405.5+0230", "2999-01-01T00:34:05.500000+00:00"),
            (
                "2999-01-01T03:04:05+02:30:15.5",
                "2999-01-01T00:33:49.500000+00:00",
            ),
            ("2999-01-01T03:04:05-23:59:59", "2999-01-02T03:04:04+00:00"),
            // Slips of its reader.
            ("2999-01-01T03:Z", "2999-01-01T03:00:00+00:00"),
            ("2999-01-01T03:04.5Z", "2999-01-01T03:04:00.500000+00:00"),
            ("2999-01-01T03:04:05:6", "2999-01-01T03:04:05.600000+00:00"),
            ("2999-01-01T030405678", "2999-01-01T03:04:05.678000+00:00"),
            ("2999-01-01T03:04:05+00:99", "2999-01-01T01:25:05+00:00"),
            ("2999-01-01T03:04:05+00:00:00.5", "2999-01-01T03:04:05+00:00"),
        ] {
            assert_eq!(parse_iso(text).map(iso_utc).as_deref(), Some(time), "{text}");
        }
    }

    #[test]
    fn what_python_refuses_is_no_time() {
        for text in [
            " 2999-01-01T03:04:05Z",
            "2999-01-01T03:04:05Z ",
            "2999-01-01T03:04:05z",
            "2999-01-01T03:04:05Z[UTC]",
            "2999-01-01T03:04:05[UTC]",
            "2999-01-01T",
            "2999-01-01T3",
            "2999-01-01T03:",
            "2999-01-01T03:0405",
            "2999-01-01T0304:05",
            "2999-01-01T24:00",
            "2999-01-01T03:60",
            "2999-01-01T03:04:05+24:00",
            "2999-01-01T03:04:05+2",
            "2999-01-01T03:04:05+",
            "2999-W53",
            "2999-W01-8",
            "9999-W52-6",
            "2999-02-29",
            "2999-0101",
            "2999-001",
            "0000-01-01",
        ] {
            assert_eq!(parse_iso(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_breaks_it(text in ".*", likely in "[0-9]{4}-?[W0-9]{2,3}-?[0-9]{0,2}[T _é]?[0-9:.,]{0,12}[Z+-]?[0-9:.]{0,9}") {
            parse_iso(&text);
            parse_iso(&likely);
        }

        #[test]
        fn what_is_written_is_read_again(microseconds in 0..253_402_207_200_000_000_i64) {
            let time = jiff::Timestamp::from_microsecond(microseconds).unwrap();
            prop_assert_eq!(parse_iso(&iso_utc(time)), Some(time));
        }
    }
}
