//! Request bodies: read within a limit, and read as JSON in the three ways of the legacy's routes.

use std::{convert::Infallible, time::Duration};

use axum::{
    body::Body,
    extract::{FromRequest, Request},
    response::{IntoResponse, Response},
};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use http_body_util::BodyExt;

use super::{super::unread_body::BodyGone, error_page::ErrorPage, json_reader, reply::JsonReply};
use crate::{
    config::timing::Timing,
    domain::json::{Json, JsonObject},
};

/// The limit of enrollment and token routes.
pub const SMALL: usize = 1024 * 1024;
/// The limit of all other routes.
pub const DEFAULT: usize = 16 * 1024 * 1024;
/// The limit of routes that take files.
pub const FILES: usize = 100 * 1024 * 1024;

/// How long a body may stop coming; an extension of the request.
#[derive(Clone, Copy, Debug)]
pub struct BodyDeadline(pub Duration);

/// Why a body cannot be used.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BodyError {
    /// It is longer than the route allows.
    #[error("the body is too long")]
    TooLarge,
    /// The client stopped sending it.
    #[error("the body stopped coming")]
    Stalled,
    /// Its transfer is malformed or was broken off.
    #[error("the body broke off")]
    Broken,
    /// It is JSON, but no object.
    #[error("the body is no JSON object")]
    NotAnObject,
    /// A strict route got no JSON.
    #[error("the body is not readable as JSON")]
    Unparsable,
    /// A strict route got another content type.
    #[error("the content type is not JSON")]
    WrongContentType,
}

impl IntoResponse for BodyError {
    fn into_response(self) -> Response {
        match self {
            Self::TooLarge => closing(ErrorPage::TooLarge.into_response()),
            Self::Stalled | Self::Broken => {
                let mut response = closing(ErrorPage::BadRequest.into_response());
                response.extensions_mut().insert(BodyGone);
                response
            }
            Self::NotAnObject => {
                JsonReply::error(StatusCode::BAD_REQUEST, "invalid JSON body").into_response()
            }
            Self::Unparsable => ErrorPage::BadRequest.into_response(),
            Self::WrongContentType => ErrorPage::UnsupportedMediaType.into_response(),
        }
    }
}

/// The rest of the body is not read, so the connection cannot be used again.
fn closing(mut response: Response) -> Response {
    response
        .headers_mut()
        .insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

/// A body that has not been read. Taking it from the request never fails, so that a guard can answer first.
#[derive(Debug)]
pub struct RawBody {
    headers: HeaderMap,
    body: Body,
    limit: usize,
    deadline: Duration,
}

impl<S: Sync> FromRequest<S> for RawBody {
    type Rejection = Infallible;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Infallible> {
        let (parts, body) = request.into_parts();
        Ok(Self {
            deadline: parts
                .extensions
                .get::<BodyDeadline>()
                .map_or(Timing::default().body_deadline, |deadline| deadline.0),
            headers: parts.headers,
            body,
            limit: DEFAULT,
        })
    }
}

impl RawBody {
    /// The same body with another limit in bytes.
    pub fn limit(self, limit: usize) -> Self {
        Self { limit, ..self }
    }

    /// The bytes.
    ///
    /// # Errors
    /// Too many, or they stop coming.
    pub async fn bytes(self) -> Result<Bytes, BodyError> {
        self.read().await
    }

    /// The object of a lenient route: another content type and unreadable text count as `{}`.
    ///
    /// # Errors
    /// As [`RawBody::bytes`], or JSON that is neither object nor falsy.
    pub async fn lenient(self) -> Result<JsonObject, BodyError> {
        let is_json = self.is_json();
        let bytes = self.read().await?;
        let value = is_json.then(|| json_reader::read(&bytes).ok()).flatten();
        object_or_falsy(value)
    }

    /// As [`RawBody::lenient`], for what programs printed: lone surrogates and U+0000 become U+FFFD.
    ///
    /// # Errors
    /// As [`RawBody::lenient`].
    pub async fn lenient_replacing(self) -> Result<JsonObject, BodyError> {
        let is_json = self.is_json();
        let bytes = self.read().await?;
        let value = is_json
            .then(|| json_reader::read_replacing(&bytes).ok())
            .flatten();
        object_or_falsy(value)
    }

    /// The object of a route that reads any content type as JSON.
    ///
    /// # Errors
    /// As [`RawBody::lenient`].
    pub async fn forced(self) -> Result<JsonObject, BodyError> {
        let bytes = self.read().await?;
        object_or_falsy(json_reader::read(&bytes).ok())
    }

    /// The object of a route that insists on JSON.
    ///
    /// # Errors
    /// As [`RawBody::bytes`], another content type, unreadable text, or JSON that is no object.
    pub async fn strict(self) -> Result<JsonObject, BodyError> {
        if !self.is_json() {
            return Err(BodyError::WrongContentType);
        }
        let bytes = self.read().await?;
        match json_reader::read(&bytes) {
            Ok(Json::Object(members)) => Ok(members),
            Ok(_) => Err(BodyError::NotAnObject),
            Err(json_reader::Unparsable) => Err(BodyError::Unparsable),
        }
    }

    fn is_json(&self) -> bool {
        self.headers
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .is_some_and(is_json_type)
    }

    async fn read(mut self) -> Result<Bytes, BodyError> {
        let announced = self
            .headers
            .get(header::CONTENT_LENGTH)
            .and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        if announced.is_some_and(|length| length > self.limit as u64) {
            return Err(BodyError::TooLarge);
        }
        let mut bytes = BytesMut::new();
        loop {
            let frame = tokio::time::timeout(self.deadline, self.body.frame())
                .await
                .map_err(|_| BodyError::Stalled)?;
            match frame {
                None => return Ok(bytes.freeze()),
                Some(Err(_)) => return Err(BodyError::Broken),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        if data.len() > self.limit - bytes.len() {
                            return Err(BodyError::TooLarge);
                        }
                        bytes.extend_from_slice(&data);
                    }
                }
            }
        }
    }
}

fn object_or_falsy(value: Option<Json>) -> Result<JsonObject, BodyError> {
    match value {
        Some(Json::Object(members)) => Ok(members),
        Some(value) if value.is_truthy() => Err(BodyError::NotAnObject),
        _ => Ok(JsonObject::new()),
    }
}

/// Whether a content type names JSON: `application/json` or `application/*+json`, parameters and case aside.
fn is_json_type(content_type: &str) -> bool {
    let media_type = content_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    media_type == "application/json"
        || (media_type.starts_with("application/") && media_type.ends_with("+json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(content_type: Option<&str>, bytes: &'static [u8]) -> RawBody {
        let mut headers = HeaderMap::new();
        if let Some(content_type) = content_type {
            headers.insert(header::CONTENT_TYPE, content_type.parse().unwrap());
        }
        RawBody {
            headers,
            body: Body::from(bytes),
            limit: DEFAULT,
            deadline: Duration::from_secs(60),
        }
    }

    fn empty() -> Result<JsonObject, BodyError> {
        Ok(JsonObject::new())
    }

    const JSON: Option<&str> = Some("application/json");

    #[tokio::test]
    async fn a_lenient_route_takes_nothing_for_an_empty_object() {
        assert_eq!(body(Some("text/plain"), b"{\"a\":1}").lenient().await, empty());
        assert_eq!(body(None, b"[1]").lenient().await, empty());
        for falsy in ["", "{bad", "null", "[]", "0", "\"\"", "false"] {
            assert_eq!(body(JSON, falsy.as_bytes()).lenient().await, empty(), "{falsy}");
        }
        for truthy in ["[1]", "\"x\"", "7", "true"] {
            assert_eq!(
                body(JSON, truthy.as_bytes()).lenient().await,
                Err(BodyError::NotAnObject),
                "{truthy}"
            );
        }
        let read = body(Some("Application/Problem+JSON; charset=latin-1"), b"{\"a\":1}");
        assert_eq!(read.lenient().await.unwrap()["a"], 1.into());
    }

    #[tokio::test]
    async fn a_forced_route_ignores_the_content_type() {
        assert_eq!(body(None, b"{\"a\":1}").forced().await.unwrap()["a"], 1.into());
        assert_eq!(body(None, b"x=1").forced().await, empty());
    }

    #[tokio::test]
    async fn a_strict_route_insists() {
        assert_eq!(body(None, b"{}").strict().await, Err(BodyError::WrongContentType));
        assert_eq!(body(JSON, b"").strict().await, Err(BodyError::Unparsable));
        assert_eq!(body(JSON, b"null").strict().await, Err(BodyError::NotAnObject));
        assert_eq!(body(JSON, b"{}").strict().await, empty());
    }

    #[tokio::test]
    async fn a_long_body_is_refused_announced_or_not() {
        assert_eq!(
            body(JSON, b"12345").limit(4).bytes().await,
            Err(BodyError::TooLarge)
        );
        assert!(body(JSON, b"1234").limit(4).bytes().await.is_ok());
        let mut announced = body(JSON, b"");
        announced
            .headers
            .insert(header::CONTENT_LENGTH, HeaderValue::from_static("5"));
        assert_eq!(announced.limit(4).bytes().await, Err(BodyError::TooLarge));
    }
}
