//! Limits of the request line and the headers, checked before anything else looks at a request.

use axum::{extract::Request, response::Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};

/// The longest request line, and the longest line of one header.
const LINE: usize = 8192;
/// The longest sum of all header lines.
const HEADERS: usize = 65_536;
/// As many header lines as Python's HTTP library reads.
const LINES: usize = 99;

/// Refuses requests beyond the limits.
pub async fn enforce(request: Request, next: impl AsyncFnOnce(Request) -> Response) -> Response {
    let refused = if request_line(&request) > LINE {
        Some(StatusCode::URI_TOO_LONG)
    } else if request.headers().len() > LINES {
        Some(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE)
    } else if !headers_fit(request.headers()) {
        Some(StatusCode::BAD_REQUEST)
    } else {
        None
    };
    match refused {
        Some(status) => bare(status),
        None => next(request).await,
    }
}

/// An answer without a body, after which the connection is closed.
fn bare(status: StatusCode) -> Response {
    let mut response = Response::default();
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

/// The length of `METHOD target HTTP/1.1` with its line end.
fn request_line(request: &Request) -> usize {
    let target = request
        .uri()
        .path_and_query()
        .map_or(1, |target| target.as_str().len());
    request.method().as_str().len() + 1 + target + " HTTP/1.1\r\n".len()
}

fn headers_fit(headers: &HeaderMap) -> bool {
    let lines = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + ": ".len() + value.len() + "\r\n".len());
    let mut sum = 0;
    for line in lines {
        sum += line;
        if line > LINE || sum > HEADERS {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, response::IntoResponse as _};

    use super::*;

    async fn status(path_length: usize, header_lengths: &[usize]) -> u16 {
        let mut request = Request::builder().uri(format!("/{}", "a".repeat(path_length - 1)));
        for length in header_lengths {
            request = request.header("x-long", "a".repeat(*length));
        }
        let request = request.body(Body::empty()).unwrap();
        let response = enforce(request, async |_| "fine".into_response()).await;
        let refused = response.status() != 200;
        assert_eq!(response.headers().contains_key("connection"), refused);
        assert_eq!(response.headers().contains_key("content-type"), !refused);
        response.status().as_u16()
    }

    #[tokio::test]
    async fn long_lines_and_headers_are_refused() {
        assert_eq!(status(8100, &[8000]).await, 200);
        assert_eq!(status(8200, &[]).await, 414);
        assert_eq!(status(1, &[8200]).await, 400);
        assert_eq!(status(1, &[8000; 9]).await, 400);
        assert_eq!(status(1, &[8000; 8]).await, 200);
    }
}
