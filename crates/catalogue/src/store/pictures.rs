//! Pictures of products, and the objects that hold their bytes.

use merx_contracts::ids::{PictureId, ProductId};
use merx_kernel::{Result, Timestamp};
use merx_sql::{Inserted, Query, Tx, Value, contention, params};

use super::{marks, text};
use crate::domain::LocalText;

/// A picture in all its sizes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PictureRow {
    /// Its identity.
    pub id: PictureId,
    /// The product it shows.
    pub product: ProductId,
    /// What it shows, in words.
    pub alt: LocalAlt,
    /// Its files, the narrowest first.
    pub files: Vec<PictureFile>,
}

/// What a picture shows, in words, in the languages the product speaks; empty for decoration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LocalAlt {
    /// Chinese.
    pub zh: String,
    /// English.
    pub en: String,
}

impl From<LocalText<200>> for LocalAlt {
    fn from(text: LocalText<200>) -> Self {
        Self { zh: text.zh.into_string(), en: text.en.into_string() }
    }
}

/// One size of a picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PictureFile {
    /// The name of its object, without the folder.
    pub object: String,
    /// Pixels, or units of a drawing.
    pub width: i64,
    /// Likewise.
    pub height: i64,
}

/// An object that is not going away.
const KEPT: &str = "kept";
/// An object that the sweep is removing.
const GOING: &str = "going";

/// The pictures of products, in the order of each product.
pub fn of_products(q: &mut impl Query, products: &[ProductId]) -> Result<Vec<PictureRow>> {
    if products.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!(
        "SELECT p.id, p.product_id, p.alt_zh, p.alt_en, f.object, f.width, f.height
 FROM catalogue_pictures p JOIN catalogue_picture_files f ON f.picture_id = p.id
 WHERE p.product_id IN ({}) ORDER BY p.product_id, p.ordinal, p.id, f.width",
        marks(products.len())
    );
    let rows = q.query(&sql, products.iter().map(|id| Value::from(*id)).collect(), |row| {
        let alt =
            LocalAlt { zh: text::<0, 200>(row, 2)?.into_string(), en: text::<0, 200>(row, 3)?.into_string() };
        let picture = PictureRow { id: row.get(0)?, product: row.get(1)?, alt, files: Vec::new() };
        let file = PictureFile { object: row.get(4)?, width: row.get(5)?, height: row.get(6)? };
        Ok((picture, file))
    })?;
    let mut found: Vec<PictureRow> = Vec::new();
    for (picture, file) in rows {
        if found.last().is_none_or(|last| last.id != picture.id) {
            found.push(picture);
        }
        if let Some(last) = found.last_mut() {
            last.files.push(file);
        }
    }
    Ok(found)
}

/// Writes a picture at the end of its product's; `Exists` when the id is known.
pub fn insert(tx: &mut Tx<'_>, picture: &PictureRow, ordinal: i64) -> Result<Inserted> {
    let sql =
        "INSERT INTO catalogue_pictures (id, product_id, ordinal, alt_zh, alt_en) VALUES (?, ?, ?, ?, ?)";
    let alt = &picture.alt;
    let row = params![picture.id, picture.product, ordinal, &alt.zh, &alt.en];
    if tx.insert_new(sql, row)? == Inserted::Exists {
        return Ok(Inserted::Exists);
    }
    let head = "INSERT INTO catalogue_picture_files (picture_id, object, width, height) VALUES";
    let files = picture.files.iter().map(|f| params![picture.id, &f.object, f.width, f.height]);
    tx.insert_rows(head, 4, files.collect())?;
    Ok(Inserted::New)
}

/// Writes the place and the words of a picture.
pub fn arrange(tx: &mut Tx<'_>, id: PictureId, ordinal: i64, alt: &LocalAlt) -> Result<()> {
    let sql = "UPDATE catalogue_pictures SET ordinal = ?, alt_zh = ?, alt_en = ? WHERE id = ?";
    tx.execute(sql, params![ordinal, &alt.zh, &alt.en, id]).map(drop)
}

/// Removes a picture; its objects are the sweep's.
pub fn delete(tx: &mut Tx<'_>, id: PictureId) -> Result<()> {
    tx.execute("DELETE FROM catalogue_picture_files WHERE picture_id = ?", params![id])?;
    tx.execute("DELETE FROM catalogue_pictures WHERE id = ?", params![id]).map(drop)
}

/// Removes all pictures of a product; their objects are the sweep's.
pub fn delete_of(tx: &mut Tx<'_>, product: ProductId) -> Result<()> {
    for picture in of_products(tx, &[product])? {
        delete(tx, picture.id)?;
    }
    Ok(())
}

/// Says that objects are about to be put, or used by a picture: rows first, so that no object is unknown, and a sweep
/// leaves them alone from now on. An object that a sweep is removing right now is contended for.
pub fn claim(tx: &mut Tx<'_>, objects: &[(String, &'static str)], at: Timestamp) -> Result<()> {
    for (object, media_type) in objects {
        let insert =
            "INSERT INTO catalogue_objects (object, media_type, state, touched_at) VALUES (?, ?, ?, ?)";
        if tx.insert_new(insert, params![object, *media_type, KEPT, at])?.is_new() {
            continue;
        }
        let touch = "UPDATE catalogue_objects SET touched_at = ? WHERE object = ? AND state = ?";
        if !tx.guarded(touch, params![at, object, KEPT])? {
            return Err(contention("the object is being removed"));
        }
    }
    Ok(())
}

/// The media type of an object that may be shown.
pub fn media_type(q: &mut impl Query, object: &str) -> Result<Option<String>> {
    let sql = "SELECT media_type FROM catalogue_objects WHERE object = ? AND state = ?";
    q.query_opt(sql, params![object, KEPT], |row| row.get(0))
}

/// Objects that no picture uses and nobody touched since `before`, and those whose removal was begun before then.
pub fn orphans(q: &mut impl Query, before: Timestamp, limit: i64) -> Result<Vec<String>> {
    let sql = "SELECT o.object FROM catalogue_objects o
 LEFT JOIN catalogue_picture_files f ON f.object = o.object
 WHERE f.picture_id IS NULL AND o.touched_at < ? ORDER BY o.touched_at, o.object LIMIT ?";
    q.query(sql, params![before, limit], |row| row.get(0))
}

/// Marks an orphan as going away: from then on no picture can take it. `false` when one has, or somebody touched it.
pub fn begin_removal(tx: &mut Tx<'_>, object: &str, before: Timestamp, at: Timestamp) -> Result<bool> {
    // The row is taken first: whoever claims the object for a picture takes it too.
    let sql = "UPDATE catalogue_objects SET state = ?, touched_at = ? WHERE object = ? AND touched_at < ?";
    if !tx.guarded(sql, params![GOING, at, object, before])? {
        return Ok(false);
    }
    let sql = "SELECT COUNT(*) FROM catalogue_picture_files WHERE object = ?";
    let used: i64 = tx.query_one(sql, params![object], |row| row.get(0))?;
    if used > 0 {
        let sql = "UPDATE catalogue_objects SET state = ? WHERE object = ?";
        tx.execute(sql, params![KEPT, object])?;
    }
    Ok(used == 0)
}

/// Forgets objects that are gone.
pub fn end_removal(tx: &mut Tx<'_>, object: &str) -> Result<()> {
    let sql = "DELETE FROM catalogue_objects WHERE object = ? AND state = ?";
    tx.execute(sql, params![object, GOING]).map(drop)
}

/// Which of these objects have no row.
pub fn unknown(q: &mut impl Query, objects: &[String]) -> Result<Vec<String>> {
    if objects.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!("SELECT object FROM catalogue_objects WHERE object IN ({})", marks(objects.len()));
    let known = q.query(&sql, objects.iter().map(Value::from).collect(), |row| row.get::<String>(0))?;
    Ok(objects.iter().filter(|object| !known.contains(object)).cloned().collect())
}

/// Gives an object without a row one that says it is going away; `false` when it has meanwhile been claimed.
pub fn adopt_for_removal(tx: &mut Tx<'_>, object: &str, at: Timestamp) -> Result<bool> {
    let insert = "INSERT INTO catalogue_objects (object, media_type, state, touched_at) VALUES (?, '', ?, ?)";
    Ok(tx.insert_new(insert, params![object, GOING, at])?.is_new())
}
