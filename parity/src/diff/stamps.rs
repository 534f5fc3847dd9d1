//! When two stamps count as equal: the legacy's lies within the span of the step at which the replay's clock stood.

use crate::mask::{LATE_US, TOLERANCE_US};
use serde_json::Value;

const SECOND_US: i64 = 1_000_000;
/// A little more than a tenth of a second, because a tenth has no exact binary form.
const DURATION_TOLERANCE: f64 = 0.100_000_1;
/// The legacy had started at most this long before the scenario's start.
const EARLIEST_START_US: i64 = -2 * SECOND_US;

/// In a longer span (a wait, a restart, the server's start) only lifetimes of whole minutes count. Otherwise every
/// whole-second stamp could be a second off, because some lifetime reaches it from the long span.
const LONG_SPAN_US: i64 = 500_000;

/// The moments at which steps were over, all steps of the scenario (also those that show nothing).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spans {
    /// Step number, start and end in microseconds since the scenario's start.
    spans: Vec<(u32, i64, i64)>,
}

impl Spans {
    /// Takes `(step, at_us)` in the order of the steps.
    #[must_use]
    pub fn new(steps: &[(u32, i64)]) -> Self {
        let mut spans = vec![(0, EARLIEST_START_US, 0)];
        let mut before = 0;
        for (step, at) in steps {
            spans.push((*step, before, *at));
            before = *at;
        }
        Self { spans }
    }

    /// When a step was over, in microseconds since the scenario's start; what is no step came at the very end.
    fn end(&self, step: u64) -> i64 {
        let found = self.spans.iter().find(|(number, ..)| u64::from(*number) == step);
        found.or(self.spans.last()).map_or(0, |(_, _, at)| *at)
    }

    /// Whether an event that the recorder had when the step `legacy` was over can be the one that the step `engine`
    /// caused. Its steps may be one off, and where they are short it can come some steps late.
    pub(crate) fn may_come_after(&self, legacy: u64, engine: u64) -> bool {
        legacy + 1 >= engine && (legacy <= engine + 1 || self.end(legacy) - self.end(engine) <= LATE_US)
    }

    /// Whether two durations in seconds are equal that were measured within a step: to a tenth, and the step's length,
    /// because the replay's clock stands at its end. One that began with the server is longer in a recording, whose
    /// server started before the scenario did.
    pub(crate) fn equal_durations(&self, legacy: f64, engine: f64, step: u32) -> bool {
        let seconds = |us: i64| std::time::Duration::from_micros(us.unsigned_abs()).as_secs_f64();
        let end = self.end(u64::from(step));
        let before = self
            .spans
            .iter()
            .find(|(number, ..)| *number == step)
            .map_or(end, |(_, before, _)| *before);
        let tolerance = DURATION_TOLERANCE + seconds(end - before);
        let since_start = (engine - seconds(end)).abs() <= tolerance;
        let earlier_start = if since_start {
            seconds(EARLIEST_START_US)
        } else {
            0.0
        };
        legacy.is_sign_negative() == engine.is_sign_negative()
            && (-tolerance..=tolerance + earlier_start).contains(&(legacy - engine))
    }
}

/// A normalised stamp.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) format: String,
    pub(crate) offset_us: i64,
}

impl Stamp {
    /// Reads `{"<time>": {format, offset_us}}`.
    pub(crate) fn read(value: &Value) -> Option<Self> {
        let inner = value.as_object().filter(|map| map.len() == 1)?.get("<time>")?;
        let format = inner.get("format")?.as_str()?.to_owned();
        Some(Self {
            format,
            offset_us: inner.get("offset_us")?.as_i64()?,
        })
    }

    /// Whether it has parts of a second.
    pub(crate) fn is_exact(&self) -> bool {
        self.format.contains('.')
    }
}

/// How odd it is that a server gives something so many seconds to live: none at all, whole minutes, anything else.
fn oddity(lifetime_s: i64) -> u8 {
    match lifetime_s {
        0 => 0,
        whole if whole % 60 == 0 => 1,
        _ => 2,
    }
}

/// Whether a stamp made in a span can lie that many seconds after the clock.
fn can_live(span_us: i64, lifetime_s: i64) -> bool {
    span_us <= LONG_SPAN_US || oddity(lifetime_s) < 2
}

/// The time rule. Each side's stamp is explained by the step in which it was made and the lifetime that it was given;
/// the sides are equal if one explanation holds for both. The replay's clock stands at the end of a step, the
/// recording's ran through it. `starts` are the Unix microseconds at which either scenario began.
pub(crate) fn equal(legacy: &Stamp, engine: &Stamp, spans: &Spans, step: u32, starts: (i64, i64)) -> bool {
    if legacy.format != engine.format {
        return false;
    }
    if starts.0 + legacy.offset_us == starts.1 + engine.offset_us {
        return true;
    }
    // A step's answer can only hold what the clock showed up to that step.
    let past = || spans.spans.iter().take_while(|(number, _, _)| *number <= step);
    if engine.is_exact() {
        return past().any(|(_, before, at)| {
            let remainder = (engine.offset_us - at).rem_euclid(SECOND_US);
            let lifetime = engine.offset_us - at - remainder;
            remainder < TOLERANCE_US
                && can_live(at - before, lifetime / SECOND_US)
                && legacy.offset_us > before + lifetime - TOLERANCE_US
                && legacy.offset_us <= at + lifetime + TOLERANCE_US
        });
    }
    let second = |start: i64, offset: i64| (start + offset).div_euclid(SECOND_US);
    let (left, right) = (
        second(starts.0, legacy.offset_us),
        second(starts.1, engine.offset_us),
    );
    if left == right {
        return true;
    }
    // A whole second can be explained by every step; the least odd lifetime is the one that was given. Otherwise one step
    // that lies across a second's beginning would excuse every stamp that is a second off.
    let engines = |at: i64| right - second(starts.1, at);
    let legacys = |before: i64, at: i64| {
        (left - second(starts.0, at + TOLERANCE_US))..=(left - second(starts.0, before - TOLERANCE_US))
    };
    let by_engine = past().map(|(_, _, at)| oddity(engines(*at))).min();
    let by_legacy = past()
        .filter(|(_, before, at)| at - before <= LONG_SPAN_US)
        .flat_map(|(_, before, at)| legacys(*before, *at).map(oddity))
        .min();
    past().any(|(_, before, at)| {
        let lifetime = engines(*at);
        let odd = Some(oddity(lifetime));
        odd == by_engine
            && (by_legacy.is_none() || odd <= by_legacy)
            && can_live(at - before, lifetime)
            && legacys(*before, *at).contains(&lifetime)
    })
}
