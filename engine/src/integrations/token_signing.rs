//! The signature of access tokens: `jsonwebtoken` with the Ed25519 that the rest of the server uses. The crate's own
//! choice would build a second RustCrypto beside it, RSA and two elliptic curves included, for this one algorithm.
//!
//! The crate asks for a signer with every signature and gives it the encoded key. Decoding that takes as long as the
//! signature, so the key that was used last stays decoded: a server has one.

use std::sync::{Mutex, PoisonError};

use ed25519_dalek::{SigningKey, pkcs8::DecodePrivateKey as _};
use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey,
    crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils},
    errors::{ErrorKind, Result},
    signature::{Error, Signer},
};

static ED25519: CryptoProvider = CryptoProvider {
    signer_factory: signer,
    verifier_factory: no_verifier,
    key_utils: KeyUtils::new_unimplemented(),
};

/// Lets `jsonwebtoken` sign in this process. It may be called any number of times.
pub fn install() {
    let _already_installed = ED25519.install_default();
}

/// The key that signed last, encoded and decoded.
static LAST: Mutex<Option<(Vec<u8>, SigningKey)>> = Mutex::new(None);

struct Ed25519(SigningKey);

impl Signer<Vec<u8>> for Ed25519 {
    fn try_sign(&self, message: &[u8]) -> std::result::Result<Vec<u8>, Error> {
        Ok(ed25519_dalek::Signer::sign(&self.0, message).to_vec())
    }
}

impl JwtSigner for Ed25519 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::EdDSA
    }
}

fn signer(algorithm: &Algorithm, key: &EncodingKey) -> Result<Box<dyn JwtSigner>> {
    if *algorithm != Algorithm::EdDSA {
        return Err(ErrorKind::InvalidAlgorithm.into());
    }
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((encoded, decoded)) = &*last
        && encoded == key.as_bytes()
    {
        return Ok(Box::new(Ed25519(decoded.clone())));
    }
    let decoded = SigningKey::from_pkcs8_der(key.as_bytes()).map_err(|_| ErrorKind::InvalidKeyFormat)?;
    *last = Some((key.as_bytes().to_vec(), decoded.clone()));
    Ok(Box::new(Ed25519(decoded)))
}

/// Tokens are read by `domain/jws.rs`, as the legacy reads them.
fn no_verifier(_: &Algorithm, _: &DecodingKey) -> Result<Box<dyn JwtVerifier>> {
    Err(ErrorKind::InvalidAlgorithm.into())
}
