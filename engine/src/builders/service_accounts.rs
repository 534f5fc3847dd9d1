//! The bodies of `agent/checkin` and `agent/service-account/rotate`.

use super::text::{WrongType, trimmed_text};
use crate::domain::json::JsonObject;

/// Whose account an agent asks for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AccountRequest {
    pub agent_id: String,
    /// The name that the account should have.
    pub username: Option<String>,
}

/// An agent checks in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CheckIn {
    /// Whose account it asks for.
    pub account: AccountRequest,
    /// The host that it names as its own.
    pub hostname: Option<String>,
}

/// Which field cannot be used.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidAccountRequest {
    /// The agent's id is missing or no text.
    #[error("agent_id required")]
    AgentId,
    /// Another field is no text.
    #[error("invalid payload")]
    OtherField,
}

impl From<WrongType> for InvalidAccountRequest {
    fn from(_: WrongType) -> Self {
        Self::OtherField
    }
}

/// Reads the body of `agent/service-account/rotate`.
///
/// # Errors
/// The first field that cannot be used.
pub fn account_request(body: &JsonObject) -> Result<AccountRequest, InvalidAccountRequest> {
    let agent_id = trimmed_text(body, "agent_id")
        .ok()
        .filter(|id| !id.is_empty())
        .ok_or(InvalidAccountRequest::AgentId)?;
    let username = trimmed_text(body, "username")?;
    Ok(AccountRequest {
        agent_id: agent_id.to_owned(),
        username: (!username.is_empty()).then(|| username.to_owned()),
    })
}

/// Reads the body of `agent/checkin`.
///
/// # Errors
/// The first field that cannot be used.
pub fn check_in(body: &JsonObject) -> Result<CheckIn, InvalidAccountRequest> {
    let account = account_request(body)?;
    let hostname = trimmed_text(body, "hostname")?;
    Ok(CheckIn {
        account,
        hostname: (!hostname.is_empty() && hostname.to_lowercase() != "unknown").then(|| hostname.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::json::Json;

    fn read<const N: usize>(fields: [(&str, Json); N]) -> Result<CheckIn, InvalidAccountRequest> {
        check_in(Json::object(fields).as_object().unwrap())
    }

    #[test]
    fn everything_is_trimmed_and_unknown_is_no_host() {
        let request = read([
            ("agent_id", " a ".into()),
            ("username", " u ".into()),
            ("hostname", " H ".into()),
        ])
        .unwrap();
        assert_eq!(request.account.agent_id, "a");
        assert_eq!(request.account.username.as_deref(), Some("u"));
        assert_eq!(request.hostname.as_deref(), Some("H"));
        let request = read([
            ("agent_id", "a".into()),
            ("username", " ".into()),
            ("hostname", "UnKnown".into()),
        ])
        .unwrap();
        assert_eq!((request.account.username, request.hostname), (None, None));
    }

    #[test]
    fn wrong_fields_are_named() {
        for id in [Json::Null, "  ".into(), 0.into(), 5.into()] {
            assert_eq!(read([("agent_id", id)]), Err(InvalidAccountRequest::AgentId));
        }
        for name in ["username", "hostname"] {
            assert_eq!(
                read([("agent_id", "a".into()), (name, 5.into())]),
                Err(InvalidAccountRequest::OtherField)
            );
        }
    }
}
