//! The query of the search.

use crate::domain::{
    coerce::integer_in,
    search::{SHORTEST_QUERY, SearchField},
    text::python_trim,
};

/// What is looked at where the query does not say.
const DEFAULT_FIELD: &str = "hostname";
/// How much is shown where the query does not say.
const DEFAULT_LIMIT: i128 = 5;

/// What is searched for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SearchQuery {
    /// The name of the field as it is used.
    pub field_name: String,
    /// The field; `None` where nothing is looked at.
    pub field: Option<SearchField>,
    pub text: String,
    pub limit: i128,
}

/// Reads what is searched for from the parameters of a query.
pub fn search_query(parameter: impl Fn(&str) -> Option<String>) -> SearchQuery {
    let given = |name: &str| parameter(name).filter(|value| !value.is_empty());
    let field_name = given("field").unwrap_or_else(|| DEFAULT_FIELD.to_owned());
    let field_name = python_trim(&field_name).to_lowercase();
    let text = python_trim(&parameter("q").unwrap_or_default()).to_owned();
    // What is compared counts: one letter may be two in lower case.
    let is_long_enough = text.to_lowercase().chars().count() >= SHORTEST_QUERY;
    SearchQuery {
        field: SearchField::named(&field_name).filter(|_| is_long_enough),
        field_name,
        text,
        limit: given("limit")
            .and_then(|text| integer_in(&text))
            .unwrap_or(DEFAULT_LIMIT),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::search::DeviceField;

    fn query(parameters: &[(&str, &str)]) -> SearchQuery {
        search_query(|name| {
            let found = parameters.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn what_is_left_out_has_a_default() {
        let bare = query(&[("q", " abc ")]);
        assert_eq!(bare.field, Some(SearchField::Device(DeviceField::Hostname)));
        assert_eq!(
            (bare.field_name.as_str(), bare.text.as_str(), bare.limit),
            ("hostname", "abc", 5)
        );
        let full = query(&[("q", "abc"), ("field", " Last_User "), ("limit", " +1_0 ")]);
        assert_eq!(
            (full.field, full.limit),
            (Some(SearchField::Device(DeviceField::LastUser)), 10)
        );
        for limit in ["", "abc", "2.5", "0x1"] {
            assert_eq!(query(&[("limit", limit)]).limit, 5, "{limit:?}");
        }
        assert_eq!(query(&[("limit", "-1")]).limit, -1);
    }

    #[test]
    fn short_texts_and_unknown_fields_look_at_nothing() {
        for (field, text) in [
            ("hostname", "ab"),
            ("hostname", "  a "),
            (" ", "abc"),
            ("serial_number", "abc"),
            ("guid", "abc"),
        ] {
            let query = query(&[("field", field), ("q", text)]);
            assert_eq!(query.field, None, "{field:?} {text:?}");
            assert_eq!(query.field_name, field.trim());
        }
        // Characters count, not bytes.
        assert_eq!(query(&[("q", "\u{e9}\u{e9}")]).field, None);
        assert!(query(&[("q", "\u{e9}\u{e9}\u{e9}")]).field.is_some());
        // Those of the lower case, in which it is compared.
        assert!(query(&[("q", "\u{130}a")]).field.is_some());
    }

    proptest! {
        #[test]
        fn any_query_is_read(field in "\\PC*", text in "\\PC*", limit in "\\PC*") {
            let query = query(&[("field", &field), ("q", &text), ("limit", &limit)]);
            prop_assert!(query.field.is_none() || query.text.to_lowercase().chars().count() >= SHORTEST_QUERY);
        }
    }
}
