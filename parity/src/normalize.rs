//! Volatile values become stable names, so that two runs of one scenario can be compared.
//!
//! A value is volatile only if it has a volatile form and no client made it. Identity is kept: a value has the same
//! name everywhere, and two values never share one. Values that carry readable parts (tokens, cookies, certificates,
//! stamps) become an object with one key in angle brackets, such as `{"<jwt>": ...}`.
//!
//! Long because the walk and what it takes apart call each other.

mod certificate;
mod forms;
mod headers;
mod left;
mod names;
mod packets;
mod shapes;
mod signatures;
mod time;
mod tokens;

pub(crate) use forms::{EMBEDDED, pattern};
pub(crate) use left::{Item, OPENED, left_of};
pub(crate) use names::sha256_hex;
pub(crate) use shapes::is_display;
pub(crate) use time::{is_shortest, plausible};

use crate::mask::{Mask, Masked};
use crate::transcript::{Body, Keys, LEFT_AFTER, Left, Observation, Seen, Transcript};
pub(crate) use names::Names;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use signatures::Sealed;
use std::collections::{BTreeMap, BTreeSet};

/// Texts longer than this are compared by size and digest.
const LONG: usize = 4096;
/// The words that every name holds; a raw text that holds them is marked, so that it cannot pass for a name.
const NAME_MARK: &str = " first seen in step ";

/// A transcript in which nothing depends on chance any more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Normalized {
    /// `<area>/<name>`.
    pub scenario: String,
    /// Unix time, in microseconds, at which step times begin.
    pub started_at_us: i64,
    /// The number of the scenario's last step.
    pub last_step: u32,
    /// What was seen, in the order of the steps; after them what was seen once they were over.
    pub steps: Vec<NormalStep>,
}

impl Normalized {
    /// Whether this is the step of what the server left and nobody looked at that: who records over the network cannot.
    pub(crate) fn did_not_look_at(&self, step: u32) -> bool {
        step == self.last_step.saturating_add(LEFT_AFTER) && !self.steps.iter().any(|one| one.step == step)
    }
}

/// What one step showed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NormalStep {
    /// The step's number.
    pub step: u32,
    /// Microseconds since the start at which the step was over.
    pub at_us: i64,
    /// The step in one line.
    pub label: String,
    /// `{status, headers, body}`, `{rows}` or `{failed}`; of a socket `{connected}`, with the reason where it was `refused`, or the arguments, or null where
    /// nothing came, as `{acknowledged}`, `{received}` or (where silence was due) `{heard}`.
    pub seen: Value,
}

/// Names and expands everything volatile in a transcript.
#[must_use]
pub fn normalize(transcript: &Transcript) -> Normalized {
    normalize_and_count(transcript).0
}

/// As [`normalize`]; says also how often each mask was used.
#[must_use]
pub fn normalize_and_count(transcript: &Transcript) -> (Normalized, Masked) {
    let mut normalizer = Normalizer::new(transcript);
    let parts = 0..normalizer.parts(transcript);
    let steps = parts
        .filter_map(|part| normalizer.part(transcript, part))
        .collect();
    let normalized = Normalized {
        scenario: transcript.scenario.clone(),
        started_at_us: transcript.started_at_us,
        last_step: transcript.last_step,
        steps,
    };
    (normalized, normalizer.masked)
}

pub(crate) struct Normalizer<'a> {
    started_at_us: i64,
    base: &'a str,
    host: &'a str,
    client_values: BTreeSet<&'a str>,
    /// UUIDs and codes within longer values that a client made.
    client_parts: BTreeSet<&'a str>,
    keys: &'a Keys,
    left: Option<&'a Left>,
    /// How often each mask was used.
    masked: Masked,
    /// All that one part of a transcript leaves to the next.
    pub(crate) names: Names,
}

/// Where a value stands.
#[derive(Clone, Copy)]
struct Place<'a> {
    step: u32,
    path: &'a str,
}

impl Place<'_> {
    fn text(self) -> String {
        format!("step {} {}", self.step, self.path)
    }
}

/// One more segment of a path, escaped as in a JSON pointer.
pub(crate) fn join(path: &str, key: &str) -> String {
    format!("{path}/{}", key.replace('~', "~0").replace('/', "~1"))
}

impl<'a> Normalizer<'a> {
    /// How many parts a transcript has: its observations, what the sockets received, what the server left.
    pub(crate) fn parts(&self, transcript: &Transcript) -> usize {
        transcript.observations.len() + 2
    }

    /// One part; nothing where the transcript has none.
    pub(crate) fn part(&mut self, transcript: &Transcript, part: usize) -> Option<NormalStep> {
        match part.checked_sub(transcript.observations.len()) {
            None => Some(self.step(transcript.observations.get(part)?)),
            Some(0) => self.heard(transcript),
            Some(_) => self.left(transcript),
        }
    }

    pub(crate) fn new(transcript: &'a Transcript) -> Self {
        let client_values: BTreeSet<&str> = transcript.client_values.iter().map(String::as_str).collect();
        let client_parts = client_values
            .iter()
            .flat_map(|value| EMBEDDED.find_iter(value).map(|found| found.as_str()))
            .collect();
        let base = transcript.base.trim_end_matches('/');
        let host = base.split_once("://").map_or("", |(_, host)| host);
        Self {
            started_at_us: transcript.started_at_us,
            base,
            host,
            client_values,
            client_parts,
            keys: &transcript.keys,
            left: transcript.left.as_ref(),
            masked: Masked::default(),
            names: Names::default(),
        }
    }

    fn step(&mut self, observation: &Observation) -> NormalStep {
        let step = observation.step;
        let seen = match &observation.seen {
            Seen::Answer {
                line,
                headers,
                body,
                length,
                form,
            } => {
                let mut out = Map::new();
                out.insert("status".to_owned(), json!(line.status));
                out.insert("headers".to_owned(), self.headers(step, headers, *length));
                if matches!(body, Body::Json(_)) && form.is_none() {
                    self.masked.note(Mask::LongText);
                }
                let body = match body {
                    Body::Text(payload) if packets::is_endpoint(&observation.label) => {
                        Some(self.packets(step, payload))
                    }
                    other => self.body(step, other),
                };
                if let Some(body) = body {
                    out.insert("body".to_owned(), body);
                }
                self.masked.note(Mask::Delivery);
                if headers::has_repeated(headers) {
                    self.masked.note(Mask::RepeatedHeader);
                }
                out.insert("wire".to_owned(), headers::wire(line, headers, form.as_deref()));
                Value::Object(out)
            }
            Seen::Rows { rows } => {
                let rows = rows.iter().cloned().map(Value::Object).collect();
                json!({ "rows": self.value(Place { step, path: "/rows" }, "", &Value::Array(rows)) })
            }
            Seen::Connected { connected: true, .. } => json!({ "connected": true }),
            Seen::Connected {
                connected: false,
                error,
            } => {
                let reason = error.as_deref().map(|reason| {
                    self.text(
                        Place {
                            step,
                            path: "/refused",
                        },
                        reason,
                    )
                });
                json!({ "connected": false, "refused": reason })
            }
            Seen::Acknowledged { arguments } => self.arguments(step, "acknowledged", arguments.as_ref()),
            Seen::Received { arguments } => self.arguments(step, "received", arguments.as_ref()),
            Seen::Silence { arguments } => self.arguments(step, "heard", arguments.as_ref()),
            // How often each was asked: the order is an accident, because the legacy asks from several threads.
            Seen::Asked { requests } => {
                let mut counts: BTreeMap<String, u64> = BTreeMap::new();
                if requests.len() > 1 {
                    self.masked.note(Mask::UpstreamOrder);
                }
                for request in requests {
                    *counts.entry(request.line()).or_default() += 1;
                }
                json!({ "asked": counts })
            }
            Seen::Failed { reason } => {
                json!({ "failed": self.text(Place { step, path: "/failed" }, reason) })
            }
        };
        NormalStep {
            step,
            at_us: observation.at_us,
            label: self.label(&observation.label),
            seen,
        }
    }

    /// What came over a socket; null where nothing came.
    fn arguments(&mut self, step: u32, came: &str, arguments: Option<&Vec<Value>>) -> Value {
        let Some(arguments) = arguments else {
            return json!({ came: null });
        };
        let path = join("", came);
        json!({ came: self.value(Place { step, path: &path }, "", &json!(arguments)) })
    }

    /// Labels are for people and never compared; only the address is taken out of them.
    fn label(&self, label: &str) -> String {
        if self.base.is_empty() {
            label.to_owned()
        } else {
            label.replace(self.base, "${base}")
        }
    }

    fn body(&mut self, step: u32, body: &Body) -> Option<Value> {
        let place = Place { step, path: "/body" };
        match body {
            Body::Empty => None,
            Body::Json(value) => Some(self.value(place, "", value)),
            Body::Text(text) => Some(json!({ "<text>": self.text(place, text) })),
            Body::Base64(text) if text.len() > LONG => Some(json!({ "<base64>": long(text) })),
            Body::Base64(text) => Some(json!({ "<base64>": text })),
        }
    }

    /// Keys are walked in sorted order, because the order in which a server writes them must not decide a name.
    fn value(&mut self, place: Place<'_>, field: &str, value: &Value) -> Value {
        match value {
            Value::String(text) => self.text(place, text),
            Value::Number(number) => {
                if self.client_values.contains(number.to_string().as_str()) {
                    return value.clone();
                }
                time::number(field, number, self.started_at_us).unwrap_or_else(|| value.clone())
            }
            Value::Array(values) => Value::Array(
                values
                    .iter()
                    .enumerate()
                    .map(|(at, value)| {
                        let path = join(place.path, &at.to_string());
                        self.value(Place { path: &path, ..place }, field, value)
                    })
                    .collect(),
            ),
            Value::Object(map) if left::is_long(map) => left::long(map),
            Value::Object(map) => {
                let mut keys: Vec<&String> = map.keys().collect();
                keys.sort();
                let mut members: BTreeMap<&str, (String, Value)> = BTreeMap::new();
                for key in keys {
                    let path = join(place.path, key);
                    let place = Place { path: &path, ..place };
                    let inner = match map.get(key) {
                        Some(Value::String(text))
                            if key == "signature" && map.contains_key("signing_key") =>
                        {
                            self.signature(place, map, text)
                        }
                        Some(Value::String(text)) if shapes::says_another_time(text, map) => json!(text),
                        Some(inner) => self.value(place, key, inner),
                        None => Value::Null,
                    };
                    let named = self.names.inside(
                        key,
                        |part| is_client(&self.client_values, &self.client_parts, part),
                        &place.text(),
                    );
                    if named != *key {
                        self.masked.note(Mask::RandomValue);
                    }
                    members.insert(key, (named, inner));
                }
                // The order in which they stand is part of what is compared.
                let out: Map<String, Value> = map
                    .keys()
                    .filter_map(|key| members.remove(key.as_str()))
                    .collect();
                if out.len() == 1 && out.keys().all(|key| key.starts_with('<')) {
                    return json!({ "<object>": out });
                }
                Value::Object(out)
            }
            Value::Null | Value::Bool(_) => value.clone(),
        }
    }

    fn text(&mut self, place: Place<'_>, text: &str) -> Value {
        if text.contains(NAME_MARK) {
            return json!({ "<literal>": text });
        }
        if self.client_values.contains(text) {
            return if text.len() > LONG {
                long(text)
            } else {
                json!(text)
            };
        }
        if let Some(text) = text.strip_prefix("base64:").and_then(tokens::sealed_blob) {
            return self.text(place, &text);
        }
        if let Some(blob) = text.strip_prefix("base64:") {
            return match self.opaque(place, blob) {
                Some(name) => json!(format!("base64:{name}")),
                None if text.len() > LONG => long(text),
                None => json!(text),
            };
        }
        if let Some(expanded) = self.expanded(place, text) {
            return expanded;
        }
        if let Some(form) = shapes::recognise(text) {
            self.masked.note(Mask::DisplayTime);
            return form;
        }
        if let Some(picture) = shapes::picture(text) {
            self.masked.note(Mask::Picture);
            let says = picture.says.map(|says| self.text(place, &says));
            let (width, height) = (picture.width, picture.height);
            return json!({ "<png>": { "width": width, "height": height, "qr_code": says } });
        }
        if let Some(stamp) = time::text(text, self.started_at_us) {
            return stamp;
        }
        if let Some(name) = self.opaque(place, text) {
            return json!(name);
        }
        let mut plain = text.to_owned();
        if !self.host.is_empty() && plain.contains(self.host) {
            self.masked.note(Mask::Address);
            plain = plain.replace(self.base, "${base}").replace(self.host, "${host}");
        }
        let (values, parts) = (&self.client_values, &self.client_parts);
        let out = self
            .names
            .inside(&plain, |part| is_client(values, parts, part), &place.text());
        if out != plain {
            self.masked.note(Mask::RandomValue);
        }
        if out.len() > LONG { long(&out) } else { json!(out) }
    }

    fn opaque(&mut self, place: Place<'_>, text: &str) -> Option<String> {
        if self.client_values.contains(text) {
            return None;
        }
        if let Some(name) = self.names.known(text) {
            self.masked.note(Mask::RandomValue);
            return Some(name.clone());
        }
        let is_password = || place.path.ends_with("/password") && forms::made_up_password(text);
        let form = forms::opaque(text).or_else(|| is_password().then(|| "made-up password".to_owned()))?;
        Some(self.name(Mask::RandomValue, text, &form, place))
    }

    /// The name of a value that a mask hides.
    fn name(&mut self, mask: Mask, value: &str, form: &str, place: Place<'_>) -> String {
        self.masked.note(mask);
        self.names.name(value, form, &place.text())
    }

    /// Tokens, cookies and certificates: readable parts beside the name that keeps the identity.
    fn expanded(&mut self, place: Place<'_>, text: &str) -> Option<Value> {
        if text.starts_with(certificate::BEGIN) && text.strip_suffix('\n').unwrap_or(text).ends_with("-----")
        {
            let mut parts = certificate::parts(text, self.started_at_us, &|| certificate::left(self.left))?;
            if let (false, Some(parts)) = (certificate::is_usual(text), parts.as_object_mut()) {
                parts.insert("written".to_owned(), json!("not as usual"));
            }
            let name = self.name(Mask::Certificate, text, "certificate", place);
            return Some(json!({ "<certificate>": { "name": name, "parts": parts } }));
        }
        if let Some(jwt) = tokens::jwt(text) {
            let mut header = jwt.header;
            if let Some(Value::String(kid)) = header.get_mut("kid")
                && !self.client_values.contains(kid.as_str())
            {
                *kid = self.name(Mask::RandomValue, kid, "kid", place);
            }
            let claims = self.value(place, "", &jwt.claims);
            let name = self.name(Mask::Signature, text, "jwt", place);
            let mut parts = json!({ "name": name, "header": header, "claims": claims });
            put_written(&mut parts, jwt.written);
            // Of a recorded server no key is known, so only a signature that is wrong can be told.
            if signatures::token(self.keys, text) == Some(false)
                && let Some(parts) = parts.as_object_mut()
            {
                parts.insert("signature".to_owned(), json!(signatures::BROKEN));
            }
            return Some(json!({ "<jwt>": parts }));
        }
        if let Some(sealed) = tokens::fernet(text) {
            let at = time::stamp("fernet", sealed.at_us.saturating_sub(self.started_at_us));
            let name = self.name(Mask::Signature, text, "sealed", place);
            let mut parts = json!({ "name": name, "at": at, "blocks": sealed.blocks });
            let more = match signatures::sealed(self.keys, text) {
                Sealed::Says(says) => Some(("says", self.text(place, &says))),
                Sealed::Broken => Some(("signature", json!(signatures::BROKEN))),
                Sealed::Opens | Sealed::Unknown => None,
            };
            if let (Some((name, value)), Some(parts)) = (more, parts.as_object_mut()) {
                parts.insert(name.to_owned(), value);
            }
            return Some(json!({ "<sealed>": parts }));
        }
        let signed = tokens::signed(text)?;
        let payload = self.value(place, "", &signed.payload);
        let signed_at = self.value(place, "ts", &json!(signed.signed_at));
        let name = self.name(Mask::Signature, text, "signed", place);
        let mut parts = json!({
            "name": name, "signed_as": signatures::cookie(self.keys, text), "payload": payload,
            "compressed": signed.compressed, "signed_at": signed_at,
        });
        put_written(&mut parts, signed.written);
        Some(json!({ "<signed>": parts }))
    }
}

/// Only what is unusual is shown, so that what the legacy's snapshots hold is as it was.
fn put_written(parts: &mut Value, written: Option<Value>) {
    if let (Some(written), Some(parts)) = (written, parts.as_object_mut()) {
        parts.insert("written".to_owned(), written);
    }
}

/// Whether a text has a form that chance gives: whatever else holds the same text means the same thing.
pub(crate) fn is_random(text: &str) -> bool {
    let embedded = EMBEDDED.find(text).is_some_and(|found| found.as_str() == text);
    embedded
        || forms::opaque(text).is_some()
        || forms::made_up_password(text)
        || tokens::jwt(text).is_some()
        || tokens::fernet(text).is_some()
        || is_signed(text)
}

/// Header and claims of a JWT.
pub(crate) fn jwt_parts(text: &str) -> Option<(Value, Value)> {
    tokens::jwt(text).map(|jwt| (jwt.header, jwt.claims))
}

/// Whether a text is a signed cookie or an operator's token.
pub(crate) fn is_signed(text: &str) -> bool {
    tokens::signed(text).is_some()
}

fn is_client(values: &BTreeSet<&str>, parts: &BTreeSet<&str>, value: &str) -> bool {
    values.contains(value) || parts.contains(value)
}

fn long(text: &str) -> Value {
    json!({ "<long>": { "size": text.len(), "sha256": sha256_hex(text.as_bytes()) } })
}

#[cfg(test)]
mod tests;
