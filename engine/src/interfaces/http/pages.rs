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

use super::{
    browser::ClientPage,
    compat::{
        conditional::{Selection, Validators, select},
        error_page::ErrorPage,
        file_headers::{content_disposition, content_type},
    },
};
use crate::domain::digest::sha256_hex;

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
        let segments = normalised(path);
        if segments.iter().flatten().any(|segment| is_hidden(segment)) {
            return ErrorPage::NotFound.into_response();
        }
        if let Some(file) = segments.and_then(|segments| self.file_at(&segments))
            && self.holds(&file).await
            && let Some(opened) = open(&file).await
        {
            return serve(opened, &file, headers).await;
        }
        let last_segment = path.rsplit('/').next().unwrap_or_default();
        let client_route =
            !path.starts_with("/api") && !path.starts_with("/socket.io") && !last_segment.contains('.');
        let index = self.root.join("index.html");
        if !client_route {
            return ErrorPage::NotFound.into_response();
        }
        match open(&index).await {
            Some(opened) => {
                let response = serve(opened, &index, headers).await;
                // The legacy serves the front page for other paths while it answers 404, which is left where the page
                // cannot be sent.
                if path != "/" && response.status() == StatusCode::RANGE_NOT_SATISFIABLE {
                    return ErrorPage::NotFound.into_response();
                }
                response
            }
            None => ErrorPage::NoWebClient.into_response(),
        }
    }

    /// Whether the file lies in the root when every link is followed: what the operator of the machine links elsewhere
    /// is not for everybody.
    async fn holds(&self, file: &Path) -> bool {
        let (root, file) = tokio::join!(tokio::fs::canonicalize(&self.root), tokio::fs::canonicalize(file));
        matches!((root, file), (Ok(root), Ok(file)) if file.starts_with(&root))
    }

    /// Where the file of these segments would be.
    fn file_at(&self, segments: &[&str]) -> Option<PathBuf> {
        if segments.is_empty() || segments.iter().any(|segment| segment.contains(['\\', '\0'])) {
            return None;
        }
        let mut file = self.root.clone();
        file.extend(segments);
        Some(file)
    }
}

/// The segments of a path without those that mean nothing, each `..` applied to the one before it, whether or not there
/// is such a folder; `None` where it leads out of the root. A slash at the end means nothing either.
fn normalised(path: &str) -> Option<Vec<&str>> {
    let mut segments = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop()?;
            }
            _ => segments.push(segment),
        }
    }
    Some(segments)
}

/// Whether a part of a path is hidden, as `.git` and `.env` are.
fn is_hidden(segment: &str) -> bool {
    segment.starts_with('.')
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
    // Files that were written together and are of one size are still different ones.
    let of_path = sha256_hex(path.as_os_str().as_encoded_bytes());
    let etag = format!("{:x}-{size:x}-{of_path:.8}", age.as_nanos());
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
    let (media_type, encoding) = content_type(&name);
    let mut response = Response::new(Body::empty());
    if media_type.starts_with("text/html") {
        response.extensions_mut().insert(ClientPage);
    }
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

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    fn client() -> (Pages, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("build");
        std::fs::create_dir_all(root.join("assets")).unwrap();
        std::fs::write(folder.path().join("secret.txt"), "secret").unwrap();
        std::fs::write(root.join("index.html"), "page").unwrap();
        std::fs::write(root.join("empty.txt"), "").unwrap();
        std::fs::write(root.join("assets/app.js"), "console.log('0123456789');").unwrap();
        std::fs::create_dir_all(root.join(".git")).unwrap();
        for file in [".env", ".git/config", ".git/HEAD"] {
            std::fs::write(root.join(file), "secret").unwrap();
        }
        for (link, target) in [
            ("out.txt", "../secret.txt"),
            ("elsewhere", ".."),
            ("inside.txt", "empty.txt"),
        ] {
            std::os::unix::fs::symlink(target, root.join(link)).unwrap();
        }
        (Pages::new(root), folder)
    }

    async fn ask(path: &str, pairs: &[(&'static str, &str)]) -> (u16, String, HeaderMap) {
        let (pages, _folder) = client();
        let headers = pairs
            .iter()
            .map(|(name, value)| (header::HeaderName::from_static(name), value.parse().unwrap()))
            .collect();
        let response = pages.answer(path, &headers).await;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap(), headers)
    }

    #[tokio::test]
    async fn client_routes_get_the_front_page_and_missing_files_do_not() {
        for path in [
            "/", "/devices", "/health/", "/assets", "/assets/", "/x.y/z", "/x/api", "/Api/x", "/a\0b",
        ] {
            let (status, body, headers) = ask(path, &[]).await;
            assert_eq!((status, body.as_str()), (200, "page"), "{path}");
            assert_eq!(headers["content-disposition"], "inline; filename=index.html");
        }
        for path in [
            "/api",
            "/apiary",
            "/api-docs/x",
            "/socket.io-client",
            "/favicon.ico",
            "/a/.hidden",
            "/trailing.",
            "/../secret.txt",
            "/assets/../../secret.txt",
            "/..\\secret.txt",
            "/assets/missing.js",
            "/assets/..",
            "/assets/app.js/..",
        ] {
            assert_eq!(ask(path, &[]).await.0, 404, "{path}");
        }
    }

    #[tokio::test]
    async fn a_path_is_normalised_before_its_file_is_looked_for() {
        for path in [
            "/assets/app.js/",
            "/assets/app.js//./",
            "/assets/../assets/app.js",
            "/nowhere/../assets/app.js",
            "/assets/app.js/../app.js",
        ] {
            let (status, body, headers) = ask(path, &[]).await;
            assert_eq!((status, body.len()), (200, 26), "{path}");
            assert_eq!(
                headers["content-type"], "text/javascript; charset=utf-8",
                "{path}"
            );
            assert_eq!(ask(path, &[("range", "bytes=13-15")]).await.1, "012", "{path}");
            assert_eq!(ask(path, &[("if-none-match", "*")]).await.0, 304, "{path}");
        }
        for path in ["/assets/../", "/nowhere/../devices", "/../devices", "/../build/"] {
            assert_eq!(ask(path, &[]).await.1, "page", "{path}");
        }
    }

    #[tokio::test]
    async fn hidden_files_and_links_out_of_the_root_are_not_served() {
        for path in [
            "/.env",
            "/.git/config",
            "/.git/HEAD",
            "/.git",
            "/.git/",
            "/assets/.hidden/x",
            "/out.txt",
            "/elsewhere/secret.txt",
            "/assets/../.env",
            "/assets/../elsewhere/secret.txt",
            "/../build/assets/app.js",
        ] {
            let (status, body, _) = ask(path, &[]).await;
            assert_eq!((status, body.contains("secret")), (404, false), "{path}");
        }
        assert_eq!(ask("/inside.txt", &[]).await.0, 200);
        // The root itself may be a link, as where releases are switched by one.
        let (_, folder) = client();
        let link = folder.path().join("current");
        std::os::unix::fs::symlink("build", &link).unwrap();
        let answer = Pages::new(link).answer("/assets/app.js", &HeaderMap::new()).await;
        assert_eq!(answer.status(), 200);
    }

    #[tokio::test]
    async fn files_come_whole_in_part_or_not_at_all() {
        let (status, body, headers) = ask("/assets//./app.js", &[]).await;
        assert_eq!((status, body.len()), (200, 26));
        for (name, value) in [
            ("content-type", "text/javascript; charset=utf-8"),
            ("content-length", "26"),
            ("cache-control", "no-cache"),
            ("accept-ranges", "bytes"),
        ] {
            assert_eq!(headers[name], value);
        }
        let (status, body, headers) = ask("/assets/app.js", &[("range", "bytes=13-15")]).await;
        assert_eq!((status, body.as_str()), (206, "012"));
        assert_eq!(headers["content-range"], "bytes 13-15/26");
        let (status, _, headers) = ask("/assets/app.js", &[("range", "bytes=26-")]).await;
        assert_eq!(status, 416);
        assert_eq!(headers["content-range"], "bytes */26");
        assert!(!headers.contains_key("etag"));
        for (path, status) in [("/", 416), ("/index.html", 416), ("/devices", 404), ("/./", 404)] {
            assert_eq!(ask(path, &[("range", "bytes=99-")]).await.0, status, "{path}");
        }
        let (status, body, headers) = ask("/devices", &[("if-none-match", "*")]).await;
        assert_eq!((status, body.as_str()), (304, ""));
        assert!(headers.contains_key("etag") && !headers.contains_key("last-modified"));
        assert_eq!(ask("/empty.txt", &[("range", "bytes=0-")]).await.0, 200);
        assert_eq!(ask("/assets/app.js", &[("if-match", "\"x\"")]).await.0, 412);
    }

    #[tokio::test]
    async fn without_a_front_page_its_paths_say_that_it_is_missing_and_others_do_not() {
        let pages = Pages::new(PathBuf::from("/nonexistent"));
        for (path, says_so) in [
            ("/", true),
            ("/devices", true),
            ("/favicon.ico", false),
            ("/api/none", false),
        ] {
            let answer = pages.answer(path, &HeaderMap::new()).await;
            assert_eq!(answer.status(), 404, "{path}");
            let body = answer.into_body().collect().await.unwrap().to_bytes();
            let body = String::from_utf8(body.to_vec()).unwrap();
            assert_eq!(body.contains("BOREALIS_STATIC_ROOT"), says_so, "{path}: {body}");
            assert!(!body.contains("nonexistent"), "{body}");
        }
    }
}
