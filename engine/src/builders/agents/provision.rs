//! The body of `provision`.

use crate::domain::json::{Json, JsonObject};

/// An agent and what it is configured with.
#[derive(Clone, Debug, PartialEq)]
pub struct Provision {
    /// The agent; need not be known.
    pub agent_id: String,
    /// Its roles, not looked into.
    pub roles: Vec<Json>,
}

/// The agent or its roles are missing.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("Missing agent_id or roles[] in provision payload.")]
pub struct IncompleteProvision;

/// Reads the body of `provision`. Roles that are not sent are none; sent as anything but a list they are a mistake, as
/// is an id that is no text (RT-4, RT-11).
pub fn provision(body: &JsonObject) -> Result<Provision, IncompleteProvision> {
    let agent_id = body
        .get("agent_id")
        .and_then(Json::as_text)
        .filter(|id| !id.is_empty())
        .ok_or(IncompleteProvision)?;
    let roles = match body.get("roles") {
        None => Vec::new(),
        Some(roles) => roles.as_list().ok_or(IncompleteProvision)?.to_vec(),
    };
    Ok(Provision {
        agent_id: agent_id.to_owned(),
        roles,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<const N: usize>(members: [(&str, Json); N]) -> Result<Provision, IncompleteProvision> {
        provision(Json::object(members).as_object().unwrap())
    }

    #[test]
    fn an_id_is_needed_and_roles_are_a_list() {
        let provision = read([("agent_id", " ".into())]).unwrap();
        assert_eq!((provision.agent_id.as_str(), provision.roles), (" ", Vec::new()));
        for id in [Json::Null, "".into(), 7.into(), Json::list(["x"])] {
            assert_eq!(read([("agent_id", id)]), Err(IncompleteProvision));
        }
        for roles in [Json::Null, "x".into(), Json::object([("a", 1.into())])] {
            assert_eq!(
                read([("agent_id", "a".into()), ("roles", roles)]),
                Err(IncompleteProvision)
            );
        }
    }
}
