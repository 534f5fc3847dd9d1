//! Credentials that jobs log in to machines with.

use async_trait::async_trait;

use super::StoreError;
use crate::domain::credentials::{Credential, CredentialChange, CredentialFilter};

#[async_trait]
pub trait ReadCredentials: Send {
    /// Those that fit, ordered by their names without ASCII letter case.
    async fn list_credentials(&mut self, filter: CredentialFilter) -> Result<Vec<Credential>, StoreError>;

    /// The credential of this number.
    async fn find_credential(&mut self, id: i64) -> Result<Option<Credential>, StoreError>;

    /// The number of the credential of exactly this name.
    async fn find_credential_id(&mut self, name: &str) -> Result<Option<i64>, StoreError>;
}

#[async_trait]
pub trait WriteCredentials: Send {
    /// Makes a credential at `now` (Unix seconds) and returns its number.
    async fn insert_credential(
        &mut self,
        credential: &CredentialChange<Vec<u8>>,
        now: i64,
    ) -> Result<i64, StoreError>;

    /// Changes a credential at `now`.
    async fn update_credential(
        &mut self,
        id: i64,
        change: &CredentialChange<Vec<u8>>,
        now: i64,
    ) -> Result<(), StoreError>;

    /// Deletes a credential and takes it from the jobs that name it; false where there is none.
    async fn delete_credential(&mut self, id: i64) -> Result<bool, StoreError>;
}
