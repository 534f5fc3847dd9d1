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

/// A text without the blanks around it; `None` where nothing else is left.
pub fn present(text: &str) -> Option<String> {
    let text = python_trim(text);
    (!text.is_empty()).then(|| text.to_owned())
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
    let even = even_last_digit(value, mantissa);
    let with_even = |mut text: String| {
        if let Some(digit) = even {
            text.pop();
            text.push(digit);
        }
        text
    };
    if (-4..16).contains(&exponent) {
        let plain = with_even(value.to_string());
        if plain.contains('.') { plain } else { plain + ".0" }
    } else {
        let sign = if exponent < 0 { '-' } else { '+' };
        let mantissa = with_even(mantissa.to_owned());
        format!("{mantissa}e{sign}{:02}", exponent.unsigned_abs())
    }
}

/// The last digit of Python's shortest form where two forms of that length are as near to the number: the even one. Rust
/// takes the upper one. `mantissa` is Rust's.
fn even_last_digit(value: f64, mantissa: &str) -> Option<char> {
    let digits_of = |text: &str| text.bytes().filter(u8::is_ascii_digit).count();
    let digits = digits_of(mantissa);
    // Two forms with fewer digits are two numbers.
    if digits < 16 {
        return None;
    }
    let exact = format!("{value:.60e}");
    let (exact, exponent) = exact.split_once('e')?;
    let lower = exact.trim_end_matches('0').strip_suffix('5')?;
    if digits_of(lower) != digits || format!("{lower}e{exponent}").parse::<f64>() != Ok(value) {
        return None;
    }
    let last = lower.chars().next_back()?;
    matches!(last, '0' | '2' | '4' | '6' | '8').then_some(last)
}

/// A float as SQLite stores it in a text column: 15 digits, `0.3`, `1.0e+15`, `1.0e-05`, `Inf`. `None`, which is NULL, for
/// `NaN`.
pub fn sqlite_float(value: f64) -> Option<String> {
    const DIGITS: i32 = 15;
    if value.is_nan() {
        return None;
    }
    if value.is_infinite() {
        return Some(if value > 0.0 { "Inf" } else { "-Inf" }.to_owned());
    }
    if value == 0.0 {
        return Some("0.0".to_owned());
    }
    let rounded = format!("{value:.14e}");
    let (mantissa, exponent) = rounded.split_once('e').unwrap_or((&rounded, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let fraction = fraction.trim_end_matches('0');
    if (-4..DIGITS).contains(&exponent) {
        let sign = if value < 0.0 { "-" } else { "" };
        let digits = format!("{}{fraction}", whole.trim_start_matches('-'));
        let point = usize::try_from(exponent + 1).unwrap_or(0);
        let padded = format!("{digits:0<point$}");
        let (whole, fraction) = padded.split_at_checked(point).unwrap_or((&padded, ""));
        let zeros = "0".repeat(usize::try_from(-exponent - 1).unwrap_or(0));
        return Some(format!("{sign}{}.{zeros}{}", or_zero(whole), or_zero(fraction)));
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    Some(format!(
        "{whole}.{}e{sign}{:02}",
        or_zero(fraction),
        exponent.unsigned_abs()
    ))
}

fn or_zero(digits: &str) -> &str {
    if digits.is_empty() { "0" } else { digits }
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

/// Bytes as Python's `repr` prints them.
pub fn python_bytes(bytes: &[u8]) -> String {
    let quote = if bytes.contains(&b'\'') && !bytes.contains(&b'"') {
        '"'
    } else {
        '\''
    };
    let mut quoted = String::with_capacity(bytes.len() + 3);
    quoted.extend(['b', quote]);
    for byte in bytes {
        match char::from(*byte) {
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            character if character == quote => quoted.extend(['\\', quote]),
            character @ ' '..='~' => quoted.push(character),
            _ => quoted.push_str(&format!("\\x{byte:02x}")),
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
    fn bytes_are_printed_as_python_prints_them() {
        for (bytes, printed) in [
            (&b"LAB"[..], "b'LAB'"),
            (b"it's", "b\"it's\""),
            (b"'\"\\", r#"b'\'"\\'"#),
            (b"\t\n\r\0\x7f\xff", r"b'\t\n\r\x00\x7f\xff'"),
            (b"", "b''"),
        ] {
            assert_eq!(python_bytes(bytes), printed);
        }
    }

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
            // Of two forms that are as near the even one.
            (1e15 + 0.25, "1000000000000000.2"),
            (-1e15 - 0.25, "-1000000000000000.2"),
            (1e15 + 0.75, "1000000000000000.8"),
            (1_125_899_906_842_623.0 + 0.125, "1125899906842623.1"),
            (123_456_789.125, "123456789.125"),
            (f64::NAN, "nan"),
            (f64::NEG_INFINITY, "-inf"),
        ] {
            assert_eq!(python_float(value), text);
        }
    }

    #[test]
    fn floats_look_as_in_a_text_column_of_sqlite() {
        for (value, text) in [
            (0.0, "0.0"),
            (-0.0, "0.0"),
            (5.0, "5.0"),
            (-2.5, "-2.5"),
            (-0.25, "-0.25"),
            (0.1 + 0.2, "0.3"),
            (1.0 / 3.0, "0.333333333333333"),
            (-200.0 / 3.0, "-66.6666666666667"),
            (123_456.789, "123456.789"),
            (0.000_123_45, "0.00012345"),
            (0.0001, "0.0001"),
            (0.000_01, "1.0e-05"),
            (1e-7, "1.0e-07"),
            (1e14, "100000000000000.0"),
            (99_999_999_999_999.98, "100000000000000.0"),
            (999_999_999_999_999.9, "1.0e+15"),
            (1e15, "1.0e+15"),
            (1.234_567_890_123_456_8e17, "1.23456789012346e+17"),
            (-1e300, "-1.0e+300"),
            (5e-324, "4.94065645841247e-324"),
            (f64::INFINITY, "Inf"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            assert_eq!(sqlite_float(value).as_deref(), Some(text), "{value:e}");
        }
        assert_eq!(sqlite_float(f64::NAN), None);
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

        #[test]
        fn a_stored_float_has_its_first_fifteen_digits(
            value in prop_oneof![any::<f64>(), -1e20..1e20, -1.0..1.0].prop_filter("finite", |value| value.is_finite()),
        ) {
            let stored: f64 = sqlite_float(value).unwrap().parse().unwrap();
            // No zero with a sign.
            prop_assert_eq!(format!("{:.14e}", stored + 0.0), format!("{:.14e}", value + 0.0));
        }
    }
}
