//! What stands beside the steps: everything that sockets received, and what the server left.

use super::{NormalStep, Normalizer, Place, join};
use crate::json_form::{self, same_members};
use crate::mask::{MOST_ROWS, Mask};
use crate::transcript::{Body, HEARD_AFTER, LEFT_AFTER, LONGEST_FILE, LeftFile, Transcript};
use serde_json::{Map, Value, json};

/// The member of a socket that says how the server opened its session.
pub(crate) const OPENED: &str = "opened";

/// How recordings write a text that is too long for them.
const LONG_TEXT: &str = "$long";

pub(super) fn is_long(map: &Map<String, Value>) -> bool {
    map.len() == 1 && map.contains_key(LONG_TEXT)
}

/// A long text as [`super::long`] shows it.
pub(super) fn long(map: &Map<String, Value>) -> Value {
    let text = map.get(LONG_TEXT);
    let part = |name: &str| text.and_then(|text| text.get(name)).cloned().unwrap_or_default();
    json!({ "<long>": { "size": part("length"), "sha256": part("sha256") } })
}

fn at_the_end(transcript: &Transcript, after: u32, label: &str, seen: Value) -> NormalStep {
    NormalStep {
        step: transcript.last_step + after,
        at_us: transcript.observations.last().map_or(0, |last| last.at_us),
        label: label.to_owned(),
        seen,
    }
}

/// A table or file that the server left.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Item<'t> {
    Table(&'t String, &'t Vec<Map<String, Value>>),
    File(&'t String, &'t LeftFile),
}

impl<'t> Item<'t> {
    /// Whether the other is the same table or file, whatever stands in it.
    pub(crate) fn is_called(self, other: Item<'_>) -> bool {
        self.key() == other.key()
    }

    /// Whether the same stands in it, the order of columns included.
    pub(crate) fn is_same(self, other: Item<'_>) -> bool {
        match (self, other) {
            (Item::Table(name, rows), Item::Table(other_name, other)) => {
                let same =
                    |(one, other): (&Map<String, Value>, &Map<String, Value>)| same_members(one, other);
                name == other_name && rows.len() == other.len() && rows.iter().zip(other).all(same)
            }
            (Item::File(name, file), Item::File(other_name, other)) => name == other_name && file == other,
            _ => false,
        }
    }

    /// Whether it is named before the other.
    pub(crate) fn is_before(self, other: Item<'_>) -> bool {
        self.key() < other.key()
    }

    fn key(&self) -> (bool, &str) {
        match self {
            Self::Table(name, _) => (false, name),
            Self::File(name, _) => (true, name),
        }
    }

    /// In the order in which their values get names.
    pub(crate) fn all(transcript: &'t Transcript) -> Vec<Self> {
        let left = transcript.left.iter();
        left.flat_map(|left| {
            let tables = left.tables.iter().map(|(name, rows)| Self::Table(name, rows));
            tables.chain(left.files.iter().map(|(name, file)| Self::File(name, file)))
        })
        .collect()
    }
}

/// The step that shows what [`Item::all`] were normalised to.
pub(crate) fn left_of(transcript: &Transcript, values: Vec<Value>) -> NormalStep {
    let (mut tables, mut files) = (Map::new(), Map::new());
    for (item, value) in Item::all(transcript).into_iter().zip(values) {
        match item {
            Item::Table(name, _) => tables.insert(name.clone(), value),
            Item::File(name, _) => files.insert(name.clone(), value),
        };
    }
    let seen = json!({ "tables": tables, "files": files });
    at_the_end(transcript, LEFT_AFTER, "what the server left", seen)
}

impl Normalizer<'_> {
    /// `{"sockets": {"1 ui": {"events": [{"after_step", "event", "data"}], "closed", "opened"}}}`.
    pub(super) fn heard(&mut self, transcript: &Transcript) -> Option<NormalStep> {
        if transcript.heard.is_empty() {
            return None;
        }
        let step = transcript.last_step + HEARD_AFTER;
        let mut sockets = Map::new();
        for heard in &transcript.heard {
            let name = format!("{} {}", heard.connection, heard.client);
            let path = join("/sockets", &name);
            let mut events = Vec::new();
            for (at, event) in heard.events.iter().enumerate() {
                let path = format!("{path}/events/{at}/data");
                let place = Place { step, path: &path };
                if event.data.is_null() || event.data.is_array() {
                    self.masked.note(Mask::Arguments);
                }
                let mut seen = json!({
                    "after_step": event.after_step,
                    "event": event.event,
                    "data": self.value(place, "", &event.data),
                });
                if let (true, Some(members)) = (event.asks, seen.as_object_mut()) {
                    members.insert("asks_for_an_acknowledgement".to_owned(), json!(true));
                }
                events.push(seen);
            }
            let mut socket = json!({ "events": events, "closed": heard.closed });
            if let (Some(opened), Some(members)) = (&heard.opened, socket.as_object_mut()) {
                members.insert(OPENED.to_owned(), opened.clone());
            }
            sockets.insert(name, socket);
        }
        let seen = json!({ "sockets": sockets });
        Some(at_the_end(
            transcript,
            HEARD_AFTER,
            "what the sockets received",
            seen,
        ))
    }

    /// `{"tables": {"users": [row]}, "files": {"path": {"mode", "content"}}}`.
    pub(super) fn left(&mut self, transcript: &Transcript) -> Option<NormalStep> {
        transcript.left.as_ref()?;
        self.masked.note(Mask::Surroundings);
        self.masked.note(Mask::Schema);
        let values = Item::all(transcript).into_iter();
        let values = values.map(|item| self.item(transcript, item)).collect();
        Some(left_of(transcript, values))
    }

    /// One table or file.
    pub(crate) fn item(&mut self, transcript: &Transcript, item: Item<'_>) -> Value {
        let step = transcript.last_step + LEFT_AFTER;
        match item {
            Item::Table(table, rows) => {
                if rows.len() >= MOST_ROWS {
                    self.masked.note(Mask::MoreRows);
                }
                let path = join("/tables", table);
                let rows = rows.iter().cloned().map(Value::Object).collect();
                self.value(Place { step, path: &path }, "", &Value::Array(rows))
            }
            Item::File(name, file) => {
                let path = join("/files", name);
                self.file(Place { step, path: &path }, file)
            }
        }
    }

    fn file(&mut self, place: Place<'_>, file: &LeftFile) -> Value {
        let mode = &file.mode;
        match &file.content {
            Some(Body::Text(text)) => match serde_json::from_str::<Value>(text) {
                Ok(value) if value.is_object() || value.is_array() => {
                    let form = json_form::form(text, &value);
                    json!({ "mode": mode, "json": self.value(place, "", &value), "form": form })
                }
                _ => json!({ "mode": mode, "content": self.text(place, text) }),
            },
            Some(Body::Base64(text)) => match self.opaque(place, text) {
                Some(name) => json!({ "mode": mode, "bytes": name }),
                None => json!({ "mode": mode, "bytes": text }),
            },
            Some(Body::Json(tables)) if file.is_database => {
                self.masked.note(Mask::Backup);
                let path = join(place.path, "tables");
                let place = Place { path: &path, ..place };
                json!({ "mode": mode, "tables": self.value(place, "", tables) })
            }
            Some(Body::Json(_) | Body::Empty) => json!({ "mode": mode, "content": "" }),
            // A key: another one in each run, but of one length.
            None if usize::try_from(file.size).is_ok_and(|size| size <= LONGEST_FILE) => {
                let name = self.name(Mask::PrivateKey, &file.sha256, "digest of a key", place);
                json!({ "mode": mode, "size": file.size, "sha256": name })
            }
            None => json!({ "mode": mode, "size": file.size, "sha256": file.sha256 }),
        }
    }
}
