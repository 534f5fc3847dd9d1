//! Device approvals: what agents ask for and operators decide.

use async_trait::async_trait;

use super::StoreError;
use crate::domain::approvals::{Approval, HostnameHolder, ListedApproval};

/// The table `device_approvals`.
#[async_trait]
pub trait ReadApprovals: Send {
    async fn find_approval(&mut self, id: &str) -> Result<Option<Approval>, StoreError>;

    /// The row of this reference.
    async fn find_approval_by_reference(&mut self, reference: &str) -> Result<Option<Approval>, StoreError>;

    /// The row that waits for a decision on this key.
    async fn find_pending_approval(&mut self, fingerprint: &str) -> Result<Option<Approval>, StoreError>;

    /// The rows whose status, in lower case, is `status` (all without one), oldest first.
    async fn list_approvals(&mut self, status: Option<&str>) -> Result<Vec<ListedApproval>, StoreError>;

    /// The device whose host name is exactly this.
    async fn find_hostname_holder(&mut self, hostname: &str) -> Result<Option<HostnameHolder>, StoreError>;
}

#[async_trait]
pub trait WriteApprovals: Send {
    /// How many requests with this code wait for a decision, those of this key apart; asked within the change that rests
    /// on it.
    async fn count_pending_approvals(&mut self, code_id: &str, but_of: &str) -> Result<usize, StoreError>;

    /// Writes a row whole: a new one, or over the one with its id.
    async fn put_approval(&mut self, approval: &Approval) -> Result<(), StoreError>;

    /// Lets pending rows expire: those whose code ended or is spent, and those made before `oldest` (stored form);
    /// how many they were.
    async fn expire_approvals(&mut self, now: &str, oldest: &str) -> Result<u64, StoreError>;
}
