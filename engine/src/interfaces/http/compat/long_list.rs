//! An answer that is one long list, sent while it is read.

use std::{marker::PhantomData, pin::Pin, sync::Arc};

use axum::{
    body::Body,
    response::{ErrorResponse, IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::{
    Stream, StreamExt as _,
    stream::{once, unfold},
};
use http::{HeaderValue, header};
use tokio::{sync::mpsc, task::JoinError};
use tracing::Instrument as _;

use super::{json_writer::write, wire::UnknownLength};
use crate::{
    interfaces::http::errors::{database_error, internal},
    services::StoreError,
};

/// The longest answer that is made before its first byte is sent. Such a one says its length, and an error is an answer of
/// its own; a longer one is sent in chunks, and an error in the middle of it ends the connection.
const WHOLE: usize = 1024 * 1024;
/// Pieces that wait for a client to take them; each is about as long as [`WHOLE`].
const WAITING: usize = 1;

/// `{"<name>": [...]}`, written as answers are. The records come in pages: a page becomes text, off the threads on which
/// requests are served, and is dropped before the next one is read. So an answer of any length takes the memory of a few
/// pages, and a client that reads slowly holds back nothing but its own.
#[derive(Debug)]
pub struct LongList<T> {
    body: Body,
    /// Whether it goes on behind what is written.
    is_open: bool,
    kind: PhantomData<fn() -> T>,
}

impl<T> LongList<T> {
    /// The list of what `push` appends for each record.
    ///
    /// # Errors
    /// The database failed before the first byte was sent.
    pub async fn of<R: Send + 'static>(
        name: &'static str,
        pages: impl Stream<Item = Result<Vec<R>, StoreError>> + Send + 'static,
        push: impl Fn(&mut String, R) + Send + Sync + 'static,
    ) -> Result<Self, ErrorResponse> {
        let mut pages = Writing {
            pages: Box::pin(pages),
            push: Arc::new(push),
            has_items: false,
        };
        let mut text = format!("{{{}:[", write(&name.into()));
        let (body, is_open) = loop {
            match pages.next().await.map_err(IntoResponse::into_response)? {
                Piece::More(more) => text.push_str(&more),
                Piece::Last => {
                    text.push_str(END);
                    break (text.into(), false);
                }
            }
            if text.len() > WHOLE {
                break (pages.send_behind(text), true);
            }
        };
        Ok(Self {
            body,
            is_open,
            kind: PhantomData,
        })
    }

    /// The same of records that are there already.
    ///
    /// # Errors
    /// It cannot be written.
    pub async fn of_all<R: Send + 'static>(
        name: &'static str,
        records: Vec<R>,
        push: impl Fn(&mut String, R) + Send + Sync + 'static,
    ) -> Result<Self, ErrorResponse> {
        Self::of(name, once(async { Ok(records) }), push).await
    }
}

const END: &str = "]}\n";

/// A part of a list's text.
enum Piece<T> {
    More(T),
    /// Nothing but the end comes behind it.
    Last,
}

/// Why a list does not go on.
#[derive(Debug, thiserror::Error)]
enum Interrupted {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("a list could not be written: {0}")]
    Write(#[from] JoinError),
    /// Its client must not take what has come for the whole.
    #[error("a list was not sent to its end")]
    Unfinished,
}

impl IntoResponse for Interrupted {
    fn into_response(self) -> Response {
        match self {
            Self::Store(error) => database_error(error),
            error => internal(&error),
        }
    }
}

/// A list that is being written.
struct Writing<P, W> {
    pages: Pin<Box<P>>,
    push: Arc<W>,
    has_items: bool,
}

impl<R, P, W> Writing<P, W>
where
    R: Send + 'static,
    P: Stream<Item = Result<Vec<R>, StoreError>> + Send + 'static,
    W: Fn(&mut String, R) + Send + Sync + 'static,
{
    async fn next(&mut self) -> Result<Piece<String>, Interrupted> {
        let Some(page) = self.pages.next().await.transpose()? else {
            return Ok(Piece::Last);
        };
        let push = Arc::clone(&self.push);
        let has_items = self.has_items;
        self.has_items |= !page.is_empty();
        let writing = tokio::task::spawn_blocking(move || {
            let mut text = String::new();
            for (index, record) in page.into_iter().enumerate() {
                if has_items || index > 0 {
                    text.push(',');
                }
                push(&mut text, record);
            }
            text
        });
        Ok(Piece::More(writing.await?))
    }

    /// A body that begins with `text`, and goes on as its client takes it.
    fn send_behind(mut self, text: String) -> Body {
        let (sender, receiver) = mpsc::channel(WAITING);
        let sending = async move {
            let mut piece = Ok(Piece::More(text));
            loop {
                let is_last = match &piece {
                    Ok(Piece::More(_)) => false,
                    Ok(Piece::Last) => true,
                    Err(error) => {
                        tracing::error!(%error, "an answer was cut off");
                        true
                    }
                };
                // While this waits for a slow client, nothing of the database is held.
                if sender.send(piece).await.is_err() || is_last {
                    return;
                }
                piece = self.next().await;
            }
        };
        tokio::spawn(sending.in_current_span());
        Body::from_stream(unfold(Some(receiver), receive))
    }
}

type Received = Result<Piece<String>, Interrupted>;

/// The next chunk. Only the end that was sent ends the body: whatever else ends its sender interrupts it.
async fn receive(
    receiver: Option<mpsc::Receiver<Received>>,
) -> Option<(Result<Bytes, Interrupted>, Option<mpsc::Receiver<Received>>)> {
    let mut receiver = receiver?;
    Some(match receiver.recv().await {
        Some(Ok(Piece::More(text))) => (Ok(text.into()), Some(receiver)),
        Some(Ok(Piece::Last)) => (Ok(Bytes::from_static(END.as_bytes())), None),
        Some(Err(error)) => (Err(error), None),
        None => (Err(Interrupted::Unfinished), None),
    })
}

impl<T> IntoResponse for LongList<T> {
    fn into_response(self) -> Response {
        let kind = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
        let mut response = (kind, self.body).into_response();
        if self.is_open {
            response.extensions_mut().insert(UnknownLength);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use axum::body::HttpBody as _;
    use futures_util::stream;
    use http_body_util::BodyExt as _;
    use proptest::prelude::*;

    use super::*;
    use crate::{
        domain::{arbitrary::any_json, json::Json, json_text::push_compact_text},
        interfaces::http::compat::json_writer::write_line,
    };

    #[allow(clippy::needless_pass_by_value, reason = "as a list hands its records over")]
    fn push(text: &mut String, item: Json) {
        push_compact_text(text, &item);
    }

    async fn list(pages: Vec<Result<Vec<Json>, StoreError>>) -> Response {
        let list: Result<LongList<Json>, _> = LongList::of("items", stream::iter(pages), push).await;
        list.into_response()
    }

    async fn text_of(response: Response) -> Result<Bytes, axum::Error> {
        Ok(response.into_body().collect().await?.to_bytes())
    }

    proptest! {
        #[test]
        fn a_long_list_reads_as_any_answer(
            pages in proptest::collection::vec(proptest::collection::vec(any_json(), 0..4), 0..4),
            padding in prop_oneof![Just(0_usize), Just(WHOLE)],
        ) {
            let mut pages = pages;
            pages.push(vec!["x".repeat(padding).into(), Json::Null]);
            pages.push(vec![Json::Null]);
            let whole = write_line(&Json::object([("items", Json::List(pages.concat()))]));
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let (length, text) = runtime.block_on(async {
                let response = list(pages.into_iter().map(Ok).collect()).await;
                (response.body().size_hint().exact(), text_of(response).await.unwrap())
            });
            let is_short = whole.len() <= WHOLE;
            prop_assert_eq!(length, is_short.then_some(whole.len() as u64));
            prop_assert_eq!(text, whole);
        }
    }

    #[tokio::test]
    async fn an_error_is_an_answer_before_the_first_byte_and_an_end_behind_it() {
        let short = list(vec![Ok(vec![Json::Null]), Err(StoreError::Busy)]).await;
        assert_eq!(short.status(), 500);
        let text = text_of(short).await.unwrap();
        assert_eq!(text, "{\"error\":\"database is locked\"}\n");
        let long: Json = "x".repeat(WHOLE).into();
        let long = list(vec![Ok(vec![long]), Err(StoreError::Busy)]).await;
        assert_eq!(long.status(), 200);
        text_of(long).await.unwrap_err();
    }

    #[tokio::test]
    async fn a_page_that_cannot_be_written_is_no_end() {
        let pages = [vec!["x".repeat(WHOLE)], vec![String::new()]].map(Ok);
        let list: Result<LongList<Json>, _> =
            LongList::of("items", stream::iter(pages), |text, item: String| {
                assert!(!item.is_empty(), "an item that cannot be written");
                text.push_str(&item);
            })
            .await;
        text_of(list.into_response()).await.unwrap_err();
    }
}
