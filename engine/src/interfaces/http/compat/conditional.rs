//! Conditional and partial requests for files, decided as Werkzeug decides them.

use std::{borrow::Cow, time::SystemTime};

use http::{HeaderMap, HeaderName, header};

/// What distinguishes one version of a file from another.
#[derive(Clone, Copy, Debug)]
pub struct Validators<'a> {
    /// The tag without quotes.
    pub etag: &'a str,
    /// The time in whole seconds.
    pub modified: SystemTime,
}

/// What to send.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Selection {
    /// The whole file.
    Whole,
    /// The bytes from `start` up to, not including, `end`.
    Part {
        /// The first byte.
        start: u64,
        /// The byte after the last one.
        end: u64,
    },
    /// 416
    Unsatisfiable,
    /// 304
    NotModified,
    /// 412, with the whole file.
    PreconditionFailed,
}

/// Decides what a request gets of a file of `size` bytes.
pub fn select(headers: &HeaderMap, file: &Validators<'_>, size: u64) -> Selection {
    // An empty file has no parts, so a range is not looked at.
    if let Some(range) = text(headers, header::RANGE)
        && size > 0
        && range_holds(headers, file)
    {
        return match range_of(&range, size) {
            Some((start, end)) => Selection::Part { start, end },
            None => Selection::Unsatisfiable,
        };
    }
    let if_match = tags(headers, header::IF_MATCH);
    if !is_unmodified(headers, file, if_match.as_ref()) {
        Selection::Whole
    } else if if_match.is_some() {
        Selection::PreconditionFailed
    } else {
        Selection::NotModified
    }
}

/// Whether `If-Range`, if there is one, names this version.
fn range_holds(headers: &HeaderMap, file: &Validators<'_>) -> bool {
    match text(headers, header::IF_RANGE) {
        None => true,
        Some(condition) => match httpdate::parse_http_date(&condition) {
            Ok(date) => file.modified <= date,
            Err(_) => Tags::parse(&condition).has_strong(file.etag),
        },
    }
}

fn is_unmodified(headers: &HeaderMap, file: &Validators<'_>, if_match: Option<&Tags>) -> bool {
    // The later rule wins over the earlier: a date, then `If-None-Match`, then `If-Match`.
    if let Some(if_match) = if_match {
        return !if_match.has_strong(file.etag);
    }
    if let Some(if_none_match) = tags(headers, header::IF_NONE_MATCH) {
        return if_none_match.any
            || if_none_match.has_strong(file.etag)
            || if_none_match.weak.iter().any(|tag| tag == file.etag);
    }
    text(headers, header::IF_MODIFIED_SINCE)
        .and_then(|date| httpdate::parse_http_date(&date).ok())
        .is_some_and(|date| file.modified <= date)
}

/// A tag of bytes that are not UTF-8 is no file's, but others may stand beside it.
fn text(headers: &HeaderMap, name: HeaderName) -> Option<Cow<'_, str>> {
    Some(String::from_utf8_lossy(headers.get(name)?.as_bytes()))
}

/// A list of entity tags.
#[derive(Debug, Default)]
struct Tags {
    any: bool,
    strong: Vec<String>,
    weak: Vec<String>,
}

impl Tags {
    fn has_strong(&self, etag: &str) -> bool {
        self.strong.iter().any(|tag| tag == etag)
    }

    fn parse(list: &str) -> Self {
        let mut tags = Self::default();
        for item in list.split(',').map(str::trim).filter(|item| !item.is_empty()) {
            if item == "*" {
                tags.any = true;
            } else if let Some(weak) = item.strip_prefix("W/").or_else(|| item.strip_prefix("w/")) {
                tags.weak.push(unquoted(weak).to_owned());
            } else {
                tags.strong.push(unquoted(item).to_owned());
            }
        }
        tags
    }
}

fn unquoted(tag: &str) -> &str {
    tag.strip_prefix('"')
        .and_then(|tag| tag.strip_suffix('"'))
        .unwrap_or(tag)
}

fn tags(headers: &HeaderMap, name: HeaderName) -> Option<Tags> {
    let tags = Tags::parse(&text(headers, name)?);
    (tags.any || !tags.strong.is_empty() || !tags.weak.is_empty()).then_some(tags)
}

/// The one range that a `Range` header asks for, held to the size.
fn range_of(range: &str, size: u64) -> Option<(u64, u64)> {
    let (unit, range) = range.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let (first, last) = range.trim().split_once('-')?;
    let number = |text: &str| {
        let text = text.trim();
        text.bytes()
            .all(|byte| byte.is_ascii_digit())
            .then(|| text.parse::<u64>().ok())
            .flatten()
    };
    let (start, end) = match (first.trim(), last.trim()) {
        // The last bytes; of none the legacy makes the whole file.
        ("", last) => match number(last)? {
            0 => (0, size),
            count => (size.checked_sub(count)?, size),
        },
        (first, "") => (number(first)?, size),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            if first > last {
                return None;
            }
            (first, last.saturating_add(1).min(size))
        }
    };
    (start < size).then_some((start, end))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use proptest::prelude::*;

    use super::*;

    fn ask(pairs: &[(&'static str, &str)]) -> Selection {
        let headers = pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
            .collect();
        let modified = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        select(
            &headers,
            &Validators {
                etag: "tag",
                modified,
            },
            25,
        )
    }

    #[test]
    fn ranges_are_held_to_the_file() {
        let part = |start, end| Selection::Part { start, end };
        for (range, selection) in [
            ("bytes=0-6", part(0, 7)),
            ("bytes=-3", part(22, 25)),
            ("bytes=20-", part(20, 25)),
            ("Bytes=20-99", part(20, 25)),
            ("bytes=24-24", part(24, 25)),
            ("bytes=25-", Selection::Unsatisfiable),
            ("bytes=7-3", Selection::Unsatisfiable),
            ("lines=0-1", Selection::Unsatisfiable),
            ("bytes", Selection::Unsatisfiable),
            ("bytes=a-b", Selection::Unsatisfiable),
            ("bytes=0-1,3-4", Selection::Unsatisfiable),
        ] {
            assert_eq!(ask(&[("range", range)]), selection, "{range}");
        }
        assert_eq!(
            ask(&[("range", "bytes=0-1"), ("if-range", "\"other\"")]),
            Selection::Whole
        );
        assert_eq!(
            ask(&[("range", "bytes=0-1"), ("if-range", "\"tag\"")]),
            part(0, 2)
        );
    }

    #[test]
    fn conditions_are_weighed_as_in_the_legacy() {
        const EARLY: &str = "Sun, 01 Jan 2023 00:00:00 GMT";
        const LATE: &str = "Fri, 01 Jan 2100 00:00:00 GMT";
        for tag in [
            "\"tag\"",
            "W/\"tag\"",
            "*",
            "\"x\", \"tag\"",
            "\"\u{e9}\", \"tag\"",
        ] {
            assert_eq!(ask(&[("if-none-match", tag)]), Selection::NotModified, "{tag}");
        }
        assert_eq!(
            ask(&[("if-none-match", "\"x\""), ("if-modified-since", LATE)]),
            Selection::Whole
        );
        assert_eq!(ask(&[("if-modified-since", LATE)]), Selection::NotModified);
        assert_eq!(ask(&[("if-modified-since", EARLY)]), Selection::Whole);
        assert_eq!(ask(&[("if-match", "\"x\"")]), Selection::PreconditionFailed);
        assert_eq!(ask(&[("if-match", "\"tag\"")]), Selection::Whole);
    }

    proptest! {
        #[test]
        fn a_part_lies_in_the_file(range in "bytes=[0-9]{0,3}-[0-9]{0,20}", size in 1_u64..500) {
            if let Some((start, end)) = range_of(&range, size) {
                prop_assert!(start < end && end <= size);
            }
        }
    }
}
