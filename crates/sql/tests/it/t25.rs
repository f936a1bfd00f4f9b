//! T25: two transactions on two connections of the server, at the isolation that is set for writes (READ COMMITTED): races of
//! lost update, and of write skew across two rows.
//!
//! `MERX_T25=10000` is how many races of each run; without it fewer do.

use std::sync::{
    Arc, Barrier,
    atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
};

use merx_kernel::{Guard, Result};
use merx_sql::{Db, Migration, Query, Tx, params};
use tokio::{task::JoinSet, time::Instant};

use crate::{
    Case, cases,
    fixture::{Mode, Place, SERVER, options},
};

pub fn cases() -> Vec<Case> {
    cases![SERVER => lost_updates, write_skew_across_two_rows]
}

/// Races under way at once: two connections each, of eight that write.
const LANES: i64 = 4;

fn races() -> i64 {
    std::env::var("MERX_T25").map_or(200, |text| text.parse().expect("MERX_T25 is a number"))
}

/// What two transactions of a race share: each waits for the other once, in its first attempt.
#[derive(Clone)]
struct Meeting(Arc<Barrier>);

impl Meeting {
    fn new() -> Self {
        Self(Arc::new(Barrier::new(2)))
    }

    /// For one of the two.
    fn seat(&self) -> impl Fn() + Send + use<> {
        let (barrier, met) = (Arc::clone(&self.0), AtomicBool::new(false));
        move || {
            if !met.swap(true, SeqCst) {
                barrier.wait();
            }
        }
    }
}

/// A database with `rows` in a table made by `sql`, each row made by `row` of its number.
async fn tables(
    db: &Db,
    sql: &'static str,
    head: &'static str,
    columns: usize,
    rows: Vec<Vec<merx_sql::Value>>,
) {
    db.migrate("t25", &[Migration::same(1, "t25", sql)]).await.unwrap();
    db.write("rows", move |tx| tx.insert_rows(head, columns, rows.clone())).await.unwrap();
}

/// Runs every race, `LANES` at once; each is two writes that begin together. Answers how many of the writes said yes.
async fn run<W>(db: &Db, races: i64, write: impl Fn(i64, Meeting) -> [W; 2] + Clone + Send + 'static) -> u64
where
    W: Fn(&mut Tx<'_>) -> Result<bool> + Send + 'static,
{
    let mut lanes = JoinSet::new();
    let yes = Arc::new(AtomicU64::new(0));
    for lane in 0..LANES {
        let (db, write, yes) = (db.clone(), write.clone(), Arc::clone(&yes));
        lanes.spawn(async move {
            for race in (lane..races).step_by(usize::try_from(LANES).unwrap()) {
                let [one, other] = write(race, Meeting::new());
                let (one, other) = tokio::join!(db.write("one", one), db.write("other", other));
                yes.fetch_add(u64::from(one.unwrap()) + u64::from(other.unwrap()), SeqCst);
            }
        });
    }
    lanes.join_all().await;
    yes.load(SeqCst)
}

/// Both read, both have read, both write: by the guarded update that looks again, or (`Guard::StockUpdate` off) what
/// they computed from what they read.
fn take(race: i64, seat: impl Fn()) -> impl Fn(&mut Tx<'_>) -> Result<bool> {
    move |tx| {
        let read = "SELECT units FROM t25_units WHERE race = ?";
        let units: i64 = tx.query_one(read, params![race], |row| row.get(0))?;
        seat();
        if units < 1 {
            return Ok(false);
        }
        if Guard::StockUpdate.on() {
            let guarded = "UPDATE t25_units SET units = units - 1 WHERE race = ? AND units >= 1";
            tx.guarded(guarded, params![race])
        } else {
            tx.guarded("UPDATE t25_units SET units = ? WHERE race = ?", params![units - 1, race])
        }
    }
}

/// One unit for two in every second race, two in the others.
async fn lost_updates(mode: Mode) {
    let races = races();
    let place = Place::new(mode);
    let db = place.open(options(), &[]).unwrap();
    let units = |race: i64| 1 + race % 2;
    let rows = (0..races).map(|race| params![race, units(race)]).collect();
    let sql = "CREATE TABLE t25_units (race BIGINT NOT NULL PRIMARY KEY, units BIGINT NOT NULL)";
    tables(&db, sql, "INSERT INTO t25_units (race, units) VALUES", 2, rows).await;
    let began = Instant::now();
    let took =
        run(&db, races, |race, meeting| [take(race, meeting.seat()), take(race, meeting.seat())]).await;
    let seconds = began.elapsed();
    let wrong = "SELECT COUNT(*) FROM t25_units WHERE units <> 0";
    let wrong: i64 =
        db.read("wrong", move |q| q.query_one(wrong, params![], |row| row.get(0))).await.unwrap();
    let there: u64 = (0..races).map(|race| units(race).unsigned_abs()).sum();
    assert_eq!(
        (took.abs_diff(there), wrong),
        (0, 0),
        "{took} of {there} units were taken, {wrong} rows are wrong"
    );
    println!(
        "PROOF | T25 | lost update, MariaDB at READ COMMITTED, two connections that have both read before either writes | \
         size={races} | 0 lost of {races} races: {took} of {there} units taken, every row at 0, {seconds:.1?} | seed=-"
    );
}

/// Two are on duty and one must stay. Each looks at both rows and leaves its own; the guard row comes first, so that the
/// second waits for it and then sees what the first has done.
fn leave(race: i64, who: i64, seat: impl Fn()) -> impl Fn(&mut Tx<'_>) -> Result<bool> {
    move |tx| {
        seat();
        if Guard::GuardRow.on() {
            tx.guarded("UPDATE t25_guards SET passed = passed + 1 WHERE race = ?", params![race])?;
        }
        let read = "SELECT COUNT(*) FROM t25_duty WHERE race = ? AND on_duty = 1";
        let on_duty: i64 = tx.query_one(read, params![race], |row| row.get(0))?;
        if on_duty < 2 {
            return Ok(false);
        }
        tx.guarded("UPDATE t25_duty SET on_duty = 0 WHERE race = ? AND who = ?", params![race, who])
    }
}

async fn write_skew_across_two_rows(mode: Mode) {
    let races = races();
    let place = Place::new(mode);
    let db = place.open(options(), &[]).unwrap();
    let sql = "CREATE TABLE t25_duty (race BIGINT NOT NULL, who BIGINT NOT NULL, on_duty BIGINT NOT NULL,
            PRIMARY KEY (race, who));
        CREATE TABLE t25_guards (race BIGINT NOT NULL PRIMARY KEY, passed BIGINT NOT NULL)";
    let rows = (0..races * 2).map(|n| params![n / 2, n % 2, 1i64]).collect();
    tables(&db, sql, "INSERT INTO t25_duty (race, who, on_duty) VALUES", 3, rows).await;
    let guards: Vec<_> = (0..races).map(|race| params![race, 0i64]).collect();
    let head = "INSERT INTO t25_guards (race, passed) VALUES";
    db.write("guards", move |tx| tx.insert_rows(head, 2, guards.clone())).await.unwrap();
    let began = Instant::now();
    let left =
        run(&db, races, |race, meeting| [leave(race, 0, meeting.seat()), leave(race, 1, meeting.seat())])
            .await;
    let seconds = began.elapsed();
    let skewed =
        "SELECT COUNT(*) FROM (SELECT race FROM t25_duty GROUP BY race HAVING SUM(on_duty) < 1) AS t";
    let skewed: i64 =
        db.read("skewed", move |q| q.query_one(skewed, params![], |row| row.get(0))).await.unwrap();
    assert_eq!(skewed, 0, "{skewed} of {races} races left nobody on duty");
    assert_eq!(left, races.unsigned_abs(), "one of each two may leave");
    println!(
        "PROOF | T25 | write skew across two rows, MariaDB at READ COMMITTED, two connections with a guard row | \
         size={races} | 0 skewed of {races} races, one of each two refused, {seconds:.1?} | seed=-"
    );
}
