//! The bill of a day, made of the double's own ledger in the form of Alipay's (see `merx_alipay::Bill`): with a fee, and
//! with the changes somebody ordered, for a shop that must find them.

use std::io::{Cursor, Write as _};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    routing::{post, put},
};
use encoding_rs::GBK;
use merx_alipay::{BillColumns, BillDate, Yuan};
use merx_kernel::{Currency, Error, Money, Result, Timestamp};
use serde::{Deserialize, Serialize};
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

use crate::{
    control::{Told, body, refused},
    ledger::{Entry, EntryKind},
    sandbox::Sandbox,
    store,
};

/// What Alipay keeps of a payment unless told otherwise, in basis points: 0.6 percent.
const FEE_BASIS_POINTS: i64 = 60;
/// The most changes of a day.
const CHANGES_MAX: usize = 1_000;

pub(crate) fn control() -> Router<Sandbox> {
    Router::new()
        .route("/bills/fee", put(set_fee))
        .route("/bills/{date}/changes", post(change).delete(unchange))
}

/// What is kept of each payment.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fee {
    /// 0 to 10000.
    basis_points: i64,
}

/// What shall be wrong with a bill.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "snake_case", deny_unknown_fields)]
pub enum BillChange {
    /// A line of something that never was.
    Add {
        /// `capture` or `refund`.
        kind: EntryKind,
        /// Our number for the attempt.
        out_trade_no: String,
        /// Our number for the refund.
        #[serde(default)]
        out_request_no: String,
        /// In yuan, `19.99`.
        amount: String,
    },
    /// A line is left out.
    Drop {
        /// Our number for the attempt.
        out_trade_no: String,
        /// Our number for the refund; the line of the capture without it.
        #[serde(default)]
        out_request_no: String,
    },
    /// A line has another amount.
    Amount {
        /// Our number for the attempt.
        out_trade_no: String,
        /// Our number for the refund.
        #[serde(default)]
        out_request_no: String,
        /// In yuan.
        amount: String,
    },
    /// A line has another fee.
    Fee {
        /// Our number for the attempt.
        out_trade_no: String,
        /// Our number for the refund.
        #[serde(default)]
        out_request_no: String,
        /// In yuan, what it costs.
        fee: String,
    },
    /// A line has another number of Alipay's.
    TradeNo {
        /// Our number for the attempt.
        out_trade_no: String,
        /// Alipay's.
        trade_no: String,
    },
}

/// A line of the bill that is being made. Fen.
#[derive(Clone, Debug)]
struct Line {
    entry: Entry,
    fen: i64,
    fee: i64,
}

fn fen_of(yuan: &str) -> Result<i64> {
    let money =
        Money::parse_decimal(yuan, Currency::CNY).map_err(|_| refused("an amount is in yuan: \"19.99\""))?;
    Ok(money.minor)
}

impl BillChange {
    fn apply(&self, date: BillDate, lines: &mut Vec<Line>) -> Result<()> {
        let is = |line: &Line, out_trade_no: &str, request: &str| {
            line.entry.out_trade_no == out_trade_no && line.entry.out_request_no == request
        };
        match self {
            Self::Add { kind, out_trade_no, out_request_no, amount } => {
                let fen = fen_of(amount)?;
                let entry = Entry {
                    out_trade_no: out_trade_no.clone(),
                    kind: *kind,
                    out_request_no: out_request_no.clone(),
                    trade_no: format!("2000{:024}", lines.len()),
                    amount: Money::new(fen, Currency::CNY),
                    at: date.start(),
                };
                lines.push(Line { entry, fen, fee: 0 });
            }
            Self::Drop { out_trade_no, out_request_no } => {
                lines.retain(|line| !is(line, out_trade_no, out_request_no));
            }
            Self::Amount { out_trade_no, out_request_no, amount } => {
                let fen = fen_of(amount)?;
                let of = lines.iter_mut().filter(|line| is(line, out_trade_no, out_request_no));
                of.for_each(|line| line.fen = fen);
            }
            Self::Fee { out_trade_no, out_request_no, fee } => {
                let fee = fen_of(fee)?;
                let of = lines.iter_mut().filter(|line| is(line, out_trade_no, out_request_no));
                of.for_each(|line| line.fee = fee);
            }
            Self::TradeNo { out_trade_no, trade_no } => {
                let of = lines.iter_mut().filter(|line| is(line, out_trade_no, ""));
                of.for_each(|line| line.entry.trade_no.clone_from(trade_no));
            }
        }
        Ok(())
    }
}

async fn set_fee(
    State(sandbox): State<Sandbox>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Result<Json<Fee>, Told> {
    let fee: Fee = body(&headers, &bytes)?;
    if !(0..=10_000).contains(&fee.basis_points) {
        return Err(refused("basis_points is from 0 to 10000").into());
    }
    let write = move |tx: &mut merx_sql::Tx<'_>| store::set_fee(tx, fee.basis_points);
    sandbox.db().write("sandbox.fee", write).await?;
    Ok(Json(fee))
}

fn date_of(text: &str) -> Result<BillDate> {
    BillDate::parse(text).map_err(|_| refused("a day is written 2026-11-20"))
}

async fn change(
    State(sandbox): State<Sandbox>,
    Path(date): Path<String>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Result<(StatusCode, Json<BillChange>), Told> {
    let (date, change): (_, BillChange) = (date_of(&date)?, body(&headers, &bytes)?);
    sandbox.change_bill(date, change.clone()).await?;
    Ok((StatusCode::CREATED, Json(change)))
}

async fn unchange(State(sandbox): State<Sandbox>, Path(date): Path<String>) -> Result<StatusCode, Told> {
    let date = date_of(&date)?.to_string();
    let write = move |tx: &mut merx_sql::Tx<'_>| store::forget_bill_changes(tx, &date);
    sandbox.db().write("sandbox.bill_unchanged", write).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl Sandbox {
    /// Makes something wrong with the bill of a day.
    ///
    /// # Errors
    /// `sandbox.request_invalid` for an amount that is none, or for too many changes.
    pub async fn change_bill(&self, date: BillDate, change: BillChange) -> Result<()> {
        change.apply(date, &mut Vec::new())?;
        let text = serde_json::to_string(&change)
            .map_err(|e| Error::internal("cannot write a change").with_source(e))?;
        let date = date.to_string();
        let write = move |tx: &mut merx_sql::Tx<'_>| {
            let place = store::bill_changes(tx, &date)?.len();
            if place >= CHANGES_MAX {
                return Err(refused("that are too many changes of one bill; DELETE them"));
            }
            store::keep_bill_change(tx, &date, i64::try_from(place).unwrap_or(i64::MAX), &text)
        };
        self.db().write("sandbox.bill_changed", write).await
    }
}

/// The ZIP of a day's bill; `None` for a day before the first trade.
pub(crate) async fn zip_of(sandbox: &Sandbox, date: BillDate) -> Result<Option<Vec<u8>>> {
    let day = date.to_string();
    let read = move |q: &mut merx_sql::Reader<'_>| {
        let entries = store::ledger_between(q, date.start(), date.end())?;
        Ok((entries, store::fee(q)?.unwrap_or(FEE_BASIS_POINTS), store::bill_changes(q, &day)?))
    };
    let (entries, basis_points, changes) = sandbox.db().read("sandbox.bill", read).await?;
    let mut lines: Vec<Line> = entries.into_iter().map(|entry| Line::of(entry, basis_points)).collect();
    for change in &changes {
        let change: BillChange = serde_json::from_str(change)
            .map_err(|e| Error::internal("cannot read a change").with_source(e))?;
        change.apply(date, &mut lines)?;
    }
    let account = format!("{}0156", sandbox.config().seller_id);
    let head = Head { account: &account, date, now: sandbox.now() };
    zip(&format!("{account}_{}", date.to_string().replace('-', "")), &head, &lines).map(Some)
}

impl Line {
    /// Alipay rounds half a fen up, and gives the fee of what goes back, back.
    fn of(entry: Entry, basis_points: i64) -> Self {
        let fen = entry.amount.minor;
        let fee =
            i64::try_from((i128::from(fen) * i128::from(basis_points) + 5_000) / 10_000).unwrap_or(i64::MAX);
        Self { entry, fen, fee }
    }
    /// As it stands on the bill: what goes to Alipay or back to the buyer is below zero.
    fn signed(&self) -> (Yuan, Yuan) {
        match self.entry.kind {
            EntryKind::Capture => (Yuan::of_fen(self.fen), Yuan::of_fen(-self.fee)),
            EntryKind::Refund => (Yuan::of_fen(-self.fen), Yuan::of_fen(self.fee)),
        }
    }
}

struct Head<'a> {
    account: &'a str,
    date: BillDate,
    now: Timestamp,
}

impl Head<'_> {
    fn text(&self, title: &str, list: &str) -> String {
        let day = |text: String| {
            let (date, time) = text.split_once(' ').unwrap_or((&text, ""));
            let mut parts = date.splitn(3, '-');
            let mut part = || parts.next().unwrap_or_default().to_owned();
            format!("[{}年{}月{}日 {time}]", part(), part(), part())
        };
        let (from, to) = (self.date.start().to_beijing_string(), self.date.end().to_beijing_string());
        format!(
            "#支付宝{title}查询\r\n#账号：[{}]\r\n#起始日期：{}   终止日期：{}\r\n{list}\r\n",
            self.account,
            day(from),
            day(to)
        )
    }
    fn exported(&self) -> String {
        format!("#导出时间：[{}]\r\n", self.now.to_beijing_string())
    }
}

fn sums(lines: &[Line], kind: EntryKind) -> (usize, i64, i64) {
    let of = lines.iter().filter(|line| line.entry.kind == kind);
    of.fold((0, 0, 0), |(count, fen, fee), line| (count + 1, fen + line.fen, fee + line.fee))
}

fn detail(head: &Head<'_>, lines: &[Line]) -> String {
    let mut text = head.text("业务明细", BillColumns::LIST_BEGINS);
    text.push_str(&BillColumns::NAMES.join(","));
    text.push_str("\r\n");
    for line in lines {
        let (amount, fee) = line.signed();
        let Entry { out_trade_no, out_request_no, trade_no, kind, at, .. } = &line.entry;
        let kind = if *kind == EntryKind::Capture { "交易" } else { "退款" };
        let at = at.to_beijing_string();
        text.push_str(&format!(
            "{trade_no}\t,{out_trade_no}\t,{kind}\t,Merx,{at},{at},\t,\t,\t,\t,*测(buy***@sandbox.example),{amount},\
             {amount},0.00,0.00,0.00,0.00,0.00,,0.00\t,0.00,{out_request_no}\t,{fee},0.00,\r\n"
        ));
    }
    let (trades, paid, _) = sums(lines, EntryKind::Capture);
    let (refunds, back, _) = sums(lines, EntryKind::Refund);
    text.push_str(BillColumns::LIST_ENDS);
    text.push_str(&format!(
        "\r\n#交易合计：{trades}笔，商家实收共{}元，商家优惠共0.00元\r\n#退款合计：{refunds}笔，商家实收退款共{}元，商家优惠退款共0.00元\r\n",
        Yuan::of_fen(paid),
        Yuan::of_fen(-back)
    ));
    text + &head.exported()
}

fn summary(head: &Head<'_>, lines: &[Line]) -> String {
    let (trades, paid, charged) = sums(lines, EntryKind::Capture);
    let (refunds, back, returned) = sums(lines, EntryKind::Refund);
    let list = BillColumns::LIST_BEGINS.replace("明细", "汇总");
    let ends = BillColumns::LIST_ENDS.replace("明细", "汇总");
    let (received, fee) = (Yuan::of_fen(paid - back), Yuan::of_fen(returned - charged));
    let net = Yuan::of_fen(paid - back + returned - charged);
    format!(
        "{}门店编号,门店名称,交易订单总笔数,退款订单总笔数,订单金额（元）,商家实收（元）,支付宝优惠（元）,商家优惠（元）,卡消费金额（元）,\
         服务费（元）,分润（元）,实收净额（元）\r\n合计\t,\t,{trades},{refunds},{received},{received},0.00,0.00,0.00,{fee},0.00,{net}\r\n\
         {ends}\r\n{}",
        head.text("业务汇总", &list),
        head.exported()
    )
}

/// Alipay writes the names of the files in GBK and does not mark them as anything else.
fn zip(stem: &str, head: &Head<'_>, lines: &[Line]) -> Result<Vec<u8>> {
    let failed = |e: zip::result::ZipError| Error::internal("cannot pack a bill").with_source(e);
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    let mut names = Vec::new();
    let files = [("业务明细", detail(head, lines)), ("业务明细(汇总)", summary(head, lines))];
    for (index, (name, text)) in files.into_iter().enumerate() {
        let name = GBK.encode(&format!("{stem}_{name}.csv")).0.into_owned();
        // The library writes names in UTF-8 only: one of the same length stands for it until all is packed.
        let stands_for = format!("{index}{}", "~".repeat(name.len() - 1));
        writer.start_file(stands_for.as_str(), options).map_err(failed)?;
        writer
            .write_all(&GBK.encode(&text).0)
            .map_err(|e| Error::internal("cannot pack a bill").with_source(e))?;
        names.push((stands_for.into_bytes(), name));
    }
    let mut packed = writer.finish().map_err(failed)?.into_inner();
    for (stands_for, name) in names {
        let places: Vec<usize> = packed
            .windows(stands_for.len())
            .enumerate()
            .filter(|(_, window)| *window == stands_for)
            .map(|(place, _)| place)
            .collect();
        for place in places {
            packed[place..place + name.len()].copy_from_slice(&name);
        }
    }
    Ok(packed)
}
