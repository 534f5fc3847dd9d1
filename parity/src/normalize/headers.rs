//! Headers, and how an answer is written beside what it says.

use super::{Normalizer, Place, join};
use crate::mask::Mask;
use crate::transcript::StatusLine;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

impl Normalizer<'_> {
    pub(super) fn headers(&mut self, step: u32, headers: &[(String, String)], length: usize) -> Value {
        let mut named: Vec<(String, &str)> = headers
            .iter()
            .map(|(name, text)| (name.to_lowercase(), text.as_str()))
            .collect();
        // Their order is compared for itself and must not decide a name.
        named.sort_by(|(one, _), (other, _)| one.cmp(other));
        let mut out: Map<String, Value> = Map::new();
        for (name, text) in &named {
            let path = join("/headers", name);
            let place = Place { step, path: &path };
            let value = match name.as_str() {
                "set-cookie" => self.cookie(place, text),
                "allow" => {
                    self.masked.note(Mask::AllowOrder);
                    allow(text)
                }
                "etag" => self.etag(place, text),
                // How long a body is that holds something volatile is volatile too; that the header tells it is not.
                "content-length" if *text == length.to_string() => {
                    self.masked.note(Mask::BodyLength);
                    json!("<length of the body>")
                }
                "retry-after" | "content-length" => whole_number(text),
                _ => self.text(place, text),
            };
            match out.get_mut(name) {
                // Several headers of one name: their order is part of the answer.
                Some(Value::Array(values)) if name == "set-cookie" => values.push(value),
                Some(Value::Object(several)) if several.contains_key("<several>") => {
                    if let Some(Value::Array(values)) = several.get_mut("<several>") {
                        values.push(value);
                    }
                }
                Some(first) => *first = json!({ "<several>": [first.clone(), value] }),
                None if name == "set-cookie" => {
                    out.insert(name.clone(), Value::Array(vec![value]));
                }
                None => {
                    out.insert(name.clone(), value);
                }
            }
        }
        Value::Object(out)
    }

    /// A tag's text is the server's own business; that it is a quoted, non-empty text, and which answers have the same
    /// one, is not.
    fn etag(&mut self, place: Place<'_>, text: &str) -> Value {
        let (weak, tag) = text.strip_prefix("W/").map_or(("", text), |tag| ("W/", tag));
        let inner = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
        match inner {
            Some(inner) if !inner.is_empty() && !inner.contains('"') => {
                json!(format!(
                    "{weak}\"{}\"",
                    self.name(Mask::EntityTag, inner, "etag", place)
                ))
            }
            _ => json!(text),
        }
    }

    fn cookie(&mut self, place: Place<'_>, text: &str) -> Value {
        let mut parts = text.split(';').map(str::trim);
        let (name, value) = parts
            .next()
            .unwrap_or_default()
            .split_once('=')
            .unwrap_or((text, ""));
        let attributes: Vec<&str> = parts.collect();
        let mut as_usual = format!("{name}={value}");
        for attribute in &attributes {
            as_usual.push_str("; ");
            as_usual.push_str(attribute);
        }
        if as_usual != text {
            return json!(text);
        }
        let path = join(place.path, name);
        let value = self.text(Place { path: &path, ..place }, value);
        json!({ "name": name, "value": value, "attributes": attributes })
    }
}

/// A number that is written as numbers are, or the text.
fn whole_number(text: &str) -> Value {
    let number = text
        .parse::<u64>()
        .ok()
        .filter(|number| number.to_string() == text);
    number.map_or_else(|| json!(text), |number| json!(number))
}

/// The order of `Allow` is arbitrary; how it is written is not.
fn allow(text: &str) -> Value {
    let methods: BTreeSet<&str> = text.split(", ").collect();
    let is_method = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphabetic());
    let as_usual =
        methods.iter().all(|method| is_method(method)) && text.split(", ").count() == methods.len();
    if as_usual { json!(methods) } else { json!(text) }
}

/// Whether several lines have one name.
pub(super) fn has_repeated(headers: &[(String, String)]) -> bool {
    let mut names = BTreeSet::new();
    headers.iter().any(|(name, _)| !names.insert(name.to_lowercase()))
}

/// How an answer is written beside what it says: its first line, the names of its headers, and the form of its JSON.
/// A reason that is the usual one for the status says nothing beside it; how it is written does.
pub(super) fn wire(line: &StatusLine, headers: &[(String, String)], form: Option<&str>) -> Value {
    let StatusLine {
        version,
        status,
        reason,
    } = line;
    let usual = http::StatusCode::from_u16(*status)
        .ok()
        .and_then(|status| status.canonical_reason())
        .unwrap_or_default();
    let reason = if *reason == usual.to_uppercase() {
        "<as usual, in capitals>"
    } else if reason == usual {
        "<as usual>"
    } else {
        reason
    };
    // Lines of one name stand together (`Mask::RepeatedHeader`). Their order among each other is that of their values.
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in headers {
        let last = names.iter().rposition(|known| known.eq_ignore_ascii_case(name));
        names.insert(last.map_or(names.len(), |last| last + 1), name);
    }
    let mut out = json!({ "version": version, "reason": reason, "headers": names.join(", ") });
    if let (Some(form), Some(out)) = (form, out.as_object_mut()) {
        out.insert("json".to_owned(), json!(form));
    }
    out
}
