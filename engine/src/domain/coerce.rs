//! Coercions of JSON values to other types, as Python's constructors make them.

use std::borrow::Cow;

use super::{
    json::{Json, JsonObject},
    text::{present, python_trim},
};

/// Python refuses to read longer integers from a text.
pub const LONGEST_INTEGER: usize = 4300;

/// The characters beyond ASCII that are a decimal zero in the Unicode of Python 3.11; the other nine digits of each follow
/// it.
static ZEROS: [u32; 65] = [
    0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66, 0xde6, 0xe50, 0xed0,
    0xf20, 0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90, 0x1b50, 0x1bb0, 0x1c40, 0x1c50,
    0xa620, 0xa8d0, 0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0, 0xff10, 0x104a0, 0x10d30, 0x11066, 0x110f0,
    0x11136, 0x111d0, 0x112f0, 0x11450, 0x114d0, 0x11650, 0x116c0, 0x11730, 0x118e0, 0x11950, 0x11c50,
    0x11d50, 0x11da0, 0x16a60, 0x16ac0, 0x16b50, 0x1d7ce, 0x1d7d8, 0x1d7e2, 0x1d7ec, 0x1d7f6, 0x1e140,
    0x1e2f0, 0x1e950, 0x1fbf0,
];

/// An integer of any length.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum WholeNumber {
    Short(i128),
    /// Any other, as canonical decimal text.
    Long(String),
}

impl WholeNumber {
    /// Digits, with or without a sign and zeros before them.
    fn of_digits(text: &str) -> Self {
        text.parse().map_or_else(
            |_| {
                let sign = if text.starts_with('-') { "-" } else { "" };
                let digits = text.trim_start_matches(['+', '-']).trim_start_matches('0');
                Self::Long(format!("{sign}{digits}"))
            },
            Self::Short,
        )
    }

    /// The nearest number that fits.
    pub fn held(&self) -> i128 {
        match self {
            Self::Short(number) => *number,
            Self::Long(digits) if digits.starts_with('-') => i128::MIN,
            Self::Long(_) => i128::MAX,
        }
    }

    /// This one, or zero in place of a negative one.
    #[must_use]
    pub fn at_least_zero(self) -> Self {
        if self.held() < 0 { Self::Short(0) } else { self }
    }
}

impl From<WholeNumber> for Json {
    fn from(number: WholeNumber) -> Self {
        match number {
            WholeNumber::Short(number) => number.into(),
            WholeNumber::Long(digits) => Self::BigInt(digits),
        }
    }
}

/// The "integer of" a value: integers, floats cut toward zero, booleans as 1 and 0, texts that hold an integer
/// (blanks around it and single `_` between digits allowed).
pub fn whole_number_of(value: &Json) -> Option<WholeNumber> {
    match value {
        Json::Bool(value) => Some(WholeNumber::Short(i128::from(*value))),
        Json::Int(value) => Some(WholeNumber::Short(i128::from(*value))),
        Json::BigInt(digits) => Some(WholeNumber::of_digits(digits)),
        // Every digit: a float of this size is a whole number.
        Json::Float(value) if value.is_finite() => {
            Some(WholeNumber::of_digits(&format!("{:.0}", value.trunc())))
        }
        Json::Text(text) => whole_number_in(text),
        Json::Null | Json::Float(_) | Json::List(_) | Json::Object(_) => None,
    }
}

/// As [`whole_number_of`], held to the nearest number that fits.
pub fn integer_of(value: &Json) -> Option<i128> {
    whole_number_of(value).map(|number| number.held())
}

/// As [`integer_of`], for a text.
pub fn integer_in(text: &str) -> Option<i128> {
    whole_number_in(text).map(|number| number.held())
}

/// The integer that a text holds, read as Python's `int` reads it.
fn whole_number_in(text: &str) -> Option<WholeNumber> {
    let text = ascii_digits(python_trim(text));
    let text = &*text;
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let well_formed = unsigned
        .split('_')
        .all(|group| !group.is_empty() && group.bytes().all(|byte| byte.is_ascii_digit()));
    if !well_formed {
        return None;
    }
    let digits = text.replace('_', "");
    (digits.trim_start_matches(['+', '-']).len() <= LONGEST_INTEGER).then(|| WholeNumber::of_digits(&digits))
}

/// The text with every decimal digit, of whatever script, as the ASCII one.
pub fn ascii_digits(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    text.chars()
        .map(|character| {
            let number = u32::from(character);
            let before = ZEROS.partition_point(|zero| *zero <= number);
            before
                .checked_sub(1)
                .and_then(|at| ZEROS.get(at))
                .and_then(|zero| char::from_digit(number - zero, 10))
                .unwrap_or(character)
        })
        .collect()
}

/// Python's `a or b or c`: the first of these members that is not falsy, else the last one, if it is there.
pub fn first_or_last<'a>(members: &'a JsonObject, names: &[&str]) -> Option<&'a Json> {
    let mut values = names.iter().map(|name| members.get(*name));
    let last = values.clone().next_back().flatten();
    let is_truthy = |value: &Option<&Json>| value.is_some_and(Json::is_truthy);
    values.find(is_truthy).unwrap_or(last)
}

/// The text of a value, trimmed: falsy ones have one, too, but for `null` and texts that are blank.
pub fn clean(value: &Json) -> Option<String> {
    if value.is_null() {
        return None;
    }
    present(&value.python_str())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn integers_are_read_as_python_reads_them() {
        for (text, number) in [
            ("12", 12),
            (" -3\n", -3),
            ("+1_0", 10),
            ("007", 7),
            ("\u{3000}4\u{1c}", 4),
            ("\u{663}", 3),
            ("-\u{ff11}_2", -12),
            ("\u{1d7d7}\u{1fbf9}\u{667}", 997),
        ] {
            assert_eq!(integer_in(text), Some(number), "{text:?}");
        }
        for text in [
            "",
            " ",
            "3.0",
            "1__0",
            "_1",
            "1_",
            "- 1",
            "+-1",
            "0x1",
            "many",
            "\u{b2}",
            "\u{2160}",
            "\u{2212}1",
        ] {
            assert_eq!(integer_in(text), None, "{text:?}");
        }
        assert_eq!(integer_in(&"9".repeat(4300)), Some(i128::MAX));
        assert_eq!(integer_in(&"9".repeat(4301)), None);
    }

    #[test]
    fn other_values_are_cut_held_or_refused() {
        assert_eq!(integer_of(&(-1.9).into()), Some(-1));
        assert_eq!(integer_of(&1e300.into()), Some(i128::MAX));
        assert_eq!(integer_of(&f64::NAN.into()), None);
        assert_eq!(integer_of(&true.into()), Some(1));
        assert_eq!(
            integer_of(&Json::BigInt(format!("-{}", "9".repeat(60)))),
            Some(i128::MIN)
        );
        assert_eq!(integer_of(&Json::Null), None);
        assert_eq!(integer_of(&Json::list([1])), None);
    }

    #[test]
    fn no_digit_of_a_long_integer_is_lost() {
        let float = "1000000000000000052504760255204420248704468581108159154915854115511802457988908195786371375080447864\
                     0437044438328838781769425232353604305756447921847867069828483872009265758037378302337947880900593689\
                     5323497079994508111903896764088007465274278014249457925878882005684283811566947219638686545940054016\
                     0";
        let nines = "9".repeat(45);
        for (value, digits) in [
            (Json::from(1e300), float.to_owned()),
            ((-1e300).into(), format!("-{float}")),
            (Json::BigInt(nines.clone()), nines.clone()),
            (format!(" +00{nines} ").into(), nines.clone()),
            (format!("-0{nines}").into(), format!("-{nines}")),
            (1e22.into(), "10000000000000000000000".to_owned()),
            ((-0.5).into(), "0".to_owned()),
            (format!("-{}", "0".repeat(50)).into(), "0".to_owned()),
        ] {
            let number = Json::from(whole_number_of(&value).unwrap());
            assert_eq!(number.python_str(), digits, "{value:?}");
        }
        let negative = whole_number_of(&(-1e300).into()).unwrap();
        assert_eq!(negative.at_least_zero(), WholeNumber::Short(0));
    }

    proptest! {
        #[test]
        fn every_integer_reads_back(number in any::<i64>()) {
            prop_assert_eq!(integer_in(&number.to_string()), Some(i128::from(number)));
        }

        #[test]
        fn what_is_read_from_a_text_is_read_again_and_blanks_around_it_do_not_count(text in ".*|[-+_0-9]{0,8}") {
            let read = integer_in(&text);
            prop_assert_eq!(integer_in(&format!(" {text}\t")), read);
            if let Some(number) = read {
                prop_assert_eq!(integer_in(&number.to_string()), Some(number));
            }
        }
    }
}
