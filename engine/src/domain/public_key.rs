//! What kind of public key some bytes are, as far as enrollment must know: whether the legacy's library could read
//! them at all, and whether they are a key that can prove.

use x509_cert::{
    der::{
        Decode as _, Reader as _, SliceReader,
        asn1::{AnyRef, Null, ObjectIdentifier, UintRef},
    },
    spki::SubjectPublicKeyInfoRef,
};

const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
/// X25519, X448 and Ed448 with the length of their keys.
const OTHER_EDWARDS: [(ObjectIdentifier, usize); 3] = [
    (ObjectIdentifier::new_unwrap("1.3.101.110"), 32),
    (ObjectIdentifier::new_unwrap("1.3.101.111"), 56),
    (ObjectIdentifier::new_unwrap("1.3.101.113"), 57),
];
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
/// DSA, and Diffie-Hellman in both spellings: one number with parameters of its own.
const ONE_NUMBER: [ObjectIdentifier; 3] = [
    ObjectIdentifier::new_unwrap("1.2.840.10040.4.1"),
    ObjectIdentifier::new_unwrap("1.2.840.113549.1.3.1"),
    ObjectIdentifier::new_unwrap("1.2.840.10046.2.1"),
];
/// Named curves with the length of a coordinate: P-192, P-224, P-256, P-384, P-521, secp256k1, and Brainpool's 256,
/// 384 and 512.
const CURVES: [(ObjectIdentifier, usize); 9] = [
    (ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.1"), 24),
    (ObjectIdentifier::new_unwrap("1.3.132.0.33"), 28),
    (ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7"), 32),
    (ObjectIdentifier::new_unwrap("1.3.132.0.34"), 48),
    (ObjectIdentifier::new_unwrap("1.3.132.0.35"), 66),
    (ObjectIdentifier::new_unwrap("1.3.132.0.10"), 32),
    (ObjectIdentifier::new_unwrap("1.3.36.3.3.2.8.1.1.7"), 32),
    (ObjectIdentifier::new_unwrap("1.3.36.3.3.2.8.1.1.11"), 48),
    (ObjectIdentifier::new_unwrap("1.3.36.3.3.2.8.1.1.13"), 64),
];

/// A kind of key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// Ed25519, with the bytes of its point, which need not be one.
    Ed25519([u8; 32]),
    /// Any other kind that is read.
    Other,
}

/// The kind of the key in `der`: an SPKI, or a bare RSA key as PKCS #1 has it. `None` where it is no readable key.
///
/// Of keys that cannot prove anyway only the form is looked at, not whether a point lies on its curve.
pub fn kind_of(der: &[u8]) -> Option<Kind> {
    let Ok(key) = SubjectPublicKeyInfoRef::from_der(der) else {
        return is_rsa(der).then_some(Kind::Other);
    };
    let bytes = key.subject_public_key.as_bytes()?;
    let parameters = key.algorithm.parameters;
    let oid = key.algorithm.oid;
    if oid == ED25519 {
        let point = bytes.try_into().ok()?;
        return parameters.is_none().then_some(Kind::Ed25519(point));
    }
    let length_of = |known: &[(ObjectIdentifier, usize)], oid| {
        known
            .iter()
            .find(|(name, _)| *name == oid)
            .map(|(_, length)| *length)
    };
    let readable = if let Some(length) = length_of(&OTHER_EDWARDS, oid) {
        parameters.is_none() && bytes.len() == length
    } else if oid == RSA {
        parameters.is_none_or(|parameters| parameters.decode_as::<Null>().is_ok()) && is_rsa(bytes)
    } else if oid == EC {
        let coordinate = parameters
            .and_then(|curve: AnyRef<'_>| curve.decode_as::<ObjectIdentifier>().ok())
            .and_then(|curve| length_of(&CURVES, curve))?;
        is_point(bytes, coordinate)
    } else {
        ONE_NUMBER.contains(&oid) && UintRef::from_der(bytes).is_ok()
    };
    readable.then_some(Kind::Other)
}

/// Modulus and exponent, and nothing after them.
fn is_rsa(der: &[u8]) -> bool {
    let Ok(mut reader) = SliceReader::new(der) else {
        return false;
    };
    let read = reader.sequence(|numbers| {
        UintRef::decode(numbers)?;
        UintRef::decode(numbers).map(|_| ())
    });
    read.is_ok() && reader.is_finished()
}

/// Whether this is a point, whole or compressed, with coordinates of this length.
fn is_point(bytes: &[u8], coordinate: usize) -> bool {
    match bytes.split_first() {
        Some((4, coordinates)) => coordinates.len() == 2 * coordinate,
        Some((2 | 3, coordinates)) => coordinates.len() == coordinate,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use ed25519_dalek::{SigningKey, pkcs8::EncodePublicKey as _};
    use proptest::{collection::vec, prelude::*, sample::select};

    use super::*;

    /// The DER of a short value.
    fn wrap(tag: u8, content: &[u8]) -> Vec<u8> {
        assert!(content.len() < 0x80);
        let mut wrapped = vec![tag, u8::try_from(content.len()).unwrap()];
        wrapped.extend(content);
        wrapped
    }

    /// The DER of a number that is not negative.
    fn number(bytes: &[u8]) -> Vec<u8> {
        let mut digits: Vec<u8> = bytes.iter().copied().skip_while(|byte| *byte == 0).collect();
        if digits.first().is_none_or(|first| *first >= 0x80) {
            digits.insert(0, 0);
        }
        wrap(2, &digits)
    }

    /// An SPKI: `algorithm` is the DER of what stands in the algorithm's sequence.
    fn spki(algorithm: &[u8], key: &[u8]) -> Vec<u8> {
        let key = [&[0][..], key].concat();
        wrap(0x30, &[wrap(0x30, algorithm), wrap(3, &key)].concat())
    }

    const P256: &[u8] = &[
        6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7,
    ];
    const EC_WITHOUT_CURVE: &[u8] = &[6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
    const RSA_ALGORITHM: &[u8] = &[6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 5, 0];
    const X25519: &[u8] = &[6, 3, 0x2b, 0x65, 0x6e];
    const ED25519_ALONE: &[u8] = &[6, 3, 0x2b, 0x65, 0x70];
    const ED25519_WITH_NULL: &[u8] = &[6, 3, 0x2b, 0x65, 0x70, 5, 0];
    const UNKNOWN: &[u8] = &[6, 3, 0x2b, 0x65, 0x01];
    /// Modulus 0xc1, exponent 3.
    const SMALL_RSA: &[u8] = &[0x30, 7, 2, 2, 0, 0xc1, 2, 1, 3];

    #[test]
    fn an_ed25519_key_shows_its_point() {
        let key = SigningKey::from_bytes(&[7; 32]).verifying_key();
        let der = key.to_public_key_der().unwrap();
        assert_eq!(kind_of(der.as_bytes()), Some(Kind::Ed25519(key.to_bytes())));
        assert_eq!(kind_of(&spki(ED25519_WITH_NULL, key.as_bytes())), None);
    }

    #[test]
    fn other_kinds_are_told_from_junk() {
        let point = |prefix: u8, length| [&[prefix][..], &vec![1; length]].concat();
        let trailing = [SMALL_RSA, &[0]].concat();
        let real_ec = STANDARD
            .decode("MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==")
            .unwrap();
        assert_eq!(kind_of(&real_ec), Some(Kind::Other));
        for (readable, algorithm, key) in [
            (true, P256, point(4, 64)),
            (true, P256, point(2, 32)),
            (false, P256, point(4, 63)),
            (false, P256, point(5, 64)),
            (false, P256, Vec::new()),
            (false, EC_WITHOUT_CURVE, point(4, 64)),
            (true, RSA_ALGORITHM, SMALL_RSA.to_vec()),
            (false, RSA_ALGORITHM, trailing),
            (false, RSA_ALGORITHM, b"junk".to_vec()),
            (true, X25519, vec![1; 32]),
            (false, X25519, vec![1; 31]),
            (false, UNKNOWN, vec![1; 32]),
        ] {
            let kind = kind_of(&spki(algorithm, &key));
            assert_eq!(kind, readable.then_some(Kind::Other), "{algorithm:?} {key:?}");
        }
        assert_eq!(kind_of(SMALL_RSA), Some(Kind::Other));
        assert_eq!(kind_of(b"0123456789junk"), None);
    }

    /// The bytes of a key, mostly of a length that some kind has.
    fn any_point() -> impl Strategy<Value = Vec<u8>> {
        (0_u8..6, prop_oneof![0_usize..70, select(&[31_usize, 32, 64])])
            .prop_flat_map(|(first, length)| (Just(first), vec(any::<u8>(), length)))
            .prop_map(|(first, rest)| [vec![first], rest].concat())
    }

    proptest! {
        #[test]
        fn a_key_is_read_by_the_length_that_its_kind_has(key in any_point()) {
            let other = |readable: bool| readable.then_some(Kind::Other);
            let is_point = matches!((key[0], key.len()), (4, 65) | (2 | 3, 33));
            prop_assert_eq!(kind_of(&spki(P256, &key)), other(is_point));
            prop_assert_eq!(kind_of(&spki(X25519, &key)), other(key.len() == 32));
            let point = key.as_slice().try_into().ok().map(Kind::Ed25519);
            prop_assert_eq!(kind_of(&spki(ED25519_ALONE, &key)), point);
            prop_assert_eq!(kind_of(&spki(UNKNOWN, &key)), None);
        }

        #[test]
        fn any_two_numbers_are_an_rsa_key_and_one_is_none(modulus in vec(any::<u8>(), 0..60), exponent in vec(any::<u8>(), 0..8)) {
            let both = wrap(0x30, &[number(&modulus), number(&exponent)].concat());
            let alone = wrap(0x30, &number(&modulus));
            for (key, kind) in [(both, Some(Kind::Other)), (alone, None)] {
                prop_assert_eq!(kind_of(&key), kind);
                prop_assert_eq!(kind_of(&spki(RSA_ALGORITHM, &key)), kind);
            }
        }

        #[test]
        fn a_key_is_whole_and_nothing_follows_it(
            kind in 0_usize..4, at in any::<prop::sample::Index>(), flipped: u8, more: u8, junk in any::<Vec<u8>>(),
        ) {
            let mut der = match kind {
                0 => spki(P256, &[&[4][..], &[1; 64]].concat()),
                1 => spki(ED25519_ALONE, &[1; 32]),
                2 => spki(RSA_ALGORITHM, SMALL_RSA),
                _ => SMALL_RSA.to_vec(),
            };
            prop_assert!(kind_of(&der).is_some());
            let at = at.index(der.len());
            der[at] ^= flipped;
            for der in [der, junk] {
                if kind_of(&der).is_some() {
                    prop_assert_eq!(kind_of(&[&der[..], &[more]].concat()), None);
                    prop_assert_eq!(kind_of(&der[..der.len() - 1]), None);
                }
            }
        }
    }
}
