//! What clients compute: proofs, signed tokens and one-time codes are recognised, and the replay computes them anew.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD as BASE64, URL_SAFE_NO_PAD as BASE64URL},
};
use ed25519_dalek::{Signature, Verifier as _};
use serde_json::{Map, Value, json};

use super::{
    clients::texts,
    draft::{Body, Draft, Sent, Shown},
    values::{Namer, all_texts},
};
use crate::{
    normalize::{is_random, jwt_parts},
    scenario::{
        agent::Agent,
        made::{one_time_code, text_digest},
    },
};

/// An enrollment that a device has asked for.
#[derive(Clone, Debug)]
pub(super) struct Ticket {
    server_nonce: String,
    reference: String,
    client_nonce: String,
}

/// Bytes of an Ed25519 signature.
const SIGNATURE: usize = 64;
/// So many of the latest tickets a signature may be for.
const TICKETS: usize = 8;
/// Of so many parts at most a signed message is put together.
const MOST_PARTS: usize = 3;
/// How far a one-time code may be from the present one, in seconds.
const OFFSETS: [i64; 9] = [0, -30, 30, -60, 60, -90, 90, -120, 120];

/// A part of a message that could have been signed.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    Utf8,
    Base64,
}

/// Takes note of what later values are computed from.
pub(super) fn learn(step: &Draft, namer: &mut Namer<'_>) {
    let (Sent::Http { body, .. }, Shown::Answer { body: answer, .. }) = (&step.sent, &step.shown) else {
        return;
    };
    let Ok(answer) = serde_json::from_slice::<Value>(answer) else {
        return;
    };
    texts("", &answer, &mut |key, text| {
        if key == "secret" && !namer.secrets.iter().any(|known| known == text) {
            namer.secrets.push(text.to_owned());
        }
    });
    let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let Body::Json(asked) = body else { return };
    if let (Some(server_nonce), Some(reference)) =
        (text(&answer, "server_nonce"), text(&answer, "approval_reference"))
    {
        let client_nonce = text(asked, "client_nonce").unwrap_or_default();
        // A nonce of the scenario's own has its name there already.
        let own = namer
            .plan
            .agents
            .iter()
            .find(|agent| client_nonce == format!("${{{}.nonce}}", agent.name));
        namer.tickets.push(Ticket {
            server_nonce,
            reference,
            client_nonce: own.map_or(client_nonce, Agent::nonce),
        });
    }
}

/// Recognises what a client has computed for this step.
pub(super) fn compute(step: &mut Draft, namer: &mut Namer<'_>) {
    let now = step.over.at_us.div_euclid(1_000_000);
    let mut found = Vec::new();
    for text in all_texts(&step.sent) {
        let computed = lowered(&text, namer);
        found.extend(computed.map(|(name, fields)| (name, text, fields)));
    }
    let mut look = |key: &str, text: &str, found: &mut Vec<(String, String, Value)>| {
        let known = found.iter().any(|(_, value, _)| value == text)
            || namer.computed.values().any(|value| value == text);
        if known {
            return;
        }
        let computed = signature(text, namer)
            .or_else(|| token(text, now, namer))
            .or_else(|| code(key, text, now, namer));
        if let Some((name, fields)) = computed {
            found.push((name, text.to_owned(), fields));
        }
    };
    match &step.sent {
        Sent::Http { headers, body, .. } => {
            for (name, value) in headers {
                for part in value.split(' ') {
                    look(name, part, &mut found);
                }
            }
            if let Body::Json(body) = body {
                let mut all = Vec::new();
                texts("", body, &mut |key, text| {
                    all.push((key.to_owned(), text.to_owned()));
                });
                for (key, text) in all {
                    look(&key, &text, &mut found);
                }
            }
        }
        Sent::Emit { arguments, .. } => {
            let mut all = Vec::new();
            for argument in arguments {
                texts("", argument, &mut |key, text| {
                    all.push((key.to_owned(), text.to_owned()));
                });
            }
            for (key, text) in all {
                look(&key, &text, &mut found);
            }
        }
        _ => {}
    }
    for (name, value, fields) in found {
        if value.len() < 8 {
            // Too short to be found again wherever it stands: a code is a whole text.
            step.sent.each_text(&mut |text| {
                if *text == value {
                    *text = format!("${{{name}}}");
                }
            });
        } else {
            namer.computed.insert(name.clone(), value.clone());
        }
        step.made.push((name, value, fields));
    }
}

/// What of a request is signed with a key that nobody has given, so that a replay cannot sign it anew.
pub(super) fn foreign_signature(sent: &Sent) -> Option<String> {
    let Sent::Http {
        method,
        path,
        headers,
        body,
    } = sent
    else {
        return None;
    };
    let mut found = headers
        .iter()
        .any(|(name, value)| name.eq_ignore_ascii_case("dpop") && jwt_parts(value).is_some());
    if let Body::Json(body) = body {
        texts("", body, &mut |key, text| {
            let is_signature = BASE64.decode(text).is_ok_and(|bytes| bytes.len() == SIGNATURE);
            found |= key == "proof_sig" && is_signature;
        });
    }
    let what = || {
        format!(
            "{method} {path}: what is signed in it is written as it is, because no key that was given has signed it; if the \
             server took it, a replay needs --agent-key"
        )
    };
    found.then(what)
}

/// A value of the server in lower case.
fn lowered(text: &str, namer: &mut Namer<'_>) -> Option<(String, Value)> {
    let upper = text.to_uppercase();
    let is_other = upper != text && text.to_lowercase() == text && is_random(&upper);
    if !is_other || namer.computed.values().any(|value| value == text) {
        return None;
    }
    let name = namer.name_of(&upper)?;
    let fields = json!({ "function": "lower", "of": format!("${{{name}}}") });
    Some((format!("{name}_lower"), fields))
}

/// A signature of an agent over what its enrollment is about.
fn signature(text: &str, namer: &mut Namer<'_>) -> Option<(String, Value)> {
    let bytes: [u8; 64] = BASE64.decode(text).ok()?.try_into().ok()?;
    let signature = Signature::from_bytes(&bytes);
    let tickets: Vec<Ticket> = namer.tickets.iter().rev().take(TICKETS).cloned().collect();
    let mut found = None;
    'all: for agent in &namer.plan.agents {
        let key = agent.key().verifying_key();
        for ticket in &tickets {
            for parts in orders(ticket) {
                let message: Option<Vec<Vec<u8>>> = parts
                    .iter()
                    .map(|(form, text)| match form {
                        Form::Utf8 => Some(text.as_bytes().to_vec()),
                        Form::Base64 => BASE64.decode(text).ok(),
                    })
                    .collect();
                if message.is_some_and(|message| key.verify(&message.concat(), &signature).is_ok()) {
                    found = Some((agent.name.clone(), parts));
                    break 'all;
                }
            }
        }
    }
    let (agent, parts) = found?;
    let parts: Vec<Value> = parts
        .into_iter()
        .map(|(form, text)| {
            let text = namer.template(&text);
            match form {
                Form::Utf8 => json!({ "utf8": text }),
                Form::Base64 => json!({ "base64": text }),
            }
        })
        .collect();
    let fields = json!({ "function": "ed25519_sign", "agent": agent, "parts": parts });
    Some((format!("{agent}.proof"), fields))
}

/// The messages that can be put together of what a ticket is about; the usual one first.
fn orders(ticket: &Ticket) -> Vec<Vec<(Form, String)>> {
    let all = [
        (Form::Base64, &ticket.server_nonce),
        (Form::Utf8, &ticket.reference),
        (Form::Base64, &ticket.client_nonce),
        (Form::Utf8, &ticket.server_nonce),
        (Form::Utf8, &ticket.client_nonce),
    ];
    let all: Vec<(Form, String)> = all.into_iter().map(|(form, text)| (form, text.clone())).collect();
    let mut orders = vec![all.iter().take(MOST_PARTS).cloned().collect()];
    let mut grow: Vec<Vec<(Form, String)>> = vec![Vec::new()];
    for _ in 0..MOST_PARTS {
        grow = grow
            .iter()
            .flat_map(|before| {
                all.iter().filter(|part| !before.contains(part)).map(|part| {
                    let mut longer = before.clone();
                    longer.push(part.clone());
                    longer
                })
            })
            .collect();
        orders.extend(grow.iter().cloned());
    }
    orders
}

/// A token that an agent has signed: a proof of possession, or another one.
fn token(text: &str, now: i64, namer: &mut Namer<'_>) -> Option<(String, Value)> {
    let (header, claims) = jwt_parts(text)?;
    let (input, signature) = text.rsplit_once('.')?;
    let signature: [u8; 64] = BASE64URL.decode(signature).ok()?.try_into().ok()?;
    let signature = Signature::from_bytes(&signature);
    let agent = namer.plan.agents.iter().find(|agent| {
        agent
            .key()
            .verifying_key()
            .verify(input.as_bytes(), &signature)
            .is_ok()
    })?;
    let (name, key) = (agent.name.clone(), BASE64URL.encode(agent.public_bytes()));
    let usual = json!({"alg": "EdDSA", "typ": "dpop+jwt", "jwk": {"kty": "OKP", "crv": "Ed25519", "x": key}});
    let claims = claims_of(claims, now, namer);
    Some(if header == usual {
        (
            format!("{name}.dpop"),
            json!({ "function": "dpop", "agent": name, "claims": claims }),
        )
    } else {
        let fields = json!({ "function": "jws", "alg": "EdDSA", "header": header, "claims": claims, "key": { "agent": name } });
        (format!("{name}.jws"), fields)
    })
}

/// Claims as a replay makes them: times from its own clock, values by their names.
fn claims_of(claims: Value, now: i64, namer: &mut Namer<'_>) -> Value {
    let Value::Object(claims) = claims else {
        return claims;
    };
    let mut out = Map::new();
    for (key, value) in claims {
        let value = match (key.as_str(), value) {
            ("iat" | "exp" | "nbf", Value::Number(time)) => match time.as_i64() {
                Some(time) => json!({ "now": time - now }),
                None => Value::Number(time),
            },
            (key, Value::String(text)) => {
                let token = namer
                    .given()
                    .find(|token| key == "ath" && text_digest(token) == text)
                    .cloned();
                match token {
                    Some(token) => json!({ "sha256": namer.template(&token) }),
                    None => {
                        let text = namer.plan.with_addresses(&text);
                        Value::String(namer.template(&text))
                    }
                }
            }
            (_, value) => value,
        };
        out.insert(key, value);
    }
    Value::Object(out)
}

/// A one-time code made from a secret that the server has shown.
fn code(key: &str, text: &str, now: i64, namer: &mut Namer<'_>) -> Option<(String, Value)> {
    let is_code = key == "code" && text.len() == 6 && text.bytes().all(|digit| digit.is_ascii_digit());
    let secrets: Vec<String> = namer.secrets.iter().rev().filter(|_| is_code).cloned().collect();
    let (secret, offset) = secrets.into_iter().find_map(|secret| {
        let offset = OFFSETS
            .into_iter()
            .find(|offset| one_time_code(&secret, now + offset).as_deref() == Some(text))?;
        Some((secret, offset))
    })?;
    let mut fields = json!({ "function": "totp", "secret": namer.template(&secret) });
    if let (true, Some(fields)) = (offset != 0, fields.as_object_mut()) {
        fields.insert("offset".to_owned(), json!(offset));
    }
    Some(("code".to_owned(), fields))
}
