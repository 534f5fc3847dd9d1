//! Requests to enroll.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

/// What stands before the 32 bytes of an Ed25519 key in its SPKI.
const ED25519: &[u8] = b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00";

/// The body of a request under this code. Only whoever polls proves the key, so that any bytes are one.
pub(crate) fn request(hostname: &str, code: &str, key: [u8; 32]) -> Value {
    json!({
        "hostname": hostname,
        "enrollment_code": code,
        "agent_pubkey": STANDARD.encode([ED25519, &key].concat()),
        "client_nonce": STANDARD.encode([7; 16]),
    })
}
