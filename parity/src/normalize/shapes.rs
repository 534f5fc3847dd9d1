//! Values of which only the shape is compared, because their content follows from values that are compared elsewhere.

use super::forms::{captures, pattern};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::civil::DateTime;
use regex::Regex;
use serde_json::{Map, Value, json};
use std::sync::LazyLock;

/// The most that a picture may take, in bytes; a QR code takes less than a tenth of it.
const LARGEST: usize = 4 << 20;

/// The server time's text for people; recordings hold `<display>` in its place.
static DISPLAY: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"^(?:January|February|March|April|May|June|July|August|September|October|November|December) ",
        r"[1-9]\d?(?:st|nd|rd|th) \d{4} @ (?:[1-9]|1[0-2]):[0-5]\d[AP]M$"
    ))
});

/// An ISO time with its offset.
static TIME: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d{1,9})?(Z|[+-]\d\d:\d\d)$"));

/// The server time's display text.
pub(crate) fn recognise(text: &str) -> Option<Value> {
    is_display(text).then(|| json!("<display>"))
}

/// Whether a text is the time as people read it.
pub(crate) fn is_display(text: &str) -> bool {
    DISPLAY.is_match(text)
}

/// Whether a display text says another minute than the times beside it. It is said in the server's own zone, so a time with
/// another offset than UTC counts before one without.
pub(crate) fn says_another_time(text: &str, beside: &Map<String, Value>) -> bool {
    if !is_display(text) {
        return false;
    }
    let times: Vec<[&str; 2]> = beside
        .values()
        .filter_map(|value| captures(&TIME, value.as_str()?))
        .collect();
    let local = times.iter().filter(|[_, zone]| !["Z", "+00:00"].contains(zone));
    let counts: Vec<&[&str; 2]> = match local.clone().next() {
        Some(_) => local.collect(),
        None => times.iter().collect(),
    };
    let says = |civil: &str| display(civil).is_some_and(|says| says == text);
    !counts.is_empty() && !counts.iter().any(|[civil, _]| says(civil))
}

/// A date and time as people read it: `November 23rd 2026 @ 3:52PM`.
fn display(civil: &str) -> Option<String> {
    let civil: DateTime = civil.parse().ok()?;
    let day = civil.day();
    let ordinal = match (day, day % 10) {
        (11..=13, _) => "th",
        (_, 1) => "st",
        (_, 2) => "nd",
        (_, 3) => "rd",
        _ => "th",
    };
    let month = civil.strftime("%B");
    Some(format!(
        "{month} {day}{ordinal} {}",
        civil.strftime("%Y @ %-I:%M%p")
    ))
}

/// What a picture shows.
pub(crate) struct Picture {
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// The text of the QR code that it shows; nothing where it shows none that can be read.
    pub(crate) says: Option<String>,
}

/// A picture as a page shows it: a PNG in a `data:` URL. Two encoders make different bytes of one picture.
pub(crate) fn picture(text: &str) -> Option<Picture> {
    let bytes = STANDARD
        .decode(text.strip_prefix("data:image/png;base64,")?)
        .ok()?;
    let mut decoder =
        png::Decoder::new_with_limits(std::io::Cursor::new(bytes), png::Limits { bytes: LARGEST });
    decoder.set_transformations(png::Transformations::EXPAND | png::Transformations::STRIP_16);
    let mut reader = decoder.read_info().ok()?;
    let mut pixels = vec![0; reader.output_buffer_size().filter(|size| *size <= LARGEST)?];
    let frame = reader.next_frame(&mut pixels).ok()?;
    let (width, height) = (frame.width, frame.height);
    let (columns, samples) = (usize::try_from(width).ok()?, frame.color_type.samples());
    // The first sample will do: the codes are black and white.
    let dark = |x: usize, y: usize| {
        pixels
            .get((y * columns + x) * samples)
            .copied()
            .unwrap_or_default()
    };
    let rows = usize::try_from(height).ok()?;
    let mut image = rqrr::PreparedImage::prepare_from_greyscale(columns, rows, dark);
    let says = image
        .detect_grids()
        .first()
        .and_then(|grid| grid.decode().ok())
        .map(|(_, says)| says);
    Some(Picture { width, height, says })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A code as the legacy draws it.
    const CODE: &str = concat!(
        "data:image/png;base64,",
        "iVBORw0KGgoAAAANSUhEUgAAASYAAAEmAQAAAADnvwB3AAACzElEQVR4nO2aQW7rMAxEn0oDWSo36FHkmxW9mXKU3IBeFmAwf0E5/bvfovlIKk",
        "SLIIZnwQHFETlyEf9el5cvgOCJeqKeqJ+hkLIiW9QeNPIX5M0cwKR41Oi/ztEkeRsEa48qaHLMW7795RxfALaywFLfzVm2lW2ldmgBpax3jOt/",
        "oD6OTepLfdd5XTg9TFw/RC1/P5hzWVosq2ovx7vGdXNUVQDb286rwYkqQOp3jOuGqEsp5Yg5dl4PzsFZtjc7rwunUsr94roVCu3LvAVNDgw5va",
        "4JdHXZSilrcDo4l9duTjlyKYWtTKGrSJKPkjT1gKhdknkWY/v95yOSokre5I0qeYNG7ZKi9gF41Oi/wXGvyqgy9ajdnPxDnaAeRx7z/7V5y8eg",
        "xSx5hEZV1C71oa7qUUedzsHRpKBBMydoprFXx76dgiO1UwejbMXlaOzb/vvzmP1qY1sNgFg46FRqX+J9idNHweJxo//GXnWo3bzJm6nLm0kBs8",
        "zIL8Dltdv57eNIOcK2LnDtyak97hbXrVC7D6AeVVHznEx1zVfzaE62cNee3K7EZzkf5UlwaGmSDUgja448ZhuQuxTItieqguwHZuCYfWmOHvKW",
        "ipoTpfkkc0d6qqYuJ6psn0H2tmcGjkHLnTmORfVU1Bj9zxQcq+QkO9NuIKcBMs3ZkQpTxwgZ4yKgBUyWRxhDh7SfHaNOZ+CY8yO177ceYxKRM8",
        "Xc8Tk/mpMuR0qQdHWupuDoLa+uAKXs1JFcm8FfHbNVTlXmQ1HN227yTFKPu0+e6toDAjK55pPMj6WUUtaPIwcHWHKjcmJb0/p46Oi/sK73yKS5",
        "ypDWYULWCe6RRz3auP3/dB3NGzAZxxRSeZOP5JqkGerxL45JUMrROHu8cfHxqNF/A1WVWlpeOxD1/eCwlXSV7xjXjVCf3+dkh7NfXbGncgIfoD",
        "y/CXyinqiHQf0B7nnwTAUvb/8AAAAASUVORK5CYII=",
    );

    #[test]
    fn only_the_exact_shape_counts() {
        assert_eq!(recognise("November 23rd 2026 @ 3:52PM"), Some(json!("<display>")));
        assert_eq!(recognise("November 23rd 2026 @ 03:52PM"), None);
    }

    #[test]
    fn a_display_text_says_the_time_beside_it() {
        let another = |text: &str, beside: Value| says_another_time(text, beside.as_object().unwrap());
        let kolkata = json!({ "iso": "2026-11-23T21:22:50.347855+05:30", "utc_iso": "2026-11-23T15:52:50.347Z", "n": 1 });
        assert!(!another("November 23rd 2026 @ 9:22PM", kolkata.clone()));
        for wrong in [
            "November 23rd 2026 @ 3:52PM",
            "November 23th 2026 @ 9:22PM",
            "November 23rd 2026 @ 9:22AM",
            "November 22nd 2026 @ 9:22PM",
        ] {
            assert!(another(wrong, kolkata.clone()), "{wrong}");
        }
        let utc = json!({ "iso": "2026-12-11T00:05:09+00:00", "utc_iso": "2026-12-11T00:05:09Z" });
        assert!(!another("December 11th 2026 @ 12:05AM", utc.clone()));
        assert!(another("December 11st 2026 @ 12:05AM", utc.clone()));
        assert!(!another("another text", utc));
        assert!(!another(
            "November 23rd 2026 @ 3:52PM",
            json!({ "text": "alone" })
        ));
    }

    #[test]
    fn a_picture_says_what_its_code_says() {
        let shown = picture(CODE).unwrap();
        assert_eq!((shown.width, shown.height), (294, 294));
        let says = shown.says.unwrap();
        assert!(
            says.starts_with("otpauth://totp/Borealis:bob%20smith%40x?secret="),
            "{says}"
        );
        for other in ["data:image/png;base64,AAAA", CODE.get(..200).unwrap(), "AAAA"] {
            assert!(picture(other).is_none(), "{other}");
        }
    }
}
