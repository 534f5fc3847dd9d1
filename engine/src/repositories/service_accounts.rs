//! The service accounts under which agents run.

use std::future::Future;

use super::StoreError;

/// An agent's service account.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServiceAccount {
    /// The account's name on the agent's machine.
    pub username: String,
    /// Its password, sealed.
    pub password_encrypted: Vec<u8>,
}

/// The table `agent_service_account`.
pub trait ServiceAccounts: Send {
    /// The account of the agent with exactly this id.
    fn find_service_account(
        &mut self,
        agent_id: &str,
    ) -> impl Future<Output = Result<Option<ServiceAccount>, StoreError>> + Send;

    /// The GUID of the device to which the account of this agent belongs, by the engine's own table
    /// `engine_account_devices`; empty where it was nobody's at the first start.
    fn account_device(
        &mut self,
        agent_id: &str,
    ) -> impl Future<Output = Result<Option<String>, StoreError>> + Send;

    /// Gives the account of this agent to a device.
    fn set_account_device(
        &mut self,
        agent_id: &str,
        guid: &str,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// The ids of all accounts, unless it was noted before to whom accounts belong.
    fn accounts_to_assign(&mut self) -> impl Future<Output = Result<Vec<String>, StoreError>> + Send;

    /// Stores the account of this agent and when its password was made; a new one gets version 1, one that is there
    /// keeps its version.
    fn store_service_account(
        &mut self,
        agent_id: &str,
        account: &ServiceAccount,
        last_rotated_utc: &str,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}
