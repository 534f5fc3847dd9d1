//! What operators see of agents, and tell them.

use axum::{
    extract::{Path, State},
    response::{ErrorResponse, IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};

use super::{
    compat::{body::RawBody, error_page::escape_html, reply::JsonReply},
    errors::internal,
    guards::OperatorIfStrict,
    state::AppState,
};
use crate::{
    builders::provision::provision as read_provision,
    domain::{json::Json, json_text::compact_text},
};

const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
const LIVE_VIEW: &str = include_str!("agents/live_view.html");

/// `GET /api/agents`
pub async fn list(_: OperatorIfStrict, State(state): State<AppState>) -> JsonReply {
    JsonReply::ok(state.realtime.listing())
}

/// `DELETE /api/agent/<agent_id>`
pub async fn remove(
    _: OperatorIfStrict,
    State(state): State<AppState>,
    Path(agent_id): Path<String>,
) -> JsonReply {
    if state.realtime.remove(&agent_id) {
        JsonReply::ok(Json::object([("status", "removed".into())]))
    } else {
        JsonReply::error(StatusCode::NOT_FOUND, "agent not found")
    }
}

/// `POST /api/agent/provision`
pub async fn provision(
    _: OperatorIfStrict,
    State(state): State<AppState>,
    body: RawBody,
) -> Result<JsonReply, ErrorResponse> {
    let body = body.strict().await.map_err(IntoResponse::into_response)?;
    let provision = read_provision(&body).map_err(IntoResponse::into_response)?;
    let roles = Json::List(provision.roles.clone());
    if !state
        .realtime
        .provision(&provision.agent_id, provision.roles)
        .await
    {
        return Err(internal(&TooManyConfigurations).into());
    }
    Ok(JsonReply::ok(Json::object([
        ("roles", roles),
        ("status", "provisioned".into()),
    ])))
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
    use super::*;

    async fn page(agent_id: &str, node_id: &str) -> String {
        let path = Path((agent_id.to_owned(), node_id.to_owned()));
        let response = live_view(OperatorIfStrict, path).await;
        let body = http_body_util::BodyExt::collect(response.into_body())
            .await
            .unwrap();
        String::from_utf8(body.to_bytes().to_vec()).unwrap()
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
