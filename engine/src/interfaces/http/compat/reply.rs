//! JSON answers.

use std::borrow::Cow;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

use super::json_writer::write_line;
use crate::domain::json::Json;

/// An answer whose body is JSON, written as the legacy writes it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Answer<T> {
    status: StatusCode,
    body: T,
    cookies: Vec<HeaderValue>,
}

/// The body of most failures.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Failure {
    error: String,
}

/// `{"status": ...}`, the body of a success without a result.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Status {
    status: Cow<'static, str>,
}

impl Failure {
    /// Called by this word.
    pub fn new(word: impl Into<String>) -> Self {
        Self { error: word.into() }
    }
}

impl Status {
    /// Called by this word.
    pub fn new(word: impl Into<Cow<'static, str>>) -> Self {
        Self { status: word.into() }
    }
}

impl<T> Answer<T> {
    /// An answer with status 200.
    pub fn ok(body: T) -> Self {
        Self::new(StatusCode::OK, body)
    }

    /// An answer with any status.
    pub fn new(status: StatusCode, body: T) -> Self {
        Self {
            status,
            body,
            cookies: Vec::new(),
        }
    }

    /// The same answer, which sets cookies.
    pub fn with_cookies(mut self, cookies: impl IntoIterator<Item = HeaderValue>) -> Self {
        self.cookies.extend(cookies);
        self
    }
}

impl Answer<Failure> {
    /// The answer `{"error": <word>}`.
    pub fn error(status: StatusCode, word: impl Into<String>) -> Self {
        Self::new(status, Failure::new(word))
    }
}

impl Answer<Status> {
    /// The answer `{"status": <word>}` with status 200.
    pub fn status(word: &'static str) -> Self {
        Self::ok(Status::new(word))
    }
}

impl<T: Serialize> IntoResponse for Answer<T> {
    fn into_response(self) -> Response {
        let mut response = (
            self.status,
            [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))],
            write_line(&Json::of(&self.body)),
        )
            .into_response();
        for cookie in self.cookies {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
        response
    }
}
