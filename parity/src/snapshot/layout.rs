//! Values as people read them: what fits into a line stands in one, and a time is one word.

use crate::json_form::same;
use regex::Regex;
use serde_json::{Map, Value, json};
use std::sync::LazyLock;

/// Lines are no longer than this where it can be helped.
const WIDTH: usize = 120;
/// The member that marks a value that only looks like one of the forms here.
const AS_IT_IS: &str = "<as it is>";

/// `<epoch -0.132 s>`: the format of a time, and where it lies from the scenario's start.
#[expect(
    clippy::expect_used,
    reason = "the pattern is a constant that every test run compiles"
)]
static TIME: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^<([^<> ]+) ([+-]\d+(?:\.\d{1,6})?) s>$").expect("a constant pattern"));

/// Microseconds as seconds, with their sign: `-0.132`.
pub(super) fn seconds(us: i64) -> String {
    let sign = if us < 0 { '-' } else { '+' };
    let (whole, part) = (us.unsigned_abs() / 1_000_000, us.unsigned_abs() % 1_000_000);
    let part = format!("{part:06}");
    match part.trim_end_matches('0') {
        "" => format!("{sign}{whole}"),
        part => format!("{sign}{whole}.{part}"),
    }
}

/// What [`seconds`] wrote.
pub(super) fn microseconds(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['+', '-'])?;
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || part.len() > 6 || !all_digits(whole) || !all_digits(part) {
        return None;
    }
    let part: i64 = format!("{part:0<6}").parse().ok()?;
    let us = whole
        .parse::<i64>()
        .ok()?
        .checked_mul(1_000_000)?
        .checked_add(part)?;
    Some(if text.starts_with('-') { -us } else { us })
}

/// The value with every time as one word.
fn fold(value: &Value) -> Value {
    match value {
        Value::String(text) if TIME.is_match(text) => json!({ AS_IT_IS: text }),
        Value::Array(items) => items.iter().map(fold).collect(),
        Value::Object(members) => {
            if let Some(time) = time(members) {
                return json!(time);
            }
            if members.len() == 1 && members.contains_key(AS_IT_IS) {
                return json!({ AS_IT_IS: value });
            }
            let fold = |(name, member): (&String, &Value)| (name.clone(), fold(member));
            Value::Object(members.iter().map(fold).collect())
        }
        other => other.clone(),
    }
}

/// The word for `{"<time>": {"format", "offset_us"}}`, if it is that and [`unfold`] makes that of it again.
fn time(members: &Map<String, Value>) -> Option<String> {
    let (format, us) = match members.get("<time>") {
        Some(Value::Object(time)) if members.len() == 1 => {
            (time.get("format")?.as_str()?, time.get("offset_us")?.as_i64()?)
        }
        _ => return None,
    };
    let word = format!("<{format} {} s>", seconds(us));
    same(&unfolded_time(&word)?, &json!(members)).then_some(word)
}

fn unfolded_time(word: &str) -> Option<Value> {
    let found = TIME.captures(word)?;
    let (format, seconds) = (found.get(1)?.as_str(), found.get(2)?.as_str());
    Some(json!({ "<time>": { "format": format, "offset_us": microseconds(seconds)? } }))
}

/// What [`fold`] was given.
fn unfold(value: Value) -> Value {
    match value {
        Value::String(text) => unfolded_time(&text).unwrap_or(Value::String(text)),
        Value::Array(items) => items.into_iter().map(unfold).collect(),
        Value::Object(mut members) if members.len() == 1 && members.contains_key(AS_IT_IS) => {
            members.remove(AS_IT_IS).unwrap_or_default()
        }
        Value::Object(members) => {
            let unfold = |(name, member)| (name, unfold(member));
            Value::Object(members.into_iter().map(unfold).collect())
        }
        other => other,
    }
}

/// The value as text. `before` characters stand before it on its line; further lines begin with at least two blanks.
pub(super) fn write(value: &Value, before: usize) -> String {
    let mut out = String::new();
    put(&fold(value), before, 2, &mut out);
    out
}

/// The value in one line.
pub(crate) fn line(value: &Value) -> String {
    one_line(&fold(value))
}

/// What [`write`] wrote.
///
/// # Errors
/// If it is no JSON.
pub(super) fn read(text: &str) -> Result<Value, serde_json::Error> {
    serde_json::from_str(text).map(unfold)
}

/// Writes a value that begins at column `column` of its line, and whose members are indented by `indent` and more.
fn put(value: &Value, column: usize, indent: usize, out: &mut String) {
    let line = one_line(value);
    let empty = |value: &Value| match value {
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        _ => true,
    };
    if empty(value) || column + line.chars().count() <= WIDTH {
        out.push_str(&line);
        return;
    }
    let inner = indent + 2;
    let blanks = " ".repeat(inner);
    let mut between = "";
    let mut next = |out: &mut String| {
        out.push_str(std::mem::replace(&mut between, ","));
        out.push('\n');
        out.push_str(&blanks);
    };
    let end = match value {
        Value::Array(items) => {
            out.push('[');
            for item in items {
                next(out);
                put(item, inner, inner, out);
            }
            ']'
        }
        Value::Object(members) => {
            out.push('{');
            for (name, member) in members {
                next(out);
                let name = format!("{}: ", json!(name));
                out.push_str(&name);
                put(member, inner + name.chars().count(), inner, out);
            }
            '}'
        }
        _ => return,
    };
    out.push('\n');
    out.push_str(&" ".repeat(indent));
    out.push(end);
}

fn one_line(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(one_line).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(members) => {
            let members: Vec<String> = members
                .iter()
                .map(|(name, member)| format!("{}: {}", json!(name), one_line(member)))
                .collect();
            format!("{{{}}}", members.join(", "))
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_time_is_one_word_and_what_looks_like_one_stays_apart() {
        let time = |us: i64| json!({ "<time>": { "format": "iso.6+00:00", "offset_us": us } });
        assert_eq!(write(&time(-132_000), 0), r#""<iso.6+00:00 -0.132 s>""#);
        assert_eq!(write(&time(29_000_000), 0), r#""<iso.6+00:00 +29 s>""#);
        for value in [
            time(1),
            json!("<epoch +5 s>"),
            json!({ AS_IT_IS: "<epoch +5 s>" }),
            json!({ AS_IT_IS: time(1) }),
            json!({ "<time>": { "format": "two words", "offset_us": 1 } }),
            json!({ "<time>": { "offset_us": 1, "format": "epoch" } }),
            json!({ "<time>": { "format": "epoch", "offset_us": 1, "more": 1 } }),
        ] {
            let text = write(&value, 0);
            assert_eq!(read(&text).unwrap().to_string(), value.to_string(), "{text}");
        }
    }

    #[test]
    fn what_does_not_fit_into_a_line_has_one_line_a_member() {
        let value = json!({ "short": [1, 2], "long": ["x".repeat(70), "y".repeat(70)] });
        let expected = format!(
            "{{\n    \"short\": [1, 2],\n    \"long\": [\n      \"{}\",\n      \"{}\"\n    ]\n  }}",
            "x".repeat(70),
            "y".repeat(70)
        );
        assert_eq!(write(&value, 0), expected);
    }

    fn values() -> impl Strategy<Value = Value> {
        let word = prop_oneof![
            "[a-z<>]{0,9}",
            "<[a-z.]{1,5} [+-][0-9]{1,3}(\\.[0-9]{1,7})? s>",
            "\\PC{0,40}"
        ];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            word.clone().prop_map(Value::from),
            any::<i64>().prop_map(|us| json!({ "<time>": { "format": "epoch", "offset_us": us } })),
        ];
        let key = prop_oneof![word, Just(AS_IT_IS.to_owned()), Just("<time>".to_owned())];
        leaf.prop_recursive(4, 40, 6, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::vec((key.clone(), inner), 0..6)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back_with_the_order_of_its_members(value in values(), before in 0..200_usize) {
            let text = write(&value, before);
            prop_assert_eq!(read(&text).unwrap().to_string(), value.to_string());
            prop_assert!(text.lines().skip(1).all(|line| line.starts_with("  ")));
        }

        #[test]
        fn seconds_are_read_back(us in any::<i64>().prop_filter("the smallest has no opposite", |us| *us != i64::MIN)) {
            prop_assert_eq!(microseconds(&seconds(us)), Some(us));
        }
    }
}
