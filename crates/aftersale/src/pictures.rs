//! Pictures as they come in become the one that is kept: told by its bytes alone, turned upright, stripped of everything
//! but the picture (cameras write where and when), and written anew as a JPEG.

use std::{io::Cursor, sync::Arc};

use bytes::Bytes;
use image::{
    DynamicImage, ImageDecoder as _, ImageFormat, ImageReader, Limits, codecs::jpeg::JpegEncoder,
    imageops::FilterType,
};
use merx_contracts::ids::EvidenceId;
use merx_kernel::{Error, Result};
use merx_platform::objects::ObjectKey;
use tokio::sync::Semaphore;

/// The most bytes of a picture that comes in.
pub const PICTURE_BYTES_MAX: usize = 10 * 1024 * 1024;
/// The longest side that is kept, in pixels: enough to see a scratch.
const SIDE_KEPT: u32 = 1_600;
/// The longest side that is read, …
const SIDE_MAX: u32 = 12_000;
/// … and the most pixels.
const PIXELS_MAX: u64 = 25_000_000;
/// The most memory one picture may take while it is read.
const MEMORY_BYTES_MAX: u64 = 256 * 1024 * 1024;
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
pub struct Pool {
    queue: Arc<Semaphore>,
    workers: Arc<Semaphore>,
}

impl Default for Pool {
    fn default() -> Self {
        Self {
            queue: Arc::new(Semaphore::new(WORKERS_MAX + WAITING_MAX)),
            workers: Arc::new(Semaphore::new(WORKERS_MAX)),
        }
    }
}

impl Pool {
    /// Makes what is kept of a picture.
    ///
    /// # Errors
    /// `aftersale.picture_refused` saying why; `aftersale.pictures_busy` when too many wait already.
    pub async fn make(&self, bytes: Bytes) -> Result<Made> {
        let queued = self.queue.clone().try_acquire_owned().map_err(|_| {
            Error::unavailable("aftersale.pictures_busy", "Too many pictures at once; try again shortly.")
        })?;
        let working = self.workers.clone().acquire_owned().await;
        // The permits go with the job: when the client leaves, the work still takes its place until it is done.
        let job = move || {
            let made = make(&bytes);
            drop((queued, working));
            made
        };
        tokio::task::spawn_blocking(job).await.unwrap_or_else(|e| {
            tracing::warn!(error = %e, "a picture made its decoder panic");
            Err(refused("it cannot be read"))
        })
    }
}

fn refused(why: impl std::fmt::Display) -> Error {
    Error::rejected("aftersale.picture_refused", format!("The picture cannot be taken: {why}."))
}

fn make(bytes: &[u8]) -> Result<Made> {
    if bytes.len() > PICTURE_BYTES_MAX {
        return Err(refused(format!("it has more than {PICTURE_BYTES_MAX} bytes")));
    }
    let format = format_of(bytes).ok_or_else(|| refused("it is neither PNG, JPEG nor WebP"))?;
    let picture = read(bytes, format)?;
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

/// By the first bytes, which each format begins with.
fn format_of(bytes: &[u8]) -> Option<ImageFormat> {
    if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        return Some(ImageFormat::Png);
    }
    if bytes.starts_with(b"\xff\xd8\xff") {
        return Some(ImageFormat::Jpeg);
    }
    (bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP")).then_some(ImageFormat::WebP)
}

fn read(bytes: &[u8], format: ImageFormat) -> Result<DynamicImage> {
    let unreadable = |e: image::ImageError| refused("it cannot be read").with_source(e);
    let too_large =
        || refused(format!("it has more than {PIXELS_MAX} pixels, or a side of more than {SIDE_MAX}"));
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut limits = Limits::default();
    limits.max_image_width = Some(SIDE_MAX);
    limits.max_image_height = Some(SIDE_MAX);
    limits.max_alloc = Some(MEMORY_BYTES_MAX);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(|e| match e {
        image::ImageError::Limits(_) => too_large(),
        e => unreadable(e),
    })?;
    let (width, height) = decoder.dimensions();
    let fits = width > 0 && height > 0 && width <= SIDE_MAX && height <= SIDE_MAX;
    // What the header says is believed only to refuse: the decoder keeps its own limits while it reads.
    if !fits || u64::from(width) * u64::from(height) > PIXELS_MAX || decoder.total_bytes() > MEMORY_BYTES_MAX
    {
        return Err(too_large());
    }
    let orientation = decoder.orientation().map_err(unreadable)?;
    let mut picture = DynamicImage::from_decoder(decoder).map_err(unreadable)?;
    picture.apply_orientation(orientation);
    Ok(picture)
}
