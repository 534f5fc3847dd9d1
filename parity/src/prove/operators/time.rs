//! Times and durations.

use std::sync::LazyLock;

use jiff::{SignedDuration, civil::DateTime};
use regex::Regex;
use serde_json::{Value, json};

use super::{Change, Known, Operator};
use crate::{
    normalize::{is_display, pattern},
    prove::subject::Site,
};

static ISO: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d)((?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)?)$"));
static HTTP_DATE: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT$"));

/// Numbers this far before or after the scenario's start are taken for times.
const NEAR_S: f64 = 40.0 * 86_400.0;

pub(super) const ALL: &[Operator] = &[
    Operator {
        name: "time-second-later",
        sentence: "a time one second later",
        change: Change::Value(|known, site| later(known, site, 1)),
    },
    Operator {
        name: "time-second-earlier",
        sentence: "a time one second earlier",
        change: Change::Value(|known, site| later(known, site, -1)),
    },
    Operator {
        name: "time-minute-later",
        sentence: "a time one minute later",
        change: Change::Value(|known, site| later(known, site, 60)),
    },
    Operator {
        name: "time-hour-later",
        sentence: "a time one hour later",
        change: Change::Value(|known, site| later(known, site, 3600)),
    },
    Operator {
        name: "time-hour-earlier",
        sentence: "a time one hour earlier",
        change: Change::Value(|known, site| later(known, site, -3600)),
    },
    Operator {
        name: "time-for-people",
        sentence: "a time for people one hour later",
        change: Change::Value(|_, site| {
            let text = site.value.as_str().filter(|text| is_display(text))?;
            let (day, clock) = text.split_once(" @ ")?;
            let (hour, rest) = clock.split_once(':')?;
            let hour = hour.parse::<u8>().ok()? % 12 + 1;
            Some(json!(format!("{day} @ {hour}:{rest}")))
        }),
    },
    Operator {
        name: "time-format",
        sentence: "a time in another format: a blank for T, a weekday in other letters, an epoch in milliseconds",
        change: Change::Value(|known, site| match &site.value {
            Value::String(text) if ISO.is_match(text) => Some(json!(if text.contains('T') {
                text.replacen('T', " ", 1)
            } else {
                text.replacen(' ', "T", 1)
            })),
            Value::String(text) if HTTP_DATE.is_match(text) => Some(json!(text.replace("GMT", "UTC"))),
            Value::Number(_) => Some(json!(epoch(known, &site.value)?.as_millisecond())),
            _ => None,
        }),
    },
    Operator {
        name: "time-zone",
        sentence: "a time with another zone, or one where it has none",
        change: Change::Value(|_, site| {
            let text = site.value.as_str().filter(|text| ISO.is_match(text))?;
            Some(json!(
                match (text.strip_suffix('Z'), text.strip_suffix("+00:00")) {
                    (Some(text), _) => format!("{text}+00:00"),
                    (None, Some(text)) => format!("{text}Z"),
                    (None, None) => format!("{text}Z"),
                }
            ))
        }),
    },
    Operator {
        name: "time-precision",
        sentence: "a time with one decimal less, or one where it has none",
        change: Change::Value(|_, site| {
            let text = site.value.as_str()?;
            let rest = ISO.captures(text)?.get(2)?;
            let decimals = rest
                .as_str()
                .find(|one: char| one != '.' && !one.is_ascii_digit());
            let end = rest.start() + decimals.unwrap_or(rest.len());
            let (before, zone) = text.split_at_checked(end)?;
            Some(json!(if rest.as_str().starts_with('.') {
                format!("{}{zone}", before.get(..end - 1)?)
            } else {
                format!("{before}.0{zone}")
            }))
        }),
    },
    Operator {
        name: "weekday",
        sentence: "an HTTP date with the name of another day",
        change: Change::Value(|_, site| {
            let text = site.value.as_str().filter(|text| HTTP_DATE.is_match(text))?;
            let rest = text.get(3..)?;
            Some(json!(format!(
                "{}{rest}",
                if text.starts_with("Mon") { "Tue" } else { "Mon" }
            )))
        }),
    },
    Operator {
        name: "duration-second",
        sentence: "a measured duration one second longer",
        change: Change::Value(|_, site| duration(site, 1.0)),
    },
    Operator {
        name: "duration-second-shorter",
        sentence: "a measured duration one second shorter",
        change: Change::Value(|_, site| duration(site, -1.0)),
    },
    Operator {
        name: "duration-half-second",
        sentence: "a measured duration half a second shorter",
        change: Change::Value(|_, site| duration(site, -0.5)),
    },
];

/// The instant that a number of seconds stands for, if it can be one of the scenario's.
pub(super) fn epoch(known: &Known, value: &Value) -> Option<jiff::Timestamp> {
    let number = value.as_number()?;
    let seconds = number.as_f64()?;
    let start = jiff::Timestamp::from_microsecond(known.started_at_us).ok()?;
    let near = (seconds - SignedDuration::from_secs(start.as_second()).as_secs_f64()).abs() < NEAR_S;
    #[expect(clippy::cast_possible_truncation, reason = "it is near the scenario's start")]
    near.then(|| jiff::Timestamp::from_microsecond((seconds * 1e6).round() as i64).ok())?
}

fn later(known: &Known, site: &Site, seconds: i64) -> Option<Value> {
    let by = SignedDuration::from_secs(seconds);
    match &site.value {
        Value::String(text) => {
            if let Some(parts) = ISO.captures(text) {
                let (civil, rest) = (parts.get(1)?.as_str(), parts.get(2)?.as_str());
                let moved = civil.parse::<DateTime>().ok()?.checked_add(by).ok()?;
                let separator = civil.get(10..11)?;
                return Some(json!(format!(
                    "{}{rest}",
                    moved.strftime(&format!("%Y-%m-%d{separator}%H:%M:%S"))
                )));
            }
            HTTP_DATE.is_match(text).then_some(())?;
            let civil = DateTime::strptime("%a, %d %b %Y %H:%M:%S GMT", text).ok()?;
            let moved = civil.checked_add(by).ok()?;
            Some(json!(moved.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()))
        }
        value @ Value::Number(number) => {
            epoch(known, value)?;
            if let Some(whole) = number.as_i64() {
                return Some(json!(whole.checked_add(seconds)?));
            }
            Some(json!(number.as_f64()? + by.as_secs_f64()))
        }
        _ => None,
    }
}

/// Fields that hold how long something takes or took.
fn duration(site: &Site, by: f64) -> Option<Value> {
    let field = site.field.as_str();
    ["retry_after", "age_seconds", "retry-after"]
        .contains(&field)
        .then_some(())?;
    match &site.value {
        Value::Number(number) if number.is_i64() || number.is_u64() => {
            Some(json!(number.as_i64()?.checked_add(whole(by)?)?))
        }
        Value::Number(number) => Some(json!(number.as_f64()? + by)),
        Value::String(text) => {
            let seconds: i64 = text.parse().ok()?;
            Some(json!(seconds.checked_add(whole(by)?)?.to_string()))
        }
        _ => None,
    }
}

fn whole(by: f64) -> Option<i64> {
    #[expect(clippy::cast_possible_truncation, reason = "a second or a part of one")]
    (by.fract() == 0.0).then_some(by as i64)
}
