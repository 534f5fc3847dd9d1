//! What one side of an expected difference must be.

use crate::mask::TOLERANCE_US;
use regex::Regex;
use serde_json::{Map, Value};
use std::ops::RangeInclusive;

/// What one side must be.
#[derive(Clone, Debug)]
pub enum Constraint {
    /// Exactly this value.
    Equals(Value),
    /// An object with at least these members.
    Has(Map<String, Value>),
    /// A value whose text (a string itself, anything else as JSON) matches.
    Matches(Regex),
    /// Nothing is there.
    Absent,
}

impl Constraint {
    /// Whether a side fits, with times within a thousandth of a second.
    #[must_use]
    pub fn fits(&self, side: Option<&Value>) -> bool {
        self.fits_later(side, &[0..=0])
    }

    /// Whether a side fits, with each time later than the wanted one by what one of these says, in microseconds.
    #[must_use]
    pub fn fits_later(&self, side: Option<&Value>, later_us: &[RangeInclusive<i64>]) -> bool {
        let same = |wanted: &Value, value: &Value| same(wanted, value, later_us);
        match (self, side) {
            (Self::Absent, None) => true,
            (Self::Equals(wanted), Some(value)) => same(wanted, value),
            (Self::Has(members), Some(Value::Object(there))) => members
                .iter()
                .all(|(name, wanted)| there.get(name).is_some_and(|value| same(wanted, value))),
            (Self::Matches(pattern), Some(Value::String(text))) => pattern.is_match(text),
            (Self::Matches(pattern), Some(value)) => pattern.is_match(&value.to_string()),
            _ => false,
        }
    }

    /// Whether it leaves open what the value is.
    #[must_use]
    pub fn is_loose(&self) -> bool {
        matches!(self, Self::Has(_) | Self::Matches(_))
    }
}

/// Equality of normalised values: members stand in the same order, too, and a time may be a hair off.
fn same(wanted: &Value, value: &Value, later_us: &[RangeInclusive<i64>]) -> bool {
    let near = |wanted: i64, value: i64, unit_us: i64| {
        let later = value.saturating_sub(wanted).saturating_mul(unit_us);
        // A whole second is any moment of it, another time is exact to the millisecond.
        let within = unit_us.max(TOLERANCE_US) - 1;
        let fits = |range: &RangeInclusive<i64>| {
            (range.start().saturating_sub(within)..=range.end().saturating_add(within)).contains(&later)
        };
        later_us.iter().any(fits)
    };
    match (wanted, value) {
        (Value::Object(wanted), Value::Object(value)) => {
            wanted.len() == value.len()
                && wanted.iter().zip(value).all(|((name, wanted), (there, value))| {
                    name == there
                        && match (name.as_str(), wanted.as_i64(), value.as_i64()) {
                            ("offset_us", Some(wanted), Some(value)) => near(wanted, value, 1),
                            ("second", Some(wanted), Some(value)) => near(wanted, value, 1_000_000),
                            _ => same(wanted, value, later_us),
                        }
                })
        }
        (Value::Array(wanted), Value::Array(value)) => {
            wanted.len() == value.len()
                && wanted
                    .iter()
                    .zip(value)
                    .all(|(wanted, value)| same(wanted, value, later_us))
        }
        (wanted, value) => wanted == value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_value_fits_whole_or_in_the_members_that_are_named() {
        let row = json!({ "id": 1, "at": { "<time>": { "format": "epoch", "offset_us": 5_000_400 } } });
        let other_time =
            json!({ "id": 1, "at": { "<time>": { "format": "epoch", "offset_us": 5_001_100 } } });
        assert!(Constraint::Equals(row.clone()).fits(Some(&other_time)));
        let at = |second: i64| json!({ "at": { "<time>": { "format": "epoch", "second": second } } });
        assert!(!Constraint::Equals(at(5)).fits(Some(&at(6))));
        let later = |second: i64, range: RangeInclusive<i64>| {
            Constraint::Equals(at(5)).fits_later(Some(&at(second)), &[range])
        };
        assert!(later(6, 10_000..=20_000), "a second may have begun meanwhile");
        assert!(!later(7, 10_000..=20_000) && !later(6, -30..=0) && !later(4, 10_000..=20_000));
        assert!(later(4, -30_000..=-20_000));
        let exact =
            |offset_us: i64| json!({ "at": { "<time>": { "format": "iso.6Z", "offset_us": offset_us } } });
        let later = |offset_us: i64, ranges: &[RangeInclusive<i64>]| {
            Constraint::Equals(exact(5_000_000)).fits_later(Some(&exact(offset_us)), ranges)
        };
        assert!(later(5_020_900, &[10_000..=20_000]) && !later(5_022_000, &[10_000..=20_000]));
        assert!(!later(5_005_000, &[10_000..=20_000]), "nothing is that early");
        assert!(later(5_090_000, &[10_000..=20_000, 80_000..=90_000]));
        assert!(!later(5_000_000, &[]));
        let other_order = json!({ "at": row["at"], "id": 1 });
        assert!(!Constraint::Equals(row.clone()).fits(Some(&other_order)));
        assert!(!Constraint::Equals(row.clone()).fits(Some(&json!({ "id": 1 }))));
        let one = |members: Value| Constraint::Has(members.as_object().unwrap().clone());
        assert!(one(json!({ "id": 1 })).fits(Some(&row)));
        assert!(!one(json!({ "id": 2 })).fits(Some(&row)));
        assert!(!one(json!({ "id": 1 })).fits(Some(&json!([1]))));
        assert!(Constraint::Absent.fits(None) && !Constraint::Absent.fits(Some(&Value::Null)));
        assert!(Constraint::Equals(Value::Null).fits(Some(&Value::Null)));
    }
}
