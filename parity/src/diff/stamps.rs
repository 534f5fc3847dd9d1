//! When two times count as equal. Each side explains its own by the steps that it went through, and the explanations are
//! compared: which of the two is the legacy's changes nothing.

use crate::mask::{JUMP_US, LATE_US, TICK_US, TOLERANCE_US};
use crate::scenario::model::Scenario;
use serde_json::Value;
use std::{collections::BTreeSet, ops::RangeInclusive};

const SECOND_US: i64 = 1_000_000;
/// A little more than a tenth of a second, because a tenth has no exact binary form.
const DURATION_TOLERANCE: f64 = 0.100_000_1;
/// A recorded server had started at most this long before the scenario's start.
pub(crate) const EARLIEST_START_US: i64 = -2 * SECOND_US;

/// In a longer span (a wait, a restart, the server's start) only lifetimes of whole minutes count. Otherwise every
/// whole-second stamp could be a second off, because some lifetime reaches it from the long span.
const LONG_SPAN_US: i64 = 500_000;

/// When one side's steps began and ended, all steps of the scenario (also those that show nothing), in microseconds since
/// the scenario began there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spans {
    spans: Vec<Span>,
    /// How exactly the beginnings are known.
    early_us: i64,
    /// An event can be heard this much after the step that caused it, if it can be heard in a later one.
    heard_late_us: Option<i64>,
    /// Whether the clock ran while this was compared: what it shows twice may be one moment by chance.
    runs: bool,
}

/// What a server does in one step, it does between these moments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    step: u32,
    began_us: i64,
    ended_us: i64,
}

impl Span {
    fn length_us(self) -> i64 {
        self.ended_us - self.began_us
    }
}

impl Spans {
    /// A server whose clock ran: `(step, began_us, ended_us)`. The start of the server is step 0.
    #[must_use]
    pub fn new(steps: impl IntoIterator<Item = (u32, i64, i64)>) -> Self {
        let span = |(step, began_us, ended_us)| Span {
            step,
            began_us,
            ended_us,
        };
        let mut spans: Vec<Span> = steps.into_iter().map(span).collect();
        spans.sort_by_key(|span| span.step);
        Self {
            spans,
            early_us: TICK_US,
            heard_late_us: Some(LATE_US),
            runs: true,
        }
    }

    /// A recorded server, of which is known when each step was over.
    #[must_use]
    pub fn recorded(ends: &[(u32, i64)]) -> Self {
        let mut before = 0;
        let steps = ends.iter().map(|(step, at)| {
            let began = std::mem::replace(&mut before, *at);
            (*step, began, *at)
        });
        Self {
            early_us: TOLERANCE_US,
            runs: false,
            ..Self::new([(0, EARLIEST_START_US, 0)].into_iter().chain(steps))
        }
    }

    /// A server whose clock stands still during a step. What happens is heard before the next step begins.
    #[must_use]
    pub fn standing(moments: &[(u32, i64)]) -> Self {
        let steps = moments.iter().map(|(step, at)| (*step, *at, *at));
        Self {
            early_us: 0,
            heard_late_us: None,
            runs: false,
            ..Self::new([(0, 0, 0)].into_iter().chain(steps))
        }
    }

    /// The first and the last moment of a step.
    pub(crate) fn moments(&self, step: u32) -> Option<(i64, i64)> {
        self.find(step).map(|span| (span.began_us, span.ended_us))
    }

    /// Whether two readings of this clock in one step may be one by chance, where the other side's are so far apart.
    pub(crate) fn may_coincide(&self, apart_us: u64) -> bool {
        self.runs && apart_us <= TOLERANCE_US.unsigned_abs()
    }

    fn find(&self, step: u32) -> Option<Span> {
        let at = self.spans.binary_search_by_key(&step, |span| span.step).ok()?;
        self.spans.get(at).copied()
    }

    /// The steps up to this one: an answer can only hold what the clock showed until then.
    fn past(&self, step: u32) -> impl Iterator<Item = Span> {
        self.spans
            .iter()
            .take_while(move |span| span.step <= step)
            .copied()
    }

    /// When a step was over; what is no step came at the very end.
    fn end(&self, step: u64) -> i64 {
        let found = u32::try_from(step).ok().and_then(|step| self.find(step));
        found
            .or(self.spans.last().copied())
            .map_or(0, |span| span.ended_us)
    }

    /// Whether an event that this side heard after a later step can come from an earlier one.
    fn may_be_late(&self, caused: u64, heard: u64) -> bool {
        let late = |most: i64| self.end(heard) - self.end(caused) <= most;
        heard > caused && self.heard_late_us.is_some_and(late)
    }

    /// The lifetimes in seconds that a stamp can have been given in a step. A clock without parts of a second shows the
    /// second in which it is read.
    fn lifetimes(&self, stamp: &Stamp, span: Span) -> RangeInclusive<i64> {
        let from = stamp.offset_us - (span.ended_us + TOLERANCE_US);
        let until = stamp.offset_us + stamp.unit_us() - 1 - (span.began_us - self.early_us);
        -(-from).div_euclid(SECOND_US)..=until.div_euclid(SECOND_US)
    }

    /// How odd the least odd explanation of a stamp is; long spans explain too much.
    fn least_oddity(&self, stamp: &Stamp, step: u32) -> Option<u8> {
        self.past(step)
            .filter(|span| span.length_us() <= LONG_SPAN_US)
            .filter_map(|span| least_oddity(&self.lifetimes(stamp, span)))
            .min()
    }
}

/// The spans of both sides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BothSpans {
    /// The legacy's.
    pub legacy: Spans,
    /// The engine's.
    pub engine: Spans,
    /// Steps that only wait or look: what comes in one of them was caused before it.
    idle: BTreeSet<u32>,
}

impl BothSpans {
    #[must_use]
    pub fn new(legacy: Spans, engine: Spans) -> Self {
        Self {
            legacy,
            engine,
            idle: BTreeSet::new(),
        }
    }

    /// A recording, and the engine whose clock is set to the moments at which its steps were over.
    #[must_use]
    pub fn of_replay(ends: &[(u32, i64)]) -> Self {
        Self::new(Spans::recorded(ends), Spans::standing(ends))
    }

    /// Those of the steps of a scenario.
    #[must_use]
    pub fn through(mut self, scenario: &Scenario) -> Self {
        let idle = scenario.steps.iter().filter(|step| step.only_looks());
        self.idle = idle.map(|step| step.id).collect();
        self
    }

    /// The last step until this one that can have caused something; 0 is the server's start. A step that lasts can have
    /// woken what was due.
    fn cause(&self, step: u64) -> u64 {
        let is_idle = |step: u64| {
            let short = |side: &Spans| side.end(step) - side.end(step.saturating_sub(1)) < JUMP_US;
            let looks = u32::try_from(step).is_ok_and(|step| self.idle.contains(&step));
            looks && short(&self.legacy) && short(&self.engine)
        };
        let mut cause = step;
        while is_idle(cause) {
            cause = cause.saturating_sub(1);
        }
        cause
    }

    /// The steps until this one that both sides went through, with both spans.
    fn past(&self, step: u32) -> impl Iterator<Item = (Span, Span)> {
        let of_engine = |legacy: Span| Some((legacy, self.engine.find(legacy.step)?));
        self.legacy.past(step).filter_map(of_engine)
    }

    /// Whether an event that the legacy's client heard after one step and the engine's after another can be the same one.
    /// Either may be one step off, and late where steps are short. Between a step and the next one that does something it
    /// makes no difference during which of those that only wait or look it came.
    pub(crate) fn may_be_one_event(&self, legacy: u64, engine: u64) -> bool {
        legacy.abs_diff(engine) <= 1
            || self.cause(legacy) == self.cause(engine)
            || self.legacy.may_be_late(engine, legacy)
            || self.engine.may_be_late(legacy, engine)
    }

    /// Whether two durations in seconds are equal that were measured until some moment of a step: from one of its own
    /// moments, whatever is added; or from an earlier step on, where the time until now is taken from whole seconds or
    /// added to them. Of the long spans that counts for the server's start alone, in whole minutes: in a wait nothing begins
    /// that would not be as old on both sides, and any age would be explained by it.
    pub(crate) fn equal_durations(&self, legacy: f64, engine: f64, step: u32) -> bool {
        if legacy.is_sign_negative() != engine.is_sign_negative() {
            return false;
        }
        let (of_legacy, of_engine) = (self.legacy.until(step), self.engine.until(step));
        let within = seconds(of_legacy.length_us() + of_engine.length_us());
        if (legacy - engine).abs() <= DURATION_TOLERANCE + within {
            return true;
        }
        self.past(step)
            .filter(|(l, e)| l.step != step && (l.step == 0 || !is_long(*l, *e)))
            .any(|(l, e)| {
                let whole = if is_long(l, e) { 60.0 } else { 1.0 };
                let (l, e) = (elapsed(l, of_legacy), elapsed(e, of_engine));
                let have_one = |one: (f64, f64), other: (f64, f64)| {
                    let from = one.0.max(other.0) - DURATION_TOLERANCE / 2.0;
                    let until = one.1.min(other.1) + DURATION_TOLERANCE / 2.0;
                    (from / whole).ceil() * whole <= until
                };
                have_one((legacy - l.1, legacy - l.0), (engine - e.1, engine - e.0))
                    || have_one((legacy + l.0, legacy + l.1), (engine + e.0, engine + e.1))
            })
    }
}

impl Spans {
    /// The span of a step; what is no step is the moment at the very end.
    fn until(&self, step: u32) -> Span {
        let end = self.end(u64::from(step));
        self.find(step).unwrap_or(Span {
            step,
            began_us: end,
            ended_us: end,
        })
    }
}

fn seconds(us: i64) -> f64 {
    let seconds = std::time::Duration::from_micros(us.unsigned_abs()).as_secs_f64();
    if us < 0 { -seconds } else { seconds }
}

/// The shortest and the longest time from a moment of one step to a moment of another.
fn elapsed(from: Span, until: Span) -> (f64, f64) {
    let shortest = until.began_us - from.ended_us;
    (seconds(shortest.max(0)), seconds(until.ended_us - from.began_us))
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

    /// How long a clock shows the same: `iso.3Z` has three decimals.
    fn unit_us(&self) -> i64 {
        let Some((_, rest)) = self.format.split_once('.') else {
            return SECOND_US;
        };
        match rest.chars().next().and_then(|first| first.to_digit(10)) {
            Some(decimals @ 0..6) => 10_i64.pow(6 - decimals),
            _ => 1,
        }
    }
}

/// How odd it is that a server gives something so many seconds to live: none at all, whole minutes, anything else.
const NONE: u8 = 0;
const MINUTES: u8 = 1;
const ANY: u8 = 2;

/// How odd the least odd of several lifetimes is.
fn least_oddity(lifetimes_s: &RangeInclusive<i64>) -> Option<u8> {
    let minute = -(-lifetimes_s.start()).div_euclid(60) * 60;
    match lifetimes_s {
        none if none.is_empty() => None,
        all if all.contains(&0) => Some(NONE),
        all if all.contains(&minute) => Some(MINUTES),
        _ => Some(ANY),
    }
}

fn is_long(legacy: Span, engine: Span) -> bool {
    legacy.length_us().max(engine.length_us()) > LONG_SPAN_US
}

/// Whether both stamps are whole minutes of the day, as near to each other as minutes are: when a job is next due follows
/// from the clock on the wall, not from the step. Of scenarios that began at one moment it is not asked.
fn on_the_minute(legacy: &Stamp, engine: &Stamp, starts: (i64, i64)) -> bool {
    const MINUTE_US: i64 = 60 * SECOND_US;
    let whole = |start: i64, stamp: &Stamp| (start + stamp.offset_us).rem_euclid(MINUTE_US) == 0;
    starts.0.abs_diff(starts.1) >= MINUTE_US.unsigned_abs()
        && whole(starts.0, legacy)
        && whole(starts.1, engine)
        && legacy.offset_us.abs_diff(engine.offset_us) < MINUTE_US.unsigned_abs()
}

/// The time rule. Each side's stamp is explained by the step in which it was made and the lifetime that it was given there;
/// the sides are equal if one explanation holds for both. `starts` are the Unix microseconds at which either scenario
/// began: what reads the same on both sides is equal without an explanation.
pub(crate) fn equal(
    legacy: &Stamp,
    engine: &Stamp,
    spans: &BothSpans,
    step: u32,
    starts: (i64, i64),
) -> bool {
    if legacy.format != engine.format {
        return false;
    }
    if starts.0 + legacy.offset_us == starts.1 + engine.offset_us {
        return true;
    }
    if on_the_minute(legacy, engine, starts) {
        return true;
    }
    // A whole second can be explained by many a step; the least odd lifetime is the one that was given. Otherwise one step
    // that lies across a second's beginning would excuse every stamp that is a second off.
    let oddest = if legacy.is_exact() {
        ANY
    } else {
        let sides = [
            spans.legacy.least_oddity(legacy, step),
            spans.engine.least_oddity(engine, step),
        ];
        sides.into_iter().flatten().min().unwrap_or(ANY)
    };
    spans.past(step).any(|(left, right)| {
        let (by_legacy, by_engine) = (
            spans.legacy.lifetimes(legacy, left),
            spans.engine.lifetimes(engine, right),
        );
        let both = *by_legacy.start().max(by_engine.start())..=*by_legacy.end().min(by_engine.end());
        let oddest = oddest.min(if is_long(left, right) { MINUTES } else { ANY });
        least_oddity(&both).is_some_and(|oddity| oddity <= oddest)
    })
}
