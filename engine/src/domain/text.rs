//! Text as Python sees it: what counts as white space, how numbers and texts are printed.

use subtle::ConstantTimeEq as _;

/// Whether Python's `str.strip` takes `character` off an end.
pub fn is_python_space(character: char) -> bool {
    character.is_whitespace() || matches!(character, '\u{1c}'..='\u{1f}')
}

/// `text` without white space at both ends, as Python's `str.strip` leaves it.
pub fn python_trim(text: &str) -> &str {
    text.trim_matches(is_python_space)
}

/// Compares without telling by its duration where two texts differ.
pub fn same_text(one: &str, other: &str) -> bool {
    one.as_bytes().ct_eq(other.as_bytes()).into()
}

/// A float as Python's `repr` prints it: the shortest digits that read back, `1.0`, `1e+30`, `1e-07`, `nan`, `inf`.
pub fn python_float(value: f64) -> String {
    if value.is_nan() {
        return "nan".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let scientific = format!("{value:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..16).contains(&exponent) {
        let plain = value.to_string();
        if plain.contains('.') { plain } else { plain + ".0" }
    } else {
        let sign = if exponent < 0 { '-' } else { '+' };
        format!("{mantissa}e{sign}{:02}", exponent.unsigned_abs())
    }
}

/// A text as Python's `repr` prints it, quotes included.
pub fn python_quoted(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') {
        '"'
    } else {
        '\''
    };
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push(quote);
    for character in text.chars() {
        match character {
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            _ if character == quote => quoted.extend(['\\', quote]),
            _ if is_printable(character) => quoted.push(character),
            _ => quoted.push_str(&match u32::from(character) {
                code @ ..=0xff => format!("\\x{code:02x}"),
                code @ 0x100..=0xffff => format!("\\u{code:04x}"),
                code => format!("\\U{code:08x}"),
            }),
        }
    }
    quoted.push(quote);
    quoted
}

fn is_printable(character: char) -> bool {
    // `escape_debug` leaves printable characters alone. A letter goes before, because it escapes combining marks at
    // the start of a text only, which Python never does.
    matches!(character, '\'' | '"') || ['a', character].iter().collect::<String>().escape_debug().count() == 2
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn separators_and_unicode_blanks_are_trimmed() {
        assert_eq!(python_trim("\u{1c}\u{3000} a b \u{85}\u{1f}\n"), "a b");
        assert_eq!(python_trim("\u{200b}a"), "\u{200b}a");
    }

    #[test]
    fn floats_look_as_in_python() {
        for (value, text) in [
            (1.0, "1.0"),
            (-0.0, "-0.0"),
            (1.5, "1.5"),
            (1e30, "1e+30"),
            (1e-7, "1e-07"),
            (1e16, "1e+16"),
            (1e15, "1000000000000000.0"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (1.25e-10, "1.25e-10"),
            (123_456_789.125, "123456789.125"),
            (f64::NAN, "nan"),
            (f64::NEG_INFINITY, "-inf"),
        ] {
            assert_eq!(python_float(value), text);
        }
    }

    #[test]
    fn quoted_texts_look_as_in_python() {
        assert_eq!(python_quoted("it's"), "\"it's\"");
        assert_eq!(python_quoted("'\""), "'\\'\"'");
        assert_eq!(
            python_quoted("a\\\n\u{7f}\u{200b}\u{e9}e\u{301}\u{1f600}"),
            "'a\\\\\\n\\x7f\\u200b\u{e9}e\u{301}\u{1f600}'"
        );
    }

    proptest! {
        #[test]
        fn a_printed_float_reads_back(value in any::<f64>().prop_filter("finite", |value| value.is_finite())) {
            prop_assert_eq!(python_float(value).parse::<f64>().unwrap().to_bits(), value.to_bits());
        }
    }
}
