//! Time stamps: recognising their written form and expressing them as an offset from the scenario's start.

use super::forms::{captures, pattern};
use regex::Regex;
use serde_json::{Value, json};
use std::sync::LazyLock;

/// Stamps further back than this are fixtures, not clock readings.
const BEFORE_US: i64 = 86_400 * 1_000_000;
/// Stamps further ahead than this are fixtures: the longest lifetime that a server gives is 30 days.
const AFTER_US: i64 = 40 * 86_400 * 1_000_000;

static ISO: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^(\d{4}-\d\d-\d\d)([T ])(\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)?$"));
static HTTP_DATE: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^\w{3}, (\d\d) (\w{3}) (\d{4}) (\d\d:\d\d:\d\d) GMT$"));

/// Words, separated by `_`, of which one must stand in a field's name before its number counts as a time.
const TIME_WORDS: [&str; 25] = [
    "at",
    "ts",
    "iat",
    "nbf",
    "exp",
    "epoch",
    "time",
    "timestamp",
    "seen",
    "login",
    "last",
    "created",
    "updated",
    "modified",
    "expires",
    "occurrence",
    "ran",
    "on",
    "started",
    "finished",
    "scheduled",
    "start",
    "since",
    "until",
    "run",
];

/// The object that stands for a stamp.
#[must_use]
pub(crate) fn stamp(format: &str, offset_us: i64) -> Value {
    json!({ "<time>": { "format": format, "offset_us": offset_us } })
}

/// Whether an instant can come from a clock that ran during the scenario.
pub(crate) fn plausible(offset_us: i64) -> bool {
    (-BEFORE_US..=AFTER_US).contains(&offset_us)
}

/// Reads a date and time as Unix microseconds.
fn civil(text: &str) -> Option<i64> {
    let civil: jiff::civil::DateTime = text.parse().ok()?;
    Some(jiff::tz::TimeZone::UTC.to_timestamp(civil).ok()?.as_microsecond())
}

/// The seconds that `+05:30` stands for.
fn zone_seconds(zone: &str) -> Option<i64> {
    if zone.is_empty() || zone == "Z" {
        return Some(0);
    }
    let sign = if zone.starts_with('-') { -1 } else { 1 };
    let (hours, minutes) = zone.get(1..)?.split_once(':')?;
    Some(sign * (hours.parse::<i64>().ok()? * 3600 + minutes.parse::<i64>().ok()? * 60))
}

/// An ISO date and time, or an HTTP date, near the scenario's start. The format tells how it is written: `iso.6+00:00`
/// has six decimals and an offset; a blank instead of `T` makes it `sql`.
pub(crate) fn text(text: &str, started_at_us: i64) -> Option<Value> {
    if let Some([day, separator, clock, decimals, zone]) = captures(&ISO, text) {
        let fraction = if decimals.is_empty() {
            String::new()
        } else {
            format!(".{decimals}")
        };
        let instant = civil(&format!("{day}T{clock}{fraction}"))? - zone_seconds(zone)? * 1_000_000;
        let kind = if separator == "T" { "iso" } else { "sql" };
        let places = if decimals.is_empty() {
            String::new()
        } else {
            format!(".{}", decimals.len())
        };
        let offset = instant.checked_sub(started_at_us)?;
        return plausible(offset).then(|| stamp(&format!("{kind}{places}{zone}"), offset));
    }
    let [day, month, year, clock] = captures(&HTTP_DATE, text)?;
    let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let number = months.iter().position(|name| *name == month)? + 1;
    let instant = civil(&format!("{year}-{number:02}-{day}T{clock}"))?;
    // A date with the name of another day is none: it is compared as it is written.
    let written = jiff::Timestamp::from_microsecond(instant).ok()?;
    if written.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string() != text {
        return None;
    }
    let offset = instant.checked_sub(started_at_us)?;
    plausible(offset).then(|| stamp("http-date", offset))
}

/// Whether a float is written as short as can be, as both servers write theirs; another text is compared as it is. Of two
/// that are as short and as near Python may take the other one.
pub(crate) fn is_shortest(number: &serde_json::Number) -> bool {
    let written = number.to_string().replace("e-0", "e-");
    number.as_f64().is_some_and(|float| {
        let shortest = format!("{float:?}");
        written.len() == shortest.len() && written.contains('e') == shortest.contains('e')
    })
}

/// A number of Unix seconds near the scenario's start, in a field whose name speaks of time.
pub(crate) fn number(field: &str, number: &serde_json::Number, started_at_us: i64) -> Option<Value> {
    let lower = field.to_lowercase();
    if !lower.split('_').any(|word| TIME_WORDS.contains(&word)) {
        return None;
    }
    if let Some(seconds) = number.as_i64() {
        let offset = seconds.checked_mul(1_000_000)?.checked_sub(started_at_us)?;
        return plausible(offset).then(|| stamp("epoch", offset));
    }
    let seconds = number.as_f64().filter(|seconds| (0.0..1e11).contains(seconds))?;
    if !is_shortest(number) {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "the range was checked")]
    let offset = ((seconds * 1e6).round() as i64).checked_sub(started_at_us)?;
    plausible(offset).then(|| stamp("epoch.float", offset))
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: i64 = 1_795_448_990_335_000;

    #[test]
    fn formats_are_kept_and_offsets_counted_from_the_start() {
        assert_eq!(
            text("2026-11-23T15:49:50.347855+00:00", START),
            Some(stamp("iso.6+00:00", 12_855))
        );
        assert_eq!(
            text("2026-11-23T21:19:50.347855+05:30", START),
            Some(stamp("iso.6+05:30", 12_855))
        );
        assert_eq!(text("2026-11-23 15:49:51", START), Some(stamp("sql", 665_000)));
        assert_eq!(
            text("Mon, 23 Nov 2026 15:49:51 GMT", START),
            Some(stamp("http-date", 665_000))
        );
        assert_eq!(text("2020-01-01T00:00:00Z", START), None);
        assert_eq!(
            text("Tue, 23 Nov 2026 15:49:51 GMT", START),
            None,
            "that day was a Monday"
        );
    }

    #[test]
    fn only_fields_that_speak_of_time_hold_epochs() {
        let now = serde_json::Number::from(1_795_448_991);
        assert_eq!(number("created_at", &now, START), Some(stamp("epoch", 665_000)));
        assert_eq!(number("size", &now, START), None);
        assert_eq!(number("created_at", &serde_json::Number::from(5), START), None);
        let written = |text: &str| number("created_at", &serde_json::from_str(text).unwrap(), START);
        assert_eq!(written("1795448991.5"), Some(stamp("epoch.float", 1_165_000)));
        for other in ["1795448991.50", "1.7954489915e9", "1795448991e0"] {
            assert_eq!(written(other), None, "{other} is written another way");
        }
        // The second is Python's text for a number that lies between two texts.
        for shortest in ["0.1", "0.06837844848632812", "5e-05", "12.0"] {
            assert!(
                is_shortest(&serde_json::from_str(shortest).unwrap()),
                "{shortest}"
            );
        }
    }
}
