//! JSON answers.

use std::borrow::Cow;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

use super::json_writer::write_line;
use crate::domain::json_text::column_text_of;

tokio::task_local! {
    /// The form of the answers that are made within the future.
    static FORM: TextForm;
}

/// How a route writes its JSON. The legacy's routes do it in one of two ways, and their failures with them.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum TextForm {
    /// Members sorted, no blanks, a line end.
    #[default]
    Sorted,
    /// Members in the order in which they were made, blanks after commas and colons.
    AsMade,
}

impl TextForm {
    /// Awaits an answer that is written in this form.
    pub async fn write<F: Future>(self, answer: F) -> F::Output {
        FORM.scope(self, answer).await
    }

    /// The form of the answers that are made here.
    pub fn present() -> Self {
        FORM.try_with(|form| *form).unwrap_or_default()
    }

    fn text<T: Serialize>(value: &T) -> String {
        match Self::present() {
            Self::Sorted => write_line(value),
            Self::AsMade => column_text_of(value),
        }
    }
}

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
            TextForm::text(&self.body),
        )
            .into_response();
        for cookie in self.cookies {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
        response
    }
}
