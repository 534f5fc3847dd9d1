//! The first line of an answer, and how its body is written.

use super::{Change, Operator};
use crate::{
    prove::subject::{set_text, text},
    transcript::{Body, Seen, StatusLine},
};

pub(super) const ALL: &[Operator] = &[
    Operator {
        name: "status",
        sentence: "another status code of the same class",
        change: Change::Seen("/status", |seen| {
            line(seen).map(|line| {
                line.status = if line.status % 100 == 9 {
                    line.status - 1
                } else {
                    line.status + 1
                }
            })
        }),
    },
    Operator {
        name: "status-class",
        sentence: "success becomes an error, and an error success",
        change: Change::Seen("/status", |seen| {
            line(seen).map(|line| line.status = if line.status < 400 { 500 } else { 200 })
        }),
    },
    Operator {
        name: "reason",
        sentence: "another reason in the first line",
        change: Change::Seen("/wire/reason", |seen| {
            line(seen).map(|line| line.reason.push('S'))
        }),
    },
    Operator {
        name: "reason-case",
        sentence: "the reason in another letter case",
        change: Change::Seen("/wire/reason", |seen| {
            line(seen).map(|line| {
                line.reason = if line.reason.chars().any(|one| one.is_ascii_lowercase()) {
                    line.reason.to_uppercase()
                } else {
                    line.reason.to_lowercase()
                }
            })
        }),
    },
    Operator {
        name: "version",
        sentence: "HTTP/1.0 for 1.1, and 1.1 for 1.0",
        change: Change::Seen("/wire/version", |seen| {
            line(seen).map(|line| line.version = if line.version == "1.1" { "1.0" } else { "1.1" }.to_owned())
        }),
    },
    Operator {
        name: "json-white-space",
        sentence: "a blank behind the first colon or comma of a JSON body",
        change: Change::Seen("/wire/json", |seen| {
            json(seen, |text| {
                let at = text.find([':', ',', '[', '{'])? + 1;
                Some(format!("{} {}", text.get(..at)?, text.get(at..)?))
            })
        }),
    },
    Operator {
        name: "json-end",
        sentence: "a newline less or more at the end of a JSON body",
        change: Change::Seen("/wire/json", |seen| {
            json(seen, |text| {
                Some(
                    text.strip_suffix('\n')
                        .map_or_else(|| format!("{text}\n"), str::to_owned),
                )
            })
        }),
    },
    Operator {
        name: "json-escape",
        sentence: "a letter of a JSON body written as \\u00…",
        change: Change::Seen("/wire/json", |seen| {
            json(seen, |text| {
                let at = text
                    .match_indices('"')
                    .map(|(at, _)| at + 1)
                    .find(|at| text.as_bytes().get(*at).is_some_and(u8::is_ascii_alphabetic))?;
                let letter = *text.as_bytes().get(at)?;
                Some(format!(
                    "{}\\u{letter:04x}{}",
                    text.get(..at)?,
                    text.get(at + 1..)?
                ))
            })
        }),
    },
    Operator {
        name: "json-key-twice",
        sentence: "the last member of a JSON body stands twice",
        change: Change::Seen("/wire/json", |seen| {
            let Seen::Answer {
                body: Body::Json(value),
                ..
            } = &*seen
            else {
                return None;
            };
            let (name, inner) = value.as_object()?.iter().next_back()?;
            let member = format!(",{}:{inner}}}", serde_json::Value::from(name.as_str()));
            json(seen, |text| {
                let at = text.rfind('}')?;
                Some(format!("{}{member}{}", text.get(..at)?, text.get(at + 1..)?))
            })
        }),
    },
    Operator {
        name: "body-cut",
        sentence: "a body without its last quarter",
        change: Change::Seen("/body", |seen| {
            let whole = text(seen)?;
            let at = (0..=whole.len() * 3 / 4)
                .rev()
                .find(|at| whole.is_char_boundary(*at))?;
            set_text(seen, whole.get(..at)?)
        }),
    },
    Operator {
        name: "body-emptied",
        sentence: "no body",
        change: Change::Seen("/body", |seen| set_text(seen, "")),
    },
    Operator {
        name: "body-where-none-was",
        sentence: "a body in an answer that has none",
        change: Change::Seen("/body", |seen| match seen {
            Seen::Answer { body, length, .. } if *body == Body::Empty => {
                *body = Body::Text("x".to_owned());
                *length = 1;
                Some(())
            }
            _ => None,
        }),
    },
];

fn line(seen: &mut Seen) -> Option<&mut StatusLine> {
    match seen {
        Seen::Answer { line, .. } => Some(line),
        _ => None,
    }
}

/// Writes a JSON body another way.
fn json(seen: &mut Seen, change: impl Fn(&str) -> Option<String>) -> Option<()> {
    let Seen::Answer {
        body: Body::Json(_), ..
    } = &*seen
    else {
        return None;
    };
    let new = change(&text(seen)?)?;
    set_text(seen, &new)
}
