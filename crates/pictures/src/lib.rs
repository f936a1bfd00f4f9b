//! Pictures that strangers send: told by their bytes alone, read within limits, turned upright.

use std::{fmt, io::Cursor};

use image::{DynamicImage, ImageDecoder as _, ImageError, ImageFormat, ImageReader, Limits};
use merx_kernel::Error;

/// The most bytes of a picture that comes in.
pub const PICTURE_BYTES_MAX: usize = 10 * 1024 * 1024;
/// The widest and highest picture, in pixels.
pub const SIDE_MAX: u32 = 12_000;
/// The most pixels of a picture.
pub const PIXELS_MAX: u64 = 25_000_000;
/// The most memory one picture may take while it is read.
const MEMORY_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Why a picture is not taken; as text, the end of a sentence.
#[derive(Debug)]
pub enum Refusal {
    /// More than [`PICTURE_BYTES_MAX`].
    TooManyBytes,
    /// More than [`PIXELS_MAX`] or [`SIDE_MAX`], or more memory than one may take.
    TooLarge,
    /// The decoder says no; without its reason where it panicked.
    Unreadable(Option<ImageError>),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooManyBytes => write!(f, "it has more than {PICTURE_BYTES_MAX} bytes"),
            Self::TooLarge => {
                write!(f, "it has more than {PIXELS_MAX} pixels, or a side of more than {SIDE_MAX}")
            }
            Self::Unreadable(_) => f.write_str("it cannot be read"),
        }
    }
}

impl Refusal {
    /// The error of whoever takes pictures, made by `refused` of the text, with the decoder's reason behind it.
    pub fn into_error(self, refused: impl FnOnce(String) -> Error) -> Error {
        let error = refused(self.to_string());
        match self {
            Self::Unreadable(Some(source)) => error.with_source(source),
            _ => error,
        }
    }
}

/// Refuses more bytes than a picture may have.
///
/// # Errors
/// [`Refusal::TooManyBytes`].
pub fn check_bytes(bytes: &[u8]) -> Result<(), Refusal> {
    if bytes.len() > PICTURE_BYTES_MAX { Err(Refusal::TooManyBytes) } else { Ok(()) }
}

/// By the first bytes, which each format begins with; `None` for what is neither PNG, JPEG nor WebP.
pub fn format_of(bytes: &[u8]) -> Option<ImageFormat> {
    if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        return Some(ImageFormat::Png);
    }
    if bytes.starts_with(b"\xff\xd8\xff") {
        return Some(ImageFormat::Jpeg);
    }
    (bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP")).then_some(ImageFormat::WebP)
}

/// The pixels, upright: cameras turn pictures by a note that is not kept.
///
/// # Errors
/// [`Refusal::TooLarge`], [`Refusal::Unreadable`].
pub fn read(bytes: &[u8], format: ImageFormat) -> Result<DynamicImage, Refusal> {
    let unreadable = |e| Refusal::Unreadable(Some(e));
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut limits = Limits::default();
    limits.max_image_width = Some(SIDE_MAX);
    limits.max_image_height = Some(SIDE_MAX);
    limits.max_alloc = Some(MEMORY_BYTES_MAX);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(|e| match e {
        ImageError::Limits(_) => Refusal::TooLarge,
        e => unreadable(e),
    })?;
    let (width, height) = decoder.dimensions();
    let fits = width > 0 && height > 0 && width <= SIDE_MAX && height <= SIDE_MAX;
    // What the header says is believed only to refuse: the decoder keeps its own limits while it reads.
    if !fits || u64::from(width) * u64::from(height) > PIXELS_MAX || decoder.total_bytes() > MEMORY_BYTES_MAX
    {
        return Err(Refusal::TooLarge);
    }
    let orientation = decoder.orientation().map_err(unreadable)?;
    let mut picture = DynamicImage::from_decoder(decoder).map_err(unreadable)?;
    picture.apply_orientation(orientation);
    Ok(picture)
}
