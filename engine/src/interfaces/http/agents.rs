//! The registry of agents, their configuration, and the live view.

use axum::{
    extract::{Path, State},
    response::{ErrorResponse, IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};
use serde::{Serialize, Serializer};

use super::{
    compat::{
        body::RawBody,
        error_page::escape_html,
        reply::{Answer, Status},
    },
    errors::internal,
    guards::OperatorIfStrict,
    set_apart::shared::SharedAnswer,
    state::AppState,
};
use crate::{
    builders::agents::provision::provision as read_provision,
    domain::{
        agents::{AgentStatus, AgentSummary},
        guid::Guid,
        json::Json,
        json_text::compact_text,
    },
};

const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
const LIVE_VIEW: &str = include_str!("agents/live_view.html");

/// The agents that are connected, by their ids.
#[derive(Debug)]
pub struct AgentList(Vec<AgentSummary>);

impl Serialize for AgentList {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|agent| (&*agent.id, ListedAgent::from(agent))))
    }
}

/// An agent as operators see it; what its record lacks is left out. In the order in which the members are written, so that
/// none of them is moved.
#[derive(Debug, Serialize)]
struct ListedAgent<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    agent_guid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent_hash: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent_operating_system: Option<&'a Json>,
    collector_active: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    collector_active_ts: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device_type: Option<&'a str>,
    hostname: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    is_script_agent: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_seen: Option<Json>,
    service_mode: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'static str>,
}

impl<'a> From<&'a AgentSummary> for ListedAgent<'a> {
    fn from(agent: &'a AgentSummary) -> Self {
        let AgentSummary { id, record, .. } = agent;
        Self {
            hostname: record.shown_hostname(),
            service_mode: record.effective_mode(id).as_str(),
            collector_active: agent.is_collecting,
            agent_id: record.announced.then_some(&**id),
            agent_operating_system: record.operating_system.as_ref(),
            last_seen: record.last_seen.map(Json::from),
            status: record.status.map(AgentStatus::as_str),
            is_script_agent: record.is_script_agent,
            collector_active_ts: record.collector_active_ts,
            device_type: record.device_type.as_deref(),
            agent_hash: record.agent_hash.as_deref(),
            agent_guid: record.agent_guid.as_ref().map(Guid::as_str),
        }
    }
}

/// What an agent was given to do.
#[derive(Debug, Serialize)]
pub struct Provisioned {
    roles: Vec<Json>,
    status: &'static str,
}

/// `GET /api/agents`
pub async fn list(_: OperatorIfStrict, State(state): State<AppState>) -> SharedAnswer<Answer<AgentList>> {
    let lists = state.shared_lists.clone();
    let making = async move {
        let mut agents = state.realtime.listing();
        agents.sort_unstable_by(|one, other| one.id.cmp(&other.id));
        Answer::ok(AgentList(agents))
    };
    lists.answer("agents", making).await
}

/// `DELETE /api/agent/<agent_id>`
pub async fn remove(
    _: OperatorIfStrict,
    State(state): State<AppState>,
    Path(agent_id): Path<String>,
) -> Result<Answer<Status>, ErrorResponse> {
    if state.realtime.remove(&agent_id) {
        Ok(Answer::status("removed"))
    } else {
        Err(Answer::error(StatusCode::NOT_FOUND, "agent not found").into())
    }
}

/// `POST /api/agent/provision`
pub async fn provision(
    _: OperatorIfStrict,
    State(state): State<AppState>,
    body: RawBody,
) -> Result<Answer<Provisioned>, ErrorResponse> {
    // A falsy body lacks what one that is no object lacks (RT-11).
    let body = body.strict_or_falsy().await?;
    let provision = read_provision(&body)?;
    let roles = provision.roles.clone();
    if !state
        .realtime
        .provision(&provision.agent_id, provision.roles)
        .await
    {
        return Err(internal(&TooManyConfigurations).into());
    }
    Ok(Answer::ok(Provisioned {
        roles,
        status: "provisioned",
    }))
}

#[derive(Debug, thiserror::Error)]
#[error("there are too many configurations")]
struct TooManyConfigurations;

/// `GET /api/agent/<agent_id>/node/<node_id>/screenshot/live`: a page that shows what the agent's node sees.
///
/// The legacy writes both ids into the page as they are, and loads the client from a public server (RT-3).
pub async fn live_view(_: OperatorIfStrict, Path((agent_id, node_id)): Path<(String, String)>) -> Response {
    // One pass, so that an id that looks like a slot of the page is not filled in itself.
    let mut page = String::with_capacity(LIVE_VIEW.len() + 256);
    for (index, part) in LIVE_VIEW.split("@@").enumerate() {
        if index % 2 == 0 {
            page.push_str(part);
            continue;
        }
        page.push_str(&match part {
            "agent" => escape_html(&agent_id),
            "node" => escape_html(&node_id),
            "agent_text" => script_text(&agent_id),
            _ => script_text(&node_id),
        });
    }
    (StatusCode::OK, [(header::CONTENT_TYPE, HTML)], page).into_response()
}

/// A text as a string of a script inside a page.
fn script_text(text: &str) -> String {
    compact_text(&Json::from(text))
        .replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
        .replace('\'', "\\u0027")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::domain::{agents::AgentRecord, json_text::compact_text_of};

    async fn page(agent_id: &str, node_id: &str) -> String {
        let path = Path((agent_id.to_owned(), node_id.to_owned()));
        let response = live_view(OperatorIfStrict, path).await;
        let body = http_body_util::BodyExt::collect(response.into_body())
            .await
            .unwrap();
        String::from_utf8(body.to_bytes().to_vec()).unwrap()
    }

    #[test]
    fn what_is_not_known_of_an_agent_is_left_out() {
        let mut agent = AgentSummary {
            id: "A".into(),
            record: Arc::default(),
            is_collecting: false,
        };
        let shown = |agent: &AgentSummary| compact_text_of(&ListedAgent::from(agent));
        insta::assert_snapshot!(shown(&agent), @r#"{"collector_active":false,"hostname":"unknown","service_mode":"currentuser"}"#);
        agent.record = Arc::new(AgentRecord {
            announced: true,
            status: Some(AgentStatus::Orphaned),
            last_seen: Some(i128::from(u64::MAX)),
            ..AgentRecord::default()
        });
        insta::assert_snapshot!(shown(&agent), @r#"{"agent_id":"A","collector_active":false,"hostname":"unknown","last_seen":18446744073709551615,"service_mode":"currentuser","status":"orphaned"}"#);
    }

    #[tokio::test]
    async fn no_id_becomes_markup_or_script() {
        let hostile = "</title></script><b>\"'\\@@node@@\u{2028}";
        let page = page(hostile, "n").await;
        assert!(page.contains(
            "<title>Borealis Live View - &lt;/title&gt;&lt;/script&gt;&lt;b&gt;&#34;&#39;\\@@node@@\u{2028}:n</title>"
        ));
        assert_eq!(page.matches("</script>").count(), 1);
        assert!(page.contains(
            "\"\\u003c/title\\u003e\\u003c/script\\u003e\\u003cb\\u003e\\\"\\u0027\\\\@@node@@\\u2028\""
        ));
        assert!(page.contains("\"n\""));
    }
}
