//! One entry of the log, and its two forms: a line for people, and a JSON object for programs.

use std::fmt::{self, Write as _};

use jiff::Timestamp;
use tracing::{
    Event, Level,
    field::{Field, Visit},
};

use crate::domain::{json::Json, json_text::column_text};

/// Bytes of an entry. What clients make of one is cut where it is logged; this is for what nobody thought of.
const LONGEST: usize = 16 * 1024;

/// What was logged: a message, fields, and the scope of the agent that it is about.
#[derive(Debug, Default)]
pub(super) struct Entry {
    pub(super) scope: Option<String>,
    pub(super) message: String,
    pub(super) fields: Vec<(&'static str, String)>,
}

impl Entry {
    pub(super) fn of(event: &Event<'_>, scope: Option<String>) -> Self {
        let mut entry = Self {
            scope,
            ..Self::default()
        };
        event.record(&mut entry);
        entry
    }

    /// The message first, then the fields as `key=value`.
    pub(super) fn text(&self) -> String {
        let mut text = self.message.clone();
        for (name, value) in &self.fields {
            let blank = if text.is_empty() { "" } else { " " };
            // Writing to a String does not fail.
            let _ = write!(text, "{blank}{name}={value}");
        }
        let text = escape(cut(&text));
        match &self.scope {
            Some(scope) => format!("[CONTEXT-{scope}] {text}"),
            None => text,
        }
    }

    /// The members `time`, `level`, `message`, and `context` and `fields` where there are any.
    pub(super) fn json(&self, now: Timestamp, level: Level) -> String {
        let mut members = head(now, level);
        let bytes: usize = self.fields.iter().map(|(_, value)| value.len()).sum();
        if self.message.len() + bytes > LONGEST {
            // As the line for people, which is cut.
            members.push(("message", self.text().into()));
            return column_text(&object(members));
        }
        members.push(("message", self.message.as_str().into()));
        members.extend(self.scope.as_deref().map(|scope| ("context", scope.into())));
        if !self.fields.is_empty() {
            let fields = self
                .fields
                .iter()
                .map(|(name, value)| (*name, value.as_str().into()));
            members.push(("fields", object(fields)));
        }
        column_text(&object(members))
    }

    fn add(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        // What `log` records carry about their place in the source.
        if field.name().starts_with("log.") {
            return;
        }
        // A value whose own formatting fails is left as far as it went.
        if field.name() == "message" {
            let _ = self.message.write_fmt(value);
        } else {
            let mut text = String::new();
            let _ = text.write_fmt(value);
            self.fields.push((field.name(), text));
        }
    }
}

impl Visit for Entry {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, format_args!("{value}"));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.add(field, format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, format_args!("{value:?}"));
    }
}

/// The JSON form of a line that came again `count` times within a second.
pub(super) fn repeated(now: Timestamp, level: Level, text: &str, count: u64) -> String {
    let mut members = head(now, level);
    members.push(("message", text.into()));
    members.push(("repeated", i64::try_from(count).unwrap_or(i64::MAX).into()));
    column_text(&object(members))
}

fn head(now: Timestamp, level: Level) -> Vec<(&'static str, Json)> {
    vec![
        ("time", format!("{now:.3}").into()),
        ("level", level.as_str().to_ascii_lowercase().into()),
    ]
}

fn object<'a>(members: impl IntoIterator<Item = (&'a str, Json)>) -> Json {
    let members = members
        .into_iter()
        .map(|(name, member)| (name.to_owned(), member));
    Json::Object(members.collect())
}

fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(LONGEST)).unwrap_or(text)
}

/// Writes control characters and line separators as escapes, so that no text from outside begins an entry of its
/// own or steers a terminal (ENR-17).
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() || matches!(character, '\u{2028}' | '\u{2029}') {
            escaped.extend(character.escape_default());
        } else {
            escaped.push(character);
        }
    }
    escaped
}
