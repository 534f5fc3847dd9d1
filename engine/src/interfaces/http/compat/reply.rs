//! JSON answers.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};

use super::json_writer::write_line;
use crate::domain::json::Json;

/// An answer whose body is JSON.
#[derive(Clone, Debug, PartialEq)]
pub struct JsonReply {
    /// The status.
    pub status: StatusCode,
    /// The body.
    pub body: Json,
}

impl JsonReply {
    /// An answer with status 200.
    pub fn ok(body: impl Into<Json>) -> Self {
        Self::new(StatusCode::OK, body)
    }

    /// An answer with any status.
    pub fn new(status: StatusCode, body: impl Into<Json>) -> Self {
        Self {
            status,
            body: body.into(),
        }
    }

    /// The answer `{"error": <word>}`.
    pub fn error(status: StatusCode, word: &str) -> Self {
        Self::new(status, Json::object([("error", word.into())]))
    }
}

impl IntoResponse for JsonReply {
    fn into_response(self) -> Response {
        (
            self.status,
            [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))],
            write_line(&self.body),
        )
            .into_response()
    }
}
