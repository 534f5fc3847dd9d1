//! The credentials that remote runs log in with.

use std::fmt::Debug;

use super::channel::Eventual;
use crate::{
    domain::{assembly::variables::Overrides, json::Json, text::python_trim},
    repositories::StoreError,
    services::credentials::{CredentialService, stored},
};

/// A credential with its secrets opened. Never printed.
#[derive(Clone, Default, PartialEq)]
pub struct RunCredential {
    /// How its machine is reached, in lower case.
    pub connection_type: String,
    /// The user name on the machine.
    pub username: String,
    pub password: String,
    pub private_key: String,
    /// How more rights are got; empty for not at all.
    pub become_method: String,
    /// Whose rights these are.
    pub become_username: String,
    /// The password for them.
    pub become_password: String,
    /// How WinRM logs in, where the credential says so.
    pub winrm_transport: Option<String>,
}

impl Debug for RunCredential {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("RunCredential(…)")
    }
}

impl RunCredential {
    /// The values that a playbook gets for a WinRM login.
    pub fn winrm_values(&self) -> Overrides {
        let transport = self.winrm_transport.as_deref().unwrap_or("ntlm");
        [
            ("__borealis_winrm_username", self.username.as_str()),
            ("__borealis_winrm_password", self.password.as_str()),
            ("__borealis_winrm_transport", transport),
        ]
        .into_iter()
        .map(|(name, text)| (name.to_owned(), text.into()))
        .collect()
    }
}

/// Why a credential cannot be used. Says nothing of its secrets.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// Its secrets were sealed with another key.
    #[error("Credential unreadable: sealed with another key")]
    Sealed,
    #[error("Credential unreadable: {0}")]
    Store(#[from] StoreError),
}

/// Where credentials come from.
pub trait RunCredentials: Debug + Send + Sync + 'static {
    /// The credential of this number.
    fn fetch(&self, id: i64) -> Eventual<'_, Result<Option<RunCredential>, CredentialError>>;
}

impl RunCredentials for CredentialService {
    fn fetch(&self, id: i64) -> Eventual<'_, Result<Option<RunCredential>, CredentialError>> {
        Box::pin(async move {
            let Some(open) = self.open(id).await? else {
                return Ok(None);
            };
            let credential = open.credential;
            let sealed = stored(&credential.secrets);
            let lost = |sealed: bool, opened: &str| sealed && opened.is_empty();
            if lost(sealed.password, &open.secrets.password)
                || lost(sealed.private_key, &open.secrets.private_key)
                || lost(sealed.become_password, &open.secrets.become_password)
            {
                return Err(CredentialError::Sealed);
            }
            let winrm_transport = open
                .metadata
                .get("winrm_transport")
                .and_then(Json::as_text)
                .map(|text| python_trim(text).to_lowercase())
                .filter(|text| !text.is_empty());
            Ok(Some(RunCredential {
                connection_type: credential.connection_type,
                username: credential.username.unwrap_or_default(),
                password: open.secrets.password,
                private_key: open.secrets.private_key,
                become_method: credential.become_method.unwrap_or_default(),
                become_username: credential.become_username.unwrap_or_default(),
                become_password: open.secrets.become_password,
                winrm_transport,
            }))
        })
    }
}
