//! Pictures as they come in become the files that go out: read by what they are (never by a name or a header), turned
//! upright, stripped of everything but the picture, and written anew in the stated widths.

use std::{fmt::Write as _, io::Cursor, sync::Arc};

use aws_lc_rs::digest;
use bytes::Bytes;
use image::{
    DynamicImage, ImageDecoder as _, ImageFormat, ImageReader, Limits,
    codecs::{jpeg::JpegEncoder, webp::WebPEncoder},
    imageops::FilterType,
};
use merx_kernel::{Error, Result};
use merx_platform::objects::ObjectKey;
use tokio::sync::Semaphore;

use crate::domain::svg::{self, refused};

/// The most bytes of a picture that comes in.
pub const PICTURE_BYTES_MAX: usize = 10 * 1024 * 1024;
/// The widths that go out, in pixels; never wider than what came in.
pub const WIDTHS: [u32; 3] = [320, 640, 1280];
/// The widest and highest picture.
pub const SIDE_MAX: u32 = 12_000;
/// The most pixels of a picture.
pub const PIXELS_MAX: u64 = 25_000_000;
/// The folder of pictures in the object store.
pub const FOLDER: &str = "pictures";

/// The most memory one picture may take while it is read.
const MEMORY_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Of 100; more is larger and looks the same.
const JPEG_QUALITY: u8 = 85;
/// Pictures worked on at a time, each with [`MEMORY_BYTES_MAX`] at most; …
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
    /// Makes the files of a picture.
    ///
    /// # Errors
    /// As [`make`]; `catalogue.pictures_busy` when too many wait already.
    pub async fn make(&self, bytes: Bytes) -> Result<Vec<Made>> {
        let queued = self.queue.clone().try_acquire_owned().map_err(|_| {
            Error::unavailable("catalogue.pictures_busy", "Too many pictures at once; try again shortly.")
        })?;
        self.work(queued, bytes).await
    }

    /// As [`Self::make`] for work of our own, which waits its turn.
    ///
    /// # Errors
    /// As [`make`].
    pub async fn make_in_turn(&self, bytes: Bytes) -> Result<Vec<Made>> {
        let queued = self.queue.clone().acquire_owned().await;
        self.work(queued, bytes).await
    }

    async fn work<P: Send + 'static>(&self, queued: P, bytes: Bytes) -> Result<Vec<Made>> {
        let working = self.workers.clone().acquire_owned().await;
        // The permits go with the job: when the client leaves, the work still takes its place until it is done.
        let job = move || {
            let made = make(&bytes);
            drop((queued, working));
            made
        };
        // A decoder that panics has met bytes that are no picture.
        tokio::task::spawn_blocking(job).await.unwrap_or_else(|e| {
            tracing::warn!(error = %e, "a picture made its decoder panic");
            Err(refused("it cannot be read"))
        })
    }
}

/// Makes the files of a picture, the narrowest first: JPEG for an opaque one, lossless WebP for one that is not, the
/// drawing itself for an SVG.
///
/// # Errors
/// `catalogue.picture_refused` saying why.
pub fn make(bytes: &[u8]) -> Result<Vec<Made>> {
    if bytes.len() > PICTURE_BYTES_MAX {
        return Err(refused(format!("it has more than {PICTURE_BYTES_MAX} bytes")));
    }
    let Some(format) = format_of(bytes) else {
        if svg::looks_like_svg(bytes) {
            let drawing = svg::drawing(bytes)?;
            let size = (drawing.width, drawing.height);
            return Ok(vec![Made::new(drawing.text.into_bytes(), ".svg", "image/svg+xml", size)]);
        }
        return Err(refused("it is neither PNG, JPEG, WebP nor SVG"));
    };
    let picture = read(bytes, format)?;
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

/// The widths that go out for one that came in.
fn widths(came: u32) -> Vec<u32> {
    let mut all: Vec<u32> = WIDTHS.into_iter().filter(|width| *width < came).collect();
    if all.len() < WIDTHS.len() {
        all.push(came);
    }
    all
}

fn read(bytes: &[u8], format: ImageFormat) -> Result<DynamicImage> {
    let unreadable = |e: image::ImageError| refused("it cannot be read").with_source(e);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut limits = Limits::default();
    limits.max_image_width = Some(SIDE_MAX);
    limits.max_image_height = Some(SIDE_MAX);
    limits.max_alloc = Some(MEMORY_BYTES_MAX);
    reader.limits(limits);
    let too_large =
        || refused(format!("it has more than {PIXELS_MAX} pixels, or a side of more than {SIDE_MAX}"));
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
    // Cameras turn pictures by a note that is not kept.
    let orientation = decoder.orientation().map_err(unreadable)?;
    let mut picture = DynamicImage::from_decoder(decoder).map_err(unreadable)?;
    picture.apply_orientation(orientation);
    Ok(if picture.color().has_alpha() {
        DynamicImage::ImageRgba8(picture.into_rgba8())
    } else {
        DynamicImage::ImageRgb8(picture.into_rgb8())
    })
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
