//! Pictures are told by their bytes, bounded before they are read, and freed of everything but the picture.

use std::io::Cursor;

use image::{DynamicImage, ImageFormat, Rgba, RgbaImage};
use libtest_mimic::Trial;
use merx_catalogue::pictures::make;

pub fn trials() -> Vec<Trial> {
    crate::trials!("made":
        each_format_in_its_widths,
        transparency_is_kept,
        cameras_notes_are_obeyed_and_dropped,
        what_is_no_picture_is_refused,
        headers_that_promise_too_much_are_refused,
        mutilated_pictures_never_panic,
    )
}

/// A picture with four different corners.
pub fn picture(width: u32, height: u32, alpha: u8) -> DynamicImage {
    let mut pixels = RgbaImage::from_pixel(width, height, Rgba([200, 180, 40, 255]));
    for y in 0..height / 2 {
        for x in 0..width / 2 {
            pixels.put_pixel(x, y, Rgba([10, 20, 200, alpha]));
        }
    }
    DynamicImage::ImageRgba8(pixels)
}

pub fn encoded(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut out = Cursor::new(Vec::new());
    let of = if format == ImageFormat::Jpeg { picture.to_rgb8().into() } else { picture.clone() };
    DynamicImage::write_to(&of, &mut out, format).unwrap();
    out.into_inner()
}

fn each_format_in_its_widths() {
    for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP] {
        for (width, expected) in
            [(1500, &[320, 640, 1280][..]), (700, &[320, 640, 700]), (320, &[320]), (7, &[7])]
        {
            let made = make(&encoded(&picture(width, width / 2, 255), format)).unwrap();
            let widths: Vec<u32> = made.iter().map(|m| m.width).collect();
            assert_eq!(widths, expected, "{format:?} {width}");
            for file in &made {
                assert_eq!(
                    (file.media_type, file.height),
                    ("image/jpeg", (file.width * (width / 2) / width).max(1))
                );
                let read = image::load_from_memory_with_format(&file.bytes, ImageFormat::Jpeg).unwrap();
                assert_eq!((read.width(), read.height()), (file.width, file.height));
                assert!(file.object.len() == 68 && file.object.ends_with(".jpg"), "{}", file.object);
            }
            assert_eq!(
                make(&encoded(&picture(width, width / 2, 255), format)).unwrap(),
                made,
                "the same again"
            );
        }
    }
}

fn transparency_is_kept() {
    let made = make(&encoded(&picture(400, 400, 0), ImageFormat::Png)).unwrap();
    assert_eq!(made.iter().map(|m| m.media_type).collect::<Vec<_>>(), ["image/webp"; 2]);
    let read = image::load_from_memory(&made[0].bytes).unwrap().to_rgba8();
    assert_eq!((read.get_pixel(20, 20).0[3], read.get_pixel(300, 300).0[3]), (0, 255));
}

/// An EXIF note "turn by 90 degrees", with a place that would tell where somebody lives.
fn with_exif(jpeg: &[u8]) -> Vec<u8> {
    let mut tiff = b"MM\0\x2a\0\0\0\x08\0\x02".to_vec();
    tiff.extend(b"\x01\x12\0\x03\0\0\0\x01\0\x06\0\0");
    tiff.extend(b"\x01\x0e\0\x02\0\0\0\x0e\0\0\0\x26");
    tiff.extend(b"\0\0\0\0SECRET-PLACE\0\0");
    let mut app1 = b"Exif\0\0".to_vec();
    app1.extend(tiff);
    let length = u16::try_from(app1.len() + 2).unwrap().to_be_bytes();
    let mut out = jpeg[..2].to_vec();
    out.extend([0xff, 0xe1]);
    out.extend(length);
    out.extend(app1);
    out.extend(&jpeg[2..]);
    out
}

fn cameras_notes_are_obeyed_and_dropped() {
    let noted = with_exif(&encoded(&picture(60, 20, 255), ImageFormat::Jpeg));
    let made = make(&noted).unwrap();
    assert_eq!((made[0].width, made[0].height), (20, 60), "turned upright");
    assert!(noted.windows(6).any(|w| w == b"SECRET"));
    assert!(
        !made[0].bytes.windows(6).any(|w| w == b"SECRET") && !made[0].bytes.windows(4).any(|w| w == b"Exif")
    );
}

fn what_is_no_picture_is_refused() {
    let png = encoded(&picture(9, 9, 255), ImageFormat::Png);
    let gif = b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff!\xf9\x04\x01\0\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;";
    for (name, bytes) in [
        ("nothing", &b""[..]),
        ("text", b"hello"),
        ("html", b"<html><script>alert(1)</script></html>"),
        ("gif", gif),
        ("pdf", b"%PDF-1.7"),
        ("half a png", &png[..png.len() / 2]),
        ("only the beginning", b"\x89PNG\r\n\x1a\n"),
        ("a jpeg that is none", b"\xff\xd8\xff\xe0<script>"),
        ("an svg that acts", br#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1" onload="x"/>"#),
    ] {
        let error = make(bytes).expect_err(name);
        assert!(error.is("catalogue.picture_refused"), "{name}: {error}");
    }
    assert!(make(&vec![0; 10 * 1024 * 1024 + 1]).is_err());
}

fn headers_that_promise_too_much_are_refused() {
    let png = encoded(&picture(9, 9, 255), ImageFormat::Png);
    for (width, height) in [(60_000u32, 60_000u32), (12_001, 1), (1, 12_001), (9_000, 9_000), (u32::MAX, 2)] {
        let mut bomb = png.clone();
        bomb[16..20].copy_from_slice(&width.to_be_bytes());
        bomb[20..24].copy_from_slice(&height.to_be_bytes());
        let crc = crc32(&bomb[12..29]);
        bomb[29..33].copy_from_slice(&crc.to_be_bytes());
        assert!(make(&bomb).expect_err("refused").is("catalogue.picture_refused"), "{width}x{height}");
    }
    // All of it zeros: some kilobytes that would be 400 MB.
    let black = DynamicImage::ImageLuma8(image::GrayImage::new(11_000, 11_000));
    let bomb = encoded(&black, ImageFormat::Png);
    assert!(bomb.len() < 1_000_000, "{}", bomb.len());
    assert!(make(&bomb).is_err());
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |c, _| if c & 1 == 1 { (c >> 1) ^ 0xedb8_8320 } else { c >> 1 })
    })
}

fn mutilated_pictures_never_panic() {
    for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP] {
        let whole = encoded(&picture(33, 17, 128), format);
        for at in 0..whole.len().min(400) {
            let mut broken = whole.clone();
            broken[at] ^= 0x5a;
            // Some flips leave a picture; none may do worse than be refused.
            if let Err(error) = make(&broken) {
                assert!(error.is("catalogue.picture_refused"), "{format:?} {at}: {error:?}");
            }
        }
    }
}
