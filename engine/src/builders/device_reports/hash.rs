//! The query and the body of `agent/hash`.

use crate::{
    builders::text::{WrongType, trimmed_text},
    domain::{guid::Guid, json::JsonObject, text::python_trim},
};

/// A hash that a device reports.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HashReport {
    /// The device that the body names.
    pub claimed_guid: Option<Guid>,
    /// Its agent's id, where it sends one.
    pub agent_id: Option<String>,
    /// The hash; empty where it sends none.
    pub agent_hash: String,
}

/// A field that is needed is missing, or a field is no text.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("agent_hash and agent_guid or agent_id required")]
pub struct InvalidHashRequest;

impl From<WrongType> for InvalidHashRequest {
    fn from(_: WrongType) -> Self {
        Self
    }
}

/// Reads a report.
///
/// # Errors
/// A field is no text. A missing hash is found out later, after whose it is.
pub fn hash_report(body: &JsonObject) -> Result<HashReport, InvalidHashRequest> {
    let agent_hash = trimmed_text(body, "agent_hash")?;
    let agent_id = trimmed_text(body, "agent_id")?;
    Ok(HashReport {
        claimed_guid: Guid::normalize(trimmed_text(body, "agent_guid")?),
        agent_id: (!agent_id.is_empty()).then(|| agent_id.to_owned()),
        agent_hash: agent_hash.to_owned(),
    })
}

/// Whose hash a query asks for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum HashQuestion {
    /// The caller's own, or that of the GUID it names.
    Asked(Option<Guid>),
    /// The query names nothing: the body is read.
    InBody,
}

/// Reads the query: the GUID decides, an agent's id only counts as having asked.
pub fn hash_question(parameter: impl Fn(&str) -> Option<String>) -> HashQuestion {
    let guid = parameter("agent_guid").as_deref().and_then(Guid::normalize);
    // A blank `agent_id` hides the `id` beside it.
    let names_agent = ["agent_id", "id"]
        .into_iter()
        .filter_map(parameter)
        .find(|id| !id.is_empty())
        .is_some_and(|id| !python_trim(&id).is_empty());
    if guid.is_none() && !names_agent {
        HashQuestion::InBody
    } else {
        HashQuestion::Asked(guid)
    }
}

/// Reads whose hash a body asks for.
///
/// # Errors
/// A field is no text.
pub fn hash_question_in_body(body: &JsonObject) -> Result<Option<Guid>, InvalidHashRequest> {
    trimmed_text(body, "agent_id")?;
    Ok(Guid::normalize(trimmed_text(body, "agent_guid")?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::json::Json;

    #[test]
    fn a_report_is_trimmed_and_wrong_types_are_refused() {
        let report = hash_report(&Json::members([
            ("agent_hash", " h ".into()),
            ("agent_id", Json::Null),
            ("agent_guid", "{a}".into()),
        ]))
        .unwrap();
        assert_eq!(report.agent_hash, "h");
        assert_eq!(report.agent_id, None);
        assert_eq!(report.claimed_guid, Guid::normalize("a"));
        for name in ["agent_hash", "agent_id", "agent_guid"] {
            assert_eq!(
                hash_report(&Json::members([(name, 5.into())])),
                Err(InvalidHashRequest)
            );
        }
        assert_eq!(
            hash_report(&Json::members([("agent_hash", 0.into())]))
                .unwrap()
                .agent_hash,
            ""
        );
    }

    #[test]
    fn the_body_is_asked_only_when_the_query_says_nothing() {
        let ask = |pairs: &'static [(&str, &str)]| {
            hash_question(|name| {
                let value = pairs.iter().find(|(key, _)| *key == name)?.1;
                Some(value.to_owned())
            })
        };
        assert_eq!(ask(&[]), HashQuestion::InBody);
        assert_eq!(ask(&[("agent_guid", "{}"), ("id", "  ")]), HashQuestion::InBody);
        assert_eq!(ask(&[("id", "x")]), HashQuestion::Asked(None));
        assert_eq!(ask(&[("agent_id", ""), ("id", "x")]), HashQuestion::Asked(None));
        assert_eq!(ask(&[("agent_id", " "), ("id", "x")]), HashQuestion::InBody);
        assert_eq!(
            ask(&[("agent_guid", "zz")]),
            HashQuestion::Asked(Guid::normalize("ZZ"))
        );
        assert_eq!(
            hash_question_in_body(&Json::members([("agent_id", Json::list([1]))])),
            Err(InvalidHashRequest)
        );
    }
}
