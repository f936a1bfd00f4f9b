//! Pictures as they come in become the files that go out: read by what they are (never by a name or a header), turned
//! upright, stripped of everything but the picture, and written anew in the stated widths.

use std::fmt::Write as _;

use aws_lc_rs::digest;
use bytes::Bytes;
use image::{
    DynamicImage,
    codecs::{jpeg::JpegEncoder, webp::WebPEncoder},
    imageops::FilterType,
};
use merx_kernel::{Error, Result};
pub use merx_pictures::{PICTURE_BYTES_MAX, PIXELS_MAX, SIDE_MAX};
use merx_pictures::{Refusal, check_bytes, format_of};
use merx_platform::{
    objects::ObjectKey,
    work::{Place, WorkPool},
};

use crate::domain::svg::{self, refused};

/// The widths that go out, in pixels; never wider than what came in.
pub const WIDTHS: [u32; 3] = [320, 640, 1280];
/// The folder of pictures in the object store.
pub const FOLDER: &str = "pictures";

/// Of 100; more is larger and looks the same.
const JPEG_QUALITY: u8 = 85;
/// Pictures worked on at a time; …
const WORKERS_MAX: usize = 2;
/// … and waiting for it, each with [`PICTURE_BYTES_MAX`].
const WAITING_MAX: usize = 16;

/// A file that goes out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// The name of its object in the folder: the hash of the bytes, and what they are.
    pub object: String,
    /// What they are.
    pub media_type: &'static str,
    /// Pixels, or units of a drawing.
    pub width: u32,
    /// Likewise.
    pub height: u32,
    /// The bytes.
    pub bytes: Bytes,
}

impl Made {
    fn new(bytes: Vec<u8>, ending: &str, media_type: &'static str, (width, height): (u32, u32)) -> Self {
        let hash = digest::digest(&digest::SHA256, &bytes);
        let mut object = String::with_capacity(70);
        for byte in hash.as_ref() {
            let _ = write!(object, "{byte:02x}");
        }
        object.push_str(ending);
        Self { object, media_type, width, height, bytes: bytes.into() }
    }
}

/// The key of an object of ours.
///
/// # Errors
/// `Internal` for a name that is none of ours.
pub fn key_of(object: &str) -> Result<ObjectKey> {
    ObjectKey::new(format!("{FOLDER}/{object}"))
        .map_err(|e| Error::internal("not a picture's name").with_source(e))
}

/// Where work on pictures is done: few at a time, off the async threads, and not many waiting.
#[derive(Clone, Debug)]
pub struct Pool(WorkPool);

impl Default for Pool {
    fn default() -> Self {
        Self(WorkPool::new(WORKERS_MAX, WAITING_MAX))
    }
}

impl Pool {
    /// Makes the files of a picture.
    ///
    /// # Errors
    /// As [`make`]; `catalogue.pictures_busy` when too many wait already.
    pub async fn make(&self, bytes: Bytes) -> Result<Vec<Made>> {
        let place = self.0.try_enter().ok_or_else(|| {
            Error::unavailable("catalogue.pictures_busy", "Too many pictures at once; try again shortly.")
        })?;
        work(place, bytes).await
    }

    /// As [`Self::make`] for work of our own, which waits its turn.
    ///
    /// # Errors
    /// As [`make`].
    pub async fn make_in_turn(&self, bytes: Bytes) -> Result<Vec<Made>> {
        work(self.0.enter().await, bytes).await
    }
}

async fn work(place: Place, bytes: Bytes) -> Result<Vec<Made>> {
    // A decoder that panics has met bytes that are no picture.
    place.turn().await.run(move || make(&bytes)).await.unwrap_or_else(|e| {
        tracing::warn!(error = %e, "a picture made its decoder panic");
        Err(not_taken(Refusal::Unreadable(None)))
    })
}

fn not_taken(refusal: Refusal) -> Error {
    refusal.into_error(refused)
}

/// Makes the files of a picture, the narrowest first: JPEG for an opaque one, lossless WebP for one that is not, the
/// drawing itself for an SVG.
///
/// # Errors
/// `catalogue.picture_refused` saying why.
pub fn make(bytes: &[u8]) -> Result<Vec<Made>> {
    check_bytes(bytes).map_err(not_taken)?;
    let Some(format) = format_of(bytes) else {
        if svg::looks_like_svg(bytes) {
            let drawing = svg::drawing(bytes)?;
            let size = (drawing.width, drawing.height);
            return Ok(vec![Made::new(drawing.text.into_bytes(), ".svg", "image/svg+xml", size)]);
        }
        return Err(refused("it is neither PNG, JPEG, WebP nor SVG"));
    };
    let picture = in_depth_written(merx_pictures::read(bytes, format).map_err(not_taken)?);
    let transparent = picture.color().has_alpha() && !is_opaque(&picture);
    let mut made = Vec::new();
    let mut wider = picture;
    for width in widths(wider.width()).into_iter().rev() {
        if width != wider.width() {
            let height = u64::from(wider.height()) * u64::from(width) / u64::from(wider.width());
            let height = u32::try_from(height).unwrap_or(u32::MAX).max(1);
            wider = wider.resize_exact(width, height, FilterType::CatmullRom);
        }
        made.push(write(&wider, transparent)?);
    }
    made.reverse();
    Ok(made)
}

/// The widths that go out for one that came in.
fn widths(came: u32) -> Vec<u32> {
    let mut all: Vec<u32> = WIDTHS.into_iter().filter(|width| *width < came).collect();
    if all.len() < WIDTHS.len() {
        all.push(came);
    }
    all
}

/// In one of the two depths that are written.
fn in_depth_written(picture: DynamicImage) -> DynamicImage {
    if picture.color().has_alpha() {
        DynamicImage::ImageRgba8(picture.into_rgba8())
    } else {
        DynamicImage::ImageRgb8(picture.into_rgb8())
    }
}

fn is_opaque(picture: &DynamicImage) -> bool {
    picture.as_rgba8().is_none_or(|pixels| pixels.pixels().all(|pixel| pixel.0[3] == 255))
}

fn write(picture: &DynamicImage, transparent: bool) -> Result<Made> {
    let failed = |e: image::ImageError| Error::internal("a picture cannot be written").with_source(e);
    let size = (picture.width(), picture.height());
    let mut out = Vec::new();
    if transparent {
        picture.write_with_encoder(WebPEncoder::new_lossless(&mut out)).map_err(failed)?;
        return Ok(Made::new(out, ".webp", "image/webp", size));
    }
    let opaque = DynamicImage::ImageRgb8(picture.to_rgb8());
    opaque.write_with_encoder(JpegEncoder::new_with_quality(&mut out, JPEG_QUALITY)).map_err(failed)?;
    Ok(Made::new(out, ".jpg", "image/jpeg", size))
}
