//! The two Ed25519 keys: unencrypted PKCS#8 PEM, readable by the server's user alone.

use std::path::{Path, PathBuf};

use ed25519_dalek::{
    SigningKey,
    pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, EncodePublicKey as _, spki::der::pem::LineEnding},
};

use super::{IdentityError, PartState, files};
use crate::domain::random::{Random, random_bytes};

/// Where a key lives.
pub(super) struct KeyPlace {
    pub(super) path: PathBuf,
    /// Where older versions kept it, most recent first.
    pub(super) former: Vec<PathBuf>,
    /// Whether the public key lies beside it as raw SPKI DER (`.pub`), written when the key is made.
    pub(super) public_copy: bool,
}

/// The key, found or made.
pub(super) fn load_or_create(place: &KeyPlace, random: &dyn Random) -> Result<SigningKey, IdentityError> {
    if !place.path.is_file() {
        for former in &place.former {
            if files::take_over(former, &place.path)? {
                if place.public_copy {
                    files::take_over(&former.with_extension("pub"), &place.path.with_extension("pub"))?;
                }
                break;
            }
        }
    }
    match read(&place.path)? {
        Some(key) => Ok(key),
        None => create(place, random),
    }
}

/// What [`load_or_create`] would find; changes nothing.
pub(super) fn inspect(place: &KeyPlace) -> PartState {
    let former = place.former.iter().find(|former| former.is_file());
    let from = match former {
        Some(former) if !place.path.is_file() => former,
        _ => &place.path,
    };
    match read(from) {
        Err(error) => PartState::Unusable(error),
        Ok(None) => PartState::Missing(place.path.clone()),
        Ok(Some(_)) if *from == place.path => PartState::Present(from.clone()),
        Ok(Some(_)) => PartState::Former {
            from: from.clone(),
            to: place.path.clone(),
        },
    }
}

fn read(path: &Path) -> Result<Option<SigningKey>, IdentityError> {
    let Some(pem) = files::read(path)? else {
        return Ok(None);
    };
    std::str::from_utf8(&pem)
        .ok()
        .and_then(|pem| SigningKey::from_pkcs8_pem(pem).ok())
        .map(Some)
        .ok_or_else(|| IdentityError::UnreadableKey {
            path: path.to_owned(),
        })
}

fn create(place: &KeyPlace, random: &dyn Random) -> Result<SigningKey, IdentityError> {
    let key = SigningKey::from_bytes(&random_bytes(random));
    let unreadable = || IdentityError::UnreadableKey {
        path: place.path.clone(),
    };
    // Without the public key inside: the form that the legacy writes and every reader takes.
    let document = ed25519_dalek::pkcs8::KeypairBytes {
        secret_key: key.to_bytes(),
        public_key: None,
    };
    let pem = document.to_pkcs8_pem(LineEnding::LF).map_err(|_| unreadable())?;
    if place.public_copy {
        let der = key
            .verifying_key()
            .to_public_key_der()
            .map_err(|_| unreadable())?;
        files::write(&place.path.with_extension("pub"), der.as_bytes())?;
    }
    files::write(&place.path, pem.as_bytes())?;
    Ok(key)
}
