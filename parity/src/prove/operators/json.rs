//! Values, members and elements of JSON, rows and events.

use serde_json::{Map, Value, json};

use super::{Change, Known, Operator, other_letter};
use crate::prove::subject::Site;

pub(super) const ALL: &[Operator] = &[
    Operator {
        name: "letter",
        sentence: "another letter in a text",
        change: Change::Value(|_, site| {
            let text = site.value.as_str()?;
            other_letter(text, text.len() / 2)
                .or_else(|| other_letter(text, 0))
                .map(Value::from)
        }),
    },
    Operator {
        name: "case",
        sentence: "a text in another letter case",
        change: Change::Value(|_, site| {
            let text = site.value.as_str()?;
            let upper = text.to_uppercase();
            Some(Value::from(if upper == text {
                text.to_lowercase()
            } else {
                upper
            }))
        }),
    },
    Operator {
        name: "blank",
        sentence: "a blank behind a text",
        change: Change::Value(|_, site| Some(json!(format!("{} ", site.value.as_str()?)))),
    },
    Operator {
        name: "emptied",
        sentence: "a text, object or list with nothing in it",
        change: Change::Value(|_, site| match &site.value {
            Value::String(_) => Some(json!("")),
            Value::Array(_) => Some(json!([])),
            Value::Object(_) => Some(json!({})),
            _ => None,
        }),
    },
    Operator {
        name: "null",
        sentence: "null for a value",
        change: Change::Value(|_, site| Some(Value::Null).filter(|_| !site.value.is_null())),
    },
    Operator {
        name: "value-for-null",
        sentence: "an empty text for null",
        change: Change::Value(|_, site| site.value.is_null().then(|| json!(""))),
    },
    Operator {
        name: "number-as-text",
        sentence: "\"1\" for 1",
        change: Change::Value(|_, site| Some(Value::from(site.value.as_number()?.to_string()))),
    },
    Operator {
        name: "text-as-number",
        sentence: "1 for \"1\"",
        change: Change::Value(|_, site| site.value.as_str()?.parse::<u64>().ok().map(Value::from)),
    },
    Operator {
        name: "bool-as-number",
        sentence: "1 for true, 0 for false",
        change: Change::Value(|_, site| site.value.as_bool().map(|truth| json!(u8::from(truth)))),
    },
    Operator {
        name: "bool-flipped",
        sentence: "true for false, false for true",
        change: Change::Value(|_, site| site.value.as_bool().map(|truth| json!(!truth))),
    },
    Operator {
        name: "number-more",
        sentence: "a number that is no time is one more",
        change: Change::Value(|known, site| moved(known, site, 1)),
    },
    Operator {
        name: "number-less",
        sentence: "a number that is no time is one less",
        change: Change::Value(|known, site| moved(known, site, -1)),
    },
    Operator {
        name: "number-negative",
        sentence: "a number of the other sign",
        change: Change::Value(|_, site| {
            let text = site.value.as_number()?.to_string();
            number(
                &text
                    .strip_prefix('-')
                    .map_or_else(|| format!("-{text}"), str::to_owned),
            )
        }),
    },
    Operator {
        name: "number-with-point",
        sentence: "1.0 for 1, 1.50 for 1.5",
        change: Change::Value(|_, site| {
            let text = site.value.as_number()?.to_string();
            number(&match text.contains(['.', 'e', 'E']) {
                true => format!("{text}0"),
                false => format!("{text}.0"),
            })
        }),
    },
    Operator {
        name: "number-with-exponent",
        sentence: "1e0 for 1",
        change: Change::Value(|_, site| number(&format!("{}e0", site.value.as_number()?))),
    },
    Operator {
        name: "wrapped",
        sentence: "a list of the value for the value",
        change: Change::Value(|_, site| {
            let plain = !site.value.is_array() && !site.value.is_object();
            plain.then(|| json!([site.value]))
        }),
    },
    Operator {
        name: "member-removed",
        sentence: "a member or column is missing",
        change: Change::Member(|members, name| {
            let mut members = members.clone();
            members.shift_remove(name).map(|_| members)
        }),
    },
    Operator {
        name: "member-added",
        sentence: "one more member or column",
        change: Change::Member(|members, name| {
            let mut members = members.clone();
            let value = members.get(name)?.clone();
            members.insert(format!("{name}_added"), value);
            Some(members)
        }),
    },
    Operator {
        name: "member-renamed",
        sentence: "a member or column of another name",
        change: Change::Member(|members, name| {
            let other = other_letter(name, 0)?;
            (!members.contains_key(&other)).then(|| {
                let renamed = members
                    .iter()
                    .map(|(key, value)| (if key == name { &other } else { key }.clone(), value.clone()));
                renamed.collect()
            })
        }),
    },
    Operator {
        name: "member-moved",
        sentence: "a member or column stands behind the next one",
        change: Change::Member(|members, name| {
            let mut all: Vec<(String, Value)> = members.clone().into_iter().collect();
            let at = all.iter().position(|(key, _)| key == name)?;
            if at + 1 == all.len() {
                return None;
            }
            all.swap(at, at + 1);
            Some(all.into_iter().collect::<Map<_, _>>())
        }),
    },
    Operator {
        name: "member-values-swapped",
        sentence: "a member or column holds the value of the next one, and the next one its value",
        change: Change::Member(|members, name| {
            let mut all: Vec<(String, Value)> = members.clone().into_iter().collect();
            let at = all.iter().position(|(key, _)| key == name)?;
            let (one, other) = (all.get(at)?.1.clone(), all.get(at + 1)?.1.clone());
            if one == other {
                return None;
            }
            all.get_mut(at)?.1 = other;
            all.get_mut(at + 1)?.1 = one;
            Some(all.into_iter().collect::<Map<_, _>>())
        }),
    },
    Operator {
        name: "element-removed",
        sentence: "an element of a list is missing",
        change: Change::Element(|elements, at| {
            let mut elements = elements.to_vec();
            elements.remove(at);
            Some(elements)
        }),
    },
    Operator {
        name: "element-doubled",
        sentence: "an element of a list stands twice",
        change: Change::Element(|elements, at| {
            let mut elements = elements.to_vec();
            elements.insert(at, elements.get(at)?.clone());
            Some(elements)
        }),
    },
    Operator {
        name: "elements-swapped",
        sentence: "an element of a list stands behind the next one",
        change: Change::Element(|elements, at| {
            if elements.get(at) == Some(elements.get(at + 1)?) {
                return None;
            }
            let mut elements = elements.to_vec();
            elements.swap(at, at + 1);
            Some(elements)
        }),
    },
];

fn number(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok()
}

/// Times have operators of their own.
fn moved(known: &Known, site: &Site, by: i64) -> Option<Value> {
    let number = site.value.as_number()?;
    if super::time::epoch(known, &site.value).is_some() {
        return None;
    }
    if let Some(whole) = number.as_i64() {
        return Some(json!(whole.checked_add(by)?));
    }
    #[expect(clippy::cast_precision_loss, reason = "one, or minus one")]
    let moved = number.as_f64()? + by as f64;
    Some(json!(moved))
}
