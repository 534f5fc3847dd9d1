//! Install codes, and the archive that keeps every code ever made.

use super::json::Json;

/// An install code, as stored.
#[derive(Clone, Debug, PartialEq)]
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
    /// How often it may be used, as stored: [`InstallCode::allowed_uses`] makes a number of it.
    pub max_uses: Json,
    /// How often it was used, as stored: [`InstallCode::uses`] makes a number of it.
    pub use_count: Json,
    /// When it was used last.
    pub last_used_at: Option<String>,
}

impl InstallCode {
    /// How often it may be used: at least once, whatever is stored.
    pub fn allowed_uses(&self) -> i64 {
        number(&self.max_uses).unwrap_or(1).max(1)
    }

    /// How often it was used; never where no number is stored.
    pub fn uses(&self) -> i64 {
        number(&self.use_count).unwrap_or(0)
    }

    /// Whether a use is left.
    pub fn has_use_left(&self) -> bool {
        self.uses() < self.allowed_uses()
    }
}

fn number(stored: &Json) -> Option<i64> {
    match stored {
        Json::Int(number) => Some(*number),
        // The cast cuts toward zero and saturates.
        Json::Float(number) => Some(*number as i64),
        _ => None,
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
