//! The names of hosts: when two are one, and which a device may take.

use super::text::python_trim;

/// The longest name that a device may take, in characters.
pub const LONGEST: usize = 253;

/// What decides whether two names are of one host, for agents and the server alike: the name without white space at its
/// ends, in lower case.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct HostKey(String);

impl HostKey {
    /// The key of a name.
    pub fn of(name: &str) -> Self {
        Self(python_trim(name).to_lowercase())
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether two names are of one host.
pub fn same_host(one: &str, other: &str) -> bool {
    HostKey::of(one) == HostKey::of(other)
}

/// Whether a device may come to be called so: letters and digits of any script, `.`, `_`, `-` and blanks between them.
pub fn is_allowed(name: &str) -> bool {
    let allowed = |character: char| character.is_alphanumeric() || matches!(character, '.' | '_' | '-' | ' ');
    (1..=LONGEST).contains(&name.chars().count())
        && name.chars().all(allowed)
        && !name.starts_with(' ')
        && !name.ends_with(' ')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What Python 3.11 makes of `name.strip().lower()`.
    const PYTHON: [(&str, &str); 12] = [
        ("WIN-A", "win-a"),
        (" \t\u{3000}Win A\u{1f}\n", "win a"),
        ("\u{200b}A", "\u{200b}a"),
        ("\u{212a}ELVIN", "kelvin"),
        ("\u{212b}", "\u{e5}"),
        ("\u{130}", "i\u{307}"),
        ("I", "i"),
        ("\u{1e9e}", "\u{df}"),
        ("STRASSE", "strasse"),
        ("\u{3a3}\u{391}\u{3a3}", "\u{3c3}\u{3b1}\u{3c2}"),
        ("\u{3a3}", "\u{3c3}"),
        ("\u{416}\u{10400}", "\u{436}\u{10428}"),
    ];

    #[test]
    fn a_key_is_what_agents_compare() {
        for (name, key) in PYTHON {
            assert_eq!(HostKey::of(name).0, key, "{name:?}");
        }
        assert!(same_host("WIN-A", " win-a"));
        // A letter of another script that looks alike is another letter.
        assert!(!same_host("WIN-A", "WIN-\u{410}"));
    }

    #[test]
    fn a_name_is_of_letters_digits_and_a_few_signs() {
        let longest = "a".repeat(LONGEST);
        for name in [
            "W",
            "WIN-1.corp_x",
            "B\u{fc}ro 2",
            "\u{440}\u{430}\u{431}",
            "\u{6771}\u{4eac}",
            &longest,
        ] {
            assert!(is_allowed(name), "{name}");
        }
        let too_long = "a".repeat(LONGEST + 1);
        for name in [
            "",
            " ",
            " a",
            "a ",
            "a\tb",
            "a\nb",
            "a/b",
            "{{ a }}",
            "a'b",
            "a\"b",
            "a;b",
            "$(a)",
            "a\0b",
            "a\u{202e}b",
            "a\u{a0}b",
            &too_long,
        ] {
            assert!(!is_allowed(name), "{name:?}");
        }
    }

    proptest! {
        #[test]
        fn a_key_is_its_own_key(name in any::<String>()) {
            let key = HostKey::of(&name);
            prop_assert_eq!(python_trim(&key.0), key.0.as_str());
            prop_assert_eq!(HostKey::of(&key.0), key);
        }

        #[test]
        fn neither_blanks_nor_ascii_case_make_another_host(name in "[ -~]*", before in "[ \t\n]*", after in "[ \t\n]*") {
            let changed = format!("{before}{}{after}", name.to_ascii_uppercase());
            prop_assert!(same_host(&name, &changed));
        }

        #[test]
        fn names_of_one_host_lower_to_the_same_letters(one in "\\PC*", other in "\\PC*") {
            let lower = |name: &str| python_trim(name).chars().flat_map(char::to_lowercase).collect::<String>();
            if same_host(&one, &other) {
                // But for the sigma at the end of a word, which Python lowers by its place too.
                let plain = |name: &str| lower(name).replace('\u{3c2}', "\u{3c3}");
                prop_assert_eq!(plain(&one), plain(&other));
            }
        }

        #[test]
        fn an_allowed_name_keeps_its_letters_when_trimmed(name in "\\PC*") {
            if is_allowed(&name) {
                prop_assert_eq!(python_trim(&name), name.as_str());
                prop_assert!(!HostKey::of(&name).as_str().is_empty());
            }
        }
    }
}
