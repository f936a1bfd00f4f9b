//! Every wrong word and every wrong file says what is wrong and what to do, and harms nothing.

use std::{
    collections::BTreeMap,
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    sync::Arc,
};

use merx_platform::time::SystemClock;
use merx_sql::{Db, DbOptions, params};
use tempfile::TempDir;

use crate::process::harness::{Site, free_port, merx, refused, text_of};

const NO_SAGA: &str = "sga_00000000000000000000000001";
const NO_MESSAGE: &str = "msg_00000000000000000000000001";

/// Every file below a folder, with what is in it.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(contents(&path));
        } else if path.is_file() {
            found.insert(path.clone(), fs::read(&path).expect("readable"));
        }
    }
    found
}

/// What was there is there, unchanged.
#[track_caller]
fn unharmed(before: &BTreeMap<PathBuf, Vec<u8>>, folder: &Path) {
    let after = contents(folder);
    for (path, bytes) in before {
        assert!(after.get(path) == Some(bytes), "{} was changed", path.display());
    }
}

#[test]
fn wrong_words_are_named_before_anything_is_touched() {
    let folder = TempDir::new().expect("a folder");
    let cases: &[(&[&str], &[&str])] = &[
        (&["upp"], &["unrecognized subcommand 'upp'", "up"]),
        (&["--no-such-flag"], &["unexpected argument '--no-such-flag'"]),
        (&["up", "--data"], &["--data <DIR>", "value is required"]),
        (&["up", "--listen", "0.0.0.0:8080"], &["0.0.0.0:8080", "--listen", "loopback", "merx serve"]),
        (&["up", "--sandbox-listen", "[::]:1"], &["--sandbox-listen", "loopback"]),
        (&["up", "--listen", "here"], &["--listen", "such as 127.0.0.1:8080"]),
        (&["up", "--payment-deadline-s", "60"], &["--payment-deadline-s", "61..=86400"]),
        (&["up", "--payment-deadline-s", "86401"], &["--payment-deadline-s", "61..=86400"]),
        (&["up", "--payment-deadline-s", "soon"], &["--payment-deadline-s", "soon"]),
        (&["up", "--requests-per-minute", "59"], &["--requests-per-minute", "60..=60000000"]),
        (&["up", "--requests-per-minute", "60000001"], &["--requests-per-minute", "60..=60000000"]),
        (&["events"], &["<CONTEXT>"]),
        (&["events", "cart"], &["cart", "ordering, payment, inventory"]),
        (&["events", "ordering", "--limit", "0"], &["--limit", "1..=100000"]),
        (&["events", "ordering", "--after", "-1"], &["--after"]),
        (&["saga", "retry", "sga_short"], &["sga_short", "begins `sga_`"]),
        (&["saga", "abandon", NO_MESSAGE], &["begins `sga_`"]),
        (&["dead-letters", "redrive", "a/b", NO_MESSAGE], &["a/b", "merx dead-letters list"]),
        (&["dead-letters", "redrive", "ordering.paid", "1"], &["begins `msg_`"]),
        (&["audit", "--data", "a", "--config", "b"], &["--data", "--config"]),
        (&["serve"], &["--config <FILE>"]),
    ];
    for (args, says) in cases {
        refused(&merx(folder.path(), args), 2, says);
    }
    assert_eq!(contents(folder.path()), BTreeMap::new());
}

#[test]
fn a_folder_without_a_shop_is_told_apart_from_one_with() {
    let folder = TempDir::new().expect("a folder");
    let cases: [&[&str]; 13] = [
        &["audit"],
        &["saga", "list"],
        &["saga", "retry", NO_SAGA],
        &["dead-letters", "list"],
        &["events", "ordering"],
        &["demo", "purchase"],
        &["audit", "--drained", "--json"],
        &["outbox"],
        &["timers"],
        &["rebuild", "all"],
        &["backup", "copy"],
        &["staff-audit", "verify"],
        &["dead-letters", "show", "a.b", NO_MESSAGE],
    ];
    for args in cases {
        refused(&merx(folder.path(), args), 1, &["./data holds no shop", "merx up --data ./data"]);
    }
    assert_eq!(contents(folder.path()), BTreeMap::new());
    refused(&merx(folder.path(), &["explain", "no.such_code"]), 1, &["no page about `no.such_code`"]);
    let page = merx(folder.path(), &["explain", "inventory.sold_out"]);
    assert!(page.status.success() && text_of(&page).starts_with("# inventory.sold_out\n"));
}

#[test]
fn a_data_folder_that_cannot_be_made_is_named() {
    let folder = TempDir::new().expect("a folder");
    fs::write(folder.path().join("file"), "mine").expect("written");
    let before = contents(folder.path());
    refused(&merx(folder.path(), &["up", "--data", "file/shop"]), 1, &["Cannot make file/shop"]);
    refused(&merx(folder.path(), &["up", "--data", "file"]), 1, &["Cannot", "file", "Name a folder"]);
    unharmed(&before, folder.path());
}

#[test]
fn a_port_in_use_is_told_with_the_flag_that_chooses_another() {
    let folder = TempDir::new().expect("a folder");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let (taken, free) =
        (taken.local_addr().expect("an address").to_string(), format!("127.0.0.1:{}", free_port()));
    let says = [taken.as_str(), "is in use", "choose another with --listen"];
    refused(&merx(folder.path(), &["up", "--listen", &taken, "--sandbox-listen", &free]), 1, &says);
    let says = [taken.as_str(), "is in use", "choose another with --sandbox-listen"];
    refused(&merx(folder.path(), &["up", "--listen", &free, "--sandbox-listen", &taken]), 1, &says);
    assert!(!folder.path().join("data/demo.json").exists() && !folder.path().join("data/merx.db").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_shop_in_a_folder_is_refused_and_the_first_goes_on() {
    let mut site = Site::new(&[]);
    site.start().await;
    let demo = site.demo();
    let holder = format!("(process {})", site.pid());
    let any = "127.0.0.1:0";
    let flags = ["--listen", any, "--sandbox-listen", any, "--mail-listen", any, "--grpc-listen", any];
    let second = site.run(&[&["up"], &flags[..]].concat());
    refused(&second, 1, &["in use by another Merx", &holder, "--data"]);
    assert_eq!(site.demo(), demo, "the other commands still find the first");
    site.succeed(&["demo", "purchase"]);
    site.stop().await;
    refused(&site.run(&["demo", "purchase"]), 1, &[&site.api(), "does not answer", "merx up"]);
}

/// `merx up` in a folder, on free ports, where it must fail.
fn up(folder: &Path) -> std::process::Output {
    let [api, sandbox, mail, grpc] = [(); 4].map(|()| format!("127.0.0.1:{}", free_port()));
    let places =
        ["--listen", &api, "--sandbox-listen", &sandbox, "--mail-listen", &mail, "--grpc-listen", &grpc];
    merx(folder, &[&["up", "--data", "."], &places[..]].concat())
}

#[test]
fn files_that_are_not_ours_are_left_alone() {
    let folder = TempDir::new().expect("a folder");
    let database = folder.path().join("merx.db");
    fs::write(&database, "A letter to my aunt, and it is rather long. ".repeat(40)).expect("written");
    let before = contents(folder.path());
    refused(&up(folder.path()), 1, &["merx.db is not a database of Merx", "not an SQLite file"]);
    unharmed(&before, folder.path());

    let folder = TempDir::new().expect("a folder");
    fs::write(folder.path().join("demo.json"), "{ \"accounts\": [").expect("written");
    let before = contents(folder.path());
    let broken: [&[&str]; 4] = [
        &["audit", "--data", "."],
        &["saga", "list", "--data", "."],
        &["events", "ordering", "--data", "."],
        &["demo", "purchase", "--data", "."],
    ];
    for args in broken {
        refused(&merx(folder.path(), args), 1, &["demo.json cannot be understood", "Restore it"]);
    }
    refused(&up(folder.path()), 1, &["demo.json cannot be understood", "Restore it"]);
    unharmed(&before, folder.path());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_another_program_or_of_a_newer_merx_is_left_alone() {
    let mut site = Site::new(&[]);
    site.start().await;
    site.succeed(&["demo", "purchase"]);
    site.stop().await;
    let events = site.succeed(&["events", "ordering"]);
    let database = Path::new(site.data()).join("merx.db");

    // The header's application id says whose file it is (offset 68 of <https://sqlite.org/fileformat2.html>).
    let ours = fs::read(&database).expect("readable");
    let mut foreign = ours.clone();
    foreign[68..72].copy_from_slice(b"ELSE");
    fs::write(&database, foreign).expect("written");
    let before = contents(Path::new(site.data()));
    refused(&up(Path::new(site.data())), 1, &["is not a database of Merx", "SQLite file of another program"]);
    refused(&site.run(&["audit"]), 1, &["is not a database of Merx"]);
    unharmed_but_for_locks(before, &site);
    fs::write(&database, ours).expect("written");

    const NEWER: &str = "INSERT INTO merx_migrations (context, number, name, checksum, steps_done, finished)
        VALUES ('payment', 999, 'from_the_future', '', 1, 1)";
    let kept = fs::read(&database).expect("readable");
    change(&database, NEWER).await;
    let before = contents(Path::new(site.data()));
    let says = ["made by a newer Merx", "`payment` has migration 999 (from_the_future)", "restore a backup"];
    refused(&up(Path::new(site.data())), 1, &says);
    refused(&site.run(&["saga", "retry", NO_SAGA]), 1, &says);
    for args in [
        &["audit"][..],
        &["events", "ordering"],
        &["saga", "list"],
        &["timers"],
        &["outbox"],
        &["backup", "copy"],
    ] {
        refused(&site.run(args), 1, &says);
    }
    unharmed_but_for_locks(before, &site);
    change(&database, "DELETE FROM merx_migrations WHERE context = 'payment' AND number = 100").await;
    change(&database, "DELETE FROM merx_migrations WHERE number = 999").await;
    let says = ["of an older Merx", "`payment` has yet to see migration 100", "merx migrate"];
    refused(&site.run(&["events", "ordering"]), 1, &says);
    fs::write(&database, &kept).expect("written");

    site.start().await;
    site.stop().await;
    assert_eq!(site.succeed(&["events", "ordering"]), events);
    site.succeed(&["audit"]);
}

/// The locks name the process that had them last; whether SQLite's empty log stays behind depends on who closed last.
fn unharmed_but_for_locks(mut before: BTreeMap<PathBuf, Vec<u8>>, site: &Site) {
    before.retain(|path, _| {
        let name = path.to_string_lossy();
        !["lock", "-wal", "-shm"].iter().any(|ending| name.ends_with(ending))
    });
    unharmed(&before, Path::new(site.data()));
}

/// One statement on a resting database, past every rule.
pub(super) async fn change(database: &Path, sql: &'static str) {
    let url = format!("sqlite:{}", database.display());
    let db = Db::open(&url, DbOptions::new(Arc::new(SystemClock)), &[]).expect("opened");
    let changed = db.write("test.change", move |tx| tx.execute(sql, params![])).await.expect("changed");
    assert_eq!(changed, 1);
    db.close().await;
}
