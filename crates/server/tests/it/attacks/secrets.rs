//! T39: secrets and personal data through the whole binary at its most talkative, and a search for them everywhere they
//! must not be.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use merx_platform::time::SystemClock;
use merx_server::{files, shop};
use merx_sql::{Db, DbOptions, Query as _, params};

use super::rounds::{Canary, Planted, Round};
use crate::process::{buyers::restock, harness::Site};

/// The tables whose rows are erased with a person.
const ERASABLE: &[&str] = &["accounts_accounts", "accounts_addresses", "ordering_notes"];
/// What a hash of a password costs at least (OWASP): KiB, passes, lanes.
const FLOOR: [u64; 3] = [19_456, 2, 1];

/// Lines of the log: `MERX_T39`.
fn size() -> usize {
    std::env::var("MERX_T39").map_or(5_000, |text| text.parse().expect("MERX_T39 is a number"))
}

/// The bytes a canary is looked for by first.
const HEAD: usize = 8;

/// Where a canary is in a text: the kind, and what stands around it. One pass, however many there are.
fn find(canaries: &[Canary], text: &[u8], personal_too: bool) -> Vec<String> {
    let mut by_head = HashMap::<&[u8], Vec<&Canary>>::new();
    for canary in canaries.iter().filter(|canary| personal_too || !canary.personal) {
        by_head.entry(&canary.text.as_bytes()[..HEAD]).or_default().push(canary);
    }
    let mut found = Vec::new();
    for (at, head) in text.windows(HEAD).enumerate() {
        let here = by_head.get(head).into_iter().flatten();
        for canary in here.filter(|canary| text[at..].starts_with(canary.text.as_bytes())) {
            let (start, end) = (at.saturating_sub(160), (at + canary.text.len() + 40).min(text.len()));
            found.push(format!("{}: …{}…", canary.kind, String::from_utf8_lossy(&text[start..end])));
        }
    }
    found
}

/// Every text and blob of the database by table and column.
async fn columns(file: &Path) -> BTreeMap<(String, String), Vec<u8>> {
    let url = format!("sqlite:{}", file.display());
    let db = Db::open(&url, DbOptions::new(Arc::new(SystemClock)), &shop::sequenced()).expect("the database");
    let read = |q: &mut merx_sql::Reader<'_>| {
        let names = "SELECT m.name, p.name FROM sqlite_master m JOIN pragma_table_info(m.name) p WHERE m.type = 'table'";
        let names: Vec<(String, String)> = q.query(names, params![], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let mut all = BTreeMap::new();
        for (table, column) in names {
            let sql = format!("SELECT CAST({column} AS BLOB) FROM {table} WHERE {column} IS NOT NULL");
            let values: Vec<Vec<u8>> = q.query(&sql, params![], |row| row.get(0))?;
            all.insert((table, column), values.join(&b'\n'));
        }
        Ok(all)
    };
    let all = db.read("test.columns", read).await.expect("read");
    db.close().await;
    all
}

/// `$argon2id$v=19$m=19456,t=2,p=1$…` with at least the floor.
fn meets_the_floor(hash: &str) -> bool {
    let Some(costs) = hash.strip_prefix("$argon2id$v=19$").and_then(|rest| rest.split('$').next()) else {
        return false;
    };
    let costs: Vec<u64> = costs.split(',').filter_map(|cost| cost.get(2..)?.parse().ok()).collect();
    costs.len() == 3 && costs.iter().zip(FLOOR).all(|(cost, floor)| *cost >= floor)
}

/// Every file below a folder.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.unwrap().path();
        if path.is_dir() { all.extend(files_below(&path)) } else { all.push(path) }
    }
    all
}

/// The secrets that the demo was made with.
fn plant_the_demo(site: &Site, planted: &Planted) {
    let demo = site.demo();
    for account in &demo.accounts {
        planted.secret("demo password", &account.password);
    }
    planted.secret("token of the internal port", &demo.grpc_token);
    for key in [&demo.merchant_key, &demo.sandbox_key] {
        // A line in the middle: what a log that shows a key would show of it.
        planted.secret("private key", key.lines().nth(5).expect("a line of PEM"));
    }
    for name in fs::read_dir(site.data()).expect("a folder").map(|entry| entry.unwrap().path()) {
        if name.extension().is_some_and(|extension| extension == "key")
            && let Ok(text) = fs::read_to_string(&name)
        {
            planted.secret("key file", text.trim());
        }
    }
}

#[test]
fn the_search_finds_what_is_planted() {
    let planted = Planted::default();
    planted.secret("password", "c4nary-on-purpose");
    planted.personal("name", "c4nary-somebody");
    let log = b"INFO answered status=401 password=\"c4nary-on-purpose\" name=c4nary-somebody";
    let canaries = planted.canaries();
    assert_eq!(find(&canaries, log, true).len(), 2);
    assert_eq!(find(&canaries, log, false).len(), 1);
    assert!(find(&canaries, b"INFO answered status=401", true).is_empty());
    assert!(meets_the_floor("$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA"));
    for weak in
        ["$argon2id$v=19$m=19455,t=2,p=1$a$b", "$argon2i$v=19$m=19456,t=2,p=1$a$b", "$2b$12$abc", "plain"]
    {
        assert!(!meets_the_floor(weak), "{weak}");
    }
}

fn in_places(canaries: &[Canary], places: &[(String, Vec<u8>)]) -> Vec<String> {
    let here = |(place, text): &(String, Vec<u8>)| {
        find(canaries, text, true).into_iter().map(|what| format!("{place}: {what}")).collect::<Vec<_>>()
    };
    places.iter().flat_map(here).collect()
}

fn in_columns(canaries: &[Canary], columns: &BTreeMap<(String, String), Vec<u8>>) -> Vec<String> {
    let here = |((table, column), text): (&(String, String), &Vec<u8>)| {
        let personal_too = !ERASABLE.contains(&table.as_str());
        let found = find(canaries, text, personal_too).into_iter();
        found.map(|what| format!("{table}.{column}: {what}")).collect::<Vec<_>>()
    };
    columns.iter().flat_map(here).collect()
}

/// Secrets in the files of a back-up. Keys are what it is for; nothing else in it has any.
fn in_files(canaries: &[Canary], kept: &[PathBuf]) -> Vec<String> {
    let mut found = Vec::new();
    for file in kept {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name != files::DEMO && !name.ends_with(".key") {
            let here = find(canaries, &fs::read(file).expect("a file"), false).into_iter();
            found.extend(here.map(|what| format!("back-up, {name}: {what}")));
        }
    }
    found
}

/// Every stored hash costs at least the floor, and there are more than `at_least`.
fn floor_of_hashes(columns: &BTreeMap<(String, String), Vec<u8>>, at_least: usize) {
    let hashes = &columns[&("accounts_accounts".to_owned(), "password_hash".to_owned())];
    let hashes = String::from_utf8_lossy(hashes).into_owned();
    let hashes: Vec<&str> = hashes.lines().filter(|hash| !hash.is_empty()).collect();
    let weak: Vec<&&str> = hashes.iter().filter(|hash| !meets_the_floor(hash)).collect();
    assert!(weak.is_empty() && hashes.len() > at_least, "{weak:?}");
    println!(
        "PROOF | T39 | hashes of passwords | size={} | {} of {} are Argon2id with at least m={}, t={}, p={} | seed=-",
        hashes.len(),
        hashes.len(),
        hashes.len(),
        FLOOR[0],
        FLOOR[1],
        FLOOR[2],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_gets_out_and_personal_data_stands_only_where_it_can_be_erased() {
    let mut site = Site::new(&[]);
    site.set_env("RUST_LOG", "trace");
    let planted = Planted::default();
    // A round is some hundred lines and everything once; the rest are short requests, refused and served.
    let rounds = size() / 5_000 + 3;
    let buyers = site.invite(rounds);
    site.start().await;
    restock(&site).await;
    plant_the_demo(&site, &planted);
    for (number, buyer) in buyers.iter().enumerate() {
        Round { site: &site, planted: &planted, number }.run(buyer).await;
    }
    let (mut lines, mut more) = (0, 0);
    while lines < size() {
        assert!(more < size(), "{lines} lines after {more} conversations");
        for _ in 0..10 {
            Round { site: &site, planted: &planted, number: rounds + more }.chatter().await;
            more += 1;
        }
        lines = site.stderr().lines().count();
    }
    let canaries = planted.canaries();
    let refusals = planted.refusals();
    let folder = tempfile::TempDir::new().expect("a folder");
    let backup = folder.path().join("backup");
    site.succeed(&["backup", backup.to_str().expect("a plain path")]);
    let mut places: Vec<(String, Vec<u8>)> = vec![
        ("refusals".to_owned(), refusals.join("\n").into_bytes()),
        ("metrics".to_owned(), site.metrics().await.into_bytes()),
        ("events".to_owned(), site.succeed(&["events", "all", "--json", "--limit", "100000"]).into_bytes()),
        ("outbox".to_owned(), site.succeed(&["outbox"]).into_bytes()),
        ("dead letters".to_owned(), site.succeed(&["dead-letters", "list"]).into_bytes()),
        ("sagas".to_owned(), site.succeed(&["saga", "list"]).into_bytes()),
        ("staff audit".to_owned(), site.succeed(&["staff-audit", "list"]).into_bytes()),
    ];
    site.stop().await;
    places.push(("log".to_owned(), site.stderr().into_bytes()));
    let columns = columns(&PathBuf::from(site.data()).join(merx_server::config::DATABASE)).await;
    assert!(
        ERASABLE.iter().all(|known| columns.keys().any(|(table, _)| table == known)),
        "a table that is not there"
    );
    let kept = files_below(&backup);
    let found =
        [in_places(&canaries, &places), in_columns(&canaries, &columns), in_files(&canaries, &kept)].concat();
    assert!(found.is_empty(), "{} places:\n{}", found.len(), found[..found.len().min(40)].join("\n"));
    floor_of_hashes(&columns, rounds);
    site.assert_no_panic();
    let secrets = canaries.iter().filter(|canary| !canary.personal).count();
    println!(
        "PROOF | T39 | canaries through the whole binary at level trace | size={lines} | {secrets} secrets and {} pieces of \
         personal data in {rounds} rounds and {more} conversations; 0 found in {lines} log lines, {} refusals, metrics, events, outbox, dead letters, \
         sagas, {} columns of the database, {} files of a back-up; personal data in {} only | seed=-",
        canaries.len() - secrets,
        refusals.len(),
        columns.len(),
        kept.len(),
        ERASABLE.join(", "),
    );
}
