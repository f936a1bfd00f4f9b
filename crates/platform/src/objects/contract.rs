//! What every object store must do. Each backend's tests run [`CASES`], each on a store with nothing in it, or with
//! what other cases left under other names.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::{BoxFuture, try_join_all};
use merx_kernel::{ErrorKind, Result};

use super::{LIST_MAX, OBJECT_BYTES_MAX, ObjectKey, ObjectStore};

/// One promise, and how it is tried. It panics when the promise is not kept.
pub type Case = (&'static str, fn(Store) -> BoxFuture<'static, Result<()>>);

/// The store to try, and a folder of keys that nobody else uses.
#[derive(Clone)]
pub struct Store {
    /// The store.
    pub store: Arc<dyn ObjectStore>,
    /// Where the case puts its objects.
    pub folder: ObjectKey,
}

impl Store {
    fn key(&self, name: &str) -> ObjectKey {
        ObjectKey::new(format!("{}/{name}", self.folder)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }
    async fn put(&self, name: &str, bytes: &[u8]) -> Result<()> {
        self.store.put(&self.key(name), Bytes::copy_from_slice(bytes), "application/octet-stream").await
    }
    async fn get(&self, name: &str) -> Result<Option<Bytes>> {
        self.store.get(&self.key(name)).await
    }
    async fn names(&self, after: Option<&str>, limit: usize) -> Result<Vec<String>> {
        let after = after.map(|name| self.key(name));
        let found = self.store.list(&self.folder, after.as_ref(), limit).await?;
        Ok(found.iter().map(|key| key.as_str()[self.folder.as_str().len() + 1..].to_owned()).collect())
    }
}

/// Every promise.
pub const CASES: &[Case] = &[
    ("what was put is read back", |s| Box::pin(round_trip(s))),
    ("nothing is read where nothing was put", |s| Box::pin(missing(s))),
    ("a second put replaces the whole object", |s| Box::pin(replaced(s))),
    ("what was deleted is gone, and deleting it again is fine", |s| Box::pin(deleted(s))),
    ("a list is in byte order, of one folder, in pages", |s| Box::pin(listed(s))),
    ("an object that is too large is refused", |s| Box::pin(too_large(s))),
    ("readers see the old or the new object, never a part", |s| Box::pin(whole(s))),
    ("a prefix of a name is no folder", |s| Box::pin(siblings(s))),
];

async fn round_trip(s: Store) -> Result<()> {
    let every_byte: Vec<u8> = (0..=255).cycle().take(70_001).collect();
    for (name, bytes) in [("a.bin", &every_byte[..]), ("deep/er/b-1_2.webp", b"RIFF"), ("empty", b"")] {
        s.put(name, bytes).await?;
        assert_eq!(s.get(name).await?.as_deref(), Some(bytes), "{name}");
    }
    Ok(())
}

async fn missing(s: Store) -> Result<()> {
    assert_eq!(s.get("never").await?, None);
    assert_eq!(s.get("never/ever").await?, None);
    s.put("file", b"x").await?;
    assert_eq!(s.get("file/below").await?, None);
    assert!(s.names(None, 10).await? == ["file"]);
    Ok(())
}

async fn replaced(s: Store) -> Result<()> {
    s.put("one", b"a longer first text").await?;
    s.put("one", b"short").await?;
    assert_eq!(s.get("one").await?.as_deref(), Some(&b"short"[..]));
    assert_eq!(s.names(None, 10).await?, ["one"]);
    Ok(())
}

async fn deleted(s: Store) -> Result<()> {
    s.put("one", b"1").await?;
    s.put("two", b"2").await?;
    s.store.delete(&s.key("one")).await?;
    s.store.delete(&s.key("one")).await?;
    s.store.delete(&s.key("never")).await?;
    assert_eq!((s.get("one").await?, s.names(None, 10).await?), (None, vec!["two".to_owned()]));
    s.put("one", b"again").await?;
    assert_eq!(s.get("one").await?.as_deref(), Some(&b"again"[..]));
    Ok(())
}

async fn listed(s: Store) -> Result<()> {
    // `-` and `.` come before `/`, which comes before digits and letters.
    let mut names = ["a/b", "a-b", "a.b", "ab", "a0", "b/c/d", "z"];
    try_join_all(names.iter().map(|name| s.put(name, name.as_bytes()))).await?;
    names.sort_unstable();
    assert_eq!(s.names(None, LIST_MAX + 5).await?, names);
    assert_eq!(s.names(None, 3).await?, names[..3]);
    assert_eq!(s.names(Some(names[2]), 3).await?, names[3..6]);
    // A cursor need not exist.
    assert_eq!(s.names(Some("a0x"), 10).await?, ["ab", "b/c/d", "z"]);
    assert_eq!(s.names(Some("z"), 10).await?, [""; 0]);
    let below = s.store.list(&s.key("b"), None, 10).await?;
    assert_eq!(below, [s.key("b/c/d")]);
    Ok(())
}

async fn too_large(s: Store) -> Result<()> {
    let refused = s.store.put(&s.key("huge"), vec![0; OBJECT_BYTES_MAX + 1].into(), "text/plain").await;
    assert_eq!(refused.err().map(|e| e.kind()), Some(ErrorKind::Invalid));
    assert_eq!(s.get("huge").await?, None);
    Ok(())
}

async fn whole(s: Store) -> Result<()> {
    let versions: Vec<Vec<u8>> = (0..8u8).map(|n| vec![n; 40_000 + usize::from(n)]).collect();
    s.put("one", &versions[0]).await?;
    let writes = try_join_all(versions.iter().map(|v| s.put("one", v)));
    let reads = try_join_all((0..24).map(|_| s.get("one")));
    let (written, read) = futures_util::join!(writes, reads);
    written?;
    for bytes in read? {
        let bytes = bytes.unwrap_or_default();
        assert!(versions.iter().any(|v| bytes == v[..]), "read {} bytes of no version", bytes.len());
    }
    Ok(())
}

async fn siblings(s: Store) -> Result<()> {
    s.put("pic/a", b"1").await?;
    s.put("pictures/b", b"2").await?;
    s.put("pic.png", b"3").await?;
    assert_eq!(s.store.list(&s.key("pic"), None, 10).await?, [s.key("pic/a")]);
    Ok(())
}
