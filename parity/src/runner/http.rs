//! Requests: how they are made from a step, and what of the answer is kept.

use std::{io::Read as _, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use flate2::read::GzDecoder;
use serde_json::Value;

use super::{Run, StepError, clock::sleep, in_data, unresolved};
use crate::{
    json_form,
    mask::{LONGEST_JSON_TEXT, Mask},
    scenario::{
        model::{Capture, Request, RequestBody, Step},
        polling,
        template::{self, TemplateError},
    },
    target::{
        cookies::Jar,
        http_client::{self, LARGEST_ANSWER, Outgoing, Received},
    },
    transcript::{Body, Seen},
};

/// So often a request that was put off is sent again.
const MOST_TRIES: u32 = 3;
/// No server puts off for longer: its limits are by the minute.
const LONGEST_PUT_OFF_S: u64 = 60;

/// After which time a request to enroll is to be sent again. Limits count everybody who asks from one address, so that they
/// say nothing about this run.
fn put_off(sent: &Outgoing, received: &Received) -> Option<Duration> {
    if received.line.status != 429 || sent.path != "/api/agent/enroll/request" {
        return None;
    }
    let mut headers = received.headers.iter();
    let (_, after) = headers.find(|(name, _)| name.eq_ignore_ascii_case("retry-after"))?;
    let seconds: u64 = after.trim().parse().ok()?;
    // Servers round down.
    (seconds <= LONGEST_PUT_OFF_S).then(|| Duration::from_secs(seconds + 1))
}

impl Run<'_> {
    pub(super) async fn http(&mut self, step: &Step, request: &Request) -> Result<Seen, StepError> {
        let outgoing = self
            .outgoing(step, request)
            .map_err(|error| unresolved(step, &error))?;
        let endpoint = self.endpoint.clone().ok_or("the server does not run")?;
        let mut tries = 0;
        let mut received = loop {
            let received = match http_client::send(&endpoint, &outgoing).await {
                Ok(received) => received,
                Err(error) => {
                    self.broke(step, &error, error.cure(), error.ends());
                    return Err(error.to_string());
                }
            };
            match put_off(&outgoing, &received).filter(|_| self.shared.is_some() && tries < MOST_TRIES) {
                Some(time) => {
                    tries += 1;
                    self.notes.masked.note(Mask::PutOff);
                    sleep(time).await;
                }
                None => break received,
            }
        };
        if let Some(packed) = packed_json(&received) {
            match packed {
                Ok(plain) => received.body = plain,
                Err(reason) => {
                    let cure = "look at the answer as it comes (`curl -v --raw`)";
                    self.broke(step, &reason, cure, false);
                    return Err(reason.to_owned());
                }
            }
        }
        let jar = self.jars.entry(step.who.clone().unwrap_or_default()).or_default();
        for (name, value) in &received.headers {
            if name.eq_ignore_ascii_case("set-cookie") {
                jar.take(value, self.clock.now());
            }
        }
        let (body, form) = read_body(&received.body);
        let (body, form) = match (body, &mut self.shared) {
            (Body::Json(json), Some(shared)) if step.only_own => (Body::Json(shared.only_own(json)), None),
            (body, _) => (body, form),
        };
        let json = match &body {
            Body::Json(json) => json.clone(),
            _ => Value::Null,
        };
        self.capture(step, |source| find(source, &body, &json, &received.headers));
        Ok(Seen::Answer {
            line: received.line,
            headers: received
                .headers
                .into_iter()
                .map(|(name, value)| (name, self.mask_text(&value)))
                .collect(),
            body: match body {
                Body::Json(json) => Body::Json(self.mask(json)),
                Body::Text(text) => Body::Text(self.mask_text(&text)),
                other => other,
            },
            length: received.body.len(),
            form,
        })
    }

    fn outgoing(&self, step: &Step, request: &Request) -> Result<Outgoing, TemplateError> {
        let names = &self.names;
        let mut headers = Vec::new();
        for (name, value) in &request.headers {
            headers.push((name.clone(), template::render(value, names)?));
        }
        let own_cookie = headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("cookie"));
        let jar = self.jars.get(step.who.as_deref().unwrap_or_default());
        if let (false, Some(cookie)) = (own_cookie, jar.and_then(Jar::header)) {
            headers.push(("Cookie".to_owned(), cookie));
        }
        Ok(Outgoing {
            method: request.method.to_owned(),
            path: template::render(&request.path, names)?,
            headers,
            body: match &request.body {
                RequestBody::Empty => Vec::new(),
                RequestBody::Json(value) => template::render_value(value, names)?.to_string().into_bytes(),
                RequestBody::Text(text) => template::render(text, names)?.into_bytes(),
                RequestBody::Bytes(bytes) => bytes.clone(),
            },
        })
    }
}

/// A JSON body that came packed although nobody asked for that, unpacked; the header is compared as it came.
fn packed_json(received: &Received) -> Option<Result<Vec<u8>, &'static str>> {
    let says = |wanted: &str, value: &str| {
        received.headers.iter().any(|(name, found)| {
            name.eq_ignore_ascii_case(wanted) && found.to_ascii_lowercase().contains(value)
        })
    };
    if !(says("content-encoding", "gzip") && says("content-type", "json")) || received.body.is_empty() {
        return None;
    }
    let mut plain = Vec::new();
    let most = LARGEST_ANSWER as u64;
    let read = GzDecoder::new(received.body.as_slice())
        .take(most + 1)
        .read_to_end(&mut plain);
    Some(match read {
        Ok(_) if plain.len() > LARGEST_ANSWER => Err("the answer is too long once it is unpacked"),
        Ok(_) => Ok(plain),
        Err(_) => Err("the answer says that it is packed with gzip, and it is not"),
    })
}

/// The body, and how it is written if it is JSON.
fn read_body(bytes: &[u8]) -> (Body, Option<String>) {
    if bytes.is_empty() {
        return (Body::Empty, None);
    }
    let Ok(text) = std::str::from_utf8(bytes) else {
        return (Body::Base64(BASE64.encode(bytes)), None);
    };
    // Whatever the content type says: that is compared for itself, and the recordings do the same.
    match serde_json::from_str(text) {
        Ok(json) => {
            let form = (text.len() <= LONGEST_JSON_TEXT).then(|| json_form::form(text, &json));
            (Body::Json(json), form)
        }
        Err(_) => (Body::Text(text.to_owned()), None),
    }
}

fn find(source: &Capture, body: &Body, json: &Value, headers: &[(String, String)]) -> Option<Value> {
    match source {
        Capture::Cookie(wanted) => headers
            .iter()
            .filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie"))
            .filter_map(|(_, value)| value.split(';').next()?.split_once('='))
            .find(|(name, _)| name == wanted)
            .map(|(_, value)| Value::from(value)),
        Capture::Header(wanted) => headers
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(wanted))
            .map(|(_, value)| Value::from(value.as_str())),
        Capture::Packet(pointer) => match body {
            Body::Text(text) => polling::find(text, pointer),
            _ => None,
        },
        Capture::Pointer(_) | Capture::Claim { .. } => in_data(source, json),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_request_to_enroll_that_names_a_time_is_sent_again() {
        let of = |path: &str, status: u16, after: Option<&str>| {
            let sent = Outgoing {
                method: "POST".to_owned(),
                path: path.to_owned(),
                headers: Vec::new(),
                body: Vec::new(),
            };
            let received = Received {
                line: crate::transcript::StatusLine {
                    version: "1.1".to_owned(),
                    status,
                    reason: String::new(),
                },
                headers: after
                    .into_iter()
                    .map(|after| ("Retry-After".to_owned(), after.to_owned()))
                    .collect(),
                body: Vec::new(),
            };
            put_off(&sent, &received).map(|time| time.as_secs())
        };
        const ENROLL: &str = "/api/agent/enroll/request";
        assert_eq!(of(ENROLL, 429, Some("2")), Some(3));
        assert_eq!(of(ENROLL, 429, Some("61")), None);
        assert_eq!(of(ENROLL, 429, Some("soon")), None);
        assert_eq!(of(ENROLL, 429, None), None);
        assert_eq!(of(ENROLL, 200, Some("2")), None);
        assert_eq!(of("/api/auth/login", 429, Some("2")), None);
    }

    #[test]
    fn it_is_compared_how_a_body_is_written_where_a_recording_tells() {
        let form = |length: usize| {
            let (_, form) = read_body(format!("\"{}\"", "a".repeat(length - 2)).as_bytes());
            form
        };
        assert!(form(LONGEST_JSON_TEXT).is_some());
        assert_eq!(form(LONGEST_JSON_TEXT + 1), None);
    }
}
