//! Copies of a file while it is written.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use merx_sql::{Query, back_up_file, check_file, params};

use crate::{
    Case, cases,
    fixture::{FILE, Mode, Place, note, note_ids, options},
};

pub fn cases() -> Vec<Case> {
    cases![FILE =>
        a_copy_while_somebody_writes_is_of_one_moment,
        a_copy_stands_alone_and_can_be_opened,
        what_is_there_is_not_written_over,
        a_damaged_file_is_told,
    ]
}

/// Every transaction writes two notes whose ids add up to nothing: half a transaction shows.
async fn a_copy_while_somebody_writes_is_of_one_moment(mode: Mode) {
    let bed = Place::new(mode).with_notes(options()).await;
    let from = bed.place.path();
    let stop = Arc::new(AtomicBool::new(false));
    let db = (*bed).clone();
    let (told, stopped) = (stop.clone(), stop.clone());
    let mut writing = tokio::task::JoinSet::new();
    writing.spawn(async move {
        let mut written = 0i64;
        while !told.load(Ordering::SeqCst) {
            written += 1;
            db.write("pair", move |tx| {
                note(tx, written)?;
                note(tx, -written)
            })
            .await
            .unwrap();
        }
        written
    });
    let copies = tokio::task::spawn_blocking(move || {
        let mut steps = 0;
        let copies: Vec<_> = (0..5)
            .map(|n| {
                let to = from.with_file_name(format!("copy{n}.db"));
                let mut last = 0;
                back_up_file(&from, &to, &mut |at| {
                    assert!(at.done <= at.pages && at.done >= last);
                    last = at.done;
                    steps += 1;
                })
                .unwrap();
                check_file(&to).unwrap();
                to
            })
            .collect();
        assert!(steps >= 5);
        stopped.store(true, Ordering::SeqCst);
        copies
    })
    .await
    .unwrap();
    let written = writing.join_next().await.unwrap().unwrap();
    let mut last = 0;
    for copy in copies {
        let url = format!("sqlite:{}", copy.display());
        let db = merx_sql::Db::open(&url, options(), &[]).unwrap();
        let ids = note_ids(&db).await;
        assert_eq!(ids.iter().sum::<i64>(), 0, "half a transaction is in it");
        let most = ids.last().copied().unwrap_or(0);
        assert_eq!(i64::try_from(ids.len()).unwrap(), most * 2, "a prefix of what was written");
        assert!(most >= last && most <= written);
        last = most;
    }
    let all = note_ids(&bed).await;
    assert_eq!(i64::try_from(all.len()).unwrap(), written * 2, "the writer did not mind");
    println!(
        "PROOF | T29 | copies of a file while it is written | size=5 | 5 copies during {written} transactions, each sound, a \
         prefix of what was written, no half transaction | seed=-"
    );
}

async fn a_copy_stands_alone_and_can_be_opened(mode: Mode) {
    let bed = Place::new(mode).with_notes(options()).await;
    bed.write("one", |tx| note(tx, 1)).await.unwrap();
    let (from, to) = (bed.place.path(), bed.place.path().with_file_name("copy.db"));
    back_up_file(&from, &to, &mut |_| {}).unwrap();
    for beside in ["copy.db-wal", "copy.db-shm", "copy.db-journal"] {
        assert!(!from.with_file_name(beside).exists(), "{beside}");
    }
    use std::os::unix::fs::PermissionsExt as _;
    assert_eq!(std::fs::metadata(&to).unwrap().permissions().mode() & 0o777, 0o600);
    bed.write("two", |tx| note(tx, 2)).await.unwrap();
    let mut read_only = options();
    read_only.read_only = true;
    let copy = merx_sql::Db::open(&format!("sqlite:{}", to.display()), read_only, &[]).unwrap();
    assert_eq!(note_ids(&copy).await, [1]);
    drop(copy);
    let copy = merx_sql::Db::open(&format!("sqlite:{}", to.display()), options(), &[]).unwrap();
    copy.write("three", |tx| note(tx, 3)).await.unwrap();
    let mode: String = copy
        .read("mode", |q| {
            q.query_one("SELECT journal_mode FROM pragma_journal_mode", params![], |r| r.get(0))
        })
        .await
        .unwrap();
    assert_eq!(
        (note_ids(&copy).await, mode.as_str()),
        (vec![1, 3], "wal"),
        "it is a database like any other"
    );
}

async fn what_is_there_is_not_written_over(mode: Mode) {
    let bed = Place::new(mode).with_notes(options()).await;
    let (from, to) = (bed.place.path(), bed.place.path().with_file_name("copy.db"));
    std::fs::write(&to, "mine").unwrap();
    let refused = back_up_file(&from, &to, &mut |_| {}).unwrap_err();
    assert!(refused.is("sql.cannot_open") && refused.message().contains("copy.db"), "{refused}");
    assert_eq!(std::fs::read_to_string(&to).unwrap(), "mine");
    let foreign = back_up_file(&to, &from.with_file_name("other.db"), &mut |_| {}).unwrap_err();
    assert!(foreign.is("sql.foreign_file"), "{foreign:?}");
    assert!(!from.with_file_name("other.db").exists());
    let nowhere = back_up_file(&from, &from.join("no/folder.db"), &mut |_| {}).unwrap_err();
    assert!(nowhere.is("sql.cannot_open"), "{nowhere:?}");
}

async fn a_damaged_file_is_told(mode: Mode) {
    let bed = Place::new(mode).with_notes(options()).await;
    bed.write("many", |tx| (1..500).try_for_each(|id| note(tx, id))).await.unwrap();
    let (from, to) = (bed.place.path(), bed.place.path().with_file_name("copy.db"));
    back_up_file(&from, &to, &mut |_| {}).unwrap();
    let mut bytes = std::fs::read(&to).unwrap();
    let pages = bytes.len() / 4096;
    for page in 3..pages {
        bytes[page * 4096..page * 4096 + 64].fill(0xaa);
    }
    std::fs::write(&to, bytes).unwrap();
    let damaged = check_file(&to).unwrap_err();
    assert!(damaged.is("sql.damaged") && damaged.message().contains("copy.db"), "{damaged:?}");
}
