//! Migrations: each applied once per database, remembered with a checksum of its text.
//!
//! SQLite applies a migration in one transaction. On MySQL every DDL statement commits by itself: the number of
//! statements done is remembered after each, and a statement that turns out to be done already (the process died
//! between the two) is passed over.

use std::borrow::Cow;

use merx_kernel::{Error, Result};

use crate::{
    db::Dialect,
    error,
    mysql::ARRIVAL,
    options::SequencedTable,
    params,
    tx::{Query, Tx},
};

/// One step in the life of a context's tables.
#[derive(Clone, Debug)]
pub struct Migration {
    /// Its number, unique in the context; applied in rising order. Shared tables have 1 to 99.
    pub number: u32,
    /// A word or two.
    pub name: &'static str,
    /// The statements for SQLite, separated by `;`.
    pub sqlite: Cow<'static, str>,
    /// The statements for MySQL and MariaDB.
    pub mysql: Cow<'static, str>,
}

impl Migration {
    /// One text for both engines. On MySQL, `CREATE TABLE` is given the engine and the collation Merx needs.
    pub fn same(number: u32, name: &'static str, sql: impl Into<Cow<'static, str>>) -> Self {
        let sql = sql.into();
        Self { number, name, mysql: sql.clone(), sqlite: sql }
    }

    /// A text for each engine.
    pub fn each(
        number: u32,
        name: &'static str,
        sqlite: impl Into<Cow<'static, str>>,
        mysql: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { number, name, sqlite: sqlite.into(), mysql: mysql.into() }
    }

    fn text(&self, dialect: Dialect) -> &str {
        match dialect {
            Dialect::Sqlite => &self.sqlite,
            Dialect::Mysql => &self.mysql,
        }
    }
}

const TABLE: &str = "CREATE TABLE IF NOT EXISTS merx_migrations (
    context VARCHAR(60) NOT NULL, number BIGINT NOT NULL, name VARCHAR(100) NOT NULL,
    checksum VARCHAR(16) NOT NULL, steps_done BIGINT NOT NULL, finished BIGINT NOT NULL,
    PRIMARY KEY (context, number))";

/// A migration that a database has yet to see, wholly or from some statement on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingMigration {
    /// Its number.
    pub number: u32,
    /// Its name.
    pub name: &'static str,
    /// The statements that are left, in order.
    pub statements: Vec<String>,
}

impl PendingMigration {
    /// All of `migrations`, for the database at `url` when there is none yet.
    ///
    /// # Errors
    /// `Internal` when two have one number.
    pub fn of_nothing(url: &str, context: &str, migrations: &[Migration]) -> Result<Vec<Self>> {
        let dialect = if url.starts_with("mysql:") { Dialect::Mysql } else { Dialect::Sqlite };
        Ok(in_order(context, migrations)?.into_iter().map(|one| Self::of(one, dialect, 0)).collect())
    }

    fn of(migration: &Migration, dialect: Dialect, done: usize) -> Self {
        let left = statements(migration.text(dialect)).into_iter().skip(done);
        Self { number: migration.number, name: migration.name, statements: left.map(str::to_owned).collect() }
    }
}

/// What [`apply`] would do; nothing is changed.
pub(crate) fn pending(
    q: &mut impl Query,
    dialect: Dialect,
    context: &str,
    migrations: &[Migration],
) -> Result<Vec<PendingMigration>> {
    let there = match dialect {
        Dialect::Sqlite => {
            "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = 'merx_migrations'"
        }
        Dialect::Mysql => {
            "SELECT COUNT(*) FROM information_schema.tables \
             WHERE table_schema = DATABASE() AND table_name = 'merx_migrations'"
        }
    };
    let tables: i64 = q.query_one(there, params![], |row| row.get(0))?;
    let applied = if tables == 0 { Vec::new() } else { applied(q, context)? };
    let wanted = in_order(context, migrations)?;
    refuse_newer(context, &wanted, &applied)?;
    let mut all = Vec::new();
    for migration in wanted {
        let before = applied.iter().find(|a| a.number == i64::from(migration.number));
        if let Some(before) = before {
            before.refuse_changed(context, migration.text(dialect))?;
        }
        match before {
            Some(before) if before.finished => {}
            before => all.push(PendingMigration::of(migration, dialect, before.map_or(0, |b| b.steps_done))),
        }
    }
    Ok(all)
}

/// Whether a statement of a migration has had its effect before: a table, a column or a row is there.
fn is_done(error: &Error) -> bool {
    error.is("sql.done_already") || error.is("sql.duplicate")
}

fn in_order<'a>(context: &str, migrations: &'a [Migration]) -> Result<Vec<&'a Migration>> {
    let mut wanted: Vec<&Migration> = migrations.iter().collect();
    wanted.sort_by_key(|m| m.number);
    if let Some(pair) = wanted.windows(2).find(|pair| pair[0].number == pair[1].number) {
        return Err(Error::internal(format!("`{context}` has two migrations {}", pair[0].number)));
    }
    Ok(wanted)
}

fn refuse_newer(context: &str, wanted: &[&Migration], applied: &[Applied]) -> Result<()> {
    match applied.iter().find(|a| !wanted.iter().any(|m| i64::from(m.number) == a.number)) {
        Some(unknown) => Err(error::newer_schema(context, unknown.number, &unknown.name)),
        None => Ok(()),
    }
}

struct Applied {
    number: i64,
    name: String,
    checksum: String,
    steps_done: usize,
    finished: bool,
}

impl Applied {
    fn refuse_changed(&self, context: &str, text: &str) -> Result<()> {
        if self.checksum == checksum(text) {
            return Ok(());
        }
        Err(error::migration_changed(context, self.number, &self.name))
    }
}

/// Applies what is missing. Safe to run again at any point. `migrations` are all of the context's: one that the
/// database has and the list has not means a newer program was here.
pub(crate) fn apply(
    tx: &mut Tx<'_>,
    dialect: Dialect,
    context: &str,
    migrations: &[Migration],
    sequenced: &[SequencedTable],
) -> Result<()> {
    if dialect == Dialect::Sqlite {
        return apply_all(tx, dialect, context, migrations);
    }
    // DDL commits by itself, so the lock is one of the session, not of the transaction.
    let name = "CONCAT('merx_migrate.', DATABASE())";
    let locked =
        tx.query_one(&format!("SELECT GET_LOCK({name}, 60)"), params![], |row| row.get::<Option<bool>>(0))?;
    if locked != Some(true) {
        return Err(error::contention("another process has been migrating this database for a minute"));
    }
    let outcome = apply_all(tx, dialect, context, migrations).and_then(|()| add_arrivals(tx, sequenced));
    let released = tx.query_one(&format!("SELECT RELEASE_LOCK({name})"), params![], |_| Ok(()));
    outcome.and(released)
}

fn apply_all(tx: &mut Tx<'_>, dialect: Dialect, context: &str, migrations: &[Migration]) -> Result<()> {
    let collation = match dialect {
        Dialect::Sqlite => None,
        Dialect::Mysql => {
            Some(tx.query_one("SELECT @@collation_connection", params![], |row| row.get::<String>(0))?)
        }
    };
    let collation = collation.as_deref();
    tx.execute(&for_engine(TABLE, collation), params![])?;
    let wanted = in_order(context, migrations)?;
    let applied = applied(tx, context)?;
    refuse_newer(context, &wanted, &applied)?;
    for migration in wanted {
        let before = applied.iter().find(|a| a.number == i64::from(migration.number));
        one(tx, collation, context, migration, migration.text(dialect), before)?;
    }
    Ok(())
}

fn one(
    tx: &mut Tx<'_>,
    collation: Option<&str>,
    context: &str,
    migration: &Migration,
    text: &str,
    before: Option<&Applied>,
) -> Result<()> {
    let number = i64::from(migration.number);
    if let Some(before) = before {
        before.refuse_changed(context, text)?;
        if before.finished {
            return Ok(());
        }
    } else {
        tx.execute(
            "INSERT INTO merx_migrations (context, number, name, checksum, steps_done, finished) \
             VALUES (?, ?, ?, ?, 0, 0)",
            params![context, number, migration.name, checksum(text)],
        )?;
    }
    for (index, statement) in
        statements(text).into_iter().enumerate().skip(before.map_or(0, |b| b.steps_done))
    {
        match tx.execute(&for_engine(statement, collation), params![]) {
            // An earlier run died after this statement and before its count.
            Err(e) if is_done(&e) && before.is_some_and(|b| b.steps_done == index) => {}
            other => drop(other?),
        }
        if collation.is_some() {
            let done = i64::try_from(index + 1).unwrap_or(i64::MAX);
            tx.execute(
                "UPDATE merx_migrations SET steps_done = ? WHERE context = ? AND number = ?",
                params![done, context, number],
            )?;
        }
    }
    tx.execute(
        "UPDATE merx_migrations SET finished = 1 WHERE context = ? AND number = ?",
        params![context, number],
    )?;
    tracing::info!(context, number, name = migration.name, "migration applied");
    Ok(())
}

/// On MySQL every table is InnoDB with the collation of the connection: binary, without padding.
fn for_engine<'a>(statement: &'a str, collation: Option<&str>) -> Cow<'a, str> {
    match collation {
        Some(collation) if statement.starts_with("CREATE TABLE") => {
            format!("{statement} ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE={collation}").into()
        }
        _ => statement.into(),
    }
}

/// Gives every sequenced table of ours the invisible column by which the sequencer finds the order of arrival.
fn add_arrivals(tx: &mut Tx<'_>, sequenced: &[SequencedTable]) -> Result<()> {
    for one in sequenced {
        let columns = tx.query(
            "SELECT column_name FROM information_schema.columns \
             WHERE table_schema = DATABASE() AND table_name = ? AND column_name IN ('position', ?)",
            params![one.table.as_ref(), ARRIVAL],
            |row| row.get::<String>(0),
        )?;
        // A table that another context has yet to make has neither.
        if columns == ["position"] {
            let sql = format!(
                "ALTER TABLE {} ADD COLUMN {ARRIVAL} BIGINT NOT NULL INVISIBLE AUTO_INCREMENT UNIQUE",
                one.table
            );
            tx.execute(&sql, params![])?;
        }
    }
    Ok(())
}

fn applied(q: &mut impl Query, context: &str) -> Result<Vec<Applied>> {
    q.query(
        "SELECT number, name, checksum, steps_done, finished FROM merx_migrations WHERE context = ? ORDER BY number",
        params![context],
        |row| {
            Ok(Applied {
                number: row.get(0)?,
                name: row.get(1)?,
                checksum: row.get(2)?,
                steps_done: usize::try_from(row.get::<i64>(3)?).unwrap_or(0),
                finished: row.get(4)?,
            })
        },
    )
}

/// The statements of a text: split at `;` outside of quotes.
fn statements(text: &str) -> Vec<&str> {
    let mut out = Vec::new();
    let mut quote = None;
    let mut start = 0;
    for (index, byte) in text.bytes().enumerate() {
        match (quote, byte) {
            (None, b'\'' | b'"' | b'`') => quote = Some(byte),
            (Some(open), _) if open == byte => quote = None,
            (None, b';') => {
                out.push(text[start..index].trim());
                start = index + 1;
            }
            _ => {}
        }
    }
    out.push(text[start..].trim());
    out.retain(|statement| !statement.is_empty());
    out
}

/// FNV-1a, 64 bits: notices an edit; it guards against mistakes, not against an attacker.
fn checksum(text: &str) -> String {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in text.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    format!("{hash:016x}")
}
