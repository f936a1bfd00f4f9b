//! The library that stands between a shop and its files: built once from `shim.c`, by the compiler that also builds SQLite.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::LazyLock,
};

use tempfile::TempDir;

use crate::process::harness::{Site, text_of};

static SOURCE: &str = include_str!("shim.c");
static BUILT: LazyLock<(TempDir, PathBuf)> = LazyLock::new(|| {
    let folder = TempDir::new().expect("a folder");
    let (source, library) = (folder.path().join("shim.c"), folder.path().join("shim.so"));
    fs::write(&source, SOURCE).expect("written");
    let mut cc = Command::new(std::env::var("CC").unwrap_or_else(|_| "cc".to_owned()));
    cc.args(["-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror", "-o"]).args([&library, &source]);
    let output =
        cc.args(["-ldl", "-lpthread"]).output().expect("a C compiler, which building Merx needs too");
    assert!(output.status.success(), "{}", text_of(&output));
    (folder, library)
});

/// What watches the data folder of a site.
pub struct Shim {
    folder: PathBuf,
    log: PathBuf,
    fault: PathBuf,
}

impl Shim {
    /// Every shop started on the site from now on is watched, and can be made to fail.
    pub fn under(site: &mut Site) -> Self {
        let root = Path::new(site.data()).parent().expect("a folder above");
        let shim = Self {
            folder: Path::new(site.data()).to_owned(),
            log: root.join("journal"),
            fault: root.join("fault"),
        };
        let text = |path: &Path| path.to_str().expect("a plain path").to_owned();
        site.set_env("LD_PRELOAD", &text(&BUILT.1));
        site.set_env("MERX_SHIM_FOLDER", &text(&shim.folder));
        site.set_env("MERX_SHIM_FAULT", &text(&shim.fault));
        shim
    }

    /// Every change is also written down.
    pub fn recording(self, site: &mut Site) -> Self {
        site.set_env("MERX_SHIM_LOG", self.log.to_str().expect("a plain path"));
        self
    }

    /// How long the log is: all that the shop did before it was seen to answer lies before.
    pub fn moment(&self) -> u64 {
        fs::metadata(&self.log).map_or(0, |found| found.len())
    }

    /// The log.
    pub fn journal(&self) -> Vec<u8> {
        fs::read(&self.log).expect("a log")
    }

    /// From now on changes fail with this error (`EROFS`, `ENOSPC`, `EIO`), or no more.
    pub fn fail_with(&self, error: Option<&str>) {
        match error {
            Some(name) => {
                // Whole or not at all: the shop looks at any moment.
                let beside = self.fault.with_extension("new");
                fs::write(&beside, name).and_then(|()| fs::rename(&beside, &self.fault)).expect("written");
            }
            None => fs::remove_file(&self.fault).expect("removed"),
        }
    }
}
