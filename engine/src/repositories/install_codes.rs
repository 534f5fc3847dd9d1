//! Install codes, and the archive that keeps every code ever made.

use async_trait::async_trait;

use super::StoreError;

/// An install code, as stored.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct InstallCode {
    /// Row id: a UUID in lower case.
    pub id: String,
    /// The code that is typed into an agent. Never logged whole.
    pub code: String,
    /// When it ends, as stored.
    pub expires_at: String,
    /// Who made it.
    pub created_by_user_id: Option<String>,
    /// When its last use was spent.
    pub used_at: Option<String>,
    /// The device that used it last.
    pub used_by_guid: Option<String>,
    /// How often it may be used; `None` where the column holds no number.
    pub max_uses: Option<i64>,
    /// How often it was used; `None` where the column holds no number.
    pub use_count: Option<i64>,
    /// When it was used last.
    pub last_used_at: Option<String>,
}

impl InstallCode {
    /// How often it may be used: at least once, whatever is stored.
    pub fn allowed_uses(&self) -> i64 {
        self.max_uses.unwrap_or(1).max(1)
    }

    /// Whether a use is left.
    pub fn has_use_left(&self) -> bool {
        self.use_count.unwrap_or(0) < self.allowed_uses()
    }
}

/// Which codes are listed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum InstallCodeFilter {
    /// Every code.
    All,
    /// With a use left, not yet ended.
    Active,
    /// With a use left, ended.
    Expired,
    /// Without a use left, ended or not.
    Used,
}

/// One use of a code by a device.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CodeUse<'a> {
    /// The code's row.
    pub id: &'a str,
    /// The device.
    pub guid: &'a str,
    /// The count with this use.
    pub use_count: i64,
    /// Whether that spends the code.
    pub consumed: bool,
    /// When, in the stored form.
    pub at: &'a str,
}

/// The tables `enrollment_install_codes` and `enrollment_install_codes_persistent`.
#[async_trait]
pub trait ReadInstallCodes: Send {
    /// The code with exactly this text.
    async fn find_code(&mut self, code: &str) -> Result<Option<InstallCode>, StoreError>;

    /// The code of this row id.
    async fn find_code_by_id(&mut self, id: &str) -> Result<Option<InstallCode>, StoreError>;

    /// The codes that `filter` lets through at `now` (stored form), by the text of their end.
    async fn list_codes(
        &mut self,
        filter: InstallCodeFilter,
        now: &str,
    ) -> Result<Vec<InstallCode>, StoreError>;
}

/// What changes there.
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
