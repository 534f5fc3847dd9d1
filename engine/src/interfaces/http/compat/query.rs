//! Query strings as Flask reads them.

use form_urlencoded::parse;

/// The first value of a parameter, decoded: `+` is a blank, malformed escapes stay as text.
pub fn first(query: Option<&str>, name: &str) -> Option<String> {
    parse(query?.as_bytes())
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
}

/// All values of a parameter that are not empty, decoded: an empty one counts as absent on the socket endpoint.
pub fn all(query: Option<&str>, name: &str) -> Vec<String> {
    parse(query.unwrap_or_default().as_bytes())
        .filter(|(key, value)| !value.is_empty() && key == name)
        .map(|(_, value)| value.into_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_first_of_several_counts_and_bad_escapes_stay() {
        assert_eq!(
            first(Some("a=1&status=a%20b+c&status=x"), "status").as_deref(),
            Some("a b c")
        );
        assert_eq!(first(Some("status=%zz%4"), "status").as_deref(), Some("%zz%4"));
        assert_eq!(first(Some("status"), "status").as_deref(), Some(""));
        assert_eq!(first(None, "status"), None);
    }

    proptest! {
        #[test]
        fn what_is_written_first_is_read_whatever_follows(value in "\\PC*", rest in "\\PC*") {
            let escaped: String = form_urlencoded::byte_serialize(value.as_bytes()).collect();
            let query = format!("status={escaped}&{rest}");
            prop_assert_eq!(first(Some(&query), "status"), Some(value));
        }
    }
}
