//! Daily bills: one that Python packed and wrote in GBK, and what is not to be believed. `bills/20261119.zip` has the form of
//! bills that others publish, with other numbers.

use std::io::{Cursor, Write as _};

use encoding_rs::GBK;
use merx_alipay::{Bill, BillColumns, BillDate, BillKind};
use merx_kernel::Timestamp;
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

const FOREIGN: &[u8] = include_bytes!("bills/20261119.zip");

const TRADE: &str = "2026\t,a1\t,交易\t,茶杯,2026-11-19 00:06:14,2026-11-19 00:06:15,\t,\t,\t,\t,*杨\t,20.00,20.00,0.00,0.00,0.00,0.00,0.00,,0.00\t,0.00,\t,-0.12,0.00,";

/// A detail with these lines, and what its end says of them.
fn detail(lines: &[&str], end: &str) -> String {
    let head = "#账号：[20880000000000020156]\r\n#起始日期：[2026年11月19日 00:00:00]   终止日期：[2026年11月20日 00:00:00]";
    let (begins, names) = (BillColumns::LIST_BEGINS, BillColumns::NAMES.join(","));
    format!("#支付宝业务明细查询\r\n{head}\r\n{begins}\r\n{names}\r\n{}\r\n{end}", lines.join("\r\n"))
}

fn end(trades: u32, yuan: &str) -> String {
    format!(
        "{}\r\n#交易合计：{trades}笔，商家实收共{yuan}元，商家优惠共0.00元\r\n#退款合计：0笔，商家实收退款共0.00元，商家优惠退款共0.00元\r\n",
        BillColumns::LIST_ENDS
    )
}

fn read(text: &str) -> Result<Bill, String> {
    Bill::of_detail(&GBK.encode(text).0).map_err(|e| e.message().to_owned())
}

fn packed(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
        writer.start_file(*name, options).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

pub fn a_bill_of_anothers_making_is_read() {
    let bill = Bill::read(FOREIGN).unwrap();
    assert_eq!(
        (bill.account.as_str(), bill.date.to_string().as_str()),
        ("20880000000000020156", "2026-11-19")
    );
    let lines: Vec<_> = bill
        .lines
        .iter()
        .map(|l| {
            (
                l.kind,
                &*l.out_trade_no,
                l.out_request_no.as_deref(),
                l.amount.minor,
                l.received.minor,
                l.fee.minor,
            )
        })
        .collect();
    let (cup, pot) = ("06bzq1x0000000000000000001", "06bzq1x0000000000000000002");
    let expected = [
        (BillKind::Trade, cup, None, 2_000, 2_000, 12),
        (BillKind::Trade, pot, None, 990, 990, 6),
        (BillKind::Refund, cup, Some("06bzr000000000000000000001"), 500, 500, -3),
    ];
    assert_eq!(lines, expected);
    assert_eq!(bill.lines[1].finished_at, Timestamp::parse_rfc3339("2026-11-19T15:59:59Z").unwrap());
    assert_eq!(bill.lines[0].trade_no, "2026111922001419931441931972");
    assert_eq!((bill.sum_of(BillKind::Trade), bill.sum_of(BillKind::Refund)), ((2, 2_990), (1, 500)));
}

pub fn a_bill_without_lines_is_a_bill() {
    let bill = read(&detail(&[], &end(0, "0.00"))).unwrap();
    assert!(bill.lines.is_empty());
    assert_eq!(bill.date, BillDate::parse("2026-11-19").unwrap());
}

pub fn what_is_not_whole_is_refused_with_its_line() {
    let good = detail(&[TRADE], &end(1, "20.00"));
    assert_eq!(read(&good).unwrap().lines.len(), 1);
    let without = |what: &str| good.replace(what, "");
    let instead = |what: &str, other: &str| good.replace(what, other);
    let wrongs = [
        (without(BillColumns::LIST_ENDS), "the end of the list is missing"),
        (without("#交易合计：1笔，商家实收共20.00元，商家优惠共0.00元"), "the sum of trades is missing"),
        (without("#账号：[20880000000000020156]"), "the account is missing"),
        (detail(&[TRADE], &end(2, "20.00")), "says 2 lines"),
        (detail(&[TRADE], &end(1, "20.01")), "2001 fen"),
        (instead("服务费（元）", "费用"), "line 5: there is no column `服务费（元）`"),
        (instead("20.00,20.00", "20.0x,20.00"), "line 6: `订单金额（元）` is no amount"),
        (instead("20.00,20.00", "999999999999.00,20.00"), "line 6: `订单金额（元）` is no amount"),
        (instead("交易\t", "转账\t"), "line 6: `转账` is no kind of business"),
        (instead("2026-11-19 00:06:15", "gestern"), "line 6: `完成时间` is no time"),
        (instead("2026\t,a1\t", "2026\t,\t"), "line 6: `商户订单号` is empty"),
        (instead("-0.12,0.00,", "-0.12,0.00"), "line 6: it has 24 columns and not 25"),
        (instead("2026年11月19日", "19.11.2026"), "line 3: the first day cannot be read"),
        (String::new(), "the end of the list is missing"),
    ];
    for (text, why) in wrongs {
        let told = read(&text).unwrap_err();
        assert!(told.contains(why), "{told} / {why}");
    }
    let not_gbk = Bill::of_detail(b"#\xff\xff\xff").unwrap_err();
    assert!(not_gbk.message().contains("not GBK"), "{not_gbk:?}");
}

pub fn a_file_that_is_no_bill_is_refused() {
    let refused = |bytes: &[u8]| Bill::read(bytes).unwrap_err().message().to_owned();
    assert!(refused(b"<html>").contains("no ZIP"));
    assert!(refused(&packed(&[("readme.txt", b"hello")])).contains("no file of the details"));
    let detail = GBK.encode(&detail(&[TRADE], &end(1, "20.00"))).0.into_owned();
    assert_eq!(Bill::read(&packed(&[("业务明细.csv", &detail)])).unwrap().lines.len(), 1);
    let twice = packed(&[("业务明细.csv", &detail), ("2_业务明细.csv", &detail)]);
    assert!(refused(&twice).contains("two files of one kind"));
    let summary = GBK.encode("合计\t,\t,2,0,20.00\r\n").0.into_owned();
    let other = packed(&[("业务明细.csv", &detail), ("业务明细(汇总).csv", &summary)]);
    assert!(refused(&other).contains("counts other trades"));
    let many: Vec<(String, &[u8])> = (0..9).map(|n| (format!("{n}.txt"), &b""[..])).collect();
    let many: Vec<(&str, &[u8])> = many.iter().map(|(name, bytes)| (name.as_str(), *bytes)).collect();
    assert!(refused(&packed(&many)).contains("more than 8 files"));
    // A hundred kilobytes that want to be a hundred megabytes.
    let most = usize::try_from(Bill::FILE_BYTES_MAX).unwrap();
    let bomb = packed(&[("业务明细.csv", &vec![b'#'; most + 1])]);
    assert!(bomb.len() < 1_000_000);
    assert!(refused(&bomb).contains("has more than"));
    for cut in [FOREIGN.len() - 1, FOREIGN.len() / 2, 10] {
        assert!(Bill::read(&FOREIGN[..cut]).is_err(), "{cut}");
    }
}
