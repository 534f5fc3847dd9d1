//! Install codes: made, listed and deleted by admins.

use std::{fmt::Write as _, sync::Arc};

use jiff::SignedDuration;

use super::Environment;
use crate::{
    builders::install_codes::NewInstallCode,
    domain::{
        install_codes::{InstallCode, InstallCodeFilter},
        random::random_bytes,
        timestamp::iso_utc,
    },
    repositories::{Store, StoreError},
    services::audit,
};

#[derive(Clone, Debug)]
pub struct InstallCodeService {
    store: Arc<dyn Store>,
    environment: Environment,
}

impl InstallCodeService {
    pub fn new(store: Arc<dyn Store>, environment: Environment) -> Self {
        Self { store, environment }
    }

    /// The codes that the filter lets through now, by their end.
    pub async fn list(&self, filter: InstallCodeFilter) -> Result<Vec<InstallCode>, StoreError> {
        let now = self.environment.now();
        self.store.view().await?.list_codes(filter, &now.iso).await
    }

    /// Makes a code in the name of `decider`.
    ///
    /// # Errors
    /// The store failed; no code was made.
    pub async fn create(&self, new_code: NewInstallCode, decider: &str) -> Result<InstallCode, StoreError> {
        let now = self.environment.now();
        let expires_at = now
            .time
            .saturating_add(SignedDuration::from_hours(new_code.ttl_hours))
            .unwrap_or(jiff::Timestamp::MAX);
        let code = InstallCode {
            id: self.environment.new_id(),
            code: code_text(random_bytes(&*self.environment.random)),
            expires_at: iso_utc(expires_at),
            created_by_user_id: Some(decider.to_owned()),
            used_at: None,
            used_by_guid: None,
            max_uses: new_code.max_uses.into(),
            use_count: 0.into(),
            last_used_at: None,
        };
        let mut work = self.store.begin().await?;
        work.insert_code(&code, &now.iso).await?;
        work.save().await?;
        audit::changed("install_code.created", &code.id);
        tracing::info!(
            id = %code.id,
            by = %decider,
            ttl = %format_args!("{}h", new_code.ttl_hours),
            max_uses = %new_code.max_uses,
            "installer code created"
        );
        Ok(code)
    }

    /// Deletes an unused code; false where there is no such unused code.
    ///
    /// # Errors
    /// The store failed; the code is still there.
    pub async fn delete(&self, id: &str) -> Result<bool, StoreError> {
        let now = self.environment.now();
        let mut work = self.store.begin().await?;
        if !work.delete_unused_code(id, &now.iso).await? {
            return Ok(false);
        }
        work.save().await?;
        audit::changed("install_code.deleted", id);
        tracing::info!(%id, "installer code deleted");
        Ok(true)
    }
}

/// Upper-case hex in eight groups of four.
fn code_text(bytes: [u8; 16]) -> String {
    let mut text = String::with_capacity(39);
    for (index, pair) in bytes.chunks(2).enumerate() {
        if index > 0 {
            text.push('-');
        }
        for byte in pair {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02X}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_eight_groups_of_four() {
        let text = code_text([
            0xCA, 0x8D, 0xE3, 0xAB, 0x3D, 0x7F, 0xDF, 0xDF, 0x9B, 0x93, 0xE6, 0xEE, 0x69, 0x87, 0x85, 0x78,
        ]);
        assert_eq!(text, "CA8D-E3AB-3D7F-DFDF-9B93-E6EE-6987-8578");
    }
}
