//! Install codes, and the archive that keeps every code ever made.

use async_trait::async_trait;

use super::StoreError;
use crate::domain::install_codes::{CodeUse, InstallCode, InstallCodeFilter};

/// The tables `enrollment_install_codes` and `enrollment_install_codes_persistent`.
#[async_trait]
pub trait ReadInstallCodes: Send {
    /// The code with exactly this text.
    async fn find_code(&mut self, code: &str) -> Result<Option<InstallCode>, StoreError>;

    async fn find_code_by_id(&mut self, id: &str) -> Result<Option<InstallCode>, StoreError>;

    /// The codes that `filter` lets through at `now` (stored form), by the text of their end.
    async fn list_codes(
        &mut self,
        filter: InstallCodeFilter,
        now: &str,
    ) -> Result<Vec<InstallCode>, StoreError>;
}

#[async_trait]
pub trait WriteInstallCodes: Send {
    /// Makes a code and its archive row.
    async fn insert_code(&mut self, code: &InstallCode, created_at: &str) -> Result<(), StoreError>;

    /// Deletes an unused code and closes its archive row; false where there is no such unused code.
    async fn delete_unused_code(&mut self, id: &str, now: &str) -> Result<bool, StoreError>;

    /// Writes a use into the code's row and its archive row.
    async fn record_code_use(&mut self, code_use: &CodeUse<'_>) -> Result<(), StoreError>;

    /// Deletes every unused code that ended before `now` and closes the archive rows; how many they were.
    async fn prune_codes(&mut self, now: &str) -> Result<u64, StoreError>;
}
