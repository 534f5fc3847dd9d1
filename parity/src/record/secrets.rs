//! What nobody should read in a scenario: other texts stand in its place, the same ones everywhere, so that a replay is
//! still right. They are as long as what they stand for.

use std::collections::BTreeMap;

use serde_json::Value;
use sha2::{Digest, Sha512};

use super::{
    clients::texts,
    draft::{Body, Drafts, Sent, Shown, each_text_in},
    summary::Summary,
};
use crate::scenario::{
    agent::hex,
    shorthand::{FIRST_OPERATOR, FIRST_PASSWORD},
};

/// A shorter secret is replaced only where it is a whole text.
const LONG_ENOUGH_ANYWHERE: usize = 6;

/// Whether a member of a request's body holds a secret that a person chose.
fn is_secret(path: &str, key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    key == "password"
        || key.ends_with("_password")
        || key.ends_with("passphrase")
        || key == "private_key"
        || (key == "token" && path.contains("/github/"))
}

fn digest(password: &str) -> String {
    hex(&Sha512::digest(password.as_bytes()))
}

/// Another text of this length. What frames a key in PEM stays.
fn other(text: &str, number: usize) -> String {
    if text.contains("-----BEGIN") {
        let hidden = |line: &str| {
            if line.starts_with("-----") {
                line.to_owned()
            } else {
                "A".repeat(line.chars().count())
            }
        };
        return text.split('\n').map(hidden).collect::<Vec<_>>().join("\n");
    }
    let letters = format!("{number}-secret-").chars().collect::<Vec<_>>();
    letters.iter().cycle().take(text.chars().count()).collect()
}

/// Replaces secrets in all that clients sent and were shown.
pub(super) fn hide(drafts: &mut Drafts, summary: &mut Summary) {
    let replaced = find(drafts, summary);
    if replaced.is_empty() {
        return;
    }
    let mut longest: Vec<(&String, &String)> = replaced.iter().collect();
    longest.sort_by_key(|(old, _)| std::cmp::Reverse(old.len()));
    let change = |text: &mut String| {
        if let Some(new) = replaced.get(text.as_str()) {
            text.clone_from(new);
            return;
        }
        for (old, new) in &longest {
            if old.len() >= LONG_ENOUGH_ANYWHERE && text.contains(old.as_str()) {
                *text = text.replace(old.as_str(), new);
            }
        }
    };
    for step in &mut drafts.steps {
        step.sent.each_text(&mut |text| change(text));
        match &mut step.shown {
            Shown::Answer { body, .. } => {
                if let Ok(text) = std::str::from_utf8(body) {
                    let mut text = text.to_owned();
                    change(&mut text);
                    *body = text.into_bytes();
                }
            }
            Shown::Acknowledged(Some(arguments)) | Shown::Received(arguments) => {
                arguments
                    .iter_mut()
                    .for_each(|value| each_text_in(value, &mut |text| change(text)));
            }
            _ => {}
        }
    }
    for (_, _, arguments) in drafts.heard.iter_mut().flat_map(|heard| &mut heard.events) {
        arguments
            .iter_mut()
            .for_each(|value| each_text_in(value, &mut |text| change(text)));
    }
}

/// The secrets, and what stands in their place.
fn find(drafts: &Drafts, summary: &mut Summary) -> BTreeMap<String, String> {
    let mut replaced: BTreeMap<String, String> = BTreeMap::new();
    let mut number = 0;
    let mut first_login = true;
    for step in &drafts.steps {
        let (Sent::Http { path, body: Body::Json(body), .. }, Shown::Answer { line, .. }) = (&step.sent, &step.shown)
        else {
            continue;
        };
        let name = body.get("username").and_then(Value::as_str).unwrap_or_default();
        // A replay begins with a fresh server, whose first administrator has the usual password.
        let is_first = first_login
            && path.ends_with("/auth/login")
            && line.status == 200
            && name.trim().eq_ignore_ascii_case(FIRST_OPERATOR);
        first_login &= !is_first;
        texts("", body, &mut |key, text| {
            let whose = if name.is_empty() { path.clone() } else { format!("{name} in {path}") };
            let hashed = key == "password_sha512" && text.len() == 128 && text.bytes().all(|c| c.is_ascii_hexdigit());
            let plain = is_secret(path, key) && !text.trim().is_empty();
            if !(hashed || plain) || replaced.contains_key(text) {
                return;
            }
            let usual = if hashed { digest(FIRST_PASSWORD) } else { FIRST_PASSWORD.to_owned() };
            if text.eq_ignore_ascii_case(&usual) && (hashed || text == usual) {
                let what = format!("the usual password of a fresh server ({whose})");
                Summary::once(&mut summary.written, what);
                return;
            }
            number += 1;
            let new = match (is_first, hashed) {
                (true, _) => usual,
                (false, true) => {
                    let hash = digest(&other(text, number));
                    if text.bytes().any(|c| c.is_ascii_uppercase()) { hash.to_ascii_uppercase() } else { hash }
                }
                (false, false) => other(text, number),
            };
            Summary::once(&mut summary.redacted, format!("{key} of {whose}"));
            if plain {
                // The same password may come as its hash, too.
                replaced.insert(digest(text), digest(&new));
            }
            replaced.insert(text.to_owned(), new);
        });
    }
    replaced
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_for_a_secret_is_as_long_and_keeps_the_frame_of_a_key() {
        for (text, expected) in [
            ("hunter2", "7-secre"),
            ("x", "7"),
            ("äö ü", "7-se"),
            ("-----BEGIN KEY-----\nabc\n-----END KEY-----\n", "-----BEGIN KEY-----\nAAA\n-----END KEY-----\n"),
        ] {
            assert_eq!(other(text, 7), expected);
        }
    }
}
