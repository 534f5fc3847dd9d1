//! The legacy's reading of base64.

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

/// Standard alphabet, exact padding, no white space; bits beyond the last byte may be anything (`QR==` is `QQ==`).
static STRICT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical)
        .with_decode_allow_trailing_bits(true),
);

/// Decodes untrusted text; `None` where it is no base64. The empty text is zero bytes.
pub fn decode_strict(text: &str) -> Option<Vec<u8>> {
    STRICT.decode(text).ok()
}

/// Like [`decode_strict`], but takes the URL-safe spelling too: the legacy does so for public keys alone.
pub fn decode_public_key(text: &str) -> Option<Vec<u8>> {
    decode_strict(&text.replace('-', "+").replace('_', "/"))
}

/// Standard base64 with padding.
pub fn encode(bytes: &[u8]) -> String {
    STRICT.encode(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_the_exact_form_is_read() {
        assert_eq!(decode_strict("QQ==").unwrap(), b"A");
        assert_eq!(decode_strict("QR==").unwrap(), b"A");
        assert_eq!(decode_strict("").unwrap(), b"");
        for refused in ["QQ", "QQ=", "QQ==\n", " QQ==", "Q Q==", "QQ===", "-_-_", "é==="] {
            assert_eq!(decode_strict(refused), None, "{refused:?}");
        }
        assert_eq!(decode_public_key("-_-_"), decode_strict("+/+/"));
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_read_back(bytes in any::<Vec<u8>>()) {
            prop_assert_eq!(decode_strict(&encode(&bytes)), Some(bytes));
        }

        #[test]
        fn no_text_breaks_it(text in "\\PC*") {
            let _ = decode_strict(&text);
        }
    }
}
