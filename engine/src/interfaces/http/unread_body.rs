//! What is left of a request's body once its answer is made.
//!
//! A guard refuses before anything is read. A connection on which the rest of a body is still to come cannot be used
//! again, and a client that sends its next request on it at once would find it closed. So a short rest is read, and
//! where the rest is long the answer says that the connection ends.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::{Body, HttpBody},
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use bytes::Bytes;
use http::{HeaderValue, header};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt as _;

/// The longest rest that is read.
const SHORT: u64 = 64 * 1024;

/// Reads the rest of a short body, for at most `deadline`, or says that the connection ends.
pub async fn read_the_rest(State(deadline): State<Duration>, request: Request, next: Next) -> Response {
    // Whoever waits to be asked for the body has not sent it.
    let waits = request.headers().contains_key(header::EXPECT);
    let slot = Slot::default();
    let request = request.map(|body| {
        Body::new(Lent {
            body,
            slot: Arc::clone(&slot),
        })
    });
    let mut response = next.run(request).await;
    let rest = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(rest) = rest
        && (waits || response.headers().contains_key(header::CONNECTION) || !was_read(rest, deadline).await)
    {
        response
            .headers_mut()
            .insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Whether the rest came to its end within the limits.
async fn was_read(mut rest: Body, deadline: Duration) -> bool {
    if rest.size_hint().lower() > SHORT {
        return false;
    }
    let reading = async {
        let mut read = 0;
        while let Some(frame) = rest.frame().await {
            let Ok(frame) = frame else { return false };
            read += frame.data_ref().map_or(0, |data| data.len() as u64);
            if read > SHORT {
                return false;
            }
        }
        true
    };
    tokio::time::timeout(deadline, reading).await.unwrap_or(false)
}

/// Where a body goes that was not read to its end.
type Slot = Arc<Mutex<Option<Body>>>;

/// A body that comes back when its reader has done with it.
struct Lent {
    body: Body,
    slot: Slot,
}

impl HttpBody for Lent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if !self.body.is_end_stream() {
            let body = std::mem::take(&mut self.body);
            *self.slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(body);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::{Router, middleware::from_fn_with_state};
    use futures_util::{StreamExt as _, stream};
    use tower::ServiceExt as _;

    use super::*;

    /// How many of a body's pieces of 1 KiB were read, and whether the connection ends, where the handler reads none.
    async fn refuse(pieces: usize, expect: bool) -> (usize, bool) {
        let read = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&read);
        let body = Body::from_stream(stream::iter(0..pieces).map(move |_| {
            counter.fetch_add(1, Ordering::Relaxed);
            Ok::<_, std::convert::Infallible>(Bytes::from_static(&[0; 1024]))
        }));
        let mut request = Request::builder();
        if expect {
            request = request.header("Expect", "100-continue");
        }
        let service = Router::new()
            .fallback(async || http::StatusCode::UNAUTHORIZED)
            .layer(from_fn_with_state(Duration::from_secs(5), read_the_rest));
        let response = service.oneshot(request.body(body).unwrap()).await.unwrap();
        assert_eq!(response.status(), 401);
        let ends = response.headers().contains_key(header::CONNECTION);
        (read.load(Ordering::Relaxed), ends)
    }

    #[tokio::test]
    async fn a_short_rest_is_read_and_a_long_one_ends_the_connection() {
        assert_eq!(refuse(0, false).await, (0, false));
        assert_eq!(refuse(64, false).await, (64, false));
        assert_eq!(refuse(1000, false).await, (65, true));
        assert_eq!(refuse(1, true).await, (0, true));
    }

    #[tokio::test]
    async fn a_body_that_was_read_is_left_alone() {
        let service = Router::new()
            .fallback(async |body: Bytes| body)
            .layer(from_fn_with_state(Duration::from_secs(5), read_the_rest));
        let request = Request::builder().body(Body::from("whole")).unwrap();
        let response = service.oneshot(request).await.unwrap();
        assert!(!response.headers().contains_key(header::CONNECTION));
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "whole");
    }
}
