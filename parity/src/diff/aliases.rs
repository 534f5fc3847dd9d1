//! Which of the engine's names stands for which of the legacy's.
//!
//! A name tells where its value was first seen. If one side shows a value earlier than the other (an extra field, say),
//! the names differ though the values play the same part. So names are tied to each other at the first place that
//! has one on both sides, one to one, and must stay tied.

use regex::Regex;
use std::collections::BTreeMap;
use std::sync::LazyLock;

#[expect(
    clippy::expect_used,
    reason = "the pattern is a constant that every test run compiles"
)]
static NAME: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"<[^<>]* first seen in step [^<>]*>").expect("a constant pattern"));

const DIGEST: &str = "<sha256 of ";

/// The ties found so far, from both sides.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Aliases {
    to_engine: BTreeMap<String, String>,
    to_legacy: BTreeMap<String, String>,
}

/// The part of a name that does not depend on where the value was seen.
fn form(name: &str) -> &str {
    name.split_once(" first seen in step ")
        .map_or(name, |(form, _)| form)
}

/// A text in which every name is only its form.
pub(crate) fn without_places(text: &str) -> String {
    NAME.replace_all(text, |found: &regex::Captures<'_>| {
        let name = found.get(0).map_or("", |name| name.as_str());
        format!("{}>", form(name))
    })
    .into_owned()
}

impl Aliases {
    /// Whether two texts are equal, with names compared by their ties; new ties are kept only if they are.
    pub(crate) fn equal(&mut self, legacy: &str, engine: &str) -> bool {
        let left: Vec<&str> = NAME.find_iter(legacy).map(|found| found.as_str()).collect();
        let right: Vec<&str> = NAME.find_iter(engine).map(|found| found.as_str()).collect();
        if left.is_empty() && right.is_empty() {
            return legacy == engine;
        }
        if NAME.replace_all(legacy, "<>") != NAME.replace_all(engine, "<>") {
            return false;
        }
        let mut fresh = Self::default();
        for (l, e) in left.iter().zip(&right) {
            if !(self.may_tie(l, e) && fresh.may_tie(l, e)) {
                return false;
            }
            fresh.tie(l, e);
        }
        self.to_engine.append(&mut fresh.to_engine);
        self.to_legacy.append(&mut fresh.to_legacy);
        true
    }

    fn tie(&mut self, legacy: &str, engine: &str) {
        self.to_engine.insert(legacy.to_owned(), engine.to_owned());
        self.to_legacy.insert(engine.to_owned(), legacy.to_owned());
    }

    fn may_tie(&self, legacy: &str, engine: &str) -> bool {
        if let (Some(l), Some(e)) = (legacy.strip_prefix(DIGEST), engine.strip_prefix(DIGEST)) {
            // A digest is as good as the value that it was made from.
            return self.may_tie(&format!("<{l}"), &format!("<{e}"));
        }
        form(legacy) == form(engine)
            && self.to_engine.get(legacy).is_none_or(|tied| tied == engine)
            && self.to_legacy.get(engine).is_none_or(|tied| tied == legacy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(step: u32) -> String {
        format!("<uuid first seen in step {step} /body/id>")
    }

    #[test]
    fn names_are_tied_one_to_one() {
        let mut aliases = Aliases::default();
        assert!(aliases.equal(&format!("device:{}", name(1)), &format!("device:{}", name(2))));
        assert!(aliases.equal(&name(1), &name(2)));
        assert!(
            !aliases.equal(&name(1), &name(1)),
            "one legacy value would be two of the engine's"
        );
        assert!(
            !aliases.equal(&name(3), &name(2)),
            "two legacy values would be one of the engine's"
        );
        assert!(aliases.equal(&name(3), &name(4)));
        assert!(!aliases.equal(&name(5), "x"));
    }

    #[test]
    fn forms_and_digests_count() {
        let mut aliases = Aliases::default();
        assert!(!aliases.equal("<uuid first seen in step 1 /a>", "<GUID first seen in step 1 /a>"));
        assert!(aliases.equal(&name(1), &name(2)));
        let digest = |step| name(step).replace("<uuid", "<sha256 of uuid");
        assert!(aliases.equal(&digest(1), &digest(2)));
        assert!(!aliases.equal(&digest(1), &digest(3)));
    }
}
