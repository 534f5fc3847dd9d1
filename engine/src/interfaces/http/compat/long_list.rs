//! An answer that is one long list.

use std::marker::PhantomData;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};
use serde::Serialize;
use tokio::task::JoinError;

use super::json_writer::write;
use crate::{domain::json::Json, interfaces::http::errors::internal};

/// `{"<name>": [...]}`, written as answers are. Each item becomes text and is dropped before the next one is made: a
/// tree of all of them would take many times the memory of the text.
#[derive(Debug)]
pub struct LongList<T> {
    text: Result<String, JoinError>,
    kind: PhantomData<fn() -> T>,
}

impl<T: Serialize + 'static> LongList<T> {
    /// The list of what `item` makes of the records, off the threads on which requests are served.
    pub async fn of<R: Send + 'static>(
        name: &'static str,
        records: Vec<R>,
        item: impl Fn(R) -> T + Send + 'static,
    ) -> Self {
        let writing = tokio::task::spawn_blocking(move || {
            let mut text = format!("{{{}:[", write(&name.into()));
            for (index, record) in records.into_iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                text.push_str(&write(&Json::of(&item(record))));
            }
            text.push_str("]}\n");
            text
        });
        Self {
            text: writing.await,
            kind: PhantomData,
        }
    }
}

impl<T> IntoResponse for LongList<T> {
    fn into_response(self) -> Response {
        match self.text {
            Ok(text) => (
                [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))],
                text,
            )
                .into_response(),
            Err(error) => internal(&error),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{domain::arbitrary::any_json, interfaces::http::compat::json_writer::write_line};

    proptest! {
        #[test]
        fn a_long_list_reads_as_any_answer(items in proptest::collection::vec(any_json(), 0..5)) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let list = runtime.block_on(LongList::of("items", items.clone(), |item| item));
            prop_assert_eq!(list.text.unwrap(), write_line(&Json::object([("items", Json::List(items))])));
        }
    }
}
