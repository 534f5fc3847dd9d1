//! Writes JSON as the legacy does: sorted keys, no spaces, nothing but ASCII.

use serde::Serialize;

use crate::domain::json_text::compact_text_of;

pub use crate::domain::json_text::compact_text as write;

/// The body of an answer: the text form and a line end.
pub fn write_line<T: Serialize + ?Sized>(value: &T) -> String {
    let mut text = compact_text_of(value);
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::json::Json;

    #[test]
    fn the_text_form_is_the_legacys() {
        let value = Json::object([
            ("z", Json::list([1.0, 1e30, 1e-7, -0.0, f64::NAN])),
            ("\u{e9}", "\u{1f600}/\"\\\u{7f}\u{1}\n".into()),
            ("Z", Json::BigInt("1".repeat(25))),
            ("a", Json::Null),
        ]);
        assert_eq!(
            write_line(&value),
            format!(
                "{}{}\n",
                format_args!("{{\"Z\":{},\"a\":null,", "1".repeat(25)),
                "\"z\":[1.0,1e+30,1e-07,-0.0,NaN],\"\\u00e9\":\"\\ud83d\\ude00/\\\"\\\\\\u007f\\u0001\\n\"}"
            )
        );
    }
}
