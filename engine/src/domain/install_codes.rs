//! Install codes, and the archive that keeps every code ever made.

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
    pub guid: &'a str,
    pub use_count: i64,
    /// Whether that spends the code.
    pub consumed: bool,
    /// When, in the stored form.
    pub at: &'a str,
}
