//! Percent-encoding.
//!
//! Short because the paths of GitHub, TOTP addresses and redirects share it.

/// `text` with everything but letters, digits, `-._~` and the characters of `safe` as escapes.
pub fn encode(text: &str, safe: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        let character = char::from(byte);
        if character.is_ascii_alphanumeric()
            || "-._~".contains(character)
            || byte.is_ascii() && safe.contains(character)
        {
            encoded.push(character);
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}
