//! Tables over time.

use merx_kernel::ErrorKind;
use merx_sql::{Db, Migration, Query, params};

use crate::{
    Case, cases,
    fixture::{ALL, Mode, Place, SERVER, SQLITE, note, note_ids, notes, options},
};

pub fn cases() -> Vec<Case> {
    let mut all = cases![ALL =>
        applied_once_and_in_order,
        a_changed_text_is_refused,
        a_newer_database_is_refused,
        contexts_do_not_meet,
        numbers_are_unique,
        what_is_pending_is_told_and_not_done,
    ];
    all.extend(cases![SQLITE => a_broken_migration_leaves_nothing]);
    all.extend(cases![SERVER => a_half_done_migration_is_resumed, many_processes_migrate_at_once]);
    all
}

fn second() -> Migration {
    Migration::each(
        2,
        "authors",
        "ALTER TABLE notes ADD COLUMN author VARCHAR(60); CREATE INDEX notes_author ON notes (author); \
         CREATE TABLE semi (text VARCHAR(9) DEFAULT ';');",
        "ALTER TABLE notes ADD COLUMN author VARCHAR(60);\n CREATE INDEX notes_author ON notes (author);\n \
         CREATE TABLE semi (text VARCHAR(9) DEFAULT ';')",
    )
}

async fn applied_once_and_in_order(mode: Mode) {
    let db = Place::new(mode).with_notes(options()).await;
    db.write("one", |tx| note(tx, 1)).await.unwrap();
    db.migrate("notes", &[second(), notes()]).await.unwrap();
    let before = db.stats();
    db.migrate("notes", &[notes(), second()]).await.unwrap();
    assert!(db.stats().since(&before).total().rows_written == 0, "nothing is left to do");
    db.write("two", |tx| tx.execute("INSERT INTO notes (id, text, author) VALUES (2, 'x', 'me')", params![]))
        .await
        .unwrap();
    let semi = |q: &mut merx_sql::Reader<'_>| {
        q.query("SELECT text FROM semi", params![], |row| row.get::<String>(0))
    };
    db.write("semi", |tx| tx.execute("INSERT INTO semi (text) VALUES (DEFAULT)", params![]))
        .await
        .unwrap_or(0);
    assert!(db.read("semi", semi).await.is_ok());
    assert_eq!(note_ids(&db).await, [1, 2]);
}

async fn a_changed_text_is_refused(mode: Mode) {
    let db = Place::new(mode).with_notes(options()).await;
    let changed = Migration::same(1, "notes", "CREATE TABLE notes (id BIGINT PRIMARY KEY, text VARCHAR(9))");
    let error = db.migrate("notes", &[changed]).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Rejected, "sql.migration_changed"));
    assert!(error.message().contains("Migration 1 (notes) of `notes`"), "{error}");
}

async fn a_newer_database_is_refused(mode: Mode) {
    let db = Place::new(mode).with_notes(options()).await;
    db.migrate("notes", &[notes(), second()]).await.unwrap();
    let error = db.migrate("notes", &[notes()]).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Rejected, "sql.newer_schema"));
    assert!(error.message().contains("migration 2 (authors)"), "{error}");
}

async fn contexts_do_not_meet(mode: Mode) {
    let db = Place::new(mode).with_notes(options()).await;
    let other = Migration::same(1, "other", "CREATE TABLE other (id BIGINT PRIMARY KEY)");
    db.migrate("other", std::slice::from_ref(&other)).await.unwrap();
    db.migrate("notes", &[notes()]).await.unwrap();
    db.migrate("other", &[other]).await.unwrap();
}

async fn numbers_are_unique(mode: Mode) {
    let db = Place::new(mode).with_notes(options()).await;
    let error = db.migrate("notes", &[notes(), notes()]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal);
}

async fn a_broken_migration_leaves_nothing(mode: Mode) {
    let db = Place::new(mode).with_notes(options()).await;
    let broken = "CREATE TABLE first (id BIGINT); CREATE TABEL second (id BIGINT)";
    db.migrate("broken", &[Migration::same(1, "broken", broken)]).await.unwrap_err();
    let mended = "CREATE TABLE first (id BIGINT); CREATE TABLE second (id BIGINT)";
    db.migrate("broken", &[Migration::same(1, "broken", mended)]).await.unwrap();
}

/// The process died after a DDL statement had committed and before that was written down.
async fn a_half_done_migration_is_resumed(mode: Mode) {
    let db = Place::new(mode).with_notes(options()).await;
    db.write("half", |tx| {
        tx.execute("ALTER TABLE notes ADD COLUMN author VARCHAR(60)", params![])?;
        tx.execute(
            "INSERT INTO merx_migrations (context, number, name, checksum, steps_done, finished) \
             VALUES ('notes', 2, 'authors', ?, 0, 0)",
            params!["0000000000000000"],
        )
    })
    .await
    .unwrap();
    let refused = db.migrate("notes", &[notes(), second()]).await.unwrap_err();
    assert!(refused.is("sql.migration_changed"), "{refused:?}");
    let probe = Place::new(mode).with_notes(options()).await;
    probe.migrate("notes", &[notes(), second()]).await.unwrap();
    let sql = "SELECT checksum FROM merx_migrations WHERE number = 2";
    let sum: String =
        probe.read("sum", move |q| q.query_one(sql, params![], |row| row.get(0))).await.unwrap();
    db.write("sum", move |tx| {
        tx.execute("UPDATE merx_migrations SET checksum = ? WHERE number = 2", params![sum.clone()])
    })
    .await
    .unwrap();
    db.migrate("notes", &[notes(), second()]).await.unwrap();
    db.write("index", |tx| tx.execute("DROP INDEX notes_author ON notes", params![])).await.unwrap();
}

async fn many_processes_migrate_at_once(mode: Mode) {
    let place = Place::new(mode);
    let first = place.open(options(), &[]).unwrap();
    let mut all: Vec<Db> = (0..4).map(|_| place.open(options(), &[]).unwrap()).collect();
    all.push(first);
    let mut migrating = tokio::task::JoinSet::new();
    for db in all {
        migrating.spawn(async move { db.migrate("notes", &[notes(), second()]).await });
    }
    for outcome in migrating.join_all().await {
        outcome.unwrap();
    }
}

async fn what_is_pending_is_told_and_not_done(mode: Mode) {
    let place = Place::new(mode);
    let db = place.open(options(), &[]).unwrap();
    let names = async |migrations: &[Migration]| {
        let pending = db.pending_migrations("notes", migrations).await.unwrap();
        pending.into_iter().map(|one| (one.number, one.name, one.statements.len())).collect::<Vec<_>>()
    };
    let both = [second(), notes()];
    assert_eq!(names(&both).await, [(1, "notes", 1), (2, "authors", 3)], "of a database without any table");
    let url = place.url();
    let of_nothing = merx_sql::PendingMigration::of_nothing(&url, "notes", &both).unwrap();
    assert_eq!(of_nothing, db.pending_migrations("notes", &both).await.unwrap());
    assert!(of_nothing[0].statements[0].starts_with("CREATE TABLE notes"));
    assert!(db.read("notes", |q| q.query("SELECT id FROM notes", vec![], |_| Ok(()))).await.is_err());
    db.migrate("notes", &[notes()]).await.unwrap();
    assert_eq!(names(&both).await, [(2, "authors", 3)]);
    db.migrate("notes", &both).await.unwrap();
    assert_eq!(names(&both).await, []);
    let newer = db.pending_migrations("notes", &[notes()]).await.unwrap_err();
    assert_eq!(newer.code(), "sql.newer_schema");
    let changed = Migration::same(1, "notes", "CREATE TABLE notes (id BIGINT PRIMARY KEY, text VARCHAR(9))");
    let changed = db.pending_migrations("notes", &[changed, second()]).await.unwrap_err();
    assert_eq!(changed.code(), "sql.migration_changed");
}
