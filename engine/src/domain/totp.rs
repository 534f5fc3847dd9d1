//! Time-based one-time codes (RFC 6238): HMAC-SHA1, six digits, steps of 30 seconds.

use std::sync::LazyLock;

use data_encoding::{BASE32_NOPAD, Encoding};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;
use unicode_normalization::UnicodeNormalization as _;

use super::{
    percent,
    random::{Random, random_bytes},
    text::{python_trim, same_text},
};

/// The letters of base32, five bits each. What the last letter has beyond whole bytes may be anything.
static BASE32: LazyLock<Encoding> = LazyLock::new(|| {
    let mut letters = BASE32_NOPAD.specification();
    letters.check_trailing_bits = false;
    letters.encoding().unwrap_or(BASE32_NOPAD)
});
/// Length of a step in seconds.
const STEP: i64 = 30;
/// Shorter secrets are refused: 112 bits.
const SHORTEST: usize = 14;
/// How many digits a code has.
pub const DIGITS: usize = 6;

/// Why a stored text is no secret, in the legacy's words.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SecretError {
    /// Nothing is stored.
    #[error("empty MFA secret")]
    Empty,
    /// A character beyond ASCII.
    #[error("string argument should contain only ASCII characters")]
    Ascii,
    /// A character that base32 does not have.
    #[error("Non-base32 digit found")]
    Digit,
    /// The number of characters cannot be that of whole bytes.
    #[error("Incorrect padding")]
    Padding,
    /// Too few bytes to be safe.
    #[error("Secrets must be at least 112 bits after decoding")]
    Short,
}

/// A shared secret, ready to make codes.
#[derive(Clone, Eq, PartialEq)]
pub struct Secret(Vec<u8>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Secret(…)")
    }
}

impl Secret {
    /// Reads a stored secret: blanks are dropped, letter case does not matter, padding may be missing.
    ///
    /// # Errors
    /// [`SecretError`]
    pub fn read(text: &str) -> Result<Self, SecretError> {
        let text = text.replace(' ', "");
        let text = python_trim(&text).to_uppercase();
        if text.is_empty() {
            return Err(SecretError::Empty);
        }
        let bytes = decode_base32(&text)?;
        if bytes.len() < SHORTEST {
            return Err(SecretError::Short);
        }
        Ok(Self(bytes))
    }

    pub fn code(&self, step: u64) -> String {
        // Keys of any length are fine for HMAC.
        let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(&self.0) else {
            return String::new();
        };
        mac.update(&step.to_be_bytes());
        let digest: [u8; 20] = mac.finalize().into_bytes().into();
        let [.., last] = digest;
        let start = usize::from(last & 0x0f);
        let word = digest
            .iter()
            .skip(start)
            .take(4)
            .fold(0_u32, |word, byte| word << 8 | u32::from(*byte));
        format!("{:0DIGITS$}", (word & 0x7fff_ffff) % 1_000_000)
    }

    /// The step whose code `code` is, among that of `now` (Unix seconds) and its two neighbours. Codes are compared
    /// after NFKC, so full-width and superscript digits match.
    pub fn matching_step(&self, code: &str, now: i64) -> Option<u64> {
        let code: String = code.nfkc().collect();
        let present = now.div_euclid(STEP);
        (present - 1..=present + 1)
            .filter_map(|step| u64::try_from(step).ok())
            .find(|step| same_text(&self.code(*step), &code))
    }
}

/// The first step that [`Secret::matching_step`] no longer takes at `now` is before this one.
pub fn oldest_step(now: i64) -> u64 {
    u64::try_from(now.div_euclid(STEP) - 1).unwrap_or(0)
}

/// A new secret: 160 random bits as 32 characters.
pub fn new_secret(random: &dyn Random) -> String {
    BASE32_NOPAD.encode(&random_bytes::<20>(random))
}

/// The address that authenticator apps read, from a QR code usually.
pub fn otpauth_url(issuer: &str, username: &str, secret: &str) -> String {
    let label = |text| percent::encode(text, const { &percent::all_but("/") });
    format!(
        "otpauth://totp/{}:{}?secret={secret}&issuer={}",
        label(issuer),
        label(username),
        percent::encode(issuer, const { &percent::all_but("") })
    )
}

/// Base32 as the legacy's decoder reads it, once the padding is complete: it looks at the letters before it looks at
/// their number.
fn decode_base32(text: &str) -> Result<Vec<u8>, SecretError> {
    if !text.is_ascii() {
        return Err(SecretError::Ascii);
    }
    let letters = text.trim_end_matches('=');
    let is_letter = |byte| matches!(byte, b'A'..=b'Z' | b'2'..=b'7');
    if !letters.bytes().all(is_letter) {
        return Err(SecretError::Digit);
    }
    // What was padded explicitly must come out at whole groups of eight.
    let padding = (text.len() - letters.len()) + (8 - text.len() % 8) % 8;
    if padding != (8 - letters.len() % 8) % 8 {
        return Err(SecretError::Padding);
    }
    // One, three or six letters hold no whole byte.
    BASE32
        .decode(letters.as_bytes())
        .map_err(|_| SecretError::Padding)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::integrations::random::SeededRandom;

    const SECRET: &str = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP";

    #[test]
    fn codes_are_the_reference_s() {
        let secret = Secret::read(SECRET).unwrap();
        for (time, code) in [
            (0, "702218"),
            (59, "503347"),
            (1_111_111_109, "088309"),
            (1_700_000_000, "406058"),
        ] {
            assert_eq!(secret.code(time / 30), code, "{time}");
        }
        // RFC 6238, appendix B, cut to six digits.
        let rfc = Secret::read("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ").unwrap();
        assert_eq!(rfc.code(59 / 30), "287082");
        assert_eq!(rfc.code(20_000_000_000 / 30), "353130");
    }

    #[test]
    fn a_code_counts_in_its_step_and_both_neighbours() {
        let secret = Secret::read(SECRET).unwrap();
        let now = 1_700_000_010;
        let step: u64 = 1_700_000_010 / 30;
        for (offset, expected) in [
            (-2, None),
            (-1, Some(step - 1)),
            (0, Some(step)),
            (1, Some(step + 1)),
            (2, None),
        ] {
            let code = secret.code(step.checked_add_signed(offset).unwrap());
            assert_eq!(secret.matching_step(&code, now), expected, "{offset}");
        }
        assert_eq!(secret.matching_step(&secret.code(0), 0), Some(0));
        assert_eq!(secret.matching_step(&secret.code(0), -31), None);
        assert_eq!(oldest_step(now), step - 1);
    }

    #[test]
    fn digits_of_other_forms_match_where_nfkc_makes_them_plain() {
        let secret = Secret::read(SECRET).unwrap();
        for (code, matches) in [
            ("４０６０５８", true),
            ("⁴⁰⁶⁰⁵⁸", true),
            ("٤٠٦٠٥٨", false),
            ("4060580", false),
        ] {
            assert_eq!(
                secret.matching_step(code, 1_700_000_000).is_some(),
                matches,
                "{code}"
            );
        }
    }

    #[test]
    fn secrets_are_read_as_people_write_them() {
        let plain = Secret::read(SECRET).unwrap();
        for text in [
            " jbsw y3dp ehpk 3pxp jbsw y3dp ehpk 3pxp\n",
            "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP\u{1f}",
        ] {
            assert_eq!(Secret::read(text).unwrap(), plain, "{text:?}");
        }
        for (text, error) in [
            ("", SecretError::Empty),
            (" \u{3000}", SecretError::Empty),
            ("JBSWY3DPEHPK3PX1JBSWY3DP", SecretError::Digit),
            ("JBSWY3DP=HPK3PXP", SecretError::Digit),
            ("ÄBSWY3DP", SecretError::Ascii),
            ("JBSWY3DPE", SecretError::Padding),
            ("JBSWY3DPEHPK3PXPJBSWY3DPEHP", SecretError::Padding),
            ("========", SecretError::Padding),
            ("JBSWY3DPEHPK3PXP", SecretError::Short),
        ] {
            assert_eq!(Secret::read(text), Err(error), "{text:?}");
        }
        assert!(Secret::read("JBSWY3DPEHPK3PXPJBSWY3DPEH======").is_ok());
        assert!(Secret::read("JBSWY3DPEHPK3PXPJBSWY3DPEH").is_ok());
    }

    #[test]
    fn a_new_secret_is_one_that_can_be_used() {
        let random = SeededRandom::new(7);
        let secret = new_secret(&random);
        assert_eq!(secret.len(), 32);
        assert_ne!(secret, new_secret(&random));
        assert_eq!(Secret::read(&secret).unwrap().0.len(), 20);
    }

    #[test]
    fn the_address_escapes_issuer_and_name() {
        assert_eq!(
            otpauth_url("Ops & Co", "müller/1", "S"),
            "otpauth://totp/Ops%20%26%20Co:m%C3%BCller/1?secret=S&issuer=Ops%20%26%20Co"
        );
        assert!(otpauth_url("a/b", "x@y:z", "S").ends_with("a/b:x%40y%3Az?secret=S&issuer=a%2Fb"));
    }

    proptest! {
        #[test]
        fn every_text_is_a_secret_or_refused(text in "\\PC*", now: i64) {
            if let Ok(secret) = Secret::read(&text) {
                let now = now.clamp(-1 << 40, 1 << 40);
                // Its own code of the present step is always one of the three.
                if let Ok(step) = u64::try_from(now.div_euclid(STEP)) {
                    prop_assert!(secret.matching_step(&secret.code(step), now).is_some());
                }
                if let Some(step) = secret.matching_step(&text, now) {
                    prop_assert!(step >= oldest_step(now));
                }
            }
        }

        #[test]
        fn bytes_written_in_base32_are_read_back(bytes in proptest::collection::vec(any::<u8>(), 14..40)) {
            let text = BASE32_NOPAD.encode(&bytes);
            prop_assert_eq!(Secret::read(&text).map(|secret| secret.0), Ok(bytes));
        }
    }
}
