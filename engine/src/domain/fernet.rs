//! Fernet tokens: AES-128-CBC and HMAC-SHA256 over a version, a time and an initialisation vector.
//!
//! The `fernet` crate takes its vectors from the operating system alone and looks at the clock when it reads; both are
//! the caller's business here.

use aes::Aes128;
use cbc::cipher::{BlockModeDecrypt as _, BlockModeEncrypt as _, KeyIvInit as _, block_padding::Pkcs7};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::base64::{decode_lenient_url_safe, encode_url_safe};

const VERSION: u8 = 0x80;
/// Version, seconds and vector, before the cipher text.
const HEAD: usize = 1 + 8 + 16;
const TAG: usize = 32;

/// What tokens made with [`FernetKey::seal`] since 1970 and until 2106 begin with.
pub const TOKEN_PREFIX: &[u8] = b"gAAAAA";

/// A secret as it is stored, whichever table it is in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StoredSecret {
    /// What it belongs to, for a person who has to do something about it.
    pub owner: String,
    /// The token that it is sealed in, by some key.
    pub token: Vec<u8>,
}

/// A key: half for signing, half for encryption.
#[derive(Clone, Eq, PartialEq)]
pub struct FernetKey([u8; 32]);

impl std::fmt::Debug for FernetKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("FernetKey(…)")
    }
}

impl FernetKey {
    /// The key of these bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Reads the text form, URL-safe base64 of 32 bytes.
    pub fn from_text(text: &[u8]) -> Option<Self> {
        decode_lenient_url_safe(text)?.try_into().ok().map(Self)
    }

    /// Reads the text form or base64 of it, which the legacy takes for one from its environment.
    pub fn from_text_or_its_base64(text: &[u8]) -> Option<Self> {
        decode_lenient_url_safe(text)
            .and_then(|inner| Self::from_text(&inner))
            .or_else(|| Self::from_text(text))
    }

    /// Whether everybody knows it: the key of the published test vectors, or one that nobody drew at random.
    pub fn is_published(&self) -> bool {
        const PUBLISHED: &[u8] = b"cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=";
        let steady = |step: u8| {
            self.0
                .windows(2)
                .all(|pair| matches!(pair, [one, next] if one.wrapping_add(step) == *next))
        };
        steady(0) || steady(1) || Self::from_text(PUBLISHED).as_ref() == Some(self)
    }

    /// The text form, 44 characters.
    pub fn to_text(&self) -> String {
        encode_url_safe(&self.0)
    }

    /// A token that holds `content`, made at `seconds` since 1970. `vector` must be random and used once.
    pub fn seal(&self, content: &[u8], seconds: u64, vector: [u8; 16]) -> String {
        let (_, encryption) = self.halves();
        let cipher = cbc::Encryptor::<Aes128>::new(&encryption.into(), &vector.into());
        let mut token = Vec::with_capacity(HEAD + content.len() + 16 + TAG);
        token.push(VERSION);
        token.extend(seconds.to_be_bytes());
        token.extend(vector);
        token.extend(cipher.encrypt_padded_vec::<Pkcs7>(content));
        token.extend(self.mac(&token).finalize().into_bytes());
        encode_url_safe(&token)
    }

    /// What a token holds; `None` where it is no token or was made with another key. Its age does not matter.
    pub fn open(&self, token: &[u8]) -> Option<Vec<u8>> {
        let token = decode_lenient_url_safe(token)?;
        let (signed, tag) = token.split_at_checked(token.len().checked_sub(TAG)?)?;
        let (head, content) = signed.split_at_checked(HEAD)?;
        if head.first() != Some(&VERSION) {
            return None;
        }
        self.mac(signed).verify_slice(tag).ok()?;
        let (_, encryption) = self.halves();
        let vector: [u8; 16] = head.get(9..)?.try_into().ok()?;
        cbc::Decryptor::<Aes128>::new(&encryption.into(), &vector.into())
            .decrypt_padded_vec::<Pkcs7>(content)
            .ok()
    }

    fn halves(&self) -> ([u8; 16], [u8; 16]) {
        let (mut signing, mut encryption) = ([0; 16], [0; 16]);
        let (first, second) = self.0.split_at(16);
        signing.copy_from_slice(first);
        encryption.copy_from_slice(second);
        (signing, encryption)
    }

    fn mac(&self, signed: &[u8]) -> Hmac<Sha256> {
        let (signing, _) = self.halves();
        // Keys of this length are always taken.
        let mut mac = <Hmac<Sha256>>::new_from_slice(&signing)
            .unwrap_or_else(|_| <Hmac<Sha256>>::new(&Default::default()));
        mac.update(signed);
        mac
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The published test vector.
    const KEY: &[u8] = b"cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=";
    const TOKEN: &str = "gAAAAAAdwJ6wAAECAwQFBgcICQoLDA0ODy021cpGVWKZ_eEwCGM4BLLF_5CV9dOPmrhuVUPgJobwOz7JcbmrR64jVmpU4IwqDA==";

    fn key() -> FernetKey {
        FernetKey::from_text(KEY).unwrap()
    }

    #[test]
    fn the_published_token_is_made_and_read() {
        let vector = std::array::from_fn(|index| index as u8);
        assert_eq!(key().seal(b"hello", 499_162_800, vector), TOKEN);
        assert_eq!(key().open(TOKEN.as_bytes()).unwrap(), b"hello");
        assert!(TOKEN.as_bytes().starts_with(TOKEN_PREFIX));
        assert_eq!(key().to_text().as_bytes(), KEY);
    }

    #[test]
    fn a_key_is_read_in_both_forms_and_never_printed() {
        let twice = encode_url_safe(KEY);
        assert_eq!(twice.len(), 60);
        for text in [KEY, twice.as_bytes()] {
            assert_eq!(FernetKey::from_text_or_its_base64(text), Some(key()));
        }
        for unusable in [
            &b"secret"[..],
            b"",
            b"0123456789abcdef0123456789abcdef",
            &KEY[1..],
        ] {
            assert_eq!(FernetKey::from_text_or_its_base64(unusable), None);
        }
        assert_eq!(format!("{:?}", key()), "FernetKey(…)");
    }

    #[test]
    fn keys_that_everybody_knows_are_told_from_others() {
        let ascending = std::array::from_fn(|index| index as u8);
        for known in [
            FernetKey::from_text(b"cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=").unwrap(),
            FernetKey::from_bytes([0; 32]),
            FernetKey::from_bytes([b'x'; 32]),
            FernetKey::from_bytes(ascending),
        ] {
            assert!(known.is_published());
        }
        let mut other = ascending;
        other[31] = 7;
        assert!(!FernetKey::from_bytes(other).is_published());
    }

    #[test]
    fn changed_and_alien_tokens_are_refused() {
        let token = TOKEN.as_bytes();
        for index in 0..token.len() - 2 {
            let mut changed = token.to_vec();
            changed[index] = if changed[index] == b'A' { b'B' } else { b'A' };
            // The last character before the padding has bits that belong to no byte.
            assert!(
                key().open(&changed).is_none() || index == token.len() - 3,
                "{index}"
            );
        }
        assert_eq!(FernetKey::from_bytes([7; 32]).open(token), None);
        for cut in [&b""[..], b"gAAAAA", &token[..40], b"not base64"] {
            assert_eq!(key().open(cut), None);
        }
    }

    proptest! {
        #[test]
        fn what_is_sealed_is_read_back(
            content in any::<Vec<u8>>(),
            bytes in any::<[u8; 32]>(),
            vector in any::<[u8; 16]>(),
            seconds in 0..u64::from(u32::MAX),
        ) {
            let key = FernetKey::from_bytes(bytes);
            let token = key.seal(&content, seconds, vector);
            prop_assert!(token.as_bytes().starts_with(TOKEN_PREFIX));
            prop_assert_eq!(token.len(), (73 + 16 * (content.len() / 16)).div_ceil(3) * 4);
            prop_assert_eq!(key.open(token.as_bytes()), Some(content));
        }

        #[test]
        fn no_bytes_break_it(token in any::<Vec<u8>>()) {
            prop_assert_eq!(key().open(&token), None);
        }
    }
}
