//! The length of an answer that tells the time in words: `HEAD` names it, and it is another one at another hour.

use std::collections::BTreeMap;

use jiff::{Timestamp, tz::TimeZone};
use serde_json::Value;

use super::{BothSpans, stamps::Spans};
use crate::normalize::NormalStep;

/// What stands for the time in words.
const WORDS: &str = "<display>";

/// The paths whose answers tell the time in words on both sides, and how many seconds their zone is ahead of UTC.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Displays(BTreeMap<String, i64>);

/// The path that a step with this method asks for, as its label says.
fn path_of<'a>(label: &'a str, method: &str) -> Option<&'a str> {
    label.strip_prefix(method)?.strip_prefix(' ')?.split(' ').next()
}

impl Displays {
    /// Remembers an answer.
    pub(super) fn note(&mut self, left: Option<&NormalStep>, right: Option<&NormalStep>) {
        let ahead = |step: Option<&NormalStep>| -> Option<i64> {
            let body = step?.seen.get("body")?;
            (body.get("display")?.as_str()? == WORDS).then(|| {
                let offset = body.get("offset_seconds").and_then(Value::as_i64);
                offset.unwrap_or_default()
            })
        };
        if let (Some(left_ahead), Some(right_ahead)) = (ahead(left), ahead(right))
            && left_ahead == right_ahead
            && let Some(path) = left.and_then(|step| path_of(&step.label, "GET"))
        {
            self.0.insert(path.to_owned(), left_ahead);
        }
    }

    /// Whether two lengths of a `HEAD` differ by just what the words for both sides' moments do.
    pub(super) fn explains(
        &self,
        label: &str,
        step: u32,
        lengths: (i64, i64),
        spans: &BothSpans,
        starts: (i64, i64),
    ) -> bool {
        let Some(ahead) = path_of(label, "HEAD").and_then(|path| self.0.get(path)) else {
            return false;
        };
        let words = |spans: &Spans, start: i64| -> Vec<i64> {
            let moments = spans.moments(step);
            let moments = moments.into_iter().flat_map(|(began, ended)| [began, ended]);
            moments
                .filter_map(|moment| length_at(start.checked_add(moment)?, *ahead))
                .collect()
        };
        let (legacy, engine) = (words(&spans.legacy, starts.0), words(&spans.engine, starts.1));
        let mut pairs = legacy
            .iter()
            .flat_map(|one| engine.iter().map(move |other| one - other));
        pairs.any(|difference| difference == lengths.0 - lengths.1)
    }
}

/// How long the parts of `November 30th 2026 @ 3:10AM` are that are not always of one length.
fn length_at(at_us: i64, ahead_s: i64) -> Option<i64> {
    let at = Timestamp::from_microsecond(at_us.checked_add(ahead_s.checked_mul(1_000_000)?)?).ok()?;
    let words = at
        .to_zoned_datetime(TimeZone::UTC)
        .strftime("%B%-d%-I")
        .to_string();
    i64::try_from(words.len()).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn step(number: u32, label: &str, seen: Value) -> NormalStep {
        NormalStep {
            step: number,
            at_us: 0,
            label: label.to_owned(),
            seen,
        }
    }

    #[test]
    fn a_length_is_explained_by_the_words_for_both_moments_and_by_nothing_else() {
        let mut displays = Displays::default();
        let told = step(
            1,
            "GET /time as anon",
            json!({"body": {"display": "<display>", "offset_seconds": 3600}}),
        );
        displays.note(Some(&told), Some(&told));
        let other = step(2, "GET /other", json!({"body": {"display": "words"}}));
        displays.note(Some(&other), Some(&other));
        // In the zone: November 28th 2026 @ 4:59PM, and December 1st 2026 @ 10:00AM.
        let at = |text: &str| text.parse::<Timestamp>().unwrap().as_microsecond();
        let starts = (at("2026-11-28T15:59:00Z"), at("2026-12-01T09:00:00Z"));
        let spans = BothSpans::new(
            Spans::recorded(&[(1, 1000), (3, 2000)]),
            Spans::new([(1, 0, 1000), (3, 1000, 2000)]),
        );
        let explains = |label: &str, lengths| displays.explains(label, 3, lengths, &spans, starts);
        assert!(
            explains("HEAD /time as anon", (178, 178)),
            "a day of one digit less, an hour of one more"
        );
        assert!(!explains("HEAD /time as anon", (178, 179)));
        assert!(!explains("HEAD /other", (178, 178)));
        assert!(!explains("GET /time as anon", (178, 178)));

        let night = (starts.0, at("2026-12-01T02:00:00Z"));
        let by_night = |lengths| displays.explains("HEAD /time", 3, lengths, &spans, night);
        assert!(by_night((178, 177)) && !by_night((178, 178)) && !by_night((177, 178)));
    }
}
