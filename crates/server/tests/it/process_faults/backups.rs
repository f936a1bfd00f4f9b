//! T29: a back-up made while the shop is written, restored, passes the audit. And what is no sound back-up is refused.

use std::{
    fs,
    path::{Path, PathBuf},
};

use merx_server::client::{Reply, text};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::process::{
    buyers::{Buyer, restock},
    harness::{Site, merx, refused, say, text_of, until},
};

fn restore(backup: &Path, into: &Path) -> std::process::Output {
    merx(Path::new("/"), &["restore", &shown(backup), "--data", &shown(into)])
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_while_orders_are_placed_is_restored_and_passes_the_audit() {
    const BACKUPS: usize = 4;
    let folder = TempDir::new().expect("a folder");
    let mut site = Site::new(&[]);
    let guests = site.invite(3);
    site.start().await;
    restock(&site).await;
    fs::create_dir(Path::new(site.data()).join("pictures")).expect("a folder");
    fs::write(Path::new(site.data()).join("pictures/one.webp"), "a picture").expect("written");
    let stop = CancellationToken::new();
    let mut buyers = tokio::task::JoinSet::new();
    for guest in guests {
        buyers.spawn(Buyer::arrive(&site, guest).await.shop_until(stop.clone()));
    }
    let mut backups: Vec<PathBuf> = Vec::new();
    for n in 0..BACKUPS {
        let target =
            folder.path().join(if n % 2 == 0 { format!("backup{n}") } else { format!("backup{n}.tar") });
        let told = site.succeed(&["backup", &shown(&target), "--json"]);
        let told: Value = serde_json::from_str(&told).expect("JSON");
        let files: Vec<String> =
            told["files"].as_array().expect("a list").iter().map(|f| text(f, "/path")).collect();
        for wanted in ["merx.db", "alipay-sandbox.db", "signing.key", "demo.json", "pictures/one.webp"] {
            assert!(files.iter().any(|file| file == wanted), "{wanted} is not in {files:?}");
        }
        assert!(
            !files.iter().any(|f| f.ends_with(".lock") || f.ends_with("-wal") || f.ends_with(".sock")),
            "{files:?}"
        );
        backups.push(target);
    }
    stop.cancel();
    let mut orders = 0;
    for buyer in buyers.join_all().await {
        orders += buyer.reckon().await.len();
    }
    site.succeed(&["audit"]);
    site.stop().await;
    let whole = site.succeed(&["events", "all", "--limit", "100000"]);

    let mut last = 0;
    for (n, backup) in backups.iter().enumerate() {
        let data = folder.path().join(format!("restored{n}"));
        let restored = restore(backup, &data);
        assert!(restored.status.success(), "{}", text_of(&restored));
        let report = merx(Path::new("/"), &["audit", "--data", &shown(&data)]);
        assert!(report.status.success(), "{}", text_of(&report));
        let events = merx(Path::new("/"), &["events", "all", "--limit", "100000", "--data", &shown(&data)]);
        let events = text_of(&events);
        assert!(whole.starts_with(&events) && events.len() >= last, "a moment of the shop that was");
        last = events.len();
        assert_eq!(fs::read_to_string(data.join("pictures/one.webp")).expect("there"), "a picture");
    }
    say(&format!("T29: {BACKUPS} back-ups while {orders} orders were placed, each restored: audit clean"));
    // The restored shop goes on where that one stood.
    let mut again = Site::at(folder.path().join("restored3"), &[]);
    again.start().await;
    again.succeed(&["demo", "purchase"]);
    again.stop().await;
    again.assert_no_panic();
}

/// Back-ups made from the good one that are not what was written, each with what is said of it.
fn unsound(folder: &Path) -> Vec<(PathBuf, &'static str)> {
    let at = |name: &str| folder.join(name);
    let copy = |name: &str| {
        let done =
            std::process::Command::new("cp").args(["-r", &shown(&at("good")), &shown(&at(name))]).status();
        assert!(done.expect("cp runs").success());
        at(name)
    };
    let mut bad = Vec::new();
    let spoilt = copy("spoilt");
    let mut bytes = fs::read(spoilt.join("merx.db")).expect("readable");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(spoilt.join("merx.db"), bytes).expect("written");
    bad.push((spoilt, "`merx.db` is not what was written into it"));
    let missing = copy("missing");
    fs::remove_file(missing.join("signing.key")).expect("removed");
    bad.push((missing, "`signing.key` is missing"));
    let more = copy("more");
    fs::write(more.join("letter"), "to my aunt").expect("written");
    bad.push((more, "does not know `letter`"));
    let evil = copy("evil");
    let manifest = fs::read_to_string(evil.join("manifest.json")).expect("readable");
    fs::write(evil.join("manifest.json"), manifest.replacen("signing.key", "../signing.key", 1))
        .expect("written");
    bad.push((evil, "it names the path `../signing.key`"));
    let newer = copy("newer");
    fs::write(newer.join("manifest.json"), manifest.replacen("\"format\": 1", "\"format\": 2", 1))
        .expect("written");
    bad.push((newer, "the format 2"));
    let cut = at("cut.tar");
    let tar = fs::read(at("good.tar")).expect("readable");
    fs::write(&cut, &tar[..tar.len() / 2]).expect("written");
    bad.push((cut, "is no sound back-up"));
    fs::write(at("letter.tar"), "to my aunt").expect("written");
    bad.push((at("letter.tar"), "is no sound back-up"));
    fs::create_dir(at("empty")).expect("a folder");
    bad.push((at("empty"), "it has no manifest.json"));
    bad
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_sound_backup_is_refused_and_harms_nothing() {
    let folder = TempDir::new().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let mut site = Site::new(&[]);
    site.start().await;
    site.visitor().get("/v1/products").await.and_then(Reply::ok).expect("products");
    site.stop().await;
    // At rest too.
    let told = site.succeed(&["backup", &shown(&at("good"))]);
    assert!(told.contains("merx.db") && told.contains("read again and sound"), "{told}");
    site.succeed(&["backup", &shown(&at("good.tar"))]);

    refused(&site.run(&["backup", &shown(&at("good"))]), 1, &["is there already"]);
    refused(&site.run(&["backup", &shown(&at("no/such/place"))]), 1, &["has no folder"]);
    let inside = shown(&Path::new(site.data()).join("backup"));
    refused(&site.run(&["backup", &inside]), 1, &["lies in the data folder"]);
    let strange = restore(&at("good"), Path::new(site.data()));
    refused(&strange, 1, &["is not empty", "nothing is written over"]);

    for (backup, says) in unsound(folder.path()) {
        let target = at("target");
        refused(&restore(&backup, &target), 1, &["is no sound back-up", says]);
        assert!(!target.exists(), "nothing is left of it");
    }
    refused(&restore(&at("nowhere"), &at("target")), 1, &["Cannot read", "nowhere"]);
    let left: Vec<_> =
        fs::read_dir(folder.path()).expect("a folder").map(|e| e.expect("an entry").file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().contains("partial")), "{left:?}");
    for good in ["good", "good.tar"] {
        let target = at(&format!("from-{good}"));
        fs::create_dir(&target).expect("an empty folder will do");
        let restored = restore(&at(good), &target);
        assert!(restored.status.success(), "{}", text_of(&restored));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_erased_after_the_backup_stays_erased() {
    let folder = TempDir::new().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let mut site = Site::new(&[]);
    let guests = site.invite(2);
    site.start().await;
    let log_in =
        async |site: &Site, n: usize| site.visitor().log_in(&guests[n].email, &guests[n].password).await;
    let gone = log_in(&site, 0).await.expect("logged in");
    site.succeed(&["backup", &shown(&at("before"))]);
    gone.post("/v1/account/erasure", &json!({"password": guests[0].password}))
        .await
        .and_then(Reply::ok)
        .expect("erased");
    let list = Path::new(site.data()).join("erasures.log");
    until("the list of erased people", || async {
        fs::read_to_string(&list).ok().filter(|text| !text.is_empty())
    })
    .await;
    site.stop().await;

    let restored = |name: &str, more: &[&str]| {
        let data = at(name);
        let (backup, into) = (shown(&at("before")), shown(&data));
        let args = [&["restore", &backup, "--data", &into], more].concat();
        let output = merx(Path::new("/"), &args);
        (output, data)
    };
    let (refusal, data) = restored("mistaken", &["--erasures", "/no/such/file"]);
    refused(&refusal, 1, &["/no/such/file is no file"]);
    assert!(!data.exists());
    let (output, data) = restored("told", &["--erasures", &shown(&list)]);
    assert!(text_of(&output).contains("; 1 people erased again"), "{}", text_of(&output));
    let mut told = Site::at(data, &[]);
    told.start().await;
    assert!(log_in(&told, 0).await.is_err(), "who was erased does not come back");
    assert!(log_in(&told, 1).await.is_ok());
    told.succeed(&["audit"]);
    told.stop().await;
    // Untold, nobody can know; the list that came with the back-up is empty.
    let (output, _) = restored("untold", &[]);
    assert!(text_of(&output).contains("; 0 people erased again"), "{}", text_of(&output));
}
