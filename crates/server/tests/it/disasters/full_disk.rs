//! A full disk (T27): changes are refused with a problem, reads are served, nothing acknowledged is lost, and work
//! goes on once there is room again.

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    path::PathBuf,
    process::{Command, Stdio},
};

use tempfile::TempDir;
use tokio::time::Instant;

use super::{
    crowd::{Crowd, Witness, until_refused, until_taken},
    not_run, proof,
};
use crate::process::{
    buyers::{Buyer, restock},
    harness::{SEED, Site, say},
};

/// A small file system of its own; gone when dropped.
struct Disk {
    root: TempDir,
}

impl Disk {
    /// `None` when this user may not mount one.
    fn mount(megabytes: u32) -> Option<Self> {
        let root = TempDir::new().expect("a folder");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={megabytes}m"), "merx-test"])
            .arg(root.path())
            .stderr(Stdio::null())
            .status();
        mounted.is_ok_and(|status| status.success()).then_some(Self { root })
    }
    fn data(&self) -> PathBuf {
        self.root.path().join("data")
    }
    fn ballast(&self) -> PathBuf {
        self.root.path().join("ballast")
    }
    /// Takes every byte there is.
    fn fill(&self) {
        let mut file = OpenOptions::new().create(true).append(true).open(self.ballast()).expect("a file");
        while file.write_all(&[1; 4096]).is_ok() {}
        while file.write_all(&[1]).is_ok() {}
    }
    fn free(&self) {
        fs::remove_file(self.ballast()).expect("removed");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.root.path()).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_stops_changes_and_nothing_else() {
    let Some(disk) = Disk::mount(24) else {
        return not_run("T27 full disk", "this user may not mount a tmpfs");
    };
    say(&format!("SEED={}", *SEED));
    let mut site = Site::at(disk.data(), &[]);
    let mut guests = site.invite(6);
    site.start().await;
    restock(&site).await;
    let witness = Witness::arrive(&site, guests.remove(0)).await;
    let other = Buyer::arrive(&site, guests.remove(0)).await;
    let crowd = Crowd::of(&site, guests).await;

    disk.fill();
    // The log has room of its own for a while: what still fits is acknowledged, and kept.
    let refusal = until_refused(&other).await;
    witness.is_refused().await;
    witness.reads(&site).await;

    let freed = Instant::now();
    disk.free();
    until_taken(&other).await;
    let again = freed.elapsed();
    let order = witness.is_served().await;
    site.succeed(&["demo", "purchase"]);
    let orders = crowd.look_back().await.len() + 2;
    site.stop().await;
    site.start().await;
    witness.finds(&order).await;
    site.succeed(&["audit"]);
    site.stop().await;
    site.assert_no_panic();
    let figure = format!(
        "changes refused with {} {}, reads served, changes again {} ms after there was room, 0 of {orders} acknowledged \
         orders lost",
        refusal.status.as_u16(),
        refusal.text("/code"),
        again.as_millis(),
    );
    proof("T27", "full disk (tmpfs of 24 MiB)", orders, &figure, Some(*SEED));
}
