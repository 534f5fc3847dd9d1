//! Lists that several operators look at in the same moment, made once for all who wait for them.
//!
//! Web clients ask for the same lists every few seconds. Made for each of eight operators in turn, a list of ten thousand
//! agents keeps the last one waiting for eight times as long, and lies in memory eight times until the slowest client
//! has read it. Whoever asks while a list is being made waits for the next one, together with all who ask until that
//! begins: nobody gets what was read before the request came, and nobody waits for more than two.

use std::{
    collections::HashMap,
    fmt,
    marker::PhantomData,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::{
    FutureExt as _,
    future::{BoxFuture, Shared, WeakShared},
};
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt as _;

use super::SetApart;
use crate::interfaces::http::compat::reply::TextForm;

/// The list that the next ones to ask get, by the name of the list; not begun yet.
#[derive(Clone, Default)]
pub struct SharedLists(Arc<Inner>);

#[derive(Default)]
struct Inner {
    apart: SetApart,
    coming: Mutex<HashMap<&'static str, Coming>>,
}

/// Given up, with its place in the queue, where nobody waits for it any more.
type Coming = WeakShared<BoxFuture<'static, Made>>;

/// An answer that may be sent several times; its body lies in memory once.
#[derive(Clone, Debug)]
struct Made {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

/// What would be answered is an `A`.
pub struct SharedAnswer<A> {
    made: Made,
    answers: PhantomData<fn() -> A>,
}

impl SharedLists {
    /// Where they are made.
    pub(in crate::interfaces::http) fn apart(&self) -> SetApart {
        self.0.apart.clone()
    }

    /// An answer for this caller alone, made in the same place.
    pub async fn alone<A: IntoResponse>(
        &self,
        making: impl Future<Output = A> + Send + 'static,
    ) -> SharedAnswer<A> {
        let form = TextForm::present();
        let making = form.write(async move { making.await.into_response() });
        SharedAnswer {
            made: Made::of(self.0.apart.answer(making).await).await,
            answers: PhantomData,
        }
    }

    /// The answer that `making` makes, or the one that the first of those makes who wait for the list of this name.
    /// Must not be asked before it is certain that the caller may see the list.
    pub async fn answer<A: IntoResponse>(
        &self,
        name: &'static str,
        making: impl Future<Output = A> + Send + 'static,
    ) -> SharedAnswer<A> {
        let made = self.coming(name, making).await;
        SharedAnswer {
            made,
            answers: PhantomData,
        }
    }

    fn coming<A: IntoResponse>(
        &self,
        name: &'static str,
        making: impl Future<Output = A> + Send + 'static,
    ) -> Shared<BoxFuture<'static, Made>> {
        let mut coming = self.0.coming.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(others) = coming.get(name).and_then(WeakShared::upgrade) {
            return others;
        }
        let (lists, form) = (self.clone(), TextForm::present());
        let making = form.write(async move {
            // Whoever asks from here on would get what is older than the question.
            lists.begun(name);
            making.await.into_response()
        });
        let lists = self.clone();
        let made = async move { Made::of(lists.0.apart.answer(making).await).await };
        let made = made.boxed().shared();
        if let Some(weak) = made.downgrade() {
            coming.insert(name, weak);
        }
        made
    }

    fn begun(&self, name: &'static str) {
        self.0
            .coming
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(name);
    }
}

impl Made {
    async fn of(response: Response) -> Self {
        let (head, body) = response.into_parts();
        match body.collect().await {
            Ok(body) => Self {
                status: head.status,
                headers: head.headers,
                body: body.to_bytes(),
            },
            // Answers that are made as a whole do not fail.
            Err(_) => Self {
                status: StatusCode::INTERNAL_SERVER_ERROR,
                headers: HeaderMap::new(),
                body: Bytes::new(),
            },
        }
    }
}

impl<A> IntoResponse for SharedAnswer<A> {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.made.body));
        *response.status_mut() = self.made.status;
        *response.headers_mut() = self.made.headers;
        response
    }
}

impl fmt::Debug for SharedLists {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SharedLists").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc,
    };

    use futures_util::future::{join_all, poll_immediate};
    use tokio::sync::Semaphore;

    use super::*;

    async fn text(answer: SharedAnswer<String>) -> String {
        let body = answer.into_response().into_body().collect().await.unwrap();
        String::from_utf8(body.to_bytes().to_vec()).unwrap()
    }

    /// Lists that say how many were made before, made one at a time.
    struct Counted {
        lists: SharedLists,
        made: Arc<AtomicUsize>,
    }

    impl Counted {
        fn new() -> Self {
            Self {
                lists: SharedLists(Arc::new(Inner {
                    apart: SetApart(Arc::new(Semaphore::new(1))),
                    coming: Mutex::default(),
                })),
                made: Arc::default(),
            }
        }

        async fn ask(&self) -> String {
            let made = Arc::clone(&self.made);
            let making = async move { made.fetch_add(1, Ordering::Relaxed).to_string() };
            text(self.lists.answer("list", making).await).await
        }
    }

    #[tokio::test]
    async fn all_who_wait_get_one_list_that_was_begun_after_they_asked() {
        let counted = Counted::new();
        let (go_on, wait) = mpsc::channel::<()>();
        let (begun, has_begun) = tokio::sync::oneshot::channel();
        let making = async move {
            begun.send(()).unwrap();
            wait.recv().unwrap();
            "first".to_owned()
        };
        let first = counted.lists.answer("list", making);
        let others = async {
            has_begun.await.unwrap();
            let mut waiting = Box::pin(join_all((0..8).map(|_| counted.ask())));
            assert!(poll_immediate(&mut waiting).await.is_none());
            go_on.send(()).unwrap();
            waiting.await
        };
        let (first, others) = tokio::join!(first, others);
        assert_eq!(text(first).await, "first");
        assert_eq!(others, ["0"; 8]);
        assert_eq!(counted.ask().await, "1");
    }

    #[tokio::test]
    async fn what_nobody_waits_for_any_more_is_not_made_and_blocks_nobody() {
        let counted = Counted::new();
        let held = counted.lists.0.apart.0.acquire().await.unwrap();
        assert!(poll_immediate(Box::pin(counted.ask())).await.is_none());
        drop(held);
        let other = counted.lists.answer("other", async { "other".to_owned() });
        assert_eq!(text(other.await).await, "other");
        assert_eq!(counted.ask().await, "0");
    }
}
