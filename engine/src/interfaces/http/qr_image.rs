//! QR codes as images that a page can show.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use qrcode::{Color, EcLevel, QrCode, QrResult, Version, bits::Bits, optimize::Segment, types::Mode};

/// Pixels of a module's side.
const SCALE: usize = 6;
/// Modules of the quiet zone around the code.
const QUIET: usize = 4;
/// No code of this error correction holds more digits, which are what takes the least room.
const LONGEST: usize = 5596;
/// Digits, or capitals, are written in the form of their own where so many follow each other.
const SHORTEST_RUN: usize = 20;

/// A black and white PNG of the QR code of `text`, as a data URL; `None` where no code holds the text.
pub fn qr_image(text: &str) -> Option<String> {
    let png = png_of(text)?;
    Some(format!("data:image/png;base64,{}", STANDARD.encode(png)))
}

fn png_of(text: &str) -> Option<Vec<u8>> {
    if text.len() > LONGEST {
        return None;
    }
    let code = code_of(text.as_bytes())?;
    let side = (code.width() + 2 * QUIET) * SCALE;
    // One bit a pixel, white is 1; lines begin at whole bytes, and what follows their end stays white.
    let stride = side.div_ceil(8);
    let mut pixels = vec![0xff_u8; stride * side];
    let modules = code.to_colors();
    for (row, line) in modules.chunks(code.width()).enumerate() {
        for (column, _) in line
            .iter()
            .enumerate()
            .filter(|(_, color)| **color == Color::Dark)
        {
            for y in (row + QUIET) * SCALE..(row + QUIET + 1) * SCALE {
                for x in (column + QUIET) * SCALE..(column + QUIET + 1) * SCALE {
                    *pixels.get_mut(y * stride + x / 8)? &= !(0x80 >> (x % 8));
                }
            }
        }
    }
    let mut png = Vec::new();
    let side = u32::try_from(side).ok()?;
    let mut encoder = png::Encoder::new(&mut png, side, side);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::One);
    let mut writer = encoder.write_header().ok()?;
    writer.write_image_data(&pixels).ok()?;
    writer.finish().ok()?;
    Some(png)
}

/// The code of `text`, in the smallest version that holds it. Not as the library cuts a text: it joins pieces from the
/// left without looking back, and comes out at larger codes than the legacy where there are short runs of capitals, such
/// as `%3F` and `%23`.
fn code_of(text: &[u8]) -> Option<QrCode> {
    let segments = segments(text);
    let bits = (1..=40).find_map(|version| bits(text, &segments, Version::Normal(version)).ok())?;
    QrCode::with_bits(bits, EcLevel::M).ok()
}

/// # Errors
/// A code of this version does not hold them.
fn bits(text: &[u8], segments: &[Segment], version: Version) -> QrResult<Bits> {
    let mut bits = Bits::new(version);
    bits.push_segments(text, segments.iter().copied())?;
    bits.push_terminator(EcLevel::M)?;
    Ok(bits)
}

/// The pieces of `text`: long runs of digits, between them long runs of capitals, and bytes.
fn segments(text: &[u8]) -> Vec<Segment> {
    let is_digit = |byte: u8| byte.is_ascii_digit();
    let is_alphanumeric =
        |byte: u8| byte.is_ascii_uppercase() || is_digit(byte) || b" $%*+-./:".contains(&byte);
    let mut segments = Vec::new();
    for (is_run, begin, piece) in pieces(text, is_digit) {
        if is_run {
            segments.push(segment(Mode::Numeric, begin, piece));
            continue;
        }
        for (is_run, within, piece) in pieces(piece, is_alphanumeric) {
            let mode = if is_run { Mode::Alphanumeric } else { Mode::Byte };
            segments.push(segment(mode, begin + within, piece));
        }
    }
    segments
}

fn segment(mode: Mode, begin: usize, piece: &[u8]) -> Segment {
    Segment {
        mode,
        begin,
        end: begin + piece.len(),
    }
}

/// `text` cut at the runs of at least [`SHORTEST_RUN`] bytes that all `belong`: whether a piece is one, where it begins,
/// and the piece.
fn pieces(text: &[u8], belongs: impl Fn(u8) -> bool) -> Vec<(bool, usize, &[u8])> {
    let mut cuts: Vec<(bool, usize)> = Vec::new();
    let mut begin = 0;
    for group in text.chunk_by(|one, next| belongs(*one) == belongs(*next)) {
        let is_run = group.len() >= SHORTEST_RUN && group.first().is_some_and(|byte| belongs(*byte));
        // What is no run is one piece with what is none before it.
        if is_run || cuts.last().is_none_or(|(was_run, _)| *was_run) {
            cuts.push((is_run, begin));
        }
        begin += group.len();
    }
    let ends = cuts.iter().skip(1).map(|(_, begin)| *begin).chain([text.len()]);
    cuts.iter()
        .zip(ends)
        .filter_map(|(&(is_run, begin), end)| Some((is_run, begin, text.get(begin..end)?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_image_has_the_legacy_s_form_and_shows_the_code() {
        let text = "otpauth://totp/Borealis:alice?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=Borealis";
        let png = png_of(text).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(&png)).read_info().unwrap();
        let (width, height) = reader.info().size();
        assert_eq!((width, height), (270, 270));
        assert_eq!(
            reader.output_color_type(),
            (png::ColorType::Grayscale, png::BitDepth::One)
        );
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut pixels).unwrap();
        let stride = 270_usize.div_ceil(8);
        let dark = |x: usize, y: usize| pixels[y * stride + x / 8] >> (7 - x % 8) & 1 == 0;
        let code = code_of(text.as_bytes()).unwrap();
        for y in 0..270 {
            for x in 0..270 {
                let inside = (24..246).contains(&x) && (24..246).contains(&y);
                let expected = inside
                    && code[(
                        (x - 24 * usize::from(inside)) / 6,
                        (y - 24 * usize::from(inside)) / 6,
                    )] == Color::Dark;
                assert_eq!(dark(x, y), expected, "{x} {y}");
            }
        }
    }

    #[test]
    fn a_code_is_no_larger_than_the_legacy_s() {
        let secret = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP";
        for (issuer, name, version) in [
            ("Borealis", "alice", 5),
            ("a%3Fb%23c", "olivia", 5),
            ("Borealis", "zo%C3%A9", 5),
            ("Borealis", "alice%40example.com", 6),
            ("Borealis", "%C3%84%C3%96", 6),
        ] {
            let text = format!("otpauth://totp/{issuer}:{name}?secret={secret}&issuer={issuer}");
            let code = code_of(text.as_bytes()).unwrap();
            assert_eq!(code.version(), Version::Normal(version), "{text}");
        }
    }

    #[test]
    fn long_runs_of_digits_and_capitals_are_pieces_of_their_own() {
        let cut = |text: &str| {
            let whole = segments(text.as_bytes());
            let pieces = whole
                .iter()
                .map(|piece| (piece.mode, text.get(piece.begin..piece.end)));
            pieces
                .map(|(mode, piece)| (mode, piece.unwrap().to_owned()))
                .collect::<Vec<_>>()
        };
        let (capitals, digits) = ("AB3".repeat(7), "7".repeat(20));
        assert_eq!(
            cut(&format!("x%3F{capitals}y{digits}Z")),
            [
                (Mode::Byte, "x".to_owned()),
                (Mode::Alphanumeric, format!("%3F{capitals}")),
                (Mode::Byte, "y".to_owned()),
                (Mode::Numeric, digits),
                (Mode::Byte, "Z".to_owned()),
            ]
        );
        assert_eq!(cut("abc%40ABC"), [(Mode::Byte, "abc%40ABC".to_owned())]);
        assert!(cut("").is_empty());
    }

    #[test]
    fn what_no_code_holds_has_no_image() {
        assert!(qr_image(&"a".repeat(2331)).is_some());
        assert_eq!(qr_image(&"a".repeat(2332)), None);
        assert!(qr_image(&"7".repeat(5596)).is_some());
        assert_eq!(qr_image(&"7".repeat(5597)), None);
        assert_eq!(qr_image(&"a".repeat(1 << 20)), None);
    }
}
