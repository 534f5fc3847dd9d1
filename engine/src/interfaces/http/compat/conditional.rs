//! Conditional and partial requests for files, decided as Werkzeug decides them.

use std::{borrow::Cow, time::SystemTime};

use http::{HeaderMap, HeaderName, header};
use jiff::fmt::rfc2822::DateTimeParser;

use super::headers::unquoted;
use crate::domain::coerce::LONGEST_INTEGER;

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
    if !is_unmodified(headers, file, date(headers, header::IF_MODIFIED_SINCE)) {
        Selection::Whole
    } else if tags(headers, header::IF_MATCH).is_some() {
        Selection::PreconditionFailed
    } else {
        Selection::NotModified
    }
}

/// Whether `If-Range`, if there is one, names this version. A date there, or nothing, stands for the one of
/// `If-Modified-Since`, so the other conditions win over it; a tag wins over them, and may be a weak one.
fn range_holds(headers: &HeaderMap, file: &Validators<'_>) -> bool {
    let Some(condition) = text(headers, header::IF_RANGE) else {
        return true;
    };
    if condition.is_empty() {
        return is_unmodified(headers, file, date(headers, header::IF_MODIFIED_SINCE));
    }
    if let Some(date) = parse_date(&condition) {
        return is_unmodified(headers, file, Some(date));
    }
    let condition = condition.trim();
    let tag = condition
        .strip_prefix(['W', 'w'])
        .and_then(|tag| tag.strip_prefix('/'));
    let named = Tags::parse(unquoted(tag.unwrap_or(condition)));
    named.any || named.has_strong(file.etag)
}

/// Whether the conditions say that the client has this version. The later rule wins over the earlier: a date, then
/// `If-None-Match`, then `If-Match`.
fn is_unmodified(headers: &HeaderMap, file: &Validators<'_>, since: Option<SystemTime>) -> bool {
    if let Some(if_match) = tags(headers, header::IF_MATCH) {
        return !if_match.has_strong(file.etag);
    }
    if let Some(if_none_match) = tags(headers, header::IF_NONE_MATCH) {
        return if_none_match.any
            || if_none_match.has_strong(file.etag)
            || if_none_match.weak.iter().any(|tag| tag == file.etag);
    }
    since.is_some_and(|date| file.modified <= date)
}

fn date(headers: &HeaderMap, name: HeaderName) -> Option<SystemTime> {
    parse_date(&text(headers, name)?)
}

/// A date of HTTP, or one as mails have it: without a weekday or with a wrong one, in another zone, or in none.
fn parse_date(text: &str) -> Option<SystemTime> {
    const OF_MAILS: DateTimeParser = DateTimeParser::new().relaxed_weekday(true);
    let of_mail = |text: &str| -> Option<SystemTime> { OF_MAILS.parse_timestamp(text).ok()?.try_into().ok() };
    httpdate::parse_http_date(text)
        .ok()
        .or_else(|| of_mail(text))
        .or_else(|| of_mail(&format!("{text} GMT")))
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
    // However large it is, it only has to be compared with the size. Python reads no longer ones.
    let number = |text: &str| {
        let text = text.trim();
        let is_number = !text.is_empty()
            && text.len() <= LONGEST_INTEGER
            && text.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| text.parse::<u64>().unwrap_or(u64::MAX))
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
            ("bytes=0-99999999999999999999", part(0, 25)),
            (" bytes = 5 - 6 ", part(5, 7)),
            ("bytes=99999999999999999999-", Selection::Unsatisfiable),
            ("bytes=-99999999999999999999", Selection::Unsatisfiable),
            (
                "bytes=99999999999999999999-99999999999999999999",
                Selection::Unsatisfiable,
            ),
            ("bytes=-", Selection::Unsatisfiable),
            ("bytes=-26", Selection::Unsatisfiable),
            ("", Selection::Unsatisfiable),
            ("bytes=25-", Selection::Unsatisfiable),
            ("bytes=7-3", Selection::Unsatisfiable),
            ("lines=0-1", Selection::Unsatisfiable),
            ("bytes", Selection::Unsatisfiable),
            ("bytes=a-b", Selection::Unsatisfiable),
            ("bytes=0-1,3-4", Selection::Unsatisfiable),
        ] {
            assert_eq!(ask(&[("range", range)]), selection, "{range}");
        }
        let long = |digits: usize| {
            let range = format!("bytes=0-{}", "9".repeat(digits));
            ask(&[("range", range.as_str())])
        };
        assert_eq!((long(4300), long(4301)), (part(0, 25), Selection::Unsatisfiable));
    }

    const EARLY: &str = "Sun, 01 Jan 2023 00:00:00 GMT";
    const LATE: &str = "Fri, 01 Jan 2100 00:00:00 GMT";

    #[test]
    fn a_range_holds_for_the_version_that_is_named() {
        let part = Selection::Part { start: 0, end: 2 };
        let if_range = |condition, others: &[(&'static str, &'static str)]| {
            let both = [("range", "bytes=0-1"), ("if-range", condition)];
            ask(&[&both[..], others].concat())
        };
        for (condition, selection) in [
            ("\"tag\"", part),
            ("W/\"tag\"", part),
            ("w/tag", part),
            ("tag", part),
            ("*", part),
            ("x, tag", part),
            ("", Selection::Whole),
            ("\"other\"", Selection::Whole),
            ("W/\"other\"", Selection::Whole),
            (LATE, part),
            (EARLY, Selection::Whole),
        ] {
            assert_eq!(if_range(condition, &[]), selection, "{condition}");
        }
        // A date is weighed with the other conditions, a tag alone.
        assert_eq!(if_range(EARLY, &[("if-none-match", "\"tag\"")]), part);
        assert_eq!(if_range("", &[("if-modified-since", LATE)]), part);
        assert_eq!(
            if_range(LATE, &[("if-none-match", "\"other\"")]),
            Selection::Whole
        );
        assert_eq!(
            if_range("\"other\"", &[("if-none-match", "\"tag\"")]),
            Selection::NotModified
        );
    }

    #[test]
    fn dates_are_read_as_leniently_as_mails_are() {
        for late in [
            LATE,
            "Fri, 01 Jan 2100 00:00:00 +0000",
            "Fri, 01 Jan 2100 02:00:00 +0200",
            "Mon, 01 Jan 2100 00:00:00 GMT",
            "01 Jan 2100 00:00:00 GMT",
            "1 Jan 2100 00:00 EST",
            "Fri, 01 Jan 2100 00:00:00",
            // The second of the file.
            "14 Nov 2023 23:13:20 +0100",
        ] {
            assert_eq!(
                ask(&[("if-modified-since", late)]),
                Selection::NotModified,
                "{late}"
            );
        }
        for early in [
            EARLY,
            "14 Nov 2023 22:13:19 +0000",
            "2100-01-01",
            "soon",
            "",
            "4102444800",
        ] {
            assert_eq!(ask(&[("if-modified-since", early)]), Selection::Whole, "{early}");
        }
    }

    #[test]
    fn conditions_are_weighed_as_in_the_legacy() {
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
