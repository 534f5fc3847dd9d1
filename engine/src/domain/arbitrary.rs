//! Arbitrary values for property tests.

use proptest::{prelude::*, sample::select};

use super::json::{Json, JsonObject};

/// An object of these names, any of them missing, with these values.
pub(crate) fn any_members(
    names: &'static [&'static str],
    value: impl Strategy<Value = Json> + 'static,
) -> impl Strategy<Value = JsonObject> {
    let members = proptest::collection::vec((select(names), value), 0..12);
    members.prop_map(Json::members)
}

/// Any JSON value.
pub(crate) fn any_json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        any::<String>().prop_map(Json::from),
        "-?[1-9][0-9]{19,40}".prop_map(Json::BigInt),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Json::List),
            proptest::collection::vec((any::<String>(), inner), 0..5)
                .prop_map(|members| Json::Object(members.into_iter().collect())),
        ]
    })
}
