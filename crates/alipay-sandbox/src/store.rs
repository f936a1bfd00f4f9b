//! Every SQL text of the sandbox.

use merx_alipay::TradeStatus;
use merx_kernel::{Currency, Error, Money, Result, Timestamp};
use merx_sql::{Migration, Query, Row, Tx, contention, params};

use crate::ledger::{Entry, EntryKind};

/// Woken when something may have become due.
pub(crate) const WORK: &str = "sandbox_work";

pub(crate) fn migrations() -> Vec<Migration> {
    vec![
        Migration::same(
        1,
        "first tables",
        "CREATE TABLE sandbox_offers (
            code VARCHAR(32) NOT NULL, kind VARCHAR(8) NOT NULL, out_trade_no VARCHAR(64) NOT NULL,
            amount BIGINT NOT NULL, subject VARCHAR(256) NOT NULL, expires_at BIGINT NOT NULL,
            notify_url VARCHAR(256), return_url VARCHAR(256), created_at BIGINT NOT NULL, PRIMARY KEY (code));
        CREATE INDEX sandbox_offers_by_number ON sandbox_offers (out_trade_no, kind);
        CREATE TABLE sandbox_trades (
            out_trade_no VARCHAR(64) NOT NULL, trade_no VARCHAR(64) NOT NULL, status VARCHAR(16) NOT NULL,
            amount BIGINT NOT NULL, refunded BIGINT NOT NULL, subject VARCHAR(256) NOT NULL,
            notify_url VARCHAR(256), created_at BIGINT NOT NULL, expires_at BIGINT NOT NULL, paid_at BIGINT,
            last_refund_at BIGINT, due_at BIGINT, version BIGINT NOT NULL, PRIMARY KEY (out_trade_no));
        CREATE UNIQUE INDEX sandbox_trades_by_trade_no ON sandbox_trades (trade_no);
        CREATE INDEX sandbox_trades_by_due_at ON sandbox_trades (due_at);
        CREATE TABLE sandbox_ledger (
            out_trade_no VARCHAR(64) NOT NULL, kind VARCHAR(8) NOT NULL, out_request_no VARCHAR(64) NOT NULL,
            trade_no VARCHAR(64) NOT NULL, amount BIGINT NOT NULL, at BIGINT NOT NULL,
            PRIMARY KEY (out_trade_no, kind, out_request_no));
        CREATE TABLE sandbox_notices (
            notify_id VARCHAR(64) NOT NULL, out_trade_no VARCHAR(64) NOT NULL, url VARCHAR(256) NOT NULL,
            fields MEDIUMTEXT NOT NULL, state VARCHAR(8) NOT NULL, tries BIGINT NOT NULL, shaped BIGINT NOT NULL,
            created_at BIGINT NOT NULL, next_at BIGINT, last_reply VARCHAR(256) NOT NULL, PRIMARY KEY (notify_id));
        CREATE INDEX sandbox_notices_by_next_at ON sandbox_notices (next_at)",
        ),
        Migration::same(
            2,
            "switches",
            "CREATE TABLE sandbox_faults (place BIGINT NOT NULL, switch MEDIUMTEXT NOT NULL, PRIMARY KEY (place));
        CREATE INDEX sandbox_offers_by_created_at ON sandbox_offers (created_at)",
        ),
        Migration::same(
            10,
            "bills",
            "CREATE TABLE sandbox_bill_changes (
            bill_date VARCHAR(10) NOT NULL, place BIGINT NOT NULL, change_text MEDIUMTEXT NOT NULL,
            PRIMARY KEY (bill_date, place));
        CREATE TABLE sandbox_fee (place BIGINT NOT NULL, basis_points BIGINT NOT NULL, PRIMARY KEY (place));
        CREATE INDEX sandbox_ledger_by_at ON sandbox_ledger (at)",
        ),
    ]
}

/// Something a buyer can pay: a page payment that was opened, or a QR code. It is no trade.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Offer {
    pub code: String,
    /// `page` or `qr`.
    pub kind: String,
    pub out_trade_no: String,
    pub amount: i64,
    pub subject: String,
    pub expires_at: Timestamp,
    pub notify_url: Option<String>,
    pub return_url: Option<String>,
    pub created_at: Timestamp,
}

const OFFER: &str = "SELECT code, kind, out_trade_no, amount, subject, expires_at, notify_url, return_url, created_at FROM sandbox_offers";

fn offer(row: &Row<'_>) -> Result<Offer> {
    Ok(Offer {
        code: row.get(0)?,
        kind: row.get(1)?,
        out_trade_no: row.get(2)?,
        amount: row.get(3)?,
        subject: row.get(4)?,
        expires_at: row.get(5)?,
        notify_url: row.get(6)?,
        return_url: row.get(7)?,
        created_at: row.get(8)?,
    })
}

pub(crate) fn offer_by_code(q: &mut impl Query, code: &str) -> Result<Option<Offer>> {
    q.query_opt(&format!("{OFFER} WHERE code = ?"), params![code], offer)
}

pub(crate) fn qr_offers(q: &mut impl Query, out_trade_no: &str) -> Result<Vec<Offer>> {
    q.query(
        &format!("{OFFER} WHERE out_trade_no = ? AND kind = 'qr' ORDER BY code"),
        params![out_trade_no],
        offer,
    )
}

/// Keeps an offer; one that is there already stays as it is.
pub(crate) fn keep_offer(tx: &mut Tx<'_>, o: &Offer) -> Result<()> {
    let _ = tx.insert_new(
        "INSERT INTO sandbox_offers \
         (code, kind, out_trade_no, amount, subject, expires_at, notify_url, return_url, created_at) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        params![
            &o.code,
            &o.kind,
            &o.out_trade_no,
            o.amount,
            &o.subject,
            o.expires_at,
            o.notify_url.clone(),
            o.return_url.clone(),
            o.created_at
        ],
    )?;
    Ok(())
}

/// A trade: a buyer has begun to pay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trade {
    pub out_trade_no: String,
    pub trade_no: String,
    pub status: TradeStatus,
    pub amount: i64,
    pub refunded: i64,
    pub subject: String,
    pub notify_url: Option<String>,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    pub paid_at: Option<Timestamp>,
    pub last_refund_at: Option<Timestamp>,
    /// When the next thing happens by itself: an unpaid trade closes, money lands on a closed one, a paid one is
    /// finished.
    pub due_at: Option<Timestamp>,
    pub version: i64,
}

const TRADE: &str = "SELECT out_trade_no, trade_no, status, amount, refunded, subject, notify_url, created_at, \
                     expires_at, paid_at, last_refund_at, due_at, version FROM sandbox_trades";

fn trade(row: &Row<'_>) -> Result<Trade> {
    let status: String = row.get(2)?;
    Ok(Trade {
        out_trade_no: row.get(0)?,
        trade_no: row.get(1)?,
        status: TradeStatus::from_name(&status)
            .ok_or_else(|| Error::internal(format!("inconsistent row: trade status `{status}`")))?,
        amount: row.get(3)?,
        refunded: row.get(4)?,
        subject: row.get(5)?,
        notify_url: row.get(6)?,
        created_at: row.get(7)?,
        expires_at: row.get(8)?,
        paid_at: row.get(9)?,
        last_refund_at: row.get(10)?,
        due_at: row.get(11)?,
        version: row.get(12)?,
    })
}

/// By the merchant's number, or else by Alipay's.
pub(crate) fn find_trade(
    q: &mut impl Query,
    out_trade_no: Option<&str>,
    trade_no: Option<&str>,
) -> Result<Option<Trade>> {
    match (out_trade_no, trade_no) {
        (Some(number), _) => q.query_opt(&format!("{TRADE} WHERE out_trade_no = ?"), params![number], trade),
        (None, Some(number)) => q.query_opt(&format!("{TRADE} WHERE trade_no = ?"), params![number], trade),
        (None, None) => Ok(None),
    }
}

pub(crate) fn due_trades(q: &mut impl Query, now: Timestamp, limit: i64) -> Result<Vec<Trade>> {
    let sql = format!("{TRADE} WHERE due_at <= ? ORDER BY due_at, out_trade_no LIMIT ?");
    q.query(&sql, params![now, limit], trade)
}

pub(crate) fn insert_trade(tx: &mut Tx<'_>, t: &Trade) -> Result<()> {
    tx.wake(WORK);
    tx.execute(
        "INSERT INTO sandbox_trades (out_trade_no, trade_no, status, amount, refunded, subject, notify_url, \
         created_at, expires_at, paid_at, last_refund_at, due_at, version) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        params![
            &t.out_trade_no,
            &t.trade_no,
            t.status.name(),
            t.amount,
            t.refunded,
            &t.subject,
            t.notify_url.clone(),
            t.created_at,
            t.expires_at,
            t.paid_at,
            t.last_refund_at,
            t.due_at,
            t.version
        ],
    )?;
    Ok(())
}

pub(crate) fn update_trade(tx: &mut Tx<'_>, t: &Trade) -> Result<()> {
    tx.wake(WORK);
    let kept = tx.guarded(
        "UPDATE sandbox_trades SET status = ?, refunded = ?, paid_at = ?, last_refund_at = ?, due_at = ?, \
         version = ? WHERE out_trade_no = ? AND version = ?",
        params![
            t.status.name(),
            t.refunded,
            t.paid_at,
            t.last_refund_at,
            t.due_at,
            t.version + 1,
            &t.out_trade_no,
            t.version
        ],
    )?;
    if kept { Ok(()) } else { Err(contention("the trade was changed by another transaction")) }
}

const ENTRY: &str = "SELECT out_trade_no, kind, out_request_no, trade_no, amount, at FROM sandbox_ledger";

fn entry(row: &Row<'_>) -> Result<Entry> {
    let kind: String = row.get(1)?;
    Ok(Entry {
        out_trade_no: row.get(0)?,
        kind: match kind.as_str() {
            "capture" => EntryKind::Capture,
            "refund" => EntryKind::Refund,
            _ => return Err(Error::internal(format!("inconsistent row: ledger kind `{kind}`"))),
        },
        out_request_no: row.get(2)?,
        trade_no: row.get(3)?,
        amount: Money::new(row.get(4)?, Currency::CNY),
        at: row.get(5)?,
    })
}

pub(crate) fn ledger(q: &mut merx_sql::Reader<'_>) -> Result<Vec<Entry>> {
    q.query(&format!("{ENTRY} ORDER BY out_trade_no, kind, out_request_no"), params![], entry)
}

pub(crate) fn find_refund(q: &mut impl Query, out_trade_no: &str, request: &str) -> Result<Option<Entry>> {
    let sql = format!("{ENTRY} WHERE out_trade_no = ? AND kind = 'refund' AND out_request_no = ?");
    q.query_opt(&sql, params![out_trade_no, request], entry)
}

/// Posts an entry. Its key makes a second capture, or a second refund under one number, impossible.
pub(crate) fn post_entry(tx: &mut Tx<'_>, e: &Entry) -> Result<()> {
    let kind = match e.kind {
        EntryKind::Capture => "capture",
        EntryKind::Refund => "refund",
    };
    tx.execute(
        "INSERT INTO sandbox_ledger (out_trade_no, kind, out_request_no, trade_no, amount, at) \
         VALUES (?, ?, ?, ?, ?, ?)",
        params![&e.out_trade_no, kind, &e.out_request_no, &e.trade_no, e.amount.minor, e.at],
    )?;
    Ok(())
}

/// A notification on its way: a row until the merchant answers `success` or the schedule ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Notice {
    pub notify_id: String,
    pub url: String,
    /// The fields as a form, unsigned.
    pub fields: String,
    pub tries: i64,
    /// Whether the switches have been asked what shall become of it.
    pub shaped: bool,
    pub next_at: Timestamp,
}

/// `due`: sent at `next_at`. `held`: as `due`, or when another one was sent. `done` and `given_up` are ends.
pub(crate) fn insert_notice(
    tx: &mut Tx<'_>,
    notify_id: &str,
    trade: &Trade,
    url: &str,
    fields: &str,
    now: Timestamp,
) -> Result<()> {
    tx.wake(WORK);
    tx.execute(
        "INSERT INTO sandbox_notices (notify_id, out_trade_no, url, fields, state, tries, shaped, created_at, \
         next_at, last_reply) VALUES (?, ?, ?, ?, 'due', 0, 0, ?, ?, '')",
        params![notify_id, &trade.out_trade_no, url, fields, now, now],
    )?;
    Ok(())
}

pub(crate) fn due_notices(q: &mut impl Query, now: Timestamp, limit: i64) -> Result<Vec<Notice>> {
    q.query(
        "SELECT notify_id, url, fields, tries, shaped, next_at FROM sandbox_notices \
         WHERE next_at <= ? ORDER BY next_at, created_at, notify_id LIMIT ?",
        params![now, limit],
        |row| {
            Ok(Notice {
                notify_id: row.get(0)?,
                url: row.get(1)?,
                fields: row.get(2)?,
                tries: row.get(3)?,
                shaped: row.get(4)?,
                next_at: row.get(5)?,
            })
        },
    )
}

/// When the next trade or notification is due.
pub(crate) fn next_due(q: &mut impl Query) -> Result<Option<Timestamp>> {
    let trade = q.query_one("SELECT MIN(due_at) FROM sandbox_trades", params![], |row| row.get(0))?;
    let notice: Option<Timestamp> =
        q.query_one("SELECT MIN(next_at) FROM sandbox_notices", params![], |row| row.get(0))?;
    Ok([trade, notice].into_iter().flatten().min())
}

/// Keeps what the switches made of a notification that has not been sent yet.
pub(crate) fn shape_notice(tx: &mut Tx<'_>, n: &Notice, held: bool) -> Result<()> {
    tx.execute(
        "UPDATE sandbox_notices SET fields = ?, state = ?, shaped = 1, next_at = ? WHERE notify_id = ?",
        params![&n.fields, if held { "held" } else { "due" }, n.next_at, &n.notify_id],
    )?;
    Ok(())
}

/// Keeps what came of sending; `next_at` is when it is sent again, if it is.
pub(crate) fn sent_notice(
    tx: &mut Tx<'_>,
    n: &Notice,
    state: &str,
    next_at: Option<Timestamp>,
    reply: &str,
) -> Result<()> {
    tx.execute(
        "UPDATE sandbox_notices SET state = ?, tries = ?, next_at = ?, last_reply = ? WHERE notify_id = ?",
        params![state, n.tries + 1, next_at, reply, &n.notify_id],
    )?;
    Ok(())
}

/// Lets go of held notifications, now that another one was sent.
pub(crate) fn release_held(tx: &mut Tx<'_>, now: Timestamp) -> Result<()> {
    tx.execute("UPDATE sandbox_notices SET state = 'due', next_at = ? WHERE state = 'held'", params![now])?;
    Ok(())
}

/// The notifications of a trade, oldest first: id, state, tries, the last reply.
pub(crate) fn notices_of(
    q: &mut impl Query,
    out_trade_no: &str,
) -> Result<Vec<(String, String, i64, String)>> {
    q.query(
        "SELECT notify_id, state, tries, last_reply FROM sandbox_notices WHERE out_trade_no = ? \
         ORDER BY created_at, notify_id",
        params![out_trade_no],
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)),
    )
}

/// The switches a process left armed, in their order.
pub(crate) fn faults(q: &mut impl Query) -> Result<Vec<String>> {
    q.query("SELECT switch FROM sandbox_faults ORDER BY place", params![], |row| row.get(0))
}

/// Remembers the switches as they are now.
pub(crate) fn keep_faults(tx: &mut Tx<'_>, switches: &[String]) -> Result<()> {
    tx.execute("DELETE FROM sandbox_faults", params![])?;
    if switches.is_empty() {
        return Ok(());
    }
    let rows = (0i64..).zip(switches).map(|(place, switch)| params![place, switch]).collect();
    tx.insert_rows("INSERT INTO sandbox_faults (place, switch) VALUES", 2, rows)
}

/// What a buyer can pay or has paid, for the page that lists it.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    pub code: String,
    pub kind: String,
    pub out_trade_no: String,
    pub amount: i64,
    pub subject: String,
    pub expires_at: Timestamp,
    pub created_at: Timestamp,
    pub trade_no: Option<String>,
    pub status: Option<TradeStatus>,
    pub refunded: i64,
    pub trade_expires_at: Option<Timestamp>,
}

/// The latest offers with what became of them, the newest first.
pub(crate) fn latest(q: &mut impl Query, limit: i64) -> Result<Vec<Listed>> {
    q.query(
        "SELECT o.code, o.kind, o.out_trade_no, o.amount, o.subject, o.expires_at, o.created_at, t.trade_no, \
         t.status, COALESCE(t.refunded, 0), t.expires_at \
         FROM sandbox_offers o LEFT JOIN sandbox_trades t ON t.out_trade_no = o.out_trade_no \
         ORDER BY o.created_at DESC, o.code LIMIT ?",
        params![limit],
        |row| {
            let status: Option<String> = row.get(8)?;
            Ok(Listed {
                code: row.get(0)?,
                kind: row.get(1)?,
                out_trade_no: row.get(2)?,
                amount: row.get(3)?,
                subject: row.get(4)?,
                expires_at: row.get(5)?,
                created_at: row.get(6)?,
                trade_no: row.get(7)?,
                status: status.as_deref().and_then(TradeStatus::from_name),
                refunded: row.get(9)?,
                trade_expires_at: row.get(10)?,
            })
        },
    )
}

/// What moved from `from` on and before `to`, oldest first.
pub(crate) fn ledger_between(q: &mut impl Query, from: Timestamp, to: Timestamp) -> Result<Vec<Entry>> {
    let sql = format!("{ENTRY} WHERE at >= ? AND at < ? ORDER BY at, out_trade_no, kind, out_request_no");
    q.query(&sql, params![from, to], entry)
}

/// What is kept of each payment, in basis points, where somebody said so.
pub(crate) fn fee(q: &mut impl Query) -> Result<Option<i64>> {
    q.query_opt("SELECT basis_points FROM sandbox_fee WHERE place = 0", params![], |row| row.get(0))
}

/// Says what is kept of each payment.
pub(crate) fn set_fee(tx: &mut Tx<'_>, basis_points: i64) -> Result<()> {
    tx.execute("DELETE FROM sandbox_fee", params![])?;
    tx.execute("INSERT INTO sandbox_fee (place, basis_points) VALUES (0, ?)", params![basis_points])?;
    Ok(())
}

/// What shall be wrong with the bill of a day, in the order it was asked for.
pub(crate) fn bill_changes(q: &mut impl Query, date: &str) -> Result<Vec<String>> {
    let sql = "SELECT change_text FROM sandbox_bill_changes WHERE bill_date = ? ORDER BY place";
    q.query(sql, params![date], |row| row.get(0))
}

/// Keeps something that shall be wrong with a bill.
pub(crate) fn keep_bill_change(tx: &mut Tx<'_>, date: &str, place: i64, change: &str) -> Result<()> {
    let sql = "INSERT INTO sandbox_bill_changes (bill_date, place, change_text) VALUES (?, ?, ?)";
    tx.execute(sql, params![date, place, change])?;
    Ok(())
}

/// The bill of a day is right again.
pub(crate) fn forget_bill_changes(tx: &mut Tx<'_>, date: &str) -> Result<()> {
    tx.execute("DELETE FROM sandbox_bill_changes WHERE bill_date = ?", params![date])?;
    Ok(())
}
