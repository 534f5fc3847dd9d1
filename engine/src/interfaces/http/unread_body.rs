//! What is left of a request's body once its answer is made.
//!
//! A guard refuses before anything is read, and a client, or the proxy in front of it, may still be sending. Closing
//! the connection then resets it, and the answer is lost with it: a proxy makes a 502 of that. So the answer goes out
//! at once, and the rest of the body is read beside it and thrown away, as long as it keeps coming. Where the rest is
//! long the answer says that the connection ends, so that a client which looks need not send it all.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::{Body, HttpBody},
    extract::Request,
    response::Response,
};
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt as _;

use super::compat::body::LONGEST as LONGEST_BODY;

/// The longest rest after which the connection is used again.
const SHORT: u64 = 64 * 1024;
/// The longest rest that is read: no route takes more.
const LONGEST: u64 = LONGEST_BODY as u64;
/// How fast a rest has to come to be read on: bytes a second.
const SLOWEST: u64 = 10_000;

/// In an answer's extensions: nothing more of the body comes, so there is nothing to wait for.
#[derive(Clone, Copy, Debug)]
pub struct BodyGone;

/// Lets the rest of a body that nobody read come in, while and after the answer goes out. `deadline` is how long the
/// rest may take; it begins anew as long as the rest comes fast enough.
pub async fn read_the_rest(
    deadline: Duration,
    request: Request,
    next: impl AsyncFnOnce(Request) -> Response,
) -> Response {
    if request.body().is_end_stream() {
        return next(request).await;
    }
    // Whoever waits to be asked for the body has not sent it.
    let waits = request.headers().contains_key(header::EXPECT);
    let slot = Slot::default();
    let request = request.map(|body| {
        Body::new(Lent {
            body,
            slot: Arc::clone(&slot),
        })
    });
    let mut response = next(request).await;
    let rest = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Some(rest) = rest else { return response };
    if response.status() == StatusCode::SWITCHING_PROTOCOLS
        || response.extensions().get::<BodyGone>().is_some()
    {
        return response;
    }
    if waits || rest.size_hint().lower() > SHORT {
        response
            .headers_mut()
            .insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    if !waits {
        tokio::spawn(discard(rest, deadline));
    }
    response
}

/// Reads to the end, unless that is too far or comes too slowly.
async fn discard(mut rest: Body, deadline: Duration) {
    let share = SLOWEST.saturating_mul(deadline.as_secs().max(1));
    let mut read: u64 = 0;
    while read < LONGEST {
        let enough = read.saturating_add(share);
        let reading = async {
            while read < enough {
                match rest.frame().await {
                    Some(Ok(frame)) => read += frame.data_ref().map_or(0, |data| data.len() as u64),
                    Some(Err(_)) | None => return false,
                }
            }
            true
        };
        if !tokio::time::timeout(deadline, reading).await.unwrap_or(false) {
            return;
        }
    }
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

    use axum::response::IntoResponse as _;
    use futures_util::{StreamExt as _, stream};

    use super::*;

    const DEADLINE: Duration = Duration::from_secs(5);

    /// A body whose pieces of 1 KiB come `pause` apart, and how many were taken from it.
    #[allow(
        clippy::disallowed_methods,
        reason = "tokio's own time is what stands still here"
    )]
    fn body(pieces: usize, pause: Duration) -> (Body, Arc<AtomicUsize>) {
        let taken = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&taken);
        let pieces = stream::iter(0..pieces).then(move |_| {
            let counter = Arc::clone(&counter);
            async move {
                if !pause.is_zero() {
                    tokio::time::sleep(pause).await;
                }
                counter.fetch_add(1, Ordering::Relaxed);
                Ok::<_, std::convert::Infallible>(Bytes::from_static(&[0; 1024]))
            }
        });
        (Body::from_stream(pieces), taken)
    }

    async fn refuse(request: Request) -> Response {
        read_the_rest(DEADLINE, request, async |_| {
            StatusCode::UNAUTHORIZED.into_response()
        })
        .await
    }

    #[tokio::test(start_paused = true)]
    async fn the_answer_comes_at_once_and_the_rest_is_read_as_long_as_it_comes() {
        for (pieces, pause, read) in [
            (3, 0, 3),
            (1000, 0, 1000),
            // 20 kB a second for a minute, and less than 5 kB a second.
            (1200, 50, 1200),
            (100, 210, 23),
        ] {
            let (body, taken) = body(pieces, Duration::from_millis(pause));
            refuse(Request::new(body)).await;
            assert_eq!(taken.load(Ordering::Relaxed), 0);
            #[allow(
                clippy::disallowed_methods,
                reason = "tokio's own time is what stands still here"
            )]
            tokio::time::sleep(Duration::from_secs(3600)).await;
            assert_eq!(taken.load(Ordering::Relaxed), read, "{pieces} {pause}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_rest_and_one_that_waits_to_be_asked_for_end_the_connection() {
        let closes = |response: &Response| response.headers().contains_key(header::CONNECTION);
        for (length, ends) in [(1, false), (64 * 1024, false), (64 * 1024 + 1, true)] {
            let response = refuse(Request::new(Body::from(vec![0; length]))).await;
            assert_eq!(closes(&response), ends, "{length}");
        }
        let (body, taken) = body(1, Duration::ZERO);
        let request = Request::builder().header("Expect", "100-continue");
        assert!(closes(&refuse(request.body(body).unwrap()).await));
        tokio::task::yield_now().await;
        assert_eq!(taken.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn a_body_that_was_read_is_left_alone() {
        let request = Request::builder().body(Body::from("whole")).unwrap();
        let echo = async |request: Request| {
            let body = request.into_body().collect().await.unwrap();
            body.to_bytes().into_response()
        };
        let response = read_the_rest(DEADLINE, request, echo).await;
        assert!(!response.headers().contains_key(header::CONNECTION));
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "whole");
    }
}
