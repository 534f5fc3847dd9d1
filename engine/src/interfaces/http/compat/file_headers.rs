//! The headers that follow from a file's name.

use unicode_normalization::UnicodeNormalization;

use super::path::{all_but, encode};

/// The content type by extension, and the content encoding of a compressed file.
pub fn content_type(name: &str) -> (&'static str, Option<&'static str>) {
    let name = name.to_ascii_lowercase();
    match name.strip_suffix(".gz") {
        Some(inner) => (media_type(inner), Some("gzip")),
        None => (media_type(&name), None),
    }
}

fn media_type(name: &str) -> &'static str {
    // A name that begins with its only dot has no extension.
    let extension = name
        .trim_start_matches('.')
        .rsplit_once('.')
        .map_or("", |(_, extension)| extension);
    match extension {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "txt" => "text/plain; charset=utf-8",
        "md" => "text/markdown; charset=utf-8",
        "svg" => "image/svg+xml; charset=utf-8",
        "xml" => "application/xml; charset=utf-8",
        "json" => "application/json",
        "webmanifest" => "application/manifest+json",
        "wasm" => "application/wasm",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "ico" => "image/vnd.microsoft.icon",
        "woff2" => "font/woff2",
        "ttf" => "font/ttf",
        "pdf" => "application/pdf",
        "zip" => "application/zip",
        _ => "application/octet-stream",
    }
}

/// `Content-Disposition` of a file shown in the browser.
pub fn content_disposition(name: &str) -> String {
    if name.is_ascii() {
        return format!("inline; filename={}", parameter(name));
    }
    let ascii: String = name.nfkd().filter(char::is_ascii).collect();
    format!(
        "inline; filename={}; filename*=UTF-8''{}",
        parameter(&ascii),
        encode(name, const { &all_but("!#$&+^`|") })
    )
}

fn parameter(value: &str) -> String {
    let plain = !value.is_empty()
        && value
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte));
    if plain {
        value.to_owned()
    } else {
        format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_where_needed() {
        assert_eq!(content_disposition("app.js"), "inline; filename=app.js");
        assert_eq!(
            content_disposition("two words.txt"),
            "inline; filename=\"two words.txt\""
        );
        assert_eq!(
            content_disposition("caf\u{e9}.txt"),
            "inline; filename=cafe.txt; filename*=UTF-8''caf%C3%A9.txt"
        );
    }

    #[test]
    fn types_follow_the_extension() {
        assert_eq!(
            content_type("x.JS.gz"),
            ("text/javascript; charset=utf-8", Some("gzip"))
        );
        assert_eq!(content_type("noext").0, "application/octet-stream");
        assert_eq!(content_type(".html").0, "application/octet-stream");
    }
}
