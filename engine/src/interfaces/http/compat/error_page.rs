//! The HTML pages that answer what the framework itself refuses.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};

const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");

/// A page that says what went wrong.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ErrorPage {
    /// 400
    BadRequest,
    /// 404
    NotFound,
    /// 404 of the web client's own paths, where it is not installed. The legacy says no more than of any other path.
    NoWebClient,
    /// 405, with the text of `Allow`.
    MethodNotAllowed(String),
    /// 413
    TooLarge,
    /// 415
    UnsupportedMediaType,
    /// 416, with the size of the file.
    RangeNotSatisfiable(u64),
    /// 500
    Internal,
}

impl ErrorPage {
    fn parts(&self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::BadRequest => (
                StatusCode::BAD_REQUEST,
                "Bad Request",
                "The browser (or proxy) sent a request that this server could not understand.",
            ),
            Self::NotFound => (
                StatusCode::NOT_FOUND,
                "Not Found",
                "The requested URL was not found on the server. If you entered the URL manually please check your \
                 spelling and try again.",
            ),
            Self::NoWebClient => (
                StatusCode::NOT_FOUND,
                "Not Found",
                "This Borealis server runs, but its web client is not installed. Put the built web client into \
                 <code>Data/Server/web-interface/build</code> under the server&#39;s root folder, or set \
                 <code>BOREALIS_STATIC_ROOT</code> to the folder that holds its <code>index.html</code>; \
                 <code>borealis-engine check</code> says where the server looks. Agents and the API work without it.",
            ),
            Self::MethodNotAllowed(_) => (
                StatusCode::METHOD_NOT_ALLOWED,
                "Method Not Allowed",
                "The method is not allowed for the requested URL.",
            ),
            Self::TooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "Request Entity Too Large",
                "The data value transmitted exceeds the capacity limit.",
            ),
            Self::UnsupportedMediaType => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "Unsupported Media Type",
                "Did not attempt to load JSON data because the request Content-Type was not \
                 &#39;application/json&#39;.",
            ),
            Self::RangeNotSatisfiable(_) => (
                StatusCode::RANGE_NOT_SATISFIABLE,
                "Requested Range Not Satisfiable",
                "The server cannot provide the requested range.",
            ),
            Self::Internal => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "Internal Server Error",
                "The server encountered an internal error and was unable to complete your request. Either the server \
                 is overloaded or there is an error in the application.",
            ),
        }
    }
}

impl IntoResponse for ErrorPage {
    fn into_response(self) -> Response {
        let (status, name, description) = self.parts();
        let code = status.as_u16();
        let body = format!(
            "<!doctype html>\n<html lang=en>\n<title>{code} {name}</title>\n<h1>{name}</h1>\n<p>{description}</p>\n"
        );
        let mut response = (status, [(header::CONTENT_TYPE, HTML)], body).into_response();
        let extra = match &self {
            Self::MethodNotAllowed(allow) => Some((header::ALLOW, allow.clone())),
            Self::RangeNotSatisfiable(size) => Some((header::CONTENT_RANGE, format!("bytes */{size}"))),
            _ => None,
        };
        if let Some((name, value)) = extra
            && let Ok(value) = HeaderValue::try_from(value)
        {
            response.headers_mut().insert(name, value);
        }
        response
    }
}

/// The 308 answer that sends the client to `url`.
pub fn redirect(url: &str) -> Response {
    let escaped = escape_html(url);
    let body = format!(
        "<!doctype html>\n<html lang=en>\n<title>Redirecting...</title>\n<h1>Redirecting...</h1>\n<p>You should be \
         redirected automatically to the target URL: <a href=\"{escaped}\">{escaped}</a>. If not, click the link.\n"
    );
    let mut response = (
        StatusCode::PERMANENT_REDIRECT,
        [(header::CONTENT_TYPE, HTML)],
        body,
    )
        .into_response();
    if let Ok(location) = HeaderValue::try_from(url) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

/// The empty answer to OPTIONS.
pub fn options(allow: &str) -> Response {
    let mut response = (StatusCode::OK, [(header::CONTENT_TYPE, HTML)], "").into_response();
    if let Ok(allow) = HeaderValue::try_from(allow) {
        response.headers_mut().insert(header::ALLOW, allow);
    }
    response
}

/// `text` safe inside HTML text and attributes.
pub fn escape_html(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&#34;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_method_names_the_allowed_ones() {
        let response = ErrorPage::MethodNotAllowed("GET, HEAD, OPTIONS".to_owned()).into_response();
        assert_eq!(response.status(), 405);
        assert_eq!(response.headers()["allow"], "GET, HEAD, OPTIONS");
        assert_eq!(response.headers()["content-type"], "text/html; charset=utf-8");
    }

    #[test]
    fn markup_is_escaped() {
        assert_eq!(escape_html("<a&\"'>"), "&lt;a&amp;&#34;&#39;&gt;");
    }
}
