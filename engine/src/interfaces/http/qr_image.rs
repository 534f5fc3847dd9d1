//! QR codes as images that a page can show.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use qrcode::{Color, EcLevel, QrCode};

/// Pixels of a module's side.
const SCALE: usize = 6;
/// Modules of the quiet zone around the code.
const QUIET: usize = 4;
/// No code of this error correction holds more bytes.
const LONGEST: usize = 2331;

/// A black and white PNG of the QR code of `text`, as a data URL; `None` where no code holds the text.
pub fn qr_image(text: &str) -> Option<String> {
    let png = png_of(text)?;
    Some(format!("data:image/png;base64,{}", STANDARD.encode(png)))
}

fn png_of(text: &str) -> Option<Vec<u8>> {
    if text.len() > LONGEST {
        return None;
    }
    let code = QrCode::with_error_correction_level(text, EcLevel::M).ok()?;
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
        let code = QrCode::with_error_correction_level(text, EcLevel::M).unwrap();
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
    fn what_no_code_holds_has_no_image() {
        assert!(qr_image(&"a".repeat(2331)).is_some());
        assert_eq!(qr_image(&"a".repeat(2332)), None);
        assert_eq!(qr_image(&"a".repeat(1 << 20)), None);
    }
}
