//! Pictures as they come in become the one that is kept: told by its bytes alone, turned upright, stripped of everything
//! but the picture (cameras write where and when), and written anew as a JPEG.

use bytes::Bytes;
use image::{DynamicImage, codecs::jpeg::JpegEncoder, imageops::FilterType};
use merx_contracts::ids::EvidenceId;
use merx_kernel::{Error, Result};
pub use merx_pictures::PICTURE_BYTES_MAX;
use merx_pictures::{Refusal, check_bytes, format_of, read};
use merx_platform::{objects::ObjectKey, work::WorkPool};

/// The longest side that is kept, in pixels: enough to see a scratch.
const SIDE_KEPT: u32 = 1_600;
/// Of 100.
const JPEG_QUALITY: u8 = 85;
/// Pictures worked on at a time; …
const WORKERS_MAX: usize = 1;
/// … and waiting for it.
const WAITING_MAX: usize = 8;
/// The folder of these pictures in the object store.
const FOLDER: &str = "evidence";

/// A picture as it is kept.
#[derive(Clone, Debug)]
pub struct Made {
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// The bytes.
    pub bytes: Bytes,
}

impl Made {
    /// What the bytes are.
    pub const MEDIA_TYPE: &'static str = "image/jpeg";
}

/// The key of a picture's object; no two pictures share one, so that each can be erased.
///
/// # Errors
/// `Internal`: never, of an id.
pub fn key_of(id: EvidenceId) -> Result<ObjectKey> {
    ObjectKey::new(format!("{FOLDER}/{}.jpg", id.bare()))
        .map_err(|e| Error::internal("not a picture's name").with_source(e))
}

/// Where work on pictures is done: one at a time, off the async threads, and not many waiting.
#[derive(Clone, Debug)]
pub struct Pool(WorkPool);

impl Default for Pool {
    fn default() -> Self {
        Self(WorkPool::new(WORKERS_MAX, WAITING_MAX))
    }
}

impl Pool {
    /// Makes what is kept of a picture.
    ///
    /// # Errors
    /// `aftersale.picture_refused` saying why; `aftersale.pictures_busy` when too many wait already.
    pub async fn make(&self, bytes: Bytes) -> Result<Made> {
        let place = self.0.try_enter().ok_or_else(|| {
            Error::unavailable("aftersale.pictures_busy", "Too many pictures at once; try again shortly.")
        })?;
        place.turn().await.run(move || make(&bytes)).await.unwrap_or_else(|e| {
            tracing::warn!(error = %e, "a picture made its decoder panic");
            Err(not_taken(Refusal::Unreadable(None)))
        })
    }
}

fn refused(why: impl std::fmt::Display) -> Error {
    Error::rejected("aftersale.picture_refused", format!("The picture cannot be taken: {why}."))
}

fn not_taken(refusal: Refusal) -> Error {
    refusal.into_error(refused)
}

fn make(bytes: &[u8]) -> Result<Made> {
    check_bytes(bytes).map_err(not_taken)?;
    let format = format_of(bytes).ok_or_else(|| refused("it is neither PNG, JPEG nor WebP"))?;
    let picture = read(bytes, format).map_err(not_taken)?;
    let picture = if picture.width().max(picture.height()) > SIDE_KEPT {
        picture.resize(SIDE_KEPT, SIDE_KEPT, FilterType::CatmullRom)
    } else {
        picture
    };
    let mut out = Vec::new();
    let opaque = DynamicImage::ImageRgb8(picture.to_rgb8());
    opaque
        .write_with_encoder(JpegEncoder::new_with_quality(&mut out, JPEG_QUALITY))
        .map_err(|e| Error::internal("a picture cannot be written").with_source(e))?;
    Ok(Made { width: opaque.width(), height: opaque.height(), bytes: out.into() })
}
