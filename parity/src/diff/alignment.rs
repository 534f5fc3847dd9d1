//! Lists in which one more element must not make every later one different: the events of a socket, the rows of a table.

use super::aliases::without_places;
use serde_json::Value;

/// Above so many cells the longest common part is not looked for, and elements are compared in their order.
const LARGEST: usize = 1 << 20;

/// Whether the elements of the list at a path are paired by what they are and not by where they stand.
pub(super) fn is_aligned(path: &str) -> bool {
    let mut segments = path.split('/').skip(1);
    let four = (segments.next(), segments.next(), segments.next(), segments.next());
    matches!(
        four,
        (Some("sockets"), Some(_), Some("events"), None) | (Some("tables"), Some(_), None, None)
    )
}

/// The path of the element of an aligned list that a path lies in; empty elsewhere.
pub(super) fn element(path: &str) -> String {
    let mut list = String::new();
    let mut segments = path.split('/').skip(1);
    for segment in segments.by_ref() {
        list = format!("{list}/{segment}");
        if is_aligned(&list) {
            return segments
                .next()
                .map_or_else(String::new, |at| format!("{list}/{at}"));
        }
    }
    String::new()
}

/// What an element is: the name of an event, the first column of a row. Of a volatile value only its form counts.
fn key(element: &Value) -> String {
    let first = || element.as_object()?.values().next();
    let key = element.get("event").or_else(first).unwrap_or(element);
    without_places(&key.to_string())
}

/// One element of a list on either side, with the place that a difference in it has: the legacy's where it has one.
pub(super) type Pair<'a> = (usize, Option<&'a Value>, Option<&'a Value>);

/// Pairs the elements of two lists so that as many as possible with equal keys stand together, in order.
pub(super) fn pairs<'a>(legacy: &'a [Value], engine: &'a [Value]) -> Vec<Pair<'a>> {
    if legacy.len().saturating_mul(engine.len()) > LARGEST {
        let both = legacy.len().max(engine.len());
        return (0..both).map(|at| (at, legacy.get(at), engine.get(at))).collect();
    }
    let left: Vec<String> = legacy.iter().map(key).collect();
    let right: Vec<String> = engine.iter().map(key).collect();
    // common[l][e]: how many pairs the rests from l and e have at most.
    let mut common = vec![vec![0_usize; right.len() + 1]; left.len() + 1];
    let at = |common: &[Vec<usize>], l: usize, e: usize| {
        common.get(l).and_then(|row| row.get(e)).copied().unwrap_or(0)
    };
    for l in (0..left.len()).rev() {
        for e in (0..right.len()).rev() {
            let best = if left.get(l) == right.get(e) {
                at(&common, l + 1, e + 1) + 1
            } else {
                at(&common, l + 1, e).max(at(&common, l, e + 1))
            };
            if let Some(cell) = common.get_mut(l).and_then(|row| row.get_mut(e)) {
                *cell = best;
            }
        }
    }
    let (mut l, mut e) = (0, 0);
    let mut out = Vec::new();
    while l < left.len() || e < right.len() {
        if l < left.len() && e < right.len() && left.get(l) == right.get(e) {
            out.push((l, legacy.get(l), engine.get(e)));
            l += 1;
            e += 1;
        } else if e >= right.len() || (l < left.len() && at(&common, l + 1, e) >= at(&common, l, e + 1)) {
            out.push((l, legacy.get(l), None));
            l += 1;
        } else {
            out.push((e, None, engine.get(e)));
            e += 1;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn one_more_element_is_one_pair_without_a_partner() {
        let event = |name: &str, n: u32| json!({ "after_step": n, "event": name });
        let legacy = [event("a", 1), event("b", 2), event("c", 3)];
        let engine = [event("a", 1), event("a", 9), event("c", 3)];
        let found: Vec<_> = pairs(&legacy, &engine)
            .into_iter()
            .map(|(at, one, other)| (at, one.is_some(), other.is_some()))
            .collect();
        assert_eq!(
            found,
            [
                (0, true, true),
                (1, true, false),
                (1, false, true),
                (2, true, true)
            ]
        );
    }

    #[test]
    fn rows_go_by_their_first_column_and_its_form() {
        let row = |id: Value| json!({ "id": id, "n": 1 });
        let name = |step: u32| row(json!(format!("<uuid first seen in step {step} /a>")));
        let (legacy, engine) = ([row(json!(1)), name(3)], [row(json!(2)), name(4)]);
        let partners = pairs(&legacy, &engine)
            .into_iter()
            .filter(|(_, one, other)| one.is_some() && other.is_some());
        assert_eq!(partners.count(), 1);
    }

    #[test]
    fn only_events_and_rows_are_aligned() {
        for path in ["/sockets/1 ui/events", "/tables/users"] {
            assert!(is_aligned(path), "{path}");
        }
        for path in [
            "/body/events",
            "/sockets/1 ui/events/0/data",
            "/tables",
            "/tables/users/0",
        ] {
            assert!(!is_aligned(path), "{path}");
        }
    }
}
