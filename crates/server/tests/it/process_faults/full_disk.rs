//! A full disk (T27): changes are refused with a problem, reads are served, nothing acknowledged is lost, and work
//! goes on once there is room again.

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    path::PathBuf,
    process::{Command, Stdio},
    sync::Arc,
};

use merx_platform::{
    tasks::Tasks,
    time::{OsEntropy, SystemClock},
};
use merx_server::client::{Reply, text};
use serde_json::json;
use tempfile::TempDir;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::process::{
    buyers::{Buyer, restock},
    harness::{Site, random, say, text_of, until},
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

/// A refusal for want of room is a problem with a code, and nothing else.
fn assert_refused_for_room(reply: &Reply) {
    let code = reply.text("/code");
    assert!([503, 507].contains(&reply.status.as_u16()), "{reply:?}");
    assert!(["sql.disk_full", "sql.io"].contains(&code.as_str()), "{reply:?}");
    assert_eq!(reply.text("/type"), format!("/docs/errors/{code}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_stops_changes_and_nothing_else() {
    let Some(disk) = Disk::mount(24) else {
        say("NOT RUN: T27 full disk: this user may not mount a tmpfs");
        return;
    };
    let mut site = Site::at(disk.data(), &[]);
    let mut guests = site.invite(6);
    site.start().await;
    restock(&site).await;
    let mut one = Buyer::arrive(&site, guests.remove(0)).await;
    let other = Buyer::arrive(&site, guests.remove(0)).await;
    let tasks = Tasks::new(Arc::new(SystemClock), Arc::new(OsEntropy));
    let stop = CancellationToken::new();
    let mut working = Vec::new();
    for guest in guests {
        let buyer = Buyer::arrive(&site, guest).await;
        working.push(tasks.spawn("buyer", buyer.shop_until(stop.clone())));
    }
    let (path, body) = one.checkout().await.expect("a cart");
    let kept = one.client.post(&path, &body).await.and_then(Reply::ok).expect("an order");
    let (path, body) = one.checkout().await.expect("a cart");

    disk.fill();
    // The log has room of its own for a while: what still fits is acknowledged, and kept.
    let refusal =
        until("a full disk", || async { Some(change(&other).await).filter(|r| !r.status.is_success()) })
            .await;
    assert_refused_for_room(&refusal);
    let key = one.client.new_key();
    assert_refused_for_room(&one.client.post_as(&key, &path, &body).await.expect("answered"));
    read_everything(&site, &one, &text(&kept, "/id")).await;

    let freed = Instant::now();
    disk.free();
    until("changes again", || async { change(&other).await.status.is_success().then_some(()) }).await;
    let again = freed.elapsed();
    // The same request under the same key is one order, now that there is room.
    let order = one.client.post_as(&key, &path, &body).await.and_then(Reply::ok).expect("an order");
    site.succeed(&["demo", "purchase"]);
    stop.cancel();
    let mut orders = 0;
    for buyer in working {
        orders += buyer.await.expect("a buyer to the end").look_back().await.len();
    }
    site.stop().await;
    site.start().await;
    for order in [&kept, &order] {
        let path = format!("/v1/orders/{}", text(order, "/id"));
        one.client.get(&path).await.and_then(Reply::ok).expect("an acknowledged order is there");
    }
    site.succeed(&["audit"]);
    site.stop().await;
    site.assert_no_panic();
    say(&format!(
        "T27 full disk: refused with {}, changes again {} ms after there was room, 0 of {} acknowledged orders lost",
        refusal.text("/code"),
        again.as_millis(),
        orders + 2
    ));
}

/// Changes something small.
async fn change(buyer: &Buyer) -> Reply {
    let line = json!({"quantity": 1 + random(50)});
    buyer.client.put("/v1/cart/lines/CHG-65", &line).await.expect("an answer, not a hang-up")
}

async fn read_everything(site: &Site, buyer: &Buyer, order: &str) {
    for path in
        ["/v1/products", "/v1/cart", "/v1/orders", &format!("/v1/orders/{order}"), "/readyz", "/metrics"]
    {
        let reply = buyer.client.get(path).await.expect("answered");
        assert!(reply.status.is_success(), "{path}: {reply:?}");
    }
    let audit = site.run(&["audit"]);
    assert!(audit.status.success(), "{}", text_of(&audit));
}
