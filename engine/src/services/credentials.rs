//! Credentials: what jobs log in to machines with. Their secrets are sealed at rest and never shown.

use std::sync::Arc;

use super::{Environment, operators::Operator, secret_box::SecretBox};
use crate::{
    domain::{
        credentials::{Credential, CredentialChange, CredentialFilter, Sealed, Secrets},
        digest::sha256_hex,
        json::{Json, JsonObject},
        json_reader,
        mask::shown,
    },
    repositories::{Store, StoreError},
    services::audit,
};

/// Characters of a fingerprint: enough to tell secrets apart, too few to guess one from.
const FINGERPRINT_LENGTH: usize = 16;

/// Why a credential is not read, made or changed.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// Another credential has this name.
    #[error("credential name already exists")]
    NameTaken,
    /// There is no such credential.
    #[error("credential not found")]
    NotFound,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A credential with its secrets in clear, for a run that logs in with it.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenCredential {
    /// The credential; what is stored of its kinds in lower case.
    pub credential: Credential,
    /// The secrets; empty where there is none, or where it cannot be opened.
    pub secrets: Secrets<String>,
    /// Further settings. The legacy loses them on the way to a run (OPR-8).
    pub metadata: JsonObject,
}

#[derive(Debug)]
pub struct CredentialService {
    store: Arc<dyn Store>,
    environment: Environment,
    secret_box: SecretBox,
}

impl CredentialService {
    /// Over this store; secrets are sealed by `secret_box`.
    pub fn new(store: Arc<dyn Store>, environment: Environment, secret_box: SecretBox) -> Self {
        Self {
            store,
            environment,
            secret_box,
        }
    }

    /// The credentials that fit, by name without letter case.
    pub async fn list(&self, filter: CredentialFilter) -> Result<Vec<Credential>, StoreError> {
        self.store.view().await?.list_credentials(filter).await
    }

    /// One credential, with fingerprints of its secrets.
    ///
    /// # Errors
    /// [`CredentialError`]
    pub async fn read(&self, id: i64) -> Result<(Credential, Secrets<String>), CredentialError> {
        let credential = self
            .store
            .view()
            .await?
            .find_credential(id)
            .await?
            .ok_or(CredentialError::NotFound)?;
        let fingerprints = self.open_all(&credential).map(|secret| fingerprint(&secret));
        Ok((credential, fingerprints))
    }

    /// Makes a credential.
    ///
    /// # Errors
    /// [`CredentialError`]; nothing is written then.
    pub async fn create(
        &self,
        credential: CredentialChange<String>,
        caller: &Operator,
    ) -> Result<Credential, CredentialError> {
        let now = self.environment.now().time.as_second();
        let credential = credential.seal(|secret| self.secret_box.seal(&secret));
        let mut work = self.store.begin().await?;
        if let Some(name) = &credential.name
            && work.find_credential_id(name).await?.is_some()
        {
            return Err(CredentialError::NameTaken);
        }
        let id = work.insert_credential(&credential, now).await?;
        let made = work.find_credential(id).await?.ok_or(CredentialError::NotFound)?;
        work.save().await?;
        audit::changed("credential.created", made.id);
        noted("created", &made, caller);
        Ok(made)
    }

    /// Changes a credential.
    ///
    /// # Errors
    /// [`CredentialError`]; nothing is written then.
    pub async fn update(
        &self,
        id: i64,
        change: CredentialChange<String>,
        caller: &Operator,
    ) -> Result<Credential, CredentialError> {
        let now = self.environment.now().time.as_second();
        let change = change.seal(|secret| self.secret_box.seal(&secret));
        let mut work = self.store.begin().await?;
        if work.find_credential(id).await?.is_none() {
            return Err(CredentialError::NotFound);
        }
        if let Some(name) = &change.name
            && work
                .find_credential_id(name)
                .await?
                .is_some_and(|taken| taken != id)
        {
            return Err(CredentialError::NameTaken);
        }
        work.update_credential(id, &change, now).await?;
        let changed = work.find_credential(id).await?.ok_or(CredentialError::NotFound)?;
        work.save().await?;
        audit::changed("credential.changed", id);
        noted("changed", &changed, caller);
        Ok(changed)
    }

    /// Deletes a credential; jobs that name it go on without one.
    ///
    /// # Errors
    /// [`CredentialError`]; nothing is written then.
    pub async fn delete(&self, id: i64, caller: &Operator) -> Result<(), CredentialError> {
        let mut work = self.store.begin().await?;
        let credential = work.find_credential(id).await?.ok_or(CredentialError::NotFound)?;
        if !work.delete_credential(id).await? {
            return Err(CredentialError::NotFound);
        }
        work.save().await?;
        audit::changed("credential.deleted", id);
        noted("deleted", &credential, caller);
        Ok(())
    }

    /// A credential for a run, with its secrets in clear; `None` where there is none of this number.
    pub async fn open(&self, id: i64) -> Result<Option<OpenCredential>, StoreError> {
        let Some(mut credential) = self.store.view().await?.find_credential(id).await? else {
            return Ok(None);
        };
        let secrets = self.open_all(&credential);
        let metadata = metadata(&credential);
        credential.credential_type = or_default(&credential.credential_type, "machine").to_lowercase();
        credential.connection_type = or_default(&credential.connection_type, "ssh").to_lowercase();
        Ok(Some(OpenCredential {
            credential,
            secrets,
            metadata,
        }))
    }

    fn open_all(&self, credential: &Credential) -> Secrets<String> {
        credential
            .secrets
            .as_ref()
            .map(|sealed| self.open_secret(credential.id, sealed.as_deref()))
    }

    /// A secret in clear. One that was sealed with another key is unreadable, which the legacy does not tell from its
    /// text (OPR-20).
    fn open_secret(&self, id: i64, sealed: Option<&[u8]>) -> String {
        self.secret_box
            .open(sealed.unwrap_or_default())
            .unwrap_or_else(|error| {
                tracing::error!(id, %error, "a secret of a credential cannot be read");
                String::new()
            })
    }
}

/// Which secrets are stored.
pub fn stored(secrets: &Secrets<Sealed>) -> Secrets<bool> {
    secrets
        .as_ref()
        .map(|sealed| sealed.as_ref().is_some_and(|bytes| !bytes.is_empty()))
}

/// The further settings of a credential; none where the stored text is no JSON object.
pub fn metadata(credential: &Credential) -> JsonObject {
    match credential
        .metadata_json
        .as_deref()
        .map(json_reader::read_stored_text)
    {
        Some(Ok(Json::Object(members))) => members,
        _ => JsonObject::new(),
    }
}

/// A stored word, or what counts where it is empty.
pub fn or_default<'a>(stored: &'a str, default: &'a str) -> &'a str {
    if stored.is_empty() { default } else { stored }
}

fn fingerprint(secret: &str) -> String {
    if secret.is_empty() {
        return String::new();
    }
    sha256_hex(secret.as_bytes())
        .chars()
        .take(FINGERPRINT_LENGTH)
        .collect()
}

fn noted(what: &str, credential: &Credential, caller: &Operator) {
    tracing::info!(
        id = %credential.id,
        name = %shown(&credential.name),
        by = %shown(&caller.username),
        "credential {what}"
    );
}

#[cfg(test)]
mod tests;
