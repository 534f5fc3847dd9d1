//! The service accounts under which agents run.

use async_trait::async_trait;

use super::StoreError;
use crate::domain::service_accounts::ServiceAccount;

/// The table `agent_service_account`.
#[async_trait]
pub trait ReadServiceAccounts: Send {
    /// The account of the agent with exactly this id.
    async fn find_service_account(&mut self, agent_id: &str) -> Result<Option<ServiceAccount>, StoreError>;

    /// The GUID of the device to which the account of this agent belongs, by the engine's own table
    /// `engine_account_devices`; empty where it was nobody's at the first start.
    async fn account_device(&mut self, agent_id: &str) -> Result<Option<String>, StoreError>;

    /// The ids of all accounts, unless it was recorded before to whom accounts belong.
    async fn accounts_to_assign(&mut self) -> Result<Vec<String>, StoreError>;
}

#[async_trait]
pub trait WriteServiceAccounts: Send {
    /// Gives the account of this agent to a device.
    async fn set_account_device(&mut self, agent_id: &str, guid: &str) -> Result<(), StoreError>;

    /// Stores the account of this agent and when its password was made; a new one gets version 1, one that is there
    /// keeps its version.
    async fn store_service_account(
        &mut self,
        agent_id: &str,
        account: &ServiceAccount,
        last_rotated_utc: &str,
    ) -> Result<(), StoreError>;
}
