//! What nobody should read in a scenario: other texts stand in its place, the same ones everywhere, so that a replay is
//! still right. They are as long as what they stand for.

use std::collections::BTreeMap;

use serde_json::Value;
use sha2::{Digest, Sha256, Sha512};

use super::{
    clients::texts,
    draft::{Body, Drafts, Sent, Shown},
    summary::Summary,
};
use crate::scenario::{
    agent::hex,
    shorthand::{FIRST_OPERATOR, FIRST_PASSWORD},
};

/// A shorter secret is replaced only where a secret belongs.
const LONG_ENOUGH_ANYWHERE: usize = 8;
/// So many digits of a hash are shown as a fingerprint.
const FINGERPRINT: usize = 16;

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

/// What stands in the place of secrets.
#[derive(Debug, Default)]
struct Replaced {
    /// The texts themselves.
    texts: BTreeMap<String, String>,
    /// What servers and clients make of them: hashes, in lower case.
    hashes: BTreeMap<String, String>,
    number: usize,
}

impl Replaced {
    fn add(&mut self, secret: &str, new: String) {
        self.hashes.insert(digest(secret), digest(&new));
        // Servers trim keys, and end them with a line end.
        for (before, end) in [(secret, ""), (secret.trim(), ""), (secret.trim(), "\n")] {
            let after = if before == secret { &new } else { new.trim() };
            let [old, new] = [before, after].map(|text| hex(&Sha256::digest(format!("{text}{end}"))));
            // A fingerprint shows a part of it.
            if let (Some(old), Some(new)) = (old.get(..FINGERPRINT), new.get(..FINGERPRINT)) {
                self.hashes.insert(old.to_owned(), new.to_owned());
            }
            self.hashes.insert(old, new);
        }
        self.texts.insert(secret.to_owned(), new);
    }

    /// Another text for this secret.
    fn make(&mut self, secret: &str) {
        if !self.texts.contains_key(secret) {
            self.number += 1;
            let new = other(secret, self.number);
            self.add(secret, new);
        }
    }

    /// Another hash for that of a secret that nobody knows.
    fn make_hash(&mut self, hash: &str) {
        if !self.hashes.contains_key(hash) {
            self.number += 1;
            let new = digest(&other(hash, self.number));
            self.hashes.insert(hash.to_owned(), new);
        }
    }

    /// Replaces what stands anywhere in a text.
    fn anywhere(&self, text: &mut String) {
        for (old, new) in self.texts.iter().rev() {
            // A mere word may mean something else where it stands.
            let is_word = old.bytes().all(|byte| byte.is_ascii_lowercase());
            if old.len() >= LONG_ENOUGH_ANYWHERE && !is_word && text.contains(old.as_str()) {
                *text = text.replace(old.as_str(), new);
            }
        }
        for (old, new) in &self.hashes {
            if text.len() < old.len() {
                continue;
            }
            let [old_upper, new_upper] = [old, new].map(|hash| hash.to_ascii_uppercase());
            if text.contains(old.as_str()) || text.contains(&old_upper) {
                *text = text.replace(old.as_str(), new).replace(&old_upper, &new_upper);
            }
        }
    }

    /// Replaces in a value; a short secret only where a secret belongs.
    fn within(&self, path: &str, key: &str, value: &mut Value) {
        match value {
            Value::String(text) => match self.texts.get(text.as_str()).filter(|_| is_secret(path, key)) {
                Some(new) => text.clone_from(new),
                None if key == "username" => {}
                None => self.anywhere(text),
            },
            Value::Array(items) => items.iter_mut().for_each(|item| self.within(path, key, item)),
            Value::Object(fields) => fields
                .iter_mut()
                .for_each(|(key, item)| self.within(path, key, item)),
            _ => {}
        }
    }
}

/// Replaces secrets in all that clients sent and were shown; where they are to be kept, it is told which there are.
pub(super) fn hide(drafts: &mut Drafts, keep: bool, summary: &mut Summary) {
    let replaced = find(drafts, keep, summary);
    if keep || (replaced.texts.is_empty() && replaced.hashes.is_empty()) {
        return;
    }
    for step in &mut drafts.steps {
        match &mut step.sent {
            Sent::Http { path, body, .. } => match body {
                Body::Json(value) => replaced.within(path, "", value),
                Body::Text(text) => replaced.anywhere(text),
                Body::Empty | Body::Bytes(_) => {}
            },
            Sent::Emit { arguments, .. } => arguments
                .iter_mut()
                .for_each(|value| replaced.within("", "", value)),
            _ => {}
        }
        match &mut step.shown {
            Shown::Answer { body, .. } => {
                if let Ok(text) = std::str::from_utf8(body) {
                    let mut text = text.to_owned();
                    replaced.anywhere(&mut text);
                    *body = text.into_bytes();
                }
            }
            Shown::Acknowledged(Some(arguments)) | Shown::Received(arguments) => arguments
                .iter_mut()
                .for_each(|value| replaced.within("", "", value)),
            _ => {}
        }
    }
    for (_, _, arguments) in drafts.heard.iter_mut().flat_map(|heard| &mut heard.events) {
        arguments
            .iter_mut()
            .for_each(|value| replaced.within("", "", value));
    }
}

/// The secrets, and what stands in their place.
fn find(drafts: &Drafts, keep: bool, summary: &mut Summary) -> Replaced {
    let mut replaced = Replaced::default();
    let mut first_login = true;
    let mut tell = |what: String| {
        let list = if keep {
            &mut summary.written
        } else {
            &mut summary.redacted
        };
        Summary::once(list, what);
    };
    let (mut hashes, mut usual) = (Vec::new(), Vec::new());
    for step in &drafts.steps {
        let (
            Sent::Http {
                path,
                body: Body::Json(body),
                ..
            },
            Shown::Answer { line, .. },
        ) = (&step.sent, &step.shown)
        else {
            continue;
        };
        let name = body
            .get("username")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .trim();
        let whose = if name.is_empty() {
            path.clone()
        } else {
            format!("{name} in {path}")
        };
        // A replay begins with a fresh server, whose first administrator has the usual password.
        let is_first = first_login
            && path.ends_with("/auth/login")
            && line.status == 200
            && name.eq_ignore_ascii_case(FIRST_OPERATOR);
        first_login &= !is_first;
        texts("", body, &mut |key, text| {
            let hash = text.trim().to_ascii_lowercase();
            if key == "password_sha512" && hash.len() == 128 && hash.bytes().all(|c| c.is_ascii_hexdigit()) {
                if hash == digest(FIRST_PASSWORD) {
                    usual.push(format!("the usual password of a fresh server ({whose})"));
                } else {
                    tell(format!("{key} of {whose}"));
                    hashes.push((hash, is_first));
                }
            } else if is_secret(path, key) && text == FIRST_PASSWORD {
                usual.push(format!("the usual password of a fresh server ({whose})"));
            } else if is_secret(path, key) && !text.trim().is_empty() {
                tell(format!("{key} of {whose}"));
                if is_first && key == "password" {
                    replaced.add(text, FIRST_PASSWORD.to_owned());
                }
                replaced.make(text);
            }
        });
    }
    for (hash, is_first) in hashes {
        if is_first {
            replaced.hashes.insert(hash, digest(FIRST_PASSWORD));
        } else {
            replaced.make_hash(&hash);
        }
    }
    for what in usual {
        Summary::once(&mut summary.written, what);
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
            (
                "-----BEGIN KEY-----\nabc\n-----END KEY-----\n",
                "-----BEGIN KEY-----\nAAA\n-----END KEY-----\n",
            ),
        ] {
            assert_eq!(other(text, 7), expected);
        }
    }
}
