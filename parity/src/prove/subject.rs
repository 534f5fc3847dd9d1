//! What a scenario showed, in the parts that operators are applied to, and the places in them.
//!
//! Long because taking a transcript apart and putting it together again are one thing.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::{
    json_form,
    normalize::join,
    scenario::polling,
    transcript::{Body, Heard, LeftFile, Observation, Seen, Transcript},
};

/// A part of a transcript.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// What a step showed, by its index; what the server asked of GitHub is one of them.
    Step(usize),
    /// What a connection received, by its index.
    Connection(usize),
    /// A table that the server left.
    Table(String),
    /// A file that the server left.
    File(String),
}

/// A copy of a part, and of what operators change together with it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum Copy {
    /// A step.
    Step(Observation),
    /// Every connection: an event may go to another one.
    Connections(Vec<Heard>),
    /// The rows of a table.
    Table(Vec<Map<String, Value>>),
    /// Every file: one may get another name.
    Files(BTreeMap<String, LeftFile>),
}

impl Copy {
    /// Whether nothing is changed, the order of members and columns included.
    pub fn is_same(&self, other: &Self) -> bool {
        // Only what `==` calls equal has to be looked at more closely, and that is little.
        self == other && serde_json::to_string(self).ok() == serde_json::to_string(other).ok()
    }
}

/// The polling endpoint's packets are JSON within a text.
const SEPARATOR: char = '\u{1e}';

impl Subject {
    /// All parts, in the order in which they were seen.
    pub fn all(transcript: &Transcript) -> Vec<Self> {
        let mut all: Vec<Self> = (0..transcript.observations.len()).map(Self::Step).collect();
        all.extend((0..transcript.heard.len()).map(Self::Connection));
        if let Some(left) = &transcript.left {
            all.extend(left.tables.keys().cloned().map(Self::Table));
            all.extend(left.files.keys().cloned().map(Self::File));
        }
        all
    }

    /// What people call it.
    pub fn name(&self, transcript: &Transcript) -> String {
        match self {
            Self::Step(at) => match transcript.observations.get(*at) {
                Some(one) if one.step > transcript.last_step => "asked".to_owned(),
                Some(one) => format!("step {}", one.step),
                None => String::new(),
            },
            Self::Connection(at) => transcript.heard.get(*at).map_or_else(String::new, |one| {
                format!("heard {} {}", one.connection, one.client)
            }),
            Self::Table(name) => format!("table {name}"),
            Self::File(name) => format!("file {name}"),
        }
    }

    /// Which kind of part it is: the first segment of every path in it.
    pub fn root(&self, transcript: &Transcript) -> String {
        match self {
            Self::Step(at) => match transcript.observations.get(*at).map(|one| &one.seen) {
                Some(Seen::Answer { .. }) => "answer".to_owned(),
                Some(Seen::Rows { .. }) => "rows".to_owned(),
                Some(Seen::Asked { .. }) => "asked".to_owned(),
                Some(Seen::Failed { .. }) => "failed".to_owned(),
                _ => "socket".to_owned(),
            },
            Self::Connection(_) => "heard".to_owned(),
            Self::Table(name) => join("tables", name),
            Self::File(name) => join("files", name),
        }
    }

    /// A copy of it.
    pub fn copy(&self, transcript: &Transcript) -> Option<Copy> {
        let left = transcript.left.as_ref();
        match self {
            Self::Step(at) => transcript.observations.get(*at).cloned().map(Copy::Step),
            Self::Connection(_) => Some(Copy::Connections(transcript.heard.clone())),
            Self::Table(name) => left?.tables.get(name).cloned().map(Copy::Table),
            Self::File(_) => Some(Copy::Files(left?.files.clone())),
        }
    }

    /// Puts a copy back.
    pub fn restore(&self, transcript: &mut Transcript, copy: Copy) {
        let left = transcript.left.as_mut();
        match (self, copy) {
            (Self::Step(at), Copy::Step(observation)) => {
                if let Some(there) = transcript.observations.get_mut(*at) {
                    *there = observation;
                }
            }
            (Self::Connection(_), Copy::Connections(heard)) => transcript.heard = heard,
            (Self::Table(name), Copy::Table(rows)) => {
                if let Some(left) = left {
                    left.tables.insert(name.clone(), rows);
                }
            }
            (Self::File(_), Copy::Files(files)) => {
                if let Some(left) = left {
                    left.files = files;
                }
            }
            _ => {}
        }
    }

    /// What a step showed.
    pub fn seen<'a>(&self, transcript: &'a mut Transcript) -> Option<&'a mut Seen> {
        match self {
            Self::Step(at) => transcript.observations.get_mut(*at).map(|one| &mut one.seen),
            _ => None,
        }
    }

    /// The rows of a step or of a table.
    pub fn rows<'a>(&self, transcript: &'a mut Transcript) -> Option<&'a mut Vec<Map<String, Value>>> {
        match self {
            Self::Table(name) => transcript.left.as_mut()?.tables.get_mut(name),
            _ => match self.seen(transcript)? {
                Seen::Rows { rows } => Some(rows),
                _ => None,
            },
        }
    }

    fn file<'a>(&self, transcript: &'a mut Transcript) -> Option<&'a mut LeftFile> {
        match self {
            Self::File(name) => transcript.left.as_mut()?.files.get_mut(name),
            _ => None,
        }
    }
}

/// A value within a part.
#[derive(Clone, Debug)]
pub struct Site {
    /// Where it stands, for people and for the survivors' file: `/body/guid`, `/headers/date`, `/0/role`.
    pub path: String,
    /// The name of the nearest member, column or header.
    pub field: String,
    /// What stands there; an object or list whole.
    pub value: Value,
    at: At,
}

#[derive(Clone, Debug)]
enum At {
    /// In a JSON document of the part, by a pointer.
    Json(usize, String),
    /// The value of a header.
    Header(usize),
    /// The value of the cookie that a header sets.
    Cookie(usize),
    /// A text without parts: a page, a file.
    Text,
}

/// Every value in a part.
pub fn sites(transcript: &mut Transcript, subject: &Subject) -> Vec<Site> {
    let mut out = Vec::new();
    for (document, (path, value)) in documents(transcript, subject).into_iter().enumerate() {
        collect(document, "", &path, "", &value, &mut out);
    }
    if let Some(Seen::Answer { headers, body, .. }) = subject.seen(transcript) {
        for (at, (name, value)) in headers.iter().enumerate() {
            let field = name.to_lowercase();
            let path = join("/headers", &field);
            match cookie(value).filter(|_| field == "set-cookie") {
                Some((before, inner, _)) => out.push(Site {
                    path: join(&path, before.trim_end_matches('=')),
                    field,
                    value: json!(inner),
                    at: At::Cookie(at),
                }),
                None => out.push(Site {
                    path,
                    field,
                    value: json!(value),
                    at: At::Header(at),
                }),
            }
        }
        if let Body::Text(text) = body
            && !text.contains(SEPARATOR)
            && polling::parts(text).iter().all(|part| part.data.is_none())
        {
            out.push(Site {
                path: "/body/<text>".to_owned(),
                field: String::new(),
                value: json!(text),
                at: At::Text,
            });
        }
    }
    if let Some(LeftFile {
        content: Some(Body::Text(text)),
        ..
    }) = subject.file(transcript)
        && json_of(text).is_none()
    {
        out.push(Site {
            path: "/content".to_owned(),
            field: String::new(),
            value: json!(text),
            at: At::Text,
        });
    }
    out
}

fn collect(document: usize, pointer: &str, path: &str, field: &str, value: &Value, out: &mut Vec<Site>) {
    out.push(Site {
        path: path.to_owned(),
        field: field.to_owned(),
        value: value.clone(),
        at: At::Json(document, pointer.to_owned()),
    });
    match value {
        Value::Object(members) => {
            for (name, inner) in members {
                collect(
                    document,
                    &join(pointer, name),
                    &join(path, name),
                    name,
                    inner,
                    out,
                );
            }
        }
        Value::Array(items) => {
            for (at, inner) in items.iter().enumerate() {
                let at = at.to_string();
                collect(document, &join(pointer, &at), &join(path, &at), field, inner, out);
            }
        }
        _ => {}
    }
}

/// Splits `name=value; attributes` around the value.
fn cookie(header: &str) -> Option<(&str, &str, &str)> {
    let from = header.find('=')? + 1;
    let until = header.find(';').unwrap_or(header.len());
    Some((
        header.get(..from)?,
        header.get(from..until)?,
        header.get(until..)?,
    ))
}

/// The JSON of a text that holds an object or a list.
fn json_of(text: &str) -> Option<Value> {
    serde_json::from_str(text)
        .ok()
        .filter(|value: &Value| value.is_object() || value.is_array())
}

/// The JSON documents of a part, each with the path at which it stands.
fn documents(transcript: &mut Transcript, subject: &Subject) -> Vec<(String, Value)> {
    match subject {
        Subject::Table(_) => subject.rows(transcript).map_or_else(Vec::new, |rows| {
            vec![(
                String::new(),
                Value::Array(rows.iter().cloned().map(Value::Object).collect()),
            )]
        }),
        Subject::Connection(at) => transcript.heard.get(*at).map_or_else(Vec::new, |heard| {
            heard
                .events
                .iter()
                .enumerate()
                .map(|(at, event)| (format!("/events/{at}/data"), event.data.clone()))
                .collect()
        }),
        Subject::File(_) => match subject.file(transcript).and_then(|file| file.content.as_ref()) {
            Some(Body::Text(text)) => json_of(text)
                .into_iter()
                .map(|value| ("/json".to_owned(), value))
                .collect(),
            _ => Vec::new(),
        },
        Subject::Step(_) => match subject.seen(transcript) {
            Some(Seen::Answer {
                body: Body::Json(value),
                ..
            }) => vec![("/body".to_owned(), value.clone())],
            Some(Seen::Answer {
                body: Body::Text(text),
                ..
            }) => polling::parts(text)
                .into_iter()
                .enumerate()
                .filter_map(|(at, part)| Some((format!("/body/<packets>/{at}/data"), part.data?)))
                .collect(),
            Some(Seen::Rows { rows }) => vec![(
                "/rows".to_owned(),
                Value::Array(rows.iter().cloned().map(Value::Object).collect()),
            )],
            Some(Seen::Acknowledged { arguments: Some(all) } | Seen::Received { arguments: Some(all) }) => {
                vec![("/arguments".to_owned(), json!(all))]
            }
            _ => Vec::new(),
        },
    }
}

impl Site {
    /// Puts another value in its place, as a server would that shows this one.
    pub fn set(&self, transcript: &mut Transcript, subject: &Subject, value: Value) -> Option<()> {
        match &self.at {
            At::Json(document, pointer) => {
                let (_, mut whole) = documents(transcript, subject).into_iter().nth(*document)?;
                *whole.pointer_mut(pointer)? = value;
                set_document(transcript, subject, *document, whole)
            }
            At::Header(at) => {
                let Some(Seen::Answer { headers, .. }) = subject.seen(transcript) else {
                    return None;
                };
                headers.get_mut(*at)?.1 = value.as_str()?.to_owned();
                Some(())
            }
            At::Cookie(at) => {
                let Some(Seen::Answer { headers, .. }) = subject.seen(transcript) else {
                    return None;
                };
                let header = &mut headers.get_mut(*at)?.1;
                let (before, _, after) = cookie(header)?;
                *header = format!("{before}{}{after}", value.as_str()?);
                Some(())
            }
            At::Text => match subject {
                Subject::File(_) => set_file(subject.file(transcript)?, value.as_str()?),
                _ => set_text(subject.seen(transcript)?, value.as_str()?),
            },
        }
    }
}

fn rows_of(value: Value) -> Option<Vec<Map<String, Value>>> {
    let Value::Array(rows) = value else { return None };
    rows.into_iter()
        .map(|row| match row {
            Value::Object(row) => Some(row),
            _ => None,
        })
        .collect()
}

fn set_document(transcript: &mut Transcript, subject: &Subject, document: usize, value: Value) -> Option<()> {
    match subject {
        Subject::Table(_) => *subject.rows(transcript)? = rows_of(value)?,
        Subject::Connection(at) => {
            transcript.heard.get_mut(*at)?.events.get_mut(document)?.data = value;
        }
        Subject::File(_) => {
            let file = subject.file(transcript)?;
            let Some(Body::Text(text)) = &file.content else {
                return None;
            };
            let form = json_form::form(text, &json_of(text)?);
            let text = json_form::written(&form, &value);
            set_file(file, &text)?;
        }
        Subject::Step(_) => match subject.seen(transcript)? {
            seen @ Seen::Answer {
                body: Body::Json(_), ..
            } => {
                let Seen::Answer { form, .. } = &*seen else {
                    return None;
                };
                let text = json_form::written(form.as_deref().unwrap_or_default(), &value);
                set_text(seen, &text)?;
            }
            Seen::Answer {
                body: Body::Text(text),
                ..
            } => {
                let mut at = 0;
                let packets: Vec<String> = polling::parts(text)
                    .into_iter()
                    .map(|part| {
                        let Some(data) = part.data else { return part.head };
                        at += 1;
                        let data = if at == document + 1 { &value } else { &data };
                        format!("{}{data}", part.head)
                    })
                    .collect();
                *text = packets.join(&SEPARATOR.to_string());
            }
            Seen::Rows { rows } => *rows = rows_of(value)?,
            Seen::Acknowledged { arguments } | Seen::Received { arguments } => {
                let Value::Array(all) = value else { return None };
                *arguments = Some(all);
            }
            _ => return None,
        },
    }
    Some(())
}

/// The text of an answer's body, as far as it is known.
pub fn text(seen: &Seen) -> Option<String> {
    match seen {
        Seen::Answer {
            body: Body::Json(value),
            form,
            ..
        } => Some(json_form::written(form.as_deref()?, value)),
        Seen::Answer {
            body: Body::Text(text),
            ..
        } => Some(text.clone()),
        _ => None,
    }
}

/// Gives an answer another body, and the length that it has then.
pub fn set_text(seen: &mut Seen, new: &str) -> Option<()> {
    let old = text(seen)?;
    let Seen::Answer {
        headers,
        body,
        length,
        form,
        ..
    } = seen
    else {
        return None;
    };
    let longer = (*length + new.len()).checked_sub(old.len())?;
    for (name, value) in headers {
        if name.eq_ignore_ascii_case("content-length") && *value == length.to_string() {
            *value = longer.to_string();
        }
    }
    *length = longer;
    (*body, *form) = match serde_json::from_str::<Value>(new) {
        _ if new.is_empty() => (Body::Empty, None),
        Ok(value) => {
            let form = json_form::form(new, &value);
            (Body::Json(value), Some(form))
        }
        Err(_) => (Body::Text(new.to_owned()), None),
    };
    Some(())
}

/// Gives a file another content.
pub fn set_file(file: &mut LeftFile, new: &str) -> Option<()> {
    let Some(Body::Text(text)) = &mut file.content else {
        return None;
    };
    new.clone_into(text);
    file.size = new.len() as u64;
    file.sha256 = crate::normalize::sha256_hex(new.as_bytes());
    Some(())
}
