//! Finds the answer that gave a captured value.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL};
use serde_json::Value;

use crate::{
    scenario::{model::Capture, polling},
    transcript::Body,
};

/// The places in one answer where values stand.
#[derive(Debug)]
pub(crate) struct Answer {
    from_rows: bool,
    places: Vec<(Value, Capture)>,
}

impl Answer {
    pub(super) fn rows(rows: &Value) -> Self {
        let mut places = Vec::new();
        collect("", rows, &mut |pointer, value| {
            places.push((value.clone(), Capture::Pointer(pointer.to_owned())));
        });
        Self {
            from_rows: true,
            places,
        }
    }

    /// What came over a socket: an event's data, or an acknowledgement's.
    pub(crate) fn socket(data: &Value) -> Self {
        Self {
            from_rows: false,
            places: in_json(data),
        }
    }

    pub(crate) fn http(body: &Body, headers: &[(String, String)]) -> Self {
        let mut places = match body {
            Body::Json(json) => in_json(json),
            Body::Text(text) => in_payload(text),
            Body::Empty | Body::Base64(_) => Vec::new(),
        };
        for (name, value) in headers {
            if name.eq_ignore_ascii_case("set-cookie")
                && let Some((cookie, value)) = value.split(';').next().and_then(|pair| pair.split_once('='))
            {
                places.push((Value::from(value), Capture::Cookie(cookie.to_owned())));
            }
            // A tag is sent back to ask whether the file has changed.
            if name.eq_ignore_ascii_case("etag") {
                places.push((Value::from(value.as_str()), Capture::Header("etag".to_owned())));
            }
        }
        Self {
            from_rows: false,
            places,
        }
    }

    /// Every value, and where it stands.
    pub(crate) fn places(&self) -> impl Iterator<Item = (&Value, &Capture)> {
        self.places.iter().map(|(value, place)| (value, place))
    }

    /// The place whose last part fits the name best; the first of several equally good ones.
    fn find(&self, name: &str, value: &Value) -> Option<&Capture> {
        let wanted = name.rsplit('.').next().unwrap_or(name);
        let fit = |place: &Capture| match place {
            Capture::Pointer(pointer) | Capture::Packet(pointer) | Capture::Claim { claim: pointer, .. } => {
                let last = pointer.rsplit('/').next().unwrap_or_default();
                if last == wanted {
                    0
                } else if !last.is_empty() && (wanted.ends_with(last) || last.ends_with(wanted)) {
                    1
                } else {
                    2
                }
            }
            Capture::Cookie(name) | Capture::Header(name) => u8::from(name != wanted) * 2,
        };
        self.places
            .iter()
            .filter(|(found, _)| found == value)
            .map(|(_, place)| place)
            .min_by_key(|place| fit(place))
    }
}

/// All answers so far, in order.
#[derive(Debug, Default)]
pub(super) struct Answers(Vec<(u32, Answer)>);

impl Answers {
    pub(super) fn push(&mut self, step: u32, answer: Answer) {
        self.0.push((step, answer));
    }

    /// The nearest earlier answer that holds the value: requests first, rows only where no answer shows it.
    pub(super) fn find(&self, name: &str, value: &Value) -> Option<(u32, Capture)> {
        if value.is_null() || value.is_boolean() || value.as_str() == Some("") {
            return None;
        }
        [false, true].into_iter().find_map(|from_rows| {
            let answers = self
                .0
                .iter()
                .rev()
                .filter(|(_, answer)| answer.from_rows == from_rows);
            answers
                .filter_map(|(step, answer)| answer.find(name, value).map(|place| (*step, place.clone())))
                .next()
        })
    }
}

/// Everything that a JSON body shows, tokens' claims last.
fn in_json(body: &Value) -> Vec<(Value, Capture)> {
    let mut places = Vec::new();
    let mut claims = Vec::new();
    collect("", body, &mut |pointer, value| {
        places.push((value.clone(), Capture::Pointer(pointer.to_owned())));
        if let Some(token) = value.as_str().and_then(token_claims) {
            collect("", &token, &mut |claim, value| {
                let (token, claim) = (pointer.to_owned(), claim.to_owned());
                claims.push((value.clone(), Capture::Claim { token, claim }));
            });
        }
    });
    places.extend(claims);
    places
}

/// Everything that the packets of a polling answer show; only the first of several that have something at a place.
fn in_payload(text: &str) -> Vec<(Value, Capture)> {
    let mut places = Vec::new();
    for data in polling::parts(text).iter().filter_map(|part| part.data.as_ref()) {
        collect("", data, &mut |pointer, value| {
            if polling::find(text, pointer).as_ref() == Some(value) {
                places.push((value.clone(), Capture::Packet(pointer.to_owned())));
            }
        });
    }
    places
}

/// The claims of a signed token.
pub(crate) fn token_claims(token: &str) -> Option<Value> {
    let mut parts = token.split('.');
    let (_, claims, _, None) = (parts.next()?, parts.next()?, parts.next()?, parts.next()) else {
        return None;
    };
    serde_json::from_slice(&BASE64URL.decode(claims).ok()?).ok()
}

fn collect(pointer: &str, value: &Value, found: &mut dyn FnMut(&str, &Value)) {
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                collect(&format!("{pointer}/{index}"), item, found);
            }
        }
        Value::Object(fields) => {
            for (key, item) in fields {
                let key = key.replace('~', "~0").replace('/', "~1");
                collect(&format!("{pointer}/{key}"), item, found);
            }
        }
        leaf => found(pointer, leaf),
    }
}
