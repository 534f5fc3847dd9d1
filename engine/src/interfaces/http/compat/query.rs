//! Query strings as Flask reads them.

use super::path::escape;

/// The first value of a parameter, decoded: `+` is a blank, malformed escapes stay as text.
pub fn first(query: Option<&str>, name: &str) -> Option<String> {
    query?.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(key) == name).then(|| decode(value))
    })
}

/// All values of a parameter that are not empty, decoded: an empty one counts as absent on the socket endpoint.
pub fn all(query: Option<&str>, name: &str) -> Vec<String> {
    query
        .unwrap_or_default()
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .filter(|(key, value)| !value.is_empty() && decode(key) == name)
        .map(|(_, value)| decode(value))
        .collect()
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'%' => {
                let (decoded, beyond) = escape(after).unwrap_or((b'%', after));
                bytes.push(decoded);
                rest = beyond;
            }
            b'+' => bytes.push(b' '),
            _ => bytes.push(*byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
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
        fn no_query_breaks_it(query in "\\PC*") {
            let _ = first(Some(&query), "status");
        }
    }
}
