//! Tokens, cookies, signatures and certificates.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde_json::{Value, json};

use super::{Change, Operator};

pub(super) const ALL: &[Operator] = &[
    Operator {
        name: "claim-removed",
        sentence: "a token without its last claim",
        change: Change::Value(|_, site| {
            claims(&site.value, |claims| {
                let last = claims.as_object()?.keys().next_back()?.clone();
                claims.as_object_mut()?.shift_remove(&last).map(|_| ())
            })
        }),
    },
    Operator {
        name: "claim-changed",
        sentence: "a token for somebody else",
        change: Change::Value(|_, site| {
            claims(&site.value, |claims| {
                let text = claims
                    .as_object_mut()?
                    .values_mut()
                    .find(|value| value.is_string())?;
                *text = json!(super::other_letter(text.as_str()?, 0)?);
                Some(())
            })
        }),
    },
    Operator {
        name: "token-of-901-seconds",
        sentence: "a token that lasts one second longer",
        change: Change::Value(|_, site| {
            claims(&site.value, |claims| {
                let end = claims.get_mut("exp")?;
                *end = json!(end.as_i64()? + 1);
                Some(())
            })
        }),
    },
    Operator {
        name: "token-signature",
        sentence: "one bit of a token's signature is another one",
        change: Change::Value(|_, site| {
            let (rest, signature) = jwt(site.value.as_str()?)?;
            Some(json!(format!("{rest}.{}", flipped(signature)?)))
        }),
    },
    Operator {
        name: "cookie-signature",
        sentence: "one bit of the signature of a cookie or an operator's token is another one",
        change: Change::Value(|_, site| {
            let (rest, signature) = site.value.as_str()?.rsplit_once('.')?;
            let bytes = URL_SAFE_NO_PAD.decode(signature).ok()?;
            (bytes.len() == 20).then_some(())?;
            Some(json!(format!("{rest}.{}", flipped(signature)?)))
        }),
    },
    Operator {
        name: "script-signature",
        sentence: "one bit of the signature over a script is another one",
        change: Change::Value(|_, site| {
            let mut bytes = STANDARD.decode(site.value.as_str()?).ok()?;
            (bytes.len() == 64).then_some(())?;
            *bytes.get_mut(40)? ^= 1;
            Some(json!(STANDARD.encode(bytes)))
        }),
    },
    Operator {
        name: "certificate-signature",
        sentence: "one bit of a certificate's signature is another one",
        change: Change::Value(|_, site| {
            const END: &str = "-----END CERTIFICATE-----";
            let text = site.value.as_str()?;
            let (body, rest) = text
                .strip_prefix("-----BEGIN CERTIFICATE-----")?
                .split_once(END)?;
            let mut bytes = STANDARD.decode(body.replace('\n', "")).ok()?;
            *bytes.last_mut()? ^= 1;
            let encoded = STANDARD.encode(bytes);
            let lines: Vec<&str> = (0..encoded.len())
                .step_by(64)
                .filter_map(|at| encoded.get(at..encoded.len().min(at + 64)))
                .collect();
            Some(json!(format!(
                "-----BEGIN CERTIFICATE-----\n{}\n{END}{rest}",
                lines.join("\n")
            )))
        }),
    },
    Operator {
        name: "certificate-lines",
        sentence: "a certificate's text without line ends within",
        change: Change::Value(|_, site| {
            let (begin, end) = ("-----BEGIN CERTIFICATE-----\n", "\n-----END CERTIFICATE-----");
            let (body, rest) = site.value.as_str()?.strip_prefix(begin)?.split_once(end)?;
            Some(json!(format!("{begin}{}{end}{rest}", body.replace('\n', ""))))
        }),
    },
];

/// Splits a JWT in front of its signature.
fn jwt(text: &str) -> Option<(&str, &str)> {
    (text.starts_with("eyJ") && text.matches('.').count() == 2).then_some(())?;
    text.rsplit_once('.')
}

/// A JWT with other claims; its signature stays, and fits no longer.
fn claims(value: &Value, change: impl Fn(&mut Value) -> Option<()>) -> Option<Value> {
    let (rest, signature) = jwt(value.as_str()?)?;
    let (header, body) = rest.split_once('.')?;
    let mut claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(body).ok()?).ok()?;
    change(&mut claims)?;
    let body = URL_SAFE_NO_PAD.encode(claims.to_string());
    Some(json!(format!("{header}.{body}.{signature}")))
}

fn flipped(signature: &str) -> Option<String> {
    let mut bytes = URL_SAFE_NO_PAD.decode(signature).ok()?;
    *bytes.first_mut()? ^= 1;
    Some(URL_SAFE_NO_PAD.encode(bytes))
}
