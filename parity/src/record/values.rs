//! Values that the server made up and that a client uses later get names: the replay takes them from its own answers.
//!
//! A value counts only if it has a form that chance gives, and if no client has said it before; small numbers only where
//! both what it stands in and what it is used as say that they are the number of one thing.
//!
//! Long because values are found, named and used in one go from the first step to the last.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde_json::Value;

use super::{
    clients::texts,
    draft::{Body, Draft, Drafts, Sent, Shown},
    made,
    plan::Plan,
    summary::Summary,
};
use crate::{
    import::locate::Answer,
    normalize::{is_random, is_signed, jwt_parts},
    scenario::{model::Capture, socket},
    transcript,
};

/// A shorter text is no value of a server.
const SHORTEST: usize = 8;
/// The length of a GUID.
const GUID: usize = 36;
/// What stands between values in paths, headers and texts.
const SEPARATORS: [char; 11] = ['/', '?', '&', '=', ' ', ';', ',', '"', '\'', '\n', '\\'];
/// As these, but for what stands in base64.
const COARSE: [char; 7] = ['?', '&', ' ', ';', ',', '"', '\n'];

/// A value that an answer holds.
#[derive(Clone, Debug)]
struct Offer {
    step: usize,
    name: String,
}

/// A number of one thing: `3`, in the answer of `POST /api/sites`.
#[derive(Clone, Debug)]
struct Numbered {
    step: usize,
    /// The member that it stands in: `id`, `job_id`.
    key: String,
    /// What it is the number of: `site`.
    thing: String,
    /// Whether that answer was the one to a change.
    made_here: bool,
}

/// What is known so far.
#[derive(Debug)]
pub(super) struct Namer<'p> {
    pub(super) plan: &'p Plan,
    offers: HashMap<String, Offer>,
    numbers: HashMap<String, Vec<Numbered>>,
    /// Values that have a name: value to name.
    known: BTreeMap<String, String>,
    names: BTreeSet<String>,
    /// What clients have said.
    said: HashSet<String>,
    /// Names to be captured: step, name, value.
    captures: Vec<(usize, String, Value)>,
    pub(super) tickets: Vec<made::Ticket>,
    /// Secrets of one-time codes.
    pub(super) secrets: Vec<String>,
    /// What clients computed, by the name that it has now.
    pub(super) computed: BTreeMap<String, String>,
}

/// Gives names to everything that needs one.
pub(super) fn name(drafts: &mut Drafts, plan: &Plan, summary: &mut Summary) {
    let mut namer = Namer::new(plan);
    for at in 0..drafts.steps.len() {
        let Some(step) = drafts.steps.get(at) else { break };
        let mut step = step.clone();
        let said = all_texts(&step.sent);
        made::compute(&mut step, &mut namer);
        namer.replace(&mut step.sent);
        if let Some(what) = made::foreign_signature(&step.sent) {
            summary.note(what);
        }
        if !plan.keep_secrets {
            redact(&mut step.sent, summary);
        }
        namer.said.extend(said);
        namer.offer(at, &step);
        made::learn(&step, &mut namer);
        if let Some(slot) = drafts.steps.get_mut(at) {
            *slot = step;
        }
        for (origin, name, value) in namer.captures.drain(..) {
            Summary::once(&mut summary.variables, name.clone());
            if let Some(origin) = drafts.steps.get_mut(origin) {
                origin.captures.push((name, value));
            }
        }
    }
    for (name, ..) in drafts.steps.iter().flat_map(|step| &step.made) {
        Summary::once(&mut summary.variables, name.clone());
    }
}

/// Every text that a client sends, and its parts.
pub(super) fn all_texts(sent: &Sent) -> Vec<String> {
    let mut all = Vec::new();
    let mut copy = sent.clone();
    copy.each_text(&mut |text| {
        all.extend(parts(text).into_iter().map(str::to_owned));
        all.push(text.clone());
        if let Ok(value) = serde_json::from_str::<Value>(text) {
            texts("", &value, &mut |_, text| all.push(text.to_owned()));
        }
    });
    all
}

/// Whatever in a text could be a value.
fn parts(text: &str) -> Vec<&str> {
    let fine = text.split(SEPARATORS);
    let coarse = text.split(COARSE);
    let cookie = text
        .split([';', ' '])
        .filter_map(|pair| Some(pair.split_once('=')?.1));
    // `WIN-ONE_<GUID>_SYSTEM`
    let joined = text.split('_').filter(|part| part.len() == GUID);
    let mut all: Vec<&str> = fine
        .chain(coarse)
        .chain(cookie)
        .chain(joined)
        .chain([text])
        .filter(|part| part.len() >= SHORTEST)
        .collect();
    all.extend(
        crate::normalize::EMBEDDED
            .find_iter(text)
            .map(|found| found.as_str()),
    );
    all.sort_unstable_by_key(|part| std::cmp::Reverse(part.len()));
    all.dedup();
    all
}

/// `sites` to `site`, `policies` to `policy`.
fn singular(word: &str) -> String {
    match word.strip_suffix("ies") {
        Some(stem) => format!("{stem}y"),
        None => word.strip_suffix('s').unwrap_or(word).to_owned(),
    }
}

fn is_id(key: &str) -> bool {
    key == "id" || key == "ids" || key.ends_with("_id") || key.ends_with("_ids")
}

impl<'p> Namer<'p> {
    fn new(plan: &'p Plan) -> Self {
        let mut known = BTreeMap::new();
        let mut names = BTreeSet::new();
        for agent in &plan.agents {
            for (name, value) in agent.values() {
                let is_chance = !name.ends_with(".hostname") && !name.ends_with(".seed");
                if is_chance {
                    known.insert(value, name.clone());
                }
                names.insert(name);
            }
        }
        Self {
            plan,
            offers: HashMap::new(),
            numbers: HashMap::new(),
            known,
            names,
            said: HashSet::new(),
            captures: Vec::new(),
            tickets: Vec::new(),
            secrets: Vec::new(),
            computed: BTreeMap::new(),
        }
    }

    /// A text with names in place of the values in it.
    pub(super) fn template(&mut self, text: &str) -> String {
        let mut out = text.to_owned();
        for part in parts(text) {
            if let Some(name) = self.name_of(part) {
                out = out.replace(part, &format!("${{{name}}}"));
            }
        }
        out
    }

    /// The name of a value, if it has or deserves one.
    pub(super) fn name_of(&mut self, value: &str) -> Option<String> {
        if let Some((name, _)) = self.computed.iter().find(|(_, known)| *known == value) {
            return Some(name.clone());
        }
        if let Some(name) = self.known.get(value) {
            return Some(name.clone());
        }
        let offer = self.offers.get(value)?.clone();
        let name = self.free(&offer.name);
        self.known.insert(value.to_owned(), name.clone());
        self.captures
            .push((offer.step, name.clone(), Value::String(value.to_owned())));
        Some(name)
    }

    fn free(&mut self, wanted: &str) -> String {
        let name = (1..)
            .map(|number| {
                if number == 1 {
                    wanted.to_owned()
                } else {
                    format!("{wanted}{number}")
                }
            })
            .find(|name| !self.names.contains(name))
            .unwrap_or_else(|| wanted.to_owned());
        self.names.insert(name.clone());
        name
    }

    /// All values that the server has given so far and that a token's digest could be one of.
    pub(super) fn given(&self) -> impl Iterator<Item = &String> {
        self.offers.keys()
    }

    fn replace(&mut self, sent: &mut Sent) {
        if let Sent::Http { path, .. } = sent {
            *path = self.numbers_in_path(path);
        }
        match sent {
            Sent::Http {
                path,
                body: Body::Json(body),
                ..
            } => {
                // `POST /api/sites/rename` says of which thing its `id` is the number.
                let plain = path.split('?').next().unwrap_or_default();
                let things: Vec<String> = plain.split('/').map(singular).collect();
                self.numbers_in_json("", &things, body);
            }
            Sent::Emit { arguments, .. } => {
                for argument in arguments {
                    self.numbers_in_json("", &[], argument);
                }
            }
            _ => {}
        }
        sent.each_text(&mut |text| *text = self.template(text));
    }

    fn numbers_in_path(&mut self, path: &str) -> String {
        let (plain, query) = match path.split_once('?') {
            Some((plain, query)) => (plain, Some(query)),
            None => (path, None),
        };
        let mut before = "";
        let mut out = Vec::new();
        for segment in plain.split('/') {
            let named = self.number(segment, &singular(before), "");
            out.push(named.map_or_else(|| segment.to_owned(), |name| format!("${{{name}}}")));
            before = segment;
        }
        let plain = out.join("/");
        query.map_or_else(|| plain.clone(), |query| format!("{plain}?{query}"))
    }

    /// `things` are what a member that is only called `id` could be the number of.
    fn numbers_in_json(&mut self, key: &str, things: &[String], value: &mut Value) {
        match value {
            Value::Number(number) if is_id(key) => {
                let text = number.to_string();
                let name = match key.strip_suffix("_ids").or_else(|| key.strip_suffix("_id")) {
                    Some(thing) => self.number(&text, thing, key),
                    None => things.iter().find_map(|thing| self.number(&text, thing, "")),
                };
                if let Some(name) = name {
                    *value = Value::String(format!("${{{name}}}"));
                }
            }
            Value::Array(items) => items
                .iter_mut()
                .for_each(|item| self.numbers_in_json(key, things, item)),
            Value::Object(fields) => fields
                .iter_mut()
                .for_each(|(key, item)| self.numbers_in_json(key, things, item)),
            _ => {}
        }
    }

    /// The name of a number that is that of `thing`, or that stood in the member `key`.
    fn number(&mut self, text: &str, thing: &str, key: &str) -> Option<String> {
        let is_number =
            !text.is_empty() && text.len() < 18 && text.bytes().all(|digit| digit.is_ascii_digit());
        let all = self.numbers.get(text).filter(|_| is_number)?;
        let fits = |one: &&Numbered| {
            (!thing.is_empty() && one.thing == thing) || (!key.is_empty() && key != "id" && one.key == key)
        };
        let origin = all.iter().rev().find(|one| fits(one) && one.made_here);
        let origin = origin.or_else(|| all.iter().find(fits))?.clone();
        let place = format!("{text} of {}", origin.thing);
        if let Some(name) = self.known.get(&place) {
            return Some(name.clone());
        }
        let name = self.free(&format!("{}.id", origin.thing));
        self.known.insert(place, name.clone());
        let value = serde_json::from_str(text).ok()?;
        self.captures.push((origin.step, name.clone(), value));
        Some(name)
    }

    /// Takes note of everything that an answer holds.
    fn offer(&mut self, at: usize, step: &Draft) {
        let answer = match &step.shown {
            Shown::Answer { headers, body, .. } => Answer::http(&as_body(body), headers),
            Shown::Acknowledged(Some(arguments)) | Shown::Received(arguments) => {
                Answer::socket(&socket::data(arguments))
            }
            _ => return,
        };
        let (collection, changes) = match &step.sent {
            Sent::Http { path, method, .. } => (collection(path), method != "GET" && method != "HEAD"),
            _ => (String::new(), true),
        };
        let owner = step.who.clone().or_else(|| match &step.sent {
            Sent::Emit { client, .. } | Sent::Receive { client, .. } => Some(client.clone()),
            _ => None,
        });
        for (value, place) in answer.places() {
            let (last, before) = last_of(place);
            match value {
                Value::Number(number) if is_id(last) => {
                    let thing = match last.strip_suffix("_id") {
                        Some(thing) => thing.to_owned(),
                        None if before.is_empty() => collection.clone(),
                        None => singular(before),
                    };
                    self.numbers
                        .entry(number.to_string())
                        .or_default()
                        .push(Numbered {
                            step: at,
                            key: last.to_owned(),
                            thing,
                            made_here: changes,
                        });
                }
                Value::String(text) => {
                    let certain = matches!(place, Capture::Header(_) | Capture::Cookie(_)) || last == "sid";
                    if text.len() < SHORTEST
                        || !(certain || is_random(text))
                        || self.said.contains(text)
                        || self.known.contains_key(text)
                    {
                        continue;
                    }
                    let generic = matches!(last, "id" | "guid" | "");
                    let last = match (generic && !before.is_empty(), last) {
                        (true, last) => format!("{}_{last}", singular(before)),
                        (false, "") => "value".to_owned(),
                        (false, last) => last.replace('-', "_"),
                    };
                    let name = owner
                        .as_ref()
                        .map_or_else(|| last.clone(), |owner| format!("{owner}.{last}"));
                    self.offers
                        .entry(text.clone())
                        .or_insert(Offer { step: at, name });
                }
                _ => {}
            }
        }
    }
}

/// What a request is about: the last segment of its path that is no number or template.
fn collection(path: &str) -> String {
    let plain = path.split('?').next().unwrap_or_default();
    let word = plain.split('/').rfind(|segment| {
        !segment.is_empty() && !segment.contains('$') && !segment.bytes().all(|c| c.is_ascii_digit())
    });
    singular(word.unwrap_or_default())
}

/// The last segment of a place, and the one before it that is no position.
fn last_of(place: &Capture) -> (&str, &str) {
    match place {
        Capture::Cookie(name) | Capture::Header(name) => (name, ""),
        Capture::Pointer(pointer) | Capture::Packet(pointer) | Capture::Claim { claim: pointer, .. } => {
            let mut words = pointer
                .rsplit('/')
                .filter(|word| !word.is_empty() && !word.bytes().all(|c| c.is_ascii_digit()));
            (words.next().unwrap_or_default(), words.next().unwrap_or_default())
        }
    }
}

fn as_body(bytes: &[u8]) -> transcript::Body {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return transcript::Body::Empty;
    };
    match serde_json::from_str(text) {
        Ok(json) => transcript::Body::Json(json),
        Err(_) => transcript::Body::Text(text.to_owned()),
    }
}

/// Members and headers that hold what lets somebody in.
const TOKENS: [&str; 6] = [
    "authorization",
    "cookie",
    "refresh_token",
    "access_token",
    "pending_token",
    "enrollment_code",
];

/// Hides what was given before the recording began and lets somebody in: no replay has it. Of signed tokens the signature
/// goes, and what they say stays.
fn redact(sent: &mut Sent, summary: &mut Summary) {
    let mut hide = |key: &str, text: &mut String| {
        for part in parts(&text.clone()) {
            let is_signed = jwt_parts(part).is_some() || is_signed(part);
            let begin = match part.rfind('.') {
                Some(point) if is_signed => point,
                _ if is_random(part) && TOKENS.contains(&key.to_ascii_lowercase().as_str()) => 0,
                _ => continue,
            };
            let (says, secret) = part.split_at_checked(begin).unwrap_or((part, ""));
            let hidden: String = secret
                .chars()
                .map(|c| if c.is_ascii_alphanumeric() { 'A' } else { c })
                .collect();
            if hidden != secret {
                *text = text.replace(part, &format!("{says}{hidden}"));
                let what = format!("{key}: given before the recording began, so no replay has it");
                Summary::once(&mut summary.redacted, what);
            }
        }
    };
    match sent {
        Sent::Http {
            path, headers, body, ..
        } => {
            hide("path", path);
            headers.iter_mut().for_each(|(name, value)| hide(name, value));
            match body {
                Body::Json(value) => within("body", value, &mut hide),
                Body::Text(text) => hide("body", text),
                Body::Empty | Body::Bytes(_) => {}
            }
        }
        Sent::Connect { headers, query, .. } => {
            headers.iter_mut().for_each(|(name, value)| hide(name, value));
            hide("query", query);
        }
        Sent::Emit { event, arguments, .. } => arguments
            .iter_mut()
            .for_each(|value| within(event, value, &mut hide)),
        Sent::Receive { .. } | Sent::Disconnect { .. } => {}
    }
}

/// Every text of a value, with the member that it stands in.
fn within(key: &str, value: &mut Value, change: &mut dyn FnMut(&str, &mut String)) {
    match value {
        Value::String(text) => change(key, text),
        Value::Array(items) => items.iter_mut().for_each(|item| within(key, item, change)),
        Value::Object(fields) => fields
            .iter_mut()
            .for_each(|(key, item)| within(key, item, change)),
        _ => {}
    }
}
