//! Measures group commit: `cargo run --release -p merx-sql --example throughput [URL] [TASKS] [SECONDS]`.
//!
//! One order is one UPDATE and three INSERTs in a transaction. Prints transactions per second, closures per
//! commit, and reads by key per second.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a measurement prints its result and stops at an error"
)]

use std::{sync::Arc, time::Duration};

use merx_kernel::{Clock, Timestamp, clock::BoxFuture};
use merx_sql::{Db, DbOptions, Migration, Query, params};
use tokio::{task::JoinSet, time::Instant};

struct TokioClock;

impl Clock for TokioClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(0)
    }
    fn sleep(&self, duration: Duration) -> BoxFuture<()> {
        Box::pin(tokio::time::sleep(duration))
    }
}

const TABLES: &str = "CREATE TABLE bench_stock (sku BIGINT PRIMARY KEY, available BIGINT NOT NULL);
    CREATE TABLE bench_orders (id BIGINT PRIMARY KEY, buyer BIGINT NOT NULL, total BIGINT NOT NULL);
    CREATE TABLE bench_lines (order_id BIGINT, line BIGINT, sku BIGINT NOT NULL, PRIMARY KEY (order_id, line));
    CREATE INDEX bench_orders_buyer ON bench_orders (buyer)";

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let mut args = std::env::args().skip(1);
    let folder = tempfile::tempdir_in(".").unwrap();
    let url = args.next().unwrap_or_else(|| format!("sqlite:{}", folder.path().join("bench.db").display()));
    let tasks: i64 = args.next().map_or(64, |n| n.parse().unwrap());
    let time = Duration::from_secs(args.next().map_or(5, |n| n.parse().unwrap()));
    let db = Db::open(&url, DbOptions::new(Arc::new(TokioClock)), &[]).unwrap();
    db.migrate("bench", &[Migration::same(1, "bench", TABLES)]).await.unwrap();
    let stock = (0..1000i64).map(|sku| params![sku, 1_000_000_000i64]).collect::<Vec<_>>();
    let base = fill(&db, stock).await;
    write_orders(&db, base, tasks, time).await;
    db.close().await;
}

/// Puts the stock in; answers the first free order number.
async fn fill(db: &Db, stock: Vec<Vec<merx_sql::Value>>) -> i64 {
    db.write("stock", move |tx| {
        let known: i64 = tx.query_one("SELECT COUNT(*) FROM bench_stock", params![], |row| row.get(0))?;
        if known == 0 {
            tx.insert_rows("INSERT INTO bench_stock (sku, available) VALUES", 2, stock.clone())?;
        }
        tx.query_one("SELECT COALESCE(MAX(id), 0) + 1 FROM bench_orders", params![], |row| row.get(0))
    })
    .await
    .unwrap()
}

async fn write_orders(db: &Db, base: i64, tasks: i64, time: Duration) {
    let before = db.stats();
    let started = Instant::now();
    let mut all = JoinSet::new();
    for task in 0..tasks {
        let db = db.clone();
        all.spawn(async move {
            let (mut done, mut slowest) = (0i64, Duration::ZERO);
            while started.elapsed() < time {
                let id = base + done * tasks + task;
                let began = Instant::now();
                db.write("order", move |tx| {
                    let take =
                        "UPDATE bench_stock SET available = available - 1 WHERE sku = ? AND available >= 1";
                    tx.guarded(take, params![id % 1000])?;
                    tx.execute(
                        "INSERT INTO bench_orders (id, buyer, total) VALUES (?, ?, ?)",
                        params![id, id % 77, 1999],
                    )?;
                    let line = "INSERT INTO bench_lines (order_id, line, sku) VALUES (?, ?, ?)";
                    tx.execute(line, params![id, 1, id % 1000])?;
                    tx.execute(line, params![id, 2, id % 999])
                })
                .await
                .unwrap();
                slowest = slowest.max(began.elapsed());
                done += 1;
            }
            (done, slowest)
        });
    }
    let outcomes = all.join_all().await;
    let seconds = started.elapsed().as_secs_f64();
    let orders: i64 = outcomes.iter().map(|o| o.0).sum();
    let slowest = outcomes.iter().map(|o| o.1).max().unwrap_or_default();
    let stats = db.stats().since(&before);
    let per_commit = stats.total().write_txs as f64 / stats.commits as f64;
    println!(
        "{tasks} tasks: {:.0} orders/s, {per_commit:.1} closures a commit, slowest {slowest:?}",
        orders as f64 / seconds
    );
    read_orders(db, base, orders, tasks, time).await;
}

async fn read_orders(db: &Db, base: i64, orders: i64, tasks: i64, time: Duration) {
    let started = Instant::now();
    let mut all = JoinSet::new();
    for task in 0..tasks {
        let db = db.clone();
        all.spawn(async move {
            let mut done = 0i64;
            while started.elapsed() < time / 2 {
                let id = base + (done * 31 + task) % orders.max(1);
                let sql = "SELECT total FROM bench_orders WHERE id = ?";
                db.read("order", move |q| q.query_opt(sql, params![id], |row| row.get::<i64>(0)))
                    .await
                    .unwrap();
                done += 1;
            }
            done
        });
    }
    let reads: i64 = all.join_all().await.into_iter().sum();
    println!("{tasks} tasks: {:.0} reads by key/s", reads as f64 / started.elapsed().as_secs_f64());
}
