//! The written list of what can be different between two servers: each operator makes one such change.

mod answers;
mod events;
mod files;
mod headers;
mod identity;
mod json;
mod rows;
mod time;
mod tokens;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::subject::{Site, Subject};
use crate::{
    normalize::join,
    transcript::{Asked, Heard, LeftFile, Seen, Transcript},
};

pub use identity::Known;

/// A kind of change.
#[derive(Clone, Copy, Debug)]
pub struct Operator {
    /// Its name in the tables and in the survivors' file.
    pub name: &'static str,
    /// What it does, for people.
    pub sentence: &'static str,
    /// How.
    pub change: Change,
}

type Headers = Vec<(String, String)>;
type Row = Map<String, Value>;
type Members = Map<String, Value>;

/// How an operator changes what was seen. A function that gives nothing finds nothing to change there.
#[derive(Clone, Copy, Debug)]
pub enum Change {
    /// What a step showed, at the path.
    Seen(&'static str, fn(&mut Seen) -> Option<()>),
    /// The headers of an answer, at each of them.
    Header(fn(&mut Headers, usize) -> Option<()>),
    /// A value, header or text: each one.
    Value(fn(&Known, &Site) -> Option<Value>),
    /// An object, at each of its members.
    Member(fn(&Members, &str) -> Option<Members>),
    /// A list, at each of its elements.
    Element(fn(&[Value], usize) -> Option<Vec<Value>>),
    /// Rows, at each of them.
    Row(fn(&mut Vec<Row>, usize) -> Option<()>),
    /// An event: which connection, and which of its events.
    Event(fn(&mut Vec<Heard>, usize, usize) -> Option<()>),
    /// A connection.
    Connection(fn(&mut Vec<Heard>, usize) -> Option<()>),
    /// What the server asked of GitHub, at each request.
    Asked(fn(&mut Vec<Asked>, usize) -> Option<()>),
    /// A file, by its path.
    File(fn(&mut BTreeMap<String, LeftFile>, &str) -> Option<()>),
    /// Two ids of a part become one, everywhere in it.
    Merge,
    /// The legacy's behaviour returns where the register expects another one: in a whole step, or at one place.
    Legacy {
        /// Whether it is the whole step.
        whole: bool,
    },
}

/// All operators.
pub const ALL: &[&[Operator]] = &[
    answers::ALL,
    headers::ALL,
    json::ALL,
    time::ALL,
    identity::ALL,
    tokens::ALL,
    rows::ALL,
    events::ALL,
    files::ALL,
    LEGACY,
];

const LEGACY: &[Operator] = &[
    Operator {
        name: "legacy-step-back",
        sentence: "a step shows again what the legacy showed, though the register expects a difference",
        change: Change::Legacy { whole: true },
    },
    Operator {
        name: "legacy-value-back",
        sentence: "one place shows again what the legacy showed, though the register expects a difference",
        change: Change::Legacy { whole: false },
    },
];

/// Where an operator can change something.
#[derive(Clone, Debug)]
pub struct Place {
    /// For people and for the survivors' file.
    pub path: String,
    edit: Edit,
}

#[derive(Clone, Debug)]
enum Edit {
    /// Another value at a site.
    Set(usize, Value),
    /// The member of the object at a site.
    Member(usize, String),
    /// The element of the list at a site.
    Element(usize, usize),
    /// Whatever stands at an index; 0 where there is only one.
    At(usize),
    /// The first text becomes the second everywhere in the part.
    Merge(String, String),
}

impl Change {
    /// The places of a part at which it may apply.
    pub fn places(
        &self,
        known: &Known,
        transcript: &mut Transcript,
        subject: &Subject,
        sites: &[Site],
    ) -> Vec<Place> {
        let indices = |count: usize, path: &dyn Fn(usize) -> String| -> Vec<Place> {
            (0..count)
                .map(|at| Place {
                    path: path(at),
                    edit: Edit::At(at),
                })
                .collect()
        };
        match self {
            Self::Seen(path, _) => match subject {
                Subject::Step(_) => indices(1, &|_| (*path).to_owned()),
                _ => Vec::new(),
            },
            Self::Header(_) => match subject.seen(transcript) {
                Some(Seen::Answer { headers, .. }) => indices(headers.len(), &|at| {
                    let name = headers.get(at).map(|(name, _)| name.to_lowercase());
                    join("/headers", &name.unwrap_or_default())
                }),
                _ => Vec::new(),
            },
            Self::Value(change) => {
                let found = sites.iter().enumerate().filter_map(|(at, site)| {
                    let value = change(known, site).filter(|value| *value != site.value)?;
                    Some(Place {
                        path: site.path.clone(),
                        edit: Edit::Set(at, value),
                    })
                });
                found.collect()
            }
            Self::Member(_) => {
                let members = sites.iter().enumerate().flat_map(|(at, site)| {
                    let members = site.value.as_object().into_iter().flat_map(Map::keys);
                    members.map(move |name| Place {
                        path: join(&site.path, name),
                        edit: Edit::Member(at, name.clone()),
                    })
                });
                members.collect()
            }
            Self::Element(_) => {
                let elements = sites.iter().enumerate().flat_map(|(at, site)| {
                    let count = site.value.as_array().map_or(0, Vec::len);
                    (0..count).map(move |element| Place {
                        path: join(&site.path, &element.to_string()),
                        edit: Edit::Element(at, element),
                    })
                });
                elements.collect()
            }
            Self::Row(_) => {
                let count = subject.rows(transcript).map_or(0, |rows| rows.len());
                indices(count, &|at| format!("/{at}"))
            }
            Self::Event(_) => match subject {
                Subject::Connection(at) => {
                    let events = transcript.heard.get(*at).map_or(0, |one| one.events.len());
                    indices(events, &|at| format!("/events/{at}"))
                }
                _ => Vec::new(),
            },
            Self::Connection(_) => match subject {
                Subject::Connection(_) => indices(1, &|_| "/closed".to_owned()),
                _ => Vec::new(),
            },
            Self::Asked(_) => match subject.seen(transcript) {
                Some(Seen::Asked { requests }) => indices(requests.len(), &|at| format!("/asked/{at}")),
                _ => Vec::new(),
            },
            Self::File(_) => match subject {
                Subject::File(_) => indices(1, &|_| String::new()),
                _ => Vec::new(),
            },
            Self::Merge => identity::pairs(sites)
                .into_iter()
                .map(|(path, one, other)| Place {
                    path,
                    edit: Edit::Merge(one, other),
                })
                .collect(),
            Self::Legacy { .. } => Vec::new(),
        }
    }

    /// Makes the change at a place.
    pub fn apply(
        &self,
        transcript: &mut Transcript,
        subject: &Subject,
        sites: &[Site],
        place: &Place,
    ) -> Option<()> {
        let connection = match subject {
            Subject::Connection(at) => *at,
            _ => 0,
        };
        match (self, &place.edit) {
            (Self::Value(_), Edit::Set(at, value)) => sites.get(*at)?.set(transcript, subject, value.clone()),
            (Self::Member(change), Edit::Member(at, name)) => {
                let site = sites.get(*at)?;
                let members = change(site.value.as_object()?, name)?;
                site.set(transcript, subject, Value::Object(members))
            }
            (Self::Element(change), Edit::Element(at, element)) => {
                let site = sites.get(*at)?;
                let elements = change(site.value.as_array()?, *element)?;
                site.set(transcript, subject, Value::Array(elements))
            }
            (Self::Merge, Edit::Merge(one, other)) => {
                for site in sites {
                    if let Some(text) = site.value.as_str().filter(|text| text.contains(one.as_str())) {
                        let merged = text.replace(one.as_str(), other);
                        site.set(transcript, subject, Value::String(merged))?;
                    }
                }
                Some(())
            }
            (Self::Seen(_, change), _) => change(subject.seen(transcript)?),
            (Self::Header(change), Edit::At(at)) => match subject.seen(transcript)? {
                Seen::Answer { headers, .. } => change(headers, *at),
                _ => None,
            },
            (Self::Row(change), Edit::At(at)) => change(subject.rows(transcript)?, *at),
            (Self::Event(change), Edit::At(at)) => change(&mut transcript.heard, connection, *at),
            (Self::Connection(change), _) => change(&mut transcript.heard, connection),
            (Self::Asked(change), Edit::At(at)) => match subject.seen(transcript)? {
                Seen::Asked { requests } => change(requests, *at),
                _ => None,
            },
            (Self::File(change), _) => {
                let Subject::File(name) = subject else { return None };
                change(&mut transcript.left.as_mut()?.files, name)
            }
            _ => None,
        }
    }
}

/// The text with another first letter, of the same case, at `from` or after it.
fn other_letter(text: &str, from: usize) -> Option<String> {
    let at = text
        .char_indices()
        .find(|(at, letter)| *at >= from && letter.is_ascii_alphabetic())
        .map(|(at, _)| at)?;
    let letter = *text.as_bytes().get(at)?;
    let other = match letter {
        b'z' | b'Z' => letter - 25,
        _ => letter + 1,
    };
    Some(format!(
        "{}{}{}",
        text.get(..at)?,
        char::from(other),
        text.get(at + 1..)?
    ))
}
