//! The record of one agent.

use crate::domain::{
    agent_id::{NamedDevice, named_device},
    guid::Guid,
    json::Json,
    text::python_trim,
};

/// Whose session an agent runs in.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ServiceMode {
    System,
    CurrentUser,
}

impl ServiceMode {
    /// The mode that `service_mode` of a payload means; a value that is no text counts as empty, and then the form of
    /// the id decides.
    pub fn read(value: Option<&Json>, agent_id: &str) -> Self {
        let text = value.and_then(Json::as_text).unwrap_or_default();
        match python_trim(text).to_lowercase().as_str() {
            "system" | "svc" | "service" | "system_service" => Self::System,
            "" => Self::of_id(agent_id),
            _ => Self::CurrentUser,
        }
    }

    fn of_id(agent_id: &str) -> Self {
        if is_service_id(agent_id) {
            Self::System
        } else {
            Self::CurrentUser
        }
    }

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::CurrentUser => "currentuser",
        }
    }
}

/// Whether the id has the form of a service's: `…-svc-…` or `…-svc`.
pub fn is_service_id(agent_id: &str) -> bool {
    let lower = agent_id.to_lowercase();
    lower.contains("-svc-") || lower.ends_with("-svc")
}

/// Whether the id has the form of a script helper's: `…-script`.
pub fn is_script_id(agent_id: &str) -> bool {
    let end = agent_id.as_bytes().last_chunk();
    end.is_some_and(|end: &[u8; 7]| end.eq_ignore_ascii_case(b"-script"))
}

/// What an agent is to the operators.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AgentStatus {
    /// It has no configuration.
    Orphaned,
    /// It has one.
    Provisioned,
    /// Known from the database, not heard of since the start.
    Offline,
}

impl AgentStatus {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Orphaned => "orphaned",
            Self::Provisioned => "provisioned",
            Self::Offline => "Offline",
        }
    }
}

/// What is remembered of one agent; every field is absent until something sets it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AgentRecord {
    /// Whether an event of the channel made or touched this record: only then does it show its own id.
    pub announced: bool,
    /// The host name as sent, or `unknown`.
    pub hostname: Option<String>,
    /// The operating system as sent, or `-`.
    pub operating_system: Option<Json>,
    /// Unix seconds.
    pub last_seen: Option<i128>,
    /// What it is to the operators.
    pub status: Option<AgentStatus>,
    /// The mode of its last event.
    pub mode: Option<ServiceMode>,
    /// Whether it is a script helper; kept for ids of that form alone.
    pub is_script_agent: Option<bool>,
    /// When its collector was last active, Unix seconds.
    pub collector_active_ts: Option<f64>,
    /// The kind of its device.
    pub device_type: Option<String>,
    /// The hash of its build.
    pub agent_hash: Option<String>,
    /// The GUID of its device.
    pub agent_guid: Option<Guid>,
}

impl AgentRecord {
    /// The mode that counts: the stored one, else the one in the id.
    pub fn effective_mode(&self, agent_id: &str) -> ServiceMode {
        self.mode.unwrap_or_else(|| ServiceMode::of_id(agent_id))
    }

    /// Whether it is an agent of another device than this one: by its id, else by its record.
    pub(super) fn is_of_another(&self, agent_id: &str, device: &Guid) -> bool {
        match named_device(agent_id) {
            NamedDevice::One(named) => named != *device,
            NamedDevice::Several => true,
            NamedDevice::None => self.agent_guid.as_ref().is_some_and(|guid| guid != device),
        }
    }

    /// Whether listings leave it out: a script helper outside a user's session.
    pub fn is_hidden_helper(&self, agent_id: &str) -> bool {
        self.effective_mode(agent_id) != ServiceMode::CurrentUser
            && (is_script_id(agent_id) || self.is_script_agent == Some(true))
    }

    /// The host name in listings: trimmed, `unknown` where there is none.
    pub fn shown_hostname(&self) -> &str {
        match self.hostname.as_deref().map(python_trim) {
            None | Some("") => super::UNKNOWN_HOST,
            Some(name) => name,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_script_helper_is_told_by_the_end_of_its_id_in_any_letter_case(
            id in "[a-zA-Z\u{130}\u{212a}\u{17f}-]{0,9}(-script|-SCRIPT|-Scr\u{130}pt|-\u{17f}cript|script)?"
        ) {
            prop_assert_eq!(is_script_id(&id), id.to_lowercase().ends_with("-script"));
        }
    }
}
