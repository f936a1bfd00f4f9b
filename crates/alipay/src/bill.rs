//! The bill of a day, `trade`: a ZIP of two CSV files in GBK, every trade and refund (`业务明细`) and their sums
//! (`业务明细(汇总)`). Amounts are in yuan, numbers end with a tab (so that spreadsheets leave them alone), lines of
//! explanation begin with `#`, and the last of them say how many lines there are and what they come to.
//!
//! Source: Alipay's help on the trade bill, and bills that others publish with their readers. Who paid is not read.

use std::io::{Cursor, Read};

use encoding_rs::GBK;
use merx_kernel::{Currency, Error, ErrorKind, Money, Result, Timestamp};
use zip::ZipArchive;

use crate::values::BillDate;

/// What a line of a bill is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum BillKind {
    /// `交易`: a buyer paid.
    Trade,
    /// `退款`: money went back.
    Refund,
}

/// A line of a bill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BillLine {
    /// What it is of.
    pub kind: BillKind,
    /// `支付宝交易号`.
    pub trade_no: String,
    /// `商户订单号`: our number for the attempt.
    pub out_trade_no: String,
    /// `退款批次号/请求号`: our number for the refund.
    pub out_request_no: Option<String>,
    /// `完成时间`.
    pub finished_at: Timestamp,
    /// `订单金额`, above zero for refunds too.
    pub amount: Money,
    /// `商家实收`: what came to us or went from us, above zero for refunds too. Less than the amount where the seller had
    /// granted a part.
    pub received: Money,
    /// `服务费` as a cost: above zero for a trade, below for a refund, with which it is given back.
    pub fee: Money,
}

/// A day's bill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bill {
    /// `账号`: the seller's account; Alipay writes `0156` after it.
    pub account: String,
    /// The day it is of.
    pub date: BillDate,
    /// Its lines, in their order.
    pub lines: Vec<BillLine>,
}

/// The form of the details.
pub struct BillColumns;

impl BillColumns {
    /// The names of the columns, as the head of the file has them.
    pub const NAMES: [&str; 25] = COLUMNS;
    /// What the list begins with.
    pub const LIST_BEGINS: &str =
        "#-----------------------------------------业务明细列表----------------------------------------";
    /// What the list ends with.
    pub const LIST_ENDS: &str =
        "#-----------------------------------------业务明细列表结束------------------------------------";
}

const COLUMNS: [&str; 25] = [
    "支付宝交易号",
    "商户订单号",
    "业务类型",
    "商品名称",
    "创建时间",
    "完成时间",
    "门店编号",
    "门店名称",
    "操作员",
    "终端号",
    "对方账户",
    "订单金额（元）",
    "商家实收（元）",
    "支付宝红包（元）",
    "集分宝（元）",
    "支付宝优惠（元）",
    "商家优惠（元）",
    "券核销金额（元）",
    "券名称",
    "商家红包消费金额（元）",
    "卡消费金额（元）",
    "退款批次号/请求号",
    "服务费（元）",
    "分润（元）",
    "备注",
];

impl Bill {
    /// The largest ZIP that is read.
    pub const ZIP_BYTES_MAX: usize = 32 * 1024 * 1024;
    /// The most bytes of one file in it, unpacked.
    pub const FILE_BYTES_MAX: u64 = 128 * 1024 * 1024;
    /// The most files in it.
    const FILES_MAX: usize = 8;
    /// The most lines of a bill.
    pub const LINES_MAX: usize = 500_000;

    /// Reads a bill as it is downloaded.
    ///
    /// # Errors
    /// `alipay.bill_invalid` naming the line, or what is wrong with the file: nothing of a bill that is not whole is
    /// believed.
    pub fn read(zip: &[u8]) -> Result<Self> {
        if zip.len() > Self::ZIP_BYTES_MAX {
            return Err(invalid(format!("it has more than {} bytes", Self::ZIP_BYTES_MAX)));
        }
        let broken = |e: zip::result::ZipError| invalid("it is no ZIP that can be read").with_source(e);
        let mut archive = ZipArchive::new(Cursor::new(zip)).map_err(broken)?;
        if archive.len() > Self::FILES_MAX {
            return Err(invalid(format!("it has more than {} files", Self::FILES_MAX)));
        }
        let (mut detail, mut summary) = (None, None);
        for index in 0..archive.len() {
            let file = archive.by_index(index).map_err(broken)?;
            // Alipay writes names in GBK and does not say so.
            let raw = file.name_raw();
            let name = match std::str::from_utf8(raw) {
                Ok(name) => name.to_owned(),
                Err(_) => GBK.decode_without_bom_handling(raw).0.into_owned(),
            };
            let place = match (name.contains("明细"), name.contains("汇总")) {
                (true, false) => &mut detail,
                (true, true) => &mut summary,
                _ => continue,
            };
            let mut bytes = Vec::new();
            let mut limited = file.take(Self::FILE_BYTES_MAX + 1);
            limited.read_to_end(&mut bytes).map_err(|e| invalid("it cannot be unpacked").with_source(e))?;
            if bytes.len() as u64 > Self::FILE_BYTES_MAX {
                return Err(invalid(format!("a file in it has more than {} bytes", Self::FILE_BYTES_MAX)));
            }
            if place.replace(bytes).is_some() {
                return Err(invalid("it has two files of one kind"));
            }
        }
        let bill = Self::of_detail(&detail.ok_or_else(|| invalid("it has no file of the details"))?)?;
        if let Some(summary) = summary {
            bill.agrees_with(&text_of(&summary)?)?;
        }
        Ok(bill)
    }

    /// Reads the file of the details alone, GBK.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn of_detail(bytes: &[u8]) -> Result<Self> {
        let text = text_of(bytes)?;
        let head = Remarks::of(&text)?;
        let mut lines = Vec::new();
        let mut columns: Option<Columns> = None;
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .comment(Some(b'#'))
            .trim(csv::Trim::All)
            .from_reader(text.as_bytes());
        let mut record = csv::StringRecord::new();
        while reader.read_record(&mut record).map_err(|e| invalid("it is no CSV").with_source(e))? {
            // Where the record ends: before it there may have been remarks.
            let number = reader.position().line();
            let Some(columns) = &columns else {
                columns = Some(Columns::of(&record).map_err(|why| at(number, why))?);
                continue;
            };
            lines.push(columns.line(&record).map_err(|why| at(number, why))?);
            if lines.len() > Self::LINES_MAX {
                return Err(invalid(format!("it has more than {} lines", Self::LINES_MAX)));
            }
        }
        if columns.is_none() {
            return Err(invalid("the names of the columns are missing"));
        }
        let bill = Self { account: head.account, date: head.date, lines };
        for (kind, told) in [(BillKind::Trade, head.trades), (BillKind::Refund, head.refunds)] {
            let (count, fen) = bill.sum_of(kind);
            if (count, fen) != (told.count, told.fen.abs()) {
                let name = if kind == BillKind::Trade { "交易合计" } else { "退款合计" };
                return Err(invalid(format!(
                    "its {name} says {} lines and {} fen, and there are {count} and {fen}",
                    told.count, told.fen
                )));
            }
        }
        Ok(bill)
    }

    /// How many lines of a kind there are, and fen received by them.
    pub fn sum_of(&self, kind: BillKind) -> (u64, i64) {
        let of = self.lines.iter().filter(|line| line.kind == kind);
        of.fold((0, 0), |(count, fen), line| (count + 1, fen + line.received.minor))
    }

    /// Holds the details against the sums of the other file.
    fn agrees_with(&self, summary: &str) -> Result<()> {
        let total = summary.lines().find(|line| line.starts_with("合计"));
        let total = total.ok_or_else(|| invalid("the summary has no line `合计`"))?;
        let cells: Vec<&str> = total.split(',').map(str::trim).collect();
        let counts = [self.sum_of(BillKind::Trade).0, self.sum_of(BillKind::Refund).0];
        let told = |index: usize| cells.get(index).and_then(|cell| cell.parse::<u64>().ok());
        if [told(2), told(3)] != counts.map(Some) {
            return Err(invalid("its summary counts other trades or refunds than its details"));
        }
        Ok(())
    }
}

fn invalid(why: impl Into<String>) -> Error {
    let why = why.into();
    Error::new(
        ErrorKind::Invalid,
        "alipay.bill_invalid",
        format!("The bill of Alipay cannot be read: {why}."),
    )
}

fn at(line: u64, why: impl std::fmt::Display) -> Error {
    invalid(format!("line {line}: {why}"))
}

fn text_of(bytes: &[u8]) -> Result<String> {
    let (text, broken) = GBK.decode_without_bom_handling(bytes);
    if broken { Err(invalid("a file in it is not GBK")) } else { Ok(text.into_owned()) }
}

/// Count and fen of one of the last remarks.
#[derive(Clone, Copy)]
struct Total {
    count: u64,
    fen: i64,
}

/// What the lines that begin with `#` say.
struct Remarks {
    account: String,
    date: BillDate,
    trades: Total,
    refunds: Total,
}

impl Remarks {
    fn of(text: &str) -> Result<Self> {
        let (mut account, mut date, mut trades, mut refunds, mut ended) = (None, None, None, None, false);
        for (number, line) in (1u64..).zip(text.lines()).filter(|(_, line)| line.starts_with('#')) {
            if let Some(rest) = line.strip_prefix("#账号：") {
                account = Some(rest.trim().trim_start_matches('[').trim_end_matches(']').to_owned());
            } else if let Some(rest) = line.strip_prefix("#起始日期：") {
                date = Some(day_of(rest).ok_or_else(|| at(number, "the first day cannot be read"))?);
            } else if line.starts_with("#交易合计") {
                trades = Some(total_of(line).ok_or_else(|| at(number, "the sum of trades cannot be read"))?);
            } else if line.starts_with("#退款合计") {
                refunds =
                    Some(total_of(line).ok_or_else(|| at(number, "the sum of refunds cannot be read"))?);
            } else if line.contains("列表结束") {
                ended = true;
            }
        }
        let missing = |what: &str| invalid(format!("{what} is missing: it is not whole"));
        if !ended {
            return Err(missing("the end of the list"));
        }
        Ok(Self {
            account: account.ok_or_else(|| missing("the account"))?,
            date: date.ok_or_else(|| missing("the day"))?,
            trades: trades.ok_or_else(|| missing("the sum of trades"))?,
            refunds: refunds.ok_or_else(|| missing("the sum of refunds"))?,
        })
    }
}

/// The day in `[2026年11月20日 00:00:00]   终止日期：…`.
fn day_of(text: &str) -> Option<BillDate> {
    let day = text.trim_start().strip_prefix('[')?.split(' ').next()?;
    let (year, rest) = day.split_once('年')?;
    let (month, rest) = rest.split_once('月')?;
    BillDate::parse(&format!("{year}-{month}-{}", rest.strip_suffix('日')?)).ok()
}

/// Count and fen in `#交易合计：3笔，商家实收共9.93元，商家优惠共0.00元`; refunds have `商家实收退款共`.
fn total_of(text: &str) -> Option<Total> {
    let (_, rest) = text.split_once('：')?;
    let (count, rest) = rest.split_once('笔')?;
    let (_, rest) = rest.split_once('共')?;
    let (yuan, _) = rest.split_once('元')?;
    let fen = Money::parse_decimal(yuan, Currency::CNY).ok()?.minor;
    Some(Total { count: count.parse().ok()?, fen })
}

/// Where the columns that are read are.
struct Columns {
    trade_no: usize,
    out_trade_no: usize,
    kind: usize,
    finished_at: usize,
    amount: usize,
    received: usize,
    request: usize,
    fee: usize,
    count: usize,
}

impl Columns {
    fn of(head: &csv::StringRecord) -> Result<Self, String> {
        let place = |name: &str| {
            let found = head.iter().position(|cell| cell == name);
            found.ok_or_else(|| format!("there is no column `{name}`"))
        };
        Ok(Self {
            trade_no: place(COLUMNS[0])?,
            out_trade_no: place(COLUMNS[1])?,
            kind: place(COLUMNS[2])?,
            finished_at: place(COLUMNS[5])?,
            amount: place(COLUMNS[11])?,
            received: place(COLUMNS[12])?,
            request: place(COLUMNS[21])?,
            fee: place(COLUMNS[22])?,
            count: head.len(),
        })
    }

    fn line(&self, record: &csv::StringRecord) -> Result<BillLine, String> {
        if record.len() != self.count {
            return Err(format!("it has {} columns and not {}", record.len(), self.count));
        }
        let cell = |index: usize| record.get(index).unwrap_or_default();
        let number = |index: usize, name: &str| match cell(index) {
            "" => Err(format!("`{name}` is empty")),
            text if text.chars().count() > NUMBER_CHARS_MAX => Err(format!("`{name}` is too long")),
            text => Ok(text.to_owned()),
        };
        let yuan = |index: usize, name: &str| {
            let read = Money::parse_decimal(cell(index), Currency::CNY).ok();
            let plausible = read.filter(|money| money.minor.abs() <= FEN_MAX);
            plausible.ok_or_else(|| format!("`{name}` is no amount in yuan"))
        };
        let kind = match cell(self.kind) {
            "交易" => BillKind::Trade,
            "退款" => BillKind::Refund,
            other => return Err(format!("`{other}` is no kind of business that is known")),
        };
        let absolute = |money: Money| Money::new(money.minor.abs(), money.currency);
        let fee = absolute(yuan(self.fee, COLUMNS[22])?).minor;
        let fee = if kind == BillKind::Trade { fee } else { -fee };
        let request = Some(cell(self.request)).filter(|text| !text.is_empty());
        if request.is_some_and(|text| text.chars().count() > NUMBER_CHARS_MAX) {
            return Err(format!("`{}` is too long", COLUMNS[21]));
        }
        Ok(BillLine {
            kind,
            trade_no: number(self.trade_no, COLUMNS[0])?,
            out_trade_no: number(self.out_trade_no, COLUMNS[1])?,
            out_request_no: request.map(str::to_owned).filter(|_| kind == BillKind::Refund),
            finished_at: Timestamp::parse_beijing(cell(self.finished_at))
                .map_err(|_| format!("`{}` is no time", COLUMNS[5]))?,
            amount: absolute(yuan(self.amount, COLUMNS[11])?),
            received: absolute(yuan(self.received, COLUMNS[12])?),
            fee: Money::new(fee, Currency::CNY),
        })
    }
}

/// The longest number of a trade, an order or a refund.
const NUMBER_CHARS_MAX: usize = 64;
/// The largest amount of a line: sums of the most lines still fit.
const FEN_MAX: i64 = 10_000_000_000_000;
