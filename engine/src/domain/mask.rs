//! How texts from outside are shown in the log: secrets masked, long ones cut.

use std::borrow::Cow;

/// Stands for a text that is empty.
const MISSING: &str = "<missing>";
/// A longer text is cut: an entry must not grow with what a stranger sends.
const LONGEST: usize = 64;
/// What is shown of each end of a secret.
const END: usize = 3;

/// The ends of a secret, or nothing of a short one.
pub fn masked(secret: &str) -> String {
    let count = secret.chars().count();
    if count == 0 {
        return MISSING.to_owned();
    }
    if count <= 2 * END {
        return "***".to_owned();
    }
    let start = secret.chars().take(END);
    let end = secret.chars().skip(count - END);
    start.chain("***".chars()).chain(end).collect()
}

/// A text that is no secret, cut where it is long. Control characters are the log's business.
pub fn shown(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(LONGEST) {
        _ if text.is_empty() => MISSING.into(),
        None => text.into(),
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()).into(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_secret_shows_its_ends_at_most() {
        assert_eq!(masked("CA8D-E3AB-8578"), "CA8***578");
        assert_eq!(masked("ééé1äöü"), "ééé***äöü");
        assert_eq!(masked("123456"), "***");
        assert_eq!(masked(""), "<missing>");
    }

    #[test]
    fn a_long_text_is_cut() {
        assert_eq!(shown("WIN-1"), "WIN-1");
        assert_eq!(shown(""), "<missing>");
        assert_eq!(shown(&"é".repeat(64)), "é".repeat(64));
        assert_eq!(shown(&"é".repeat(65)), "é".repeat(64) + "…");
    }

    proptest! {
        #[test]
        fn no_text_breaks_them(text in ".*") {
            prop_assert!(masked(&text).chars().count() <= 9);
            prop_assert!(shown(&text).chars().count() <= LONGEST + 1);
        }
    }
}
