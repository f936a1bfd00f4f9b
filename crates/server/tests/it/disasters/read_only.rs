//! A disk that takes no writes any more (T27): a file system that the kernel has made read-only under a running shop, one
//! that comes back, and one that fails in the middle of a commit.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use tempfile::TempDir;
use tokio::time::Instant;

use super::{
    crowd::{Crowd, Witness, until_refused, until_refused_or_stopped, until_taken},
    not_run, proof,
    shim::Shim,
};
use crate::process::{
    buyers::{Buyer, restock},
    harness::{SEED, Site, say},
};

fn succeeds(program: &str, args: &[&str]) -> bool {
    let status = Command::new(program).args(args).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// An ext4 file system in a file, mounted as servers mount theirs: after an error it becomes read-only.
struct Ext4 {
    root: TempDir,
}

impl Ext4 {
    /// `None` when this user or this kernel cannot.
    fn make(megabytes: u64) -> Option<Self> {
        let disk = Self { root: TempDir::new().expect("a folder") };
        fs::create_dir(disk.mounted()).expect("a folder");
        let image = fs::File::create(disk.image()).expect("a file");
        image.set_len(megabytes * 1024 * 1024).expect("room");
        (succeeds("mkfs.ext4", &["-q", &disk.image()]) && disk.mount()).then_some(disk)
    }
    fn image(&self) -> String {
        self.root.path().join("image").display().to_string()
    }
    fn mounted(&self) -> PathBuf {
        self.root.path().join("disk")
    }
    fn mount(&self) -> bool {
        let at = self.mounted().display().to_string();
        succeeds("mount", &["-o", "loop,errors=remount-ro", &self.image(), &at])
    }
    /// The switch of the kernel that makes it meet an error; `None` when the kernel has none.
    fn switch(&self) -> Option<PathBuf> {
        let at = self.mounted().display().to_string();
        let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
        let mine = mounts.lines().find(|line| line.split(' ').nth(1) == Some(&at))?;
        let device = Path::new(mine.split(' ').next()?).file_name()?.to_str()?;
        let switch = PathBuf::from(format!("/sys/fs/ext4/{device}/trigger_fs_error"));
        switch.exists().then_some(switch)
    }
    /// Checked and mounted anew, as after a change of the disk.
    fn mend(&self) {
        assert!(succeeds("umount", &[&self.mounted().display().to_string()]), "nobody uses it any more");
        // Its exit code says whether something was mended.
        let _ = succeeds("e2fsck", &["-p", &self.image()]);
        assert!(self.mount(), "mounted anew");
    }
}

impl Drop for Ext4 {
    fn drop(&mut self) {
        let _ = succeeds("umount", &["--lazy", &self.mounted().display().to_string()]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_system_that_became_read_only_stops_changes_and_nothing_else() {
    const CASE: &str = "read-only file system (ext4 after an error, under load)";
    let disk = Ext4::make(96);
    let Some((disk, switch)) = disk.and_then(|disk| disk.switch().map(|switch| (disk, switch))) else {
        return not_run("T27 read-only file system", "no ext4 in a file can be mounted here");
    };
    say(&format!("SEED={}", *SEED));
    let mut site = Site::at(disk.mounted().join("data"), &[]);
    let mut guests = site.invite(6);
    site.start().await;
    restock(&site).await;
    let witness = Witness::arrive(&site, guests.remove(0)).await;
    let other = Buyer::arrive(&site, guests.remove(0)).await;
    let crowd = Crowd::of(&site, guests).await;

    fs::write(switch, "1").expect("an error of the disk");
    let told = match until_refused_or_stopped(&other).await {
        Some(refusal) => {
            witness.is_refused().await;
            witness.reads(&site).await;
            site.stop().await;
            format!(
                "changes refused with {} {}, reads served",
                refusal.status.as_u16(),
                refusal.text("/code")
            )
        }
        // A commit was under way when the disk failed: nobody knows what was kept of it, and the file decides.
        None => {
            let status = site.ended().await;
            assert!(!status.success(), "{status}");
            assert!(site.stderr().contains("a commit has an unknown outcome"), "{}", site.stderr());
            "stopped, for a commit was under way".to_owned()
        }
    };
    // A start says what is wrong, and where.
    site.spawn();
    assert_eq!(site.ended().await.code(), Some(1));
    assert!(site.stderr().contains("Read-only file system"), "{}", site.stderr());

    disk.mend();
    site.start().await;
    let order = witness.is_served().await;
    let orders = crowd.look_back().await.len() + 2;
    witness.finds(&order).await;
    site.succeed(&["demo", "purchase"]);
    site.succeed(&["audit"]);
    site.stop().await;
    merx_sql::check_file(&Path::new(site.data()).join(merx_server::config::DATABASE)).expect("whole");
    site.assert_no_panic();
    let figure = format!("{told}, 0 of {orders} acknowledged orders lost, integrity_check ok",);
    proof("T27", CASE, orders, &figure, Some(*SEED));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fails_for_a_while_costs_nothing_that_was_promised() {
    say(&format!("SEED={}", *SEED));
    let mut site = Site::new(&[]);
    let shim = Shim::under(&mut site);
    let mut guests = site.invite(6);
    site.start().await;
    restock(&site).await;
    let witness = Witness::arrive(&site, guests.remove(0)).await;
    let other = Buyer::arrive(&site, guests.remove(0)).await;
    let crowd = Crowd::of(&site, guests).await;

    shim.fail_with(Some("EROFS"));
    let refusal = until_refused(&other).await;
    witness.is_refused().await;
    witness.reads(&site).await;
    let writable = Instant::now();
    shim.fail_with(None);
    until_taken(&other).await;
    let again = writable.elapsed();
    let order = witness.is_served().await;

    // After an error of the disk in a commit nobody knows what was kept: the process stops, and the file decides.
    shim.fail_with(Some("EIO"));
    let status = site.ended().await;
    assert!(!status.success(), "{status}");
    assert!(site.stderr().contains("a commit has an unknown outcome"), "{}", site.stderr());
    shim.fail_with(None);
    site.start().await;
    let orders = crowd.look_back().await.len() + 2;
    witness.finds(&order).await;
    site.succeed(&["audit"]);
    site.stop().await;
    site.assert_no_panic();
    let figure = format!(
        "read-only: refused with {} {}, reads served, changes again {} ms after it could be written; error in a commit: \
         the process stopped, the next start had 0 of {orders} acknowledged orders lost",
        refusal.status.as_u16(),
        refusal.text("/code"),
        again.as_millis(),
    );
    proof("T27", "writes refused for a while; an I/O error in a commit", orders, &figure, Some(*SEED));
}
