//! Values of which only the shape is compared, because their content follows from values that are compared elsewhere.

use super::forms::pattern;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use regex::Regex;
use serde_json::{Value, json};
use std::sync::LazyLock;

/// The server time's text for people; recordings hold `<display>` in its place.
static DISPLAY: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"^(?:January|February|March|April|May|June|July|August|September|October|November|December) ",
        r"[1-9]\d?(?:st|nd|rd|th) \d{4} @ (?:[1-9]|1[0-2]):[0-5]\d[AP]M$"
    ))
});

/// The server time's display text, or a picture (a QR code shows a secret that is named elsewhere).
pub(crate) fn recognise(text: &str) -> Option<Value> {
    if DISPLAY.is_match(text) {
        return Some(json!("<display>"));
    }
    let bytes = STANDARD
        .decode(text.strip_prefix("data:image/png;base64,")?)
        .ok()?;
    if !bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        return None;
    }
    let side = |from: usize| {
        let four = bytes.get(from..from + 4)?;
        Some(four.iter().fold(0_u32, |sum, byte| (sum << 8) | u32::from(*byte)))
    };
    Some(json!({ "<png>": { "width": side(16)?, "height": side(20)? } }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_exact_shape_counts() {
        assert_eq!(recognise("November 23rd 2026 @ 3:52PM"), Some(json!("<display>")));
        assert_eq!(recognise("November 23rd 2026 @ 03:52PM"), None);
        assert_eq!(recognise("data:image/png;base64,AAAA"), None);
        let header = [&b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"[..], &[0, 0, 1, 38, 0, 0, 1, 38]].concat();
        let text = format!("data:image/png;base64,{}", STANDARD.encode(header));
        assert_eq!(
            recognise(&text),
            Some(json!({ "<png>": { "width": 294, "height": 294 } }))
        );
    }
}
