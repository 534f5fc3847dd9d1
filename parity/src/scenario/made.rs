//! Values that a client computes: signatures, proofs, tokens, one-time codes, cookies.
//!
//! Nothing here comes from the engine: a mistake that both sides shared would hide itself.
//!
//! Long because it is a list: one kind of value after the other.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD as BASE64, URL_SAFE_NO_PAD as BASE64URL},
};
use data_encoding::BASE32_NOPAD;
use ed25519_dalek::{Signer, SigningKey, pkcs8::DecodePrivateKey};
use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use sha1::Sha1;
use sha2::{Digest, Sha256};

use super::{
    agent::{Agent, unhex},
    template::{self, Names, TemplateError},
};

/// How a value is made. Texts in it may hold templates.
#[derive(Clone, Debug, PartialEq)]
pub enum Made {
    /// A signature with an agent's key, in base64.
    Ed25519Sign(Ed25519Sign),
    /// A signature with a stray Ed448 key, in base64.
    Ed448Sign(Ed448Sign),
    /// A proof of possession with an agent's key.
    Dpop(Dpop),
    Jws(Jws),
    Totp(Totp),
    SignCookie(SignCookie),
    /// A value in lower case.
    Lower(Lower),
}

/// Fields of `ed25519_sign`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ed25519Sign {
    /// Whose key.
    pub agent: String,
    pub parts: Vec<Part>,
}

/// Fields of `ed448_sign`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ed448Sign {
    /// The key's 57 bytes.
    pub key_seed_hex: String,
    pub parts: Vec<Part>,
}

/// A part of a signed message.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// The text's bytes.
    Utf8(String),
    /// The bytes that the text stands for.
    Base64(String),
    /// The bytes that the text stands for.
    Hex(String),
}

/// Fields of `dpop`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dpop {
    /// Whose key.
    pub agent: String,
    /// The claims; `{now: n}` is the current second plus n, `{sha256: text}` the text's digest as [`text_digest`]
    /// writes it.
    pub claims: Value,
}

/// Fields of `jws`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Jws {
    /// `EdDSA`, `HS256` or `none`.
    pub alg: String,
    /// The header as it stands.
    pub header: Value,
    /// The claims; `{now: n}` is the current second plus n. A text is the payload as it stands.
    pub claims: Value,
    /// What signs.
    pub key: JwsKey,
}

/// The key of a `jws`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JwsKey {
    /// An agent's key.
    Agent(String),
    /// An Ed25519 key in PKCS #8.
    PrivatePem(String),
    /// A shared secret.
    SecretBase64(String),
}

/// Fields of `totp`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Totp {
    /// The secret in base32.
    pub secret: String,
    /// Seconds from now.
    #[serde(default)]
    pub offset: i64,
}

/// Fields of `sign_cookie`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignCookie {
    /// Which of the two cookies.
    pub kind: CookieKind,
    /// Its contents; the order of the fields is kept, for a reader must take any.
    pub payload: Value,
    /// How many seconds ago it was signed.
    #[serde(default)]
    pub age: i64,
    /// The signing secret.
    pub secret: String,
    /// Whether the body is compressed.
    #[serde(default)]
    pub compressed: bool,
}

/// The two operator cookies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CookieKind {
    /// `session`.
    Session,
    /// `borealis_auth`.
    Token,
}

/// Fields of `lower`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lower {
    pub of: String,
}

/// Why a value cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MadeError {
    /// The function is not known.
    #[error("there is no function {0:?}")]
    UnknownFunction(String),
    /// A field is missing or wrong.
    #[error("{function}: {reason}")]
    Fields { function: String, reason: String },
    /// A template has no value.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// The agent is not in the scenario.
    #[error("there is no agent {0:?}")]
    UnknownAgent(String),
    /// A text is not what it should be.
    #[error("{what} cannot be read")]
    Unreadable { what: &'static str },
}

impl Made {
    /// Reads a function with its fields.
    ///
    /// # Errors
    /// If the function is unknown or its fields do not fit.
    pub fn read(mut fields: Map<String, Value>) -> Result<Self, MadeError> {
        let function = fields
            .remove("function")
            .and_then(|function| function.as_str().map(str::to_owned))
            .unwrap_or_default();
        let wrong = |error: serde_json::Error| MadeError::Fields {
            function: function.clone(),
            reason: error.to_string(),
        };
        let fields = Value::Object(fields);
        Ok(match function.as_str() {
            "ed25519_sign" => Self::Ed25519Sign(serde_json::from_value(fields).map_err(wrong)?),
            "ed448_sign" => Self::Ed448Sign(serde_json::from_value(fields).map_err(wrong)?),
            "dpop" => Self::Dpop(serde_json::from_value(fields).map_err(wrong)?),
            "jws" => Self::Jws(serde_json::from_value(fields).map_err(wrong)?),
            "totp" => Self::Totp(serde_json::from_value(fields).map_err(wrong)?),
            "sign_cookie" => Self::SignCookie(serde_json::from_value(fields).map_err(wrong)?),
            "lower" => Self::Lower(serde_json::from_value(fields).map_err(wrong)?),
            _ => return Err(MadeError::UnknownFunction(function)),
        })
    }

    /// Makes the value at `now` (Unix seconds).
    ///
    /// # Errors
    /// If a name, an agent or a text in it is not what it should be.
    pub fn make(&self, agents: &[Agent], names: &Names, now: i64) -> Result<String, MadeError> {
        match self {
            Self::Ed25519Sign(sign) => {
                let message = join(&sign.parts, names)?;
                let key = find(agents, &sign.agent)?.key();
                Ok(BASE64.encode(key.sign(&message).to_bytes()))
            }
            Self::Ed448Sign(sign) => {
                let seed = unhex(&sign.key_seed_hex).ok_or(MadeError::Unreadable { what: "key_seed_hex" })?;
                let key = ed448_goldilocks::SigningKey::try_from(seed.as_slice())
                    .map_err(|_| MadeError::Unreadable { what: "key_seed_hex" })?;
                Ok(BASE64.encode(key.sign_raw(&join(&sign.parts, names)?).to_bytes()))
            }
            Self::Dpop(proof) => {
                let agent = find(agents, &proof.agent)?;
                let jwk =
                    json!({"crv": "Ed25519", "kty": "OKP", "x": BASE64URL.encode(agent.public_bytes())});
                let header = json!({"alg": "EdDSA", "jwk": jwk, "typ": "dpop+jwt"});
                let claims = claims(&proof.claims, names, now)?;
                Ok(sign_jws(&header, &claims, |input| {
                    agent.key().sign(input).to_bytes().to_vec()
                }))
            }
            Self::Jws(jws) => {
                let header = template::render_value(&jws.header, names)?;
                let claims = claims(&jws.claims, names, now)?;
                let signature = signer(jws, agents)?;
                Ok(sign_jws(&header, &claims, signature))
            }
            Self::Totp(totp) => one_time_code(&template::render(&totp.secret, names)?, now + totp.offset)
                .ok_or(MadeError::Unreadable { what: "the secret" }),
            Self::SignCookie(cookie) => {
                let payload = template::render_value(&cookie.payload, names)?;
                Ok(sign_cookie(cookie, &payload, now - cookie.age))
            }
            Self::Lower(lower) => Ok(template::render(&lower.of, names)?.to_lowercase()),
        }
    }
}

fn find<'a>(agents: &'a [Agent], name: &str) -> Result<&'a Agent, MadeError> {
    agents
        .iter()
        .find(|agent| agent.name == name)
        .ok_or_else(|| MadeError::UnknownAgent(name.to_owned()))
}

fn join(parts: &[Part], names: &Names) -> Result<Vec<u8>, MadeError> {
    let mut message = Vec::new();
    for part in parts {
        match part {
            Part::Utf8(text) => message.extend(template::render(text, names)?.into_bytes()),
            Part::Base64(text) => message.extend(
                BASE64
                    .decode(template::render(text, names)?.trim())
                    .map_err(|_| MadeError::Unreadable {
                        what: "a base64 part",
                    })?,
            ),
            Part::Hex(text) => message.extend(
                unhex(&template::render(text, names)?).ok_or(MadeError::Unreadable { what: "a hex part" })?,
            ),
        }
    }
    Ok(message)
}

fn claims(claims: &Value, names: &Names, now: i64) -> Result<Value, MadeError> {
    let mut claims = template::render_value(claims, names)?;
    if let Value::Object(fields) = &mut claims {
        for value in fields.values_mut() {
            let only = |name: &str| {
                value
                    .as_object()
                    .filter(|fields| fields.len() == 1)
                    .and_then(|fields| fields.get(name))
            };
            let computed = match (only("now"), only("sha256")) {
                (Some(offset), _) => offset.as_i64().map(|offset| json!(now + offset)),
                (None, Some(text)) => text.as_str().map(|text| json!(text_digest(text))),
                (None, None) => None,
            };
            if let Some(computed) = computed {
                *value = computed;
            }
        }
    }
    Ok(claims)
}

/// The SHA-256 of a text in unpadded URL-safe base64: how a proof names the access token that it came with.
pub fn text_digest(text: &str) -> String {
    BASE64URL.encode(Sha256::digest(text.as_bytes()))
}

fn sign_jws(header: &Value, claims: &Value, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let input = format!(
        "{}.{}",
        BASE64URL.encode(header.to_string()),
        BASE64URL.encode(as_payload(claims))
    );
    let signature = BASE64URL.encode(sign(input.as_bytes()));
    format!("{input}.{signature}")
}

/// A text stands for the payload itself, so that a scenario can sign what is no object.
fn as_payload(claims: &Value) -> String {
    template::as_text(claims)
}

/// The signing half of a `jws`: what turns the signing input into the signature.
type Sign = Box<dyn Fn(&[u8]) -> Vec<u8>>;

fn signer(jws: &Jws, agents: &[Agent]) -> Result<Sign, MadeError> {
    let mismatch = || MadeError::Fields {
        function: "jws".to_owned(),
        reason: format!("the key does not fit alg {:?}", jws.alg),
    };
    match (jws.alg.as_str(), &jws.key) {
        ("none", _) => Ok(Box::new(|_| Vec::new())),
        ("EdDSA", JwsKey::Agent(agent)) => Ok(eddsa(find(agents, agent)?.key())),
        ("EdDSA", JwsKey::PrivatePem(pem)) => {
            let key =
                SigningKey::from_pkcs8_pem(pem).map_err(|_| MadeError::Unreadable { what: "private_pem" })?;
            Ok(eddsa(key))
        }
        ("HS256", JwsKey::SecretBase64(secret)) => {
            let secret = BASE64.decode(secret).map_err(|_| MadeError::Unreadable {
                what: "secret_base64",
            })?;
            Ok(Box::new(move |input| hmac_sha256(&secret, input)))
        }
        _ => Err(mismatch()),
    }
}

fn eddsa(key: SigningKey) -> Sign {
    Box::new(move |input| key.sign(input).to_bytes().to_vec())
}

fn hmac_sha256(key: &[u8], message: &[u8]) -> Vec<u8> {
    // HMAC takes keys of any length.
    Hmac::<Sha256>::new_from_slice(key).map_or_else(
        |_| Vec::new(),
        |mut mac| {
            mac.update(message);
            mac.finalize().into_bytes().to_vec()
        },
    )
}

fn hmac_sha1(key: &[u8], message: &[u8]) -> Vec<u8> {
    Hmac::<Sha1>::new_from_slice(key).map_or_else(
        |_| Vec::new(),
        |mut mac| {
            mac.update(message);
            mac.finalize().into_bytes().to_vec()
        },
    )
}

/// RFC 6238 with SHA-1, 30 seconds and 6 digits.
pub(crate) fn one_time_code(secret: &str, time: i64) -> Option<String> {
    let digits = secret.trim_end_matches('=').to_ascii_uppercase();
    let key = BASE32_NOPAD.decode(digits.as_bytes()).ok()?;
    let counter = u64::try_from(time.div_euclid(30)).ok()?;
    let mac = hmac_sha1(&key, &counter.to_be_bytes());
    let offset = usize::from(mac.last()? & 0x0f);
    let bytes: [u8; 4] = mac.get(offset..offset + 4)?.try_into().ok()?;
    let number = u32::from_be_bytes(bytes) & 0x7fff_ffff;
    Some(format!("{:06}", number % 1_000_000))
}

/// The signature over `input`, which is a body and a time, in the form that a cookie holds.
pub(crate) fn cookie_signature(kind: CookieKind, secret: &str, input: &str) -> String {
    let secret = secret.as_bytes();
    let key = match kind {
        CookieKind::Session => hmac_sha1(secret, b"cookie-session"),
        CookieKind::Token => Sha1::digest([b"borealis-authsigner".as_slice(), secret].concat()).to_vec(),
    };
    BASE64URL.encode(hmac_sha1(&key, input.as_bytes()))
}

fn sign_cookie(cookie: &SignCookie, payload: &Value, signed_at: i64) -> String {
    let text = match cookie.kind {
        CookieKind::Session => escape_non_ascii(&payload.to_string()),
        CookieKind::Token => payload.to_string(),
    };
    let body = if cookie.compressed {
        format!(".{}", BASE64URL.encode(compress(text.as_bytes())))
    } else {
        BASE64URL.encode(text)
    };
    let stamp: Vec<u8> = signed_at
        .to_be_bytes()
        .into_iter()
        .skip_while(|byte| *byte == 0)
        .collect();
    let input = format!("{body}.{}", BASE64URL.encode(stamp));
    let signature = cookie_signature(cookie.kind, &cookie.secret, &input);
    format!("{input}.{signature}")
}

fn escape_non_ascii(json: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(json.len());
    for character in json.chars() {
        if character.is_ascii() {
            out.push(character);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                // Writing into a string cannot fail.
                let _ = write!(out, "\\u{unit:04x}");
            }
        }
    }
    out
}

fn compress(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    // Writing into a vector cannot fail.
    let _ = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default()
}

#[cfg(test)]
mod tests;
