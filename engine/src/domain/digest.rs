//! Digests in the text form that is stored and compared: lower-case hex.
//!
//! Short because a library makes both the digest and its text.

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256, Sha512};

pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// SHA-256 in hex: a key's fingerprint, a refresh token's stored form.
pub fn sha256_hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(&sha256(bytes))
}

/// SHA-512: the stored form of an operator's password.
pub fn sha512_hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(&Sha512::digest(bytes))
}
