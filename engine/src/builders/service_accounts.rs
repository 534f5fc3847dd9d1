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

/// An agent wants another password for its account.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RotationRequest {
    pub agent_id: String,
    /// The name that the account should have; whether it can be used counts once it is clear whose the agent is.
    pub username: Result<Option<String>, InvalidAccountRequest>,
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
/// The agent's id cannot be used.
pub fn rotation_request(body: &JsonObject) -> Result<RotationRequest, InvalidAccountRequest> {
    Ok(RotationRequest {
        agent_id: agent_id(body)?,
        username: username(body),
    })
}

/// Reads the body of `agent/checkin`.
///
/// # Errors
/// The first field that cannot be used.
pub fn check_in(body: &JsonObject) -> Result<CheckIn, InvalidAccountRequest> {
    let account = AccountRequest {
        agent_id: agent_id(body)?,
        username: username(body)?,
    };
    let hostname = trimmed_text(body, "hostname")?;
    Ok(CheckIn {
        account,
        hostname: (!hostname.is_empty() && hostname.to_lowercase() != "unknown").then(|| hostname.to_owned()),
    })
}

fn agent_id(body: &JsonObject) -> Result<String, InvalidAccountRequest> {
    trimmed_text(body, "agent_id")
        .ok()
        .filter(|id| !id.is_empty())
        .map(str::to_owned)
        .ok_or(InvalidAccountRequest::AgentId)
}

fn username(body: &JsonObject) -> Result<Option<String>, InvalidAccountRequest> {
    let username = trimmed_text(body, "username")?;
    Ok((!username.is_empty()).then(|| username.to_owned()))
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
            let body = Json::members([("agent_id", id.clone()), ("username", 5.into())]);
            assert_eq!(rotation_request(&body), Err(InvalidAccountRequest::AgentId));
            assert_eq!(read([("agent_id", id)]), Err(InvalidAccountRequest::AgentId));
        }
        for name in ["username", "hostname"] {
            assert_eq!(
                read([("agent_id", "a".into()), (name, 5.into())]),
                Err(InvalidAccountRequest::OtherField)
            );
        }
    }

    #[test]
    fn a_rotation_may_ask_for_a_name() {
        let read = |username: Json| {
            let body = Json::members([("agent_id", " a ".into()), ("username", username)]);
            let request = rotation_request(&body).unwrap();
            assert_eq!(request.agent_id, "a");
            request.username
        };
        assert_eq!(read(" u ".into()), Ok(Some("u".to_owned())));
        assert_eq!(read(Json::Null), Ok(None));
        // Whose the agent is comes first.
        assert_eq!(read(5.into()), Err(InvalidAccountRequest::OtherField));
    }
}
