//! The content of a snapshot as text: one block a step, and of an answer only what is not as usual.

use super::{
    StepTime,
    layout::{self, microseconds, seconds},
};
use crate::json_form::same;
use crate::normalize::{NormalStep, Normalized};
use crate::transcript::{ASKED_AFTER, HEARD_AFTER, LEFT_AFTER};
use serde_json::{Map, Value, json};

const STARTED: &str = "started at ";
/// What begins a block.
const BLOCK: &str = "--- ";
/// What is seen once the steps are over, and how far behind the last step it stands.
const AFTER: [(&str, u32); 3] = [
    ("asked", ASKED_AFTER),
    ("heard", HEARD_AFTER),
    ("left", LEFT_AFTER),
];
/// What stands in place of a header or a form that an answer usually has.
const ABSENT: &str = "-";
/// The value that says that a header or form is not there.
fn absent() -> Value {
    json!({ "<absent>": null })
}

/// The headers that answers have in this order where they have them.
const USUAL_ORDER: [&str; 5] = ["Content-Type", "Content-Length", "Set-Cookie", "Vary", "Date"];

/// The text. `recorded` are the scenario's steps, in their order.
pub(super) fn write(normalized: &Normalized, recorded: &[StepTime]) -> String {
    let mut out = format!("{STARTED}{}\n", seconds(normalized.started_at_us));
    let mut shown = normalized.steps.iter().peekable();
    for (number, step) in (1..).zip(recorded) {
        let time = step.at_us.map(|us| format!("  {}", seconds(us)));
        out.push_str(&format!(
            "\n{BLOCK}{number}  {}{}\n",
            step.name,
            time.unwrap_or_default()
        ));
        while let Some(seen) = shown.next_if(|seen| seen.step == number) {
            block(seen, step.at_us, normalized.started_at_us, &mut out);
        }
    }
    for seen in shown {
        let after = seen.step.saturating_sub(normalized.last_step);
        let name = AFTER.iter().find(|(_, number)| *number == after);
        let name = name.map_or_else(|| seen.step.to_string(), |(name, _)| (*name).to_owned());
        out.push_str(&format!("\n{BLOCK}{name}  {}\n", seconds(seen.at_us)));
        block(seen, Some(seen.at_us), normalized.started_at_us, &mut out);
    }
    out
}

/// One step's entries: `name value`, a line each or several where a value is long.
fn block(step: &NormalStep, at_us: Option<i64>, started_at_us: i64, out: &mut String) {
    let mut entry = |name: &str, value: &Value| {
        let text = if *value == absent() {
            ABSENT.to_owned()
        } else {
            layout::write(value, name.chars().count() + 1)
        };
        out.push_str(&format!("{name} {text}\n"));
    };
    entry("what", &json!(step.label));
    if at_us != Some(step.at_us) {
        entry("at_us", &json!(step.at_us));
    }
    match exceptions(&step.seen, second(started_at_us, step.at_us)) {
        Some(exceptions) => exceptions.iter().for_each(|(name, value)| entry(name, value)),
        None => match &step.seen {
            Value::Object(members) if members.keys().all(|name| is_plain(name)) => {
                members.iter().for_each(|(name, value)| entry(name, value));
            }
            other => entry("seen", other),
        },
    }
}

/// The last whole second at a time, in microseconds since the start.
fn second(started_at_us: i64, at_us: i64) -> i64 {
    (started_at_us + at_us).div_euclid(1_000_000) * 1_000_000 - started_at_us
}

/// Whether a member's name can stand at the beginning of a line and means nothing else there.
fn is_plain(name: &str) -> bool {
    let word = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase());
    word && !["what", "seen", "answer", "header", "wire"].contains(&name)
}

/// What an answer has beside what answers usually have at that time; nothing if it is no answer that can be told so.
fn exceptions(seen: &Value, second_us: i64) -> Option<Vec<(String, Value)>> {
    let status = seen.get("status")?;
    let mut entries = vec![("answer".to_owned(), status.clone())];
    let usual = usual(seen, second_us);
    for part in ["headers", "wire"] {
        let (there, usual) = (seen.get(part)?.as_object()?, usual.get(part)?.as_object()?);
        let name = |key: &str| format!("{} {key}", if part == "wire" { part } else { "header" });
        for (key, value) in there.iter().filter(|(key, value)| usual.get(*key) != Some(value)) {
            entries.push((name(key), value.clone()));
        }
        let missing = usual.keys().filter(|key| !there.contains_key(*key));
        entries.extend(missing.map(|key| (name(key), absent())));
    }
    let body = seen.get("body").map(|body| ("body".to_owned(), body.clone()));
    entries.extend(body);
    let read = answer(&entries, second_us)?;
    same(&read, seen).then_some(entries)
}

/// What an answer with these headers and this body usually has beside them.
fn usual(seen: &Value, second_us: i64) -> Value {
    let headers = seen.get("headers").and_then(Value::as_object);
    let mut order = Vec::new();
    for name in USUAL_ORDER {
        let lower = name.to_lowercase();
        let there = headers.and_then(|headers| headers.get(&lower));
        let times = match there {
            Some(Value::Array(several)) if lower == "set-cookie" => several.len(),
            Some(_) => 1,
            None => 0,
        };
        order.extend(std::iter::repeat_n(name, times));
    }
    let mut wire = json!({
        "version": "1.1",
        "reason": "<as usual, in capitals>",
        "headers": order.join(", "),
    });
    if let (Some(_), Some(wire)) = (seen.get("body"), wire.as_object_mut()) {
        wire.insert("json".to_owned(), json!("compact, a newline at the end"));
    }
    json!({
        "headers": {
            "content-length": "<length of the body>",
            "content-type": "application/json",
            "date": { "<time>": { "format": "http-date", "offset_us": second_us } },
        },
        "wire": wire,
    })
}

/// The answer that these entries tell of.
fn answer(entries: &[(String, Value)], second_us: i64) -> Option<Value> {
    let status = &entries.iter().find(|(name, _)| name == "answer")?.1;
    let body = entries
        .iter()
        .find(|(name, _)| name == "body")
        .map(|(_, body)| body);
    let mut seen = Map::from_iter([("status".to_owned(), status.clone())]);
    let apply = |usual: &Value, part: &str, word: &str| -> Option<Map<String, Value>> {
        let mut members = usual.get(part)?.as_object()?.clone();
        for (name, value) in entries {
            match name.strip_prefix(word).and_then(|rest| rest.strip_prefix(' ')) {
                Some(key) if *value == absent() => {
                    members.shift_remove(key);
                }
                Some(key) => {
                    members.insert(key.to_owned(), value.clone());
                }
                None => {}
            }
        }
        Some(members)
    };
    let mut headers = apply(&usual(&Value::Null, second_us), "headers", "header")?;
    headers.sort_keys();
    seen.insert("headers".to_owned(), Value::Object(headers));
    if let Some(body) = body {
        seen.insert("body".to_owned(), body.clone());
    }
    let usual = usual(&Value::Object(seen.clone()), second_us);
    let wire = apply(&usual, "wire", "wire")?;
    seen.insert("wire".to_owned(), Value::Object(wire));
    Some(Value::Object(seen))
}

/// Reads what [`write`] wrote.
///
/// # Errors
/// What is wrong, with the line of the content in which it stands.
pub(super) fn read(scenario: &str, text: &str) -> Result<(Normalized, Vec<StepTime>), String> {
    let mut lines = (1..).zip(text.lines()).peekable();
    let started = lines
        .next()
        .and_then(|(_, line)| microseconds(line.strip_prefix(STARTED)?));
    let started_at_us = started.ok_or_else(|| format!("line 1 is not `{STARTED}<seconds>`"))?;
    let is_step = |line: &str| {
        line.strip_prefix(BLOCK)
            .is_some_and(|head| head.starts_with(|c: char| c.is_ascii_digit()))
    };
    let last_step = text.lines().filter(|line| is_step(line)).count();
    let last_step = u32::try_from(last_step).map_err(|error| error.to_string())?;
    let (mut recorded, mut steps) = (Vec::new(), Vec::new());
    let mut block: Option<Block> = None;
    while let Some((number, line)) = lines.next() {
        if let Some(head) = line.strip_prefix(BLOCK) {
            if let Some(block) = block.take() {
                steps.extend(block.step(started_at_us)?);
            }
            block = Some(Block::begin(number, head, last_step, &mut recorded)?);
        } else if !line.is_empty() {
            let mut entry = line.to_owned();
            while let Some((_, more)) = lines.next_if(|(_, next)| next.starts_with("  ")) {
                entry.push('\n');
                entry.push_str(more);
            }
            let block = block
                .as_mut()
                .ok_or_else(|| format!("line {number} stands in no block"))?;
            block
                .entries
                .push(read_entry(&entry).map_err(|wrong| format!("line {number}: {wrong}"))?);
        }
    }
    if let Some(block) = block {
        steps.extend(block.step(started_at_us)?);
    }
    let normalized = Normalized {
        scenario: scenario.to_owned(),
        started_at_us,
        last_step,
        steps,
    };
    Ok((normalized, recorded))
}

/// A block on its way from text to step.
struct Block {
    line: usize,
    step: u32,
    at_us: Option<i64>,
    entries: Vec<(String, Value)>,
}

impl Block {
    /// Reads `<number>  <name>[  <seconds>]` or `heard  <seconds>`.
    fn begin(line: usize, head: &str, last_step: u32, recorded: &mut Vec<StepTime>) -> Result<Self, String> {
        let wrong = || format!("line {line} is not `{BLOCK}<number>  <name>  <seconds>`");
        let (first, rest) = head.split_once("  ").ok_or_else(wrong)?;
        let after = AFTER.iter().find(|(name, _)| *name == first);
        let (step, at_us) = if let Some((_, after)) = after {
            (last_step + after, Some(microseconds(rest).ok_or_else(wrong)?))
        } else {
            let timed = rest
                .rsplit_once("  ")
                .and_then(|(name, time)| Some((name, microseconds(time)?)));
            let (name, at_us) = timed.map_or((rest, None), |(name, us)| (name, Some(us)));
            recorded.push(StepTime {
                name: name.to_owned(),
                at_us,
            });
            let expected = recorded.len();
            let number: u32 = first.parse().map_err(|_| wrong())?;
            if u32::try_from(expected) != Ok(number) {
                return Err(format!("line {line}: this is step {expected}, not {number}"));
            }
            (number, at_us)
        };
        Ok(Self {
            line,
            step,
            at_us,
            entries: Vec::new(),
        })
    }

    /// What the step showed; nothing if it showed nothing.
    fn step(mut self, started_at_us: i64) -> Result<Option<NormalStep>, String> {
        let line = self.line;
        if self.entries.is_empty() {
            return Ok(None);
        }
        let mut take = |wanted: &str| {
            let at = self.entries.iter().position(|(name, _)| name == wanted)?;
            Some(self.entries.remove(at).1)
        };
        let Some(Value::String(label)) = take("what") else {
            return Err(format!("the block in line {line} does not say what it shows"));
        };
        let at_us = match take("at_us") {
            Some(at) => at.as_i64(),
            None => self.at_us,
        };
        let at_us = at_us.ok_or_else(|| format!("the block in line {line} does not say when"))?;
        let seen = match take("seen") {
            Some(seen) => seen,
            None if self.entries.iter().any(|(name, _)| name == "answer") => {
                let answer = answer(&self.entries, second(started_at_us, at_us));
                answer.ok_or_else(|| format!("the answer in line {line} cannot be read"))?
            }
            None => Value::Object(self.entries.into_iter().collect()),
        };
        Ok(Some(NormalStep {
            step: self.step,
            at_us,
            label,
            seen,
        }))
    }
}

/// Reads `name value`, `header name value` or `wire name value`.
fn read_entry(text: &str) -> Result<(String, Value), String> {
    let (name, value) = text
        .split_once(' ')
        .ok_or_else(|| "it is not `<name> <value>`".to_owned())?;
    let (name, value) = match (name, value.split_once(' ')) {
        ("header" | "wire", Some((key, value))) => (format!("{name} {key}"), value),
        _ => (name.to_owned(), value),
    };
    if value == ABSENT {
        return Ok((name, absent()));
    }
    Ok((name, layout::read(value).map_err(|error| error.to_string())?))
}

#[cfg(test)]
mod tests;
