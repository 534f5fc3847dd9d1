//! The page route: the files of the built web client, and its front page for client-side paths.

use std::{
    io::SeekFrom,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use tokio::{
    fs::File,
    io::{AsyncReadExt, AsyncSeekExt},
};
use tokio_util::io::ReaderStream;

use super::compat::{
    conditional::{Selection, Validators, select},
    error_page::ErrorPage,
    file_headers::{content_disposition, content_type},
};

/// Serves the static root.
#[derive(Clone, Debug)]
pub struct Pages {
    root: PathBuf,
}

impl Pages {
    /// The files below `root`.
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// Answers GET and HEAD for a decoded path that no other route answers. The body for HEAD is dropped by the
    /// server.
    pub async fn answer(&self, path: &str, headers: &HeaderMap) -> Response {
        if let Some(file) = self.file_at(path)
            && let Some(opened) = open(&file).await
        {
            return serve(opened, &file, headers).await;
        }
        let last_segment = path.rsplit('/').next().unwrap_or_default();
        let client_route =
            !path.starts_with("/api") && !path.starts_with("/socket.io") && !last_segment.contains('.');
        let index = self.root.join("index.html");
        if client_route && let Some(opened) = open(&index).await {
            return serve(opened, &index, headers).await;
        }
        ErrorPage::NotFound.into_response()
    }

    /// Where the file that the path names would be, unless the path leaves the root.
    fn file_at(&self, path: &str) -> Option<PathBuf> {
        if path.ends_with('/') {
            return None;
        }
        let mut file = self.root.clone();
        for segment in path.split('/') {
            match segment {
                "" | "." => {}
                ".." => return None,
                _ if segment.contains(['\\', '\0']) => return None,
                _ => file.push(segment),
            }
        }
        Some(file)
    }
}

struct Opened {
    file: File,
    size: u64,
    modified: SystemTime,
}

async fn open(path: &Path) -> Option<Opened> {
    // Asked before opening: opening a named pipe would wait for its other end.
    if !tokio::fs::metadata(path).await.ok()?.is_file() {
        return None;
    }
    let file = File::open(path).await.ok()?;
    let metadata = file.metadata().await.ok()?;
    Some(Opened {
        size: metadata.len(),
        modified: metadata.modified().unwrap_or(UNIX_EPOCH),
        file,
    })
}

async fn serve(opened: Opened, path: &Path, headers: &HeaderMap) -> Response {
    let Opened {
        mut file,
        size,
        modified,
    } = opened;
    let age = modified.duration_since(UNIX_EPOCH).unwrap_or_default();
    let etag = format!("{:x}-{size:x}", age.as_nanos());
    // A date in a header has whole seconds.
    let modified = UNIX_EPOCH + Duration::from_secs(age.as_secs());
    let selection = select(
        headers,
        &Validators {
            etag: &etag,
            modified,
        },
        size,
    );

    let name = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let mut response = Response::new(Body::empty());
    let mut set = |name: header::HeaderName, value: String| {
        if let Ok(value) = HeaderValue::try_from(value) {
            response.headers_mut().insert(name, value);
        }
    };
    set(header::CONTENT_DISPOSITION, content_disposition(&name));
    set(header::CACHE_CONTROL, "no-cache".to_owned());
    set(header::ETAG, format!("\"{etag}\""));
    set(header::ACCEPT_RANGES, "bytes".to_owned());
    if selection == Selection::NotModified {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return response;
    }
    let (media_type, encoding) = content_type(&name);
    set(header::CONTENT_TYPE, media_type.to_owned());
    if let Some(encoding) = encoding {
        set(header::CONTENT_ENCODING, encoding.to_owned());
    }
    set(header::LAST_MODIFIED, httpdate::fmt_http_date(modified));
    let (status, start, end) = match selection {
        Selection::Unsatisfiable => return ErrorPage::RangeNotSatisfiable(size).into_response(),
        Selection::Part { start, end } => {
            set(
                header::CONTENT_RANGE,
                format!("bytes {start}-{}/{size}", end.saturating_sub(1)),
            );
            (StatusCode::PARTIAL_CONTENT, start, end)
        }
        Selection::PreconditionFailed => (StatusCode::PRECONDITION_FAILED, 0, size),
        Selection::Whole | Selection::NotModified => (StatusCode::OK, 0, size),
    };
    let length = end - start;
    set(header::CONTENT_LENGTH, length.to_string());
    if start > 0 && file.seek(SeekFrom::Start(start)).await.is_err() {
        return ErrorPage::Internal.into_response();
    }
    *response.status_mut() = status;
    *response.body_mut() = Body::from_stream(ReaderStream::new(file.take(length)));
    response
}
