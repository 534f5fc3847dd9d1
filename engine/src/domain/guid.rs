//! The forms of a device's GUID.

use uuid::Uuid;

use super::{coerce::ascii_digits, text::python_trim};

/// A device's GUID in the form that the legacy compares and stores: upper case, hyphenated, where it is a UUID;
/// otherwise the upper-cased text.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Guid(String);

impl Guid {
    /// Normalises untrusted text; `None` where nothing is left of it.
    ///
    /// Text around a UUID (quotes, blanks, letters that are no hex digits) is forgiven, as the legacy does. Text
    /// that is no UUID is taken too: the legacy makes a device `HELLO` of `hello`.
    pub fn normalize(text: &str) -> Option<Self> {
        let bare = python_trim(text).trim_matches(['{', '}']);
        if bare.is_empty() {
            return None;
        }
        let from_digits = || {
            let digits: String = bare
                .chars()
                .filter(|character| character.is_ascii_hexdigit() || *character == '-')
                .collect();
            lenient_uuid(digits.trim_matches('-'))
        };
        let uuid = lenient_uuid(bare)
            .or_else(|| uuid_of_number(bare))
            .or_else(from_digits);
        Some(Self(uuid.unwrap_or_else(|| bare.to_uppercase())))
    }

    /// Reads text that is a UUID in any of its spellings, and nothing besides. What only [`Guid::normalize`] forgives is
    /// none: whom an id names is no place for kindness.
    pub fn uuid(text: &str) -> Option<Self> {
        lenient_uuid(text.trim().trim_matches(['{', '}'])).map(Self)
    }

    /// The GUID of a new device.
    pub fn from_uuid(uuid: Uuid) -> Self {
        Self(hyphenated_upper(uuid))
    }

    /// Whether it is a UUID, and no other text that was taken for a GUID.
    pub fn is_uuid(&self) -> bool {
        lenient_uuid(&self.0).is_some()
    }

    /// The text as stored.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Guid {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

fn lenient_uuid(text: &str) -> Option<String> {
    // As good as every one is written so, and every call and event names some.
    if is_hyphenated(text) {
        return Some(text.to_ascii_uppercase());
    }
    let digits = bare_digits(text)?;
    if digits.len() != 32 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    Uuid::try_parse(&digits).ok().map(hyphenated_upper)
}

/// A UUID without what may stand around and between its digits; `None` where that is too short for one.
fn bare_digits(text: &str) -> Option<String> {
    if text.len() < 32 {
        return None;
    }
    let digits = text.replace("urn:", "").replace("uuid:", "");
    Some(digits.trim_matches(['{', '}']).replace('-', ""))
}

/// The UUID in the 32 characters of a number as Python reads one to the base of 16: with blanks around it, `+` or `0x` before
/// it, single `_` between its digits, and digits of any script.
fn uuid_of_number(text: &str) -> Option<String> {
    let digits = bare_digits(text).filter(|digits| digits.chars().count() == 32)?;
    let number = ascii_digits(python_trim(&digits));
    let unsigned = number.strip_prefix('+').unwrap_or(&number);
    let marked = ["0x", "0X"].iter().find_map(|mark| unsigned.strip_prefix(mark));
    let groups = marked.map_or(unsigned, |rest| rest.strip_prefix('_').unwrap_or(rest));
    let is_hex = |group: &str| !group.is_empty() && group.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !groups.split('_').all(is_hex) {
        return None;
    }
    let number = u128::from_str_radix(&groups.replace('_', ""), 16).ok()?;
    Some(hyphenated_upper(Uuid::from_u128(number)))
}

fn is_hyphenated(text: &str) -> bool {
    let fits = |(place, byte): (usize, u8)| match place {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    };
    text.len() == 36 && text.bytes().enumerate().all(fits)
}

fn hyphenated_upper(uuid: Uuid) -> String {
    uuid.hyphenated()
        .encode_upper(&mut Uuid::encode_buffer())
        .to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CANONICAL: &str = "3F2504E0-4F89-11D3-9A0C-0305E82C3301";

    #[test]
    fn what_surrounds_a_uuid_is_forgiven() {
        for text in [
            "{3f2504e0-4f89-11d3-9a0c-0305e82c3301}",
            "3f2504e04f8911d39a0c0305e82c3301",
            "urn:uuid:3f2504e0-4f89-11d3-9a0c-0305e82c3301",
            "zz3f2504e0-4f89-11d3-9a0c-0305e82c3301zz",
            "\"3f2504e0-4f89-11d3-9a0c-0305e82c3301\"",
            "3f2504e0 4f89 11d3 9a0c 0305e82c3301",
        ] {
            let guid = Guid::normalize(text).unwrap();
            assert_eq!(guid.as_str(), CANONICAL, "{text}");
            assert!(guid.is_uuid(), "{text}");
        }
    }

    #[test]
    fn a_number_of_32_characters_is_a_uuid() {
        for (text, expected) in [
            (
                "0x3f2504e04f8911d39a0c0305e82c33",
                "003F2504-E04F-8911-D39A-0C0305E82C33",
            ),
            (
                "0X_3f2504e04f8911d39a0c0305e82c3",
                "0003F250-4E04-F891-1D39-A0C0305E82C3",
            ),
            (
                "+3f2504e04f8911d39a0c0305e82c330",
                "03F2504E-04F8-911D-39A0-C0305E82C330",
            ),
            (
                "3f2504e0_4f89_11d3_9a0c_0305e82c",
                "00003F25-04E0-4F89-11D3-9A0C0305E82C",
            ),
            (
                "{ 3f2504e04f8911d39a0c0305e82c33 }",
                "003F2504-E04F-8911-D39A-0C0305E82C33",
            ),
            ("\u{ff13}f2504e04f8911d39a0c0305e82c3301", CANONICAL),
            ("\u{1c}3f2504e04f8911d39a0c0305e82c3301\u{1f}", CANONICAL),
        ] {
            let guid = Guid::normalize(text).unwrap();
            assert_eq!(guid.as_str(), expected, "{text:?}");
            assert!(guid.is_uuid(), "{text:?}");
        }
        for text in [
            "3f2504e0__4f89_11d3_9a0c_0305e82c",
            "_3f2504e04f8911d39a0c0305e82c330",
            "3f2504e04f8911d39a0c0305e82c330_",
            "++3f2504e04f8911d39a0c0305e82c33",
            "3f2504e04f8911d3 9a0c0305e82c330",
            "0x0x2504e04f8911d39a0c0305e82c33",
        ] {
            assert!(!Guid::normalize(text).unwrap().is_uuid(), "{text:?}");
        }
    }

    #[test]
    fn only_a_plain_uuid_names_a_device_in_an_id() {
        for text in [
            "0x3f2504e04f8911d39a0c0305e82c33",
            "+3f2504e04f8911d39a0c0305e82c330",
            "\u{ff13}f2504e04f8911d39a0c0305e82c3301",
        ] {
            assert_eq!(Guid::uuid(text), None, "{text:?}");
        }
    }

    #[test]
    fn other_text_is_upper_cased() {
        for (text, expected) in [
            ("hello", "HELLO"),
            ("0f8fad5b-d9cb", "0F8FAD5B-D9CB"),
            ("12345", "12345"),
            (
                "URN:UUID:3f2504e0-4f89-11d3-9a0c-0305e82c3301",
                "URN:UUID:3F2504E0-4F89-11D3-9A0C-0305E82C3301",
            ),
        ] {
            let guid = Guid::normalize(text).unwrap();
            assert_eq!(guid.as_str(), expected);
            assert!(!guid.is_uuid(), "{text}");
        }
        for nothing in ["", "  ", "{", "{}"] {
            assert_eq!(Guid::normalize(nothing), None, "{nothing:?}");
        }
    }

    proptest! {
        #[test]
        fn normalising_never_fails_and_settles(text in "\\PC*") {
            if let Some(once) = Guid::normalize(&text) {
                // A second pass may only strip what upper-casing or trimming uncovered, and then it rests.
                let twice = Guid::normalize(once.as_str());
                let thrice = twice.as_ref().and_then(|guid| Guid::normalize(guid.as_str()));
                prop_assert_eq!(twice.is_some(), thrice.is_some());
            }
        }

        #[test]
        fn every_spelling_of_a_uuid_is_one_guid(bytes in any::<[u8; 16]>()) {
            let uuid = Uuid::from_bytes(bytes);
            let expected = Guid::from_uuid(uuid);
            let spellings = [
                uuid.hyphenated().to_string(),
                uuid.simple().to_string(),
                uuid.urn().to_string(),
                uuid.braced().to_string(),
            ];
            for text in spellings {
                prop_assert_eq!(Guid::normalize(&text), Some(expected.clone()));
            }
        }
    }
}
