//! What is known of a recording beside what passed.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use ed25519_dalek::{SigningKey, pkcs8::DecodePrivateKey as _};

use crate::scenario::agent::Agent;

/// What is known of a recording beside what passed.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// The area's folder and the scenario's name in it.
    pub area: String,
    pub name: String,
    pub title: String,
    /// The server and its revision, as the snapshot names them.
    pub server: String,
    pub revision: String,
    /// Under which addresses clients reached the server: host and port, and the base URL. The first is what the server's
    /// answers show.
    pub addresses: Vec<(String, String)>,
    /// Agents whose keys are known.
    pub agents: Vec<Agent>,
    /// What the server's environment has beyond the usual.
    pub env: Vec<(String, String)>,
    /// The server's root folder, where its answers could show it.
    pub root: Option<String>,
    /// Whether passwords stay as they are, and tokens that no answer of the recording gave.
    pub keep_secrets: bool,
    /// Whether pages and files of the web client are written too.
    pub keep_pages: bool,
}

impl Plan {
    /// What an answer says, as a server says it that has one address, and no root folder that anybody knows.
    pub(super) fn as_said(&self, text: &str) -> String {
        let mut text = text.to_owned();
        if let Some(root) = self.root.as_deref().filter(|root| !root.is_empty()) {
            text = text.replace(root, "${root}");
        }
        if let Some(((host, base), others)) = self.addresses.split_first() {
            for (other_host, other_base) in others {
                text = text
                    .replace(other_base.as_str(), base)
                    .replace(other_host.as_str(), host);
            }
        }
        text
    }

    /// As [`Self::as_said`], where the bytes are a text.
    pub(super) fn as_said_in(&self, bytes: Vec<u8>) -> Vec<u8> {
        match String::from_utf8(bytes) {
            Ok(text) => self.as_said(&text).into_bytes(),
            Err(error) => error.into_bytes(),
        }
    }

    /// A text with templates in place of the server's addresses.
    pub(super) fn with_addresses(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (host, base) in &self.addresses {
            text = text
                .replace(base.as_str(), "${base}")
                .replace(host.as_str(), "${host}");
        }
        text
    }
}

/// An agent by its private key: PKCS #8 as PEM or DER, or the seed in base64.
#[must_use]
pub fn agent_of(name: &str, file: &[u8]) -> Option<Agent> {
    let text = std::str::from_utf8(file).ok().map(str::trim);
    let key = match text {
        Some(pem) if pem.starts_with("-----") => SigningKey::from_pkcs8_pem(pem).ok(),
        Some(base64) => {
            let bytes = BASE64.decode(base64).ok()?;
            let seed = <[u8; 32]>::try_from(bytes.as_slice()).ok();
            seed.map(|seed| SigningKey::from_bytes(&seed))
                .or_else(|| SigningKey::from_pkcs8_der(&bytes).ok())
        }
        None => SigningKey::from_pkcs8_der(file).ok(),
    };
    Some(Agent {
        name: name.to_owned(),
        hostname: String::new(),
        seed: key?.to_bytes(),
    })
}
