//! Device approvals: what agents ask for and operators decide.

use async_trait::async_trait;

use super::StoreError;

/// A row of `device_approvals`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Approval {
    /// Row id: a UUID in lower case.
    pub id: String,
    /// What the agent names it by: another UUID.
    pub approval_reference: String,
    /// The device's GUID, once it is known.
    pub guid: Option<String>,
    /// The host name that the agent claims.
    pub hostname_claimed: String,
    /// SHA-256 of the key that the agent claims, hex.
    pub fingerprint_claimed: String,
    /// The install code's row.
    pub enrollment_code_id: String,
    /// `pending`, `approved`, `denied`, `completed`, `expired`, or what somebody wrote.
    pub status: String,
    /// The agent's nonce, base64 as sent.
    pub client_nonce: String,
    /// The server's nonce, base64.
    pub server_nonce: String,
    /// The key, SPKI DER.
    pub agent_pubkey_der: Vec<u8>,
    /// When it was asked for first.
    pub created_at: String,
    /// When it changed last.
    pub updated_at: String,
    /// Who decided.
    pub approved_by_user_id: Option<String>,
}

/// A device that already has the claimed host name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HostnameHolder {
    /// Its GUID, as stored.
    pub guid: Option<String>,
    /// Its key's fingerprint, as stored.
    pub fingerprint: Option<String>,
    /// The site that it is assigned to.
    pub site_id: Option<i64>,
    /// That site's name.
    pub site_name: Option<String>,
}

/// An approval as operators see it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ListedApproval {
    /// The row.
    pub approval: Approval,
    /// The name of who decided.
    pub approved_by_username: Option<String>,
}

/// The table `device_approvals`.
#[async_trait]
pub trait ReadApprovals: Send {
    /// The row of this id.
    async fn find_approval(&mut self, id: &str) -> Result<Option<Approval>, StoreError>;

    /// The row of this reference.
    async fn find_approval_by_reference(&mut self, reference: &str) -> Result<Option<Approval>, StoreError>;

    /// The row that waits for a decision on this key.
    async fn find_pending_approval(&mut self, fingerprint: &str) -> Result<Option<Approval>, StoreError>;

    /// How many requests with this code wait for a decision, those of this key apart.
    async fn count_pending_approvals(&mut self, code_id: &str, but_of: &str) -> Result<usize, StoreError>;

    /// The rows whose status, in lower case, is `status` (all without one), oldest first.
    async fn list_approvals(&mut self, status: Option<&str>) -> Result<Vec<ListedApproval>, StoreError>;

    /// The device whose host name is exactly this.
    async fn find_hostname_holder(&mut self, hostname: &str) -> Result<Option<HostnameHolder>, StoreError>;
}

/// What changes there.
#[async_trait]
pub trait WriteApprovals: Send {
    /// Writes a row whole: a new one, or over the one with its id.
    async fn put_approval(&mut self, approval: &Approval) -> Result<(), StoreError>;

    /// Lets pending rows expire: those whose code ended or is spent, and those made before `oldest` (stored form);
    /// how many they were.
    async fn expire_approvals(&mut self, now: &str, oldest: &str) -> Result<u64, StoreError>;
}
