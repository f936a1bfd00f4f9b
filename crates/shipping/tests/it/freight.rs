//! The freight rules.

use libtest_mimic::Trial;
use merx_kernel::{Currency, ErrorKind, Money};
use merx_shipping::domain::{FreightOption, Parcel, Tariff, Zone, freight::Method};
use proptest::{prelude::*, test_runner::TestRunner};

pub fn trials() -> Vec<Trial> {
    crate::trials!("freight": zones, fees, words, what_is_refused, fees_rise_with_weight_and_never_with_value)
}

fn yuan(minor: i64) -> Money {
    Money::new(minor, Currency::CNY)
}
fn parcel(region: &str, weight_grams: i64, subtotal: i64) -> Parcel {
    Parcel { country: "CN".to_owned(), region: region.to_owned(), weight_grams, subtotal: yuan(subtotal) }
}
fn standard(parcel: &Parcel) -> FreightOption {
    let options = Tariff::default().quote(parcel).unwrap();
    options.into_iter().find(|o| o.method == Method::Standard).unwrap()
}

fn zones() {
    let table = [
        ("CN", "上海市", Some(Zone::Near)),
        ("CN", "浙江", Some(Zone::Near)),
        ("cn", "Jiangsu", Some(Zone::Near)),
        ("CN", " cn-ah ", Some(Zone::Near)),
        ("CN", "广东省", Some(Zone::National)),
        ("CN", "Shaanxi", Some(Zone::National)),
        ("CN", "a new spelling", Some(Zone::National)),
        ("CN", "", Some(Zone::National)),
        ("CN", "新疆维吾尔自治区", Some(Zone::Remote)),
        ("CN", "XIZANG", Some(Zone::Remote)),
        ("CN", "Inner Mongolia Autonomous Region", Some(Zone::Remote)),
        ("CN", "香港特别行政区", Some(Zone::Offshore)),
        ("HK", "Kowloon", Some(Zone::Offshore)),
        ("TW", "", Some(Zone::Offshore)),
        ("DE", "Berlin", None),
        ("", "上海", None),
    ];
    for (country, region, zone) in table {
        assert_eq!(Zone::of(country, region), zone, "{country} {region}");
    }
}

/// First kilogram, each further one begun, free from an amount.
fn fees() {
    let table = [
        ("上海", 0, 5_000, 800),
        ("上海", 1, 5_000, 800),
        ("上海", 1_000, 5_000, 800),
        ("上海", 1_001, 5_000, 1_000),
        ("上海", 3_000, 5_000, 1_200),
        ("广东", 2_500, 5_000, 1_800),
        ("广东", 2_500, 9_899, 1_800),
        ("广东", 2_500, 9_900, 0),
        ("新疆", 2_000, 9_900, 3_000),
        ("新疆", 2_000, 29_900, 0),
        ("香港", 2_000, 1_000_000, 5_500),
    ];
    for (region, grams, subtotal, fee) in table {
        assert_eq!(standard(&parcel(region, grams, subtotal)).fee, yuan(fee), "{region} {grams} g");
    }
    let options = Tariff::default().quote(&parcel("上海", 500, 20_000)).unwrap();
    let fees: Vec<_> = options.iter().map(|o| (o.method, o.fee.minor)).collect();
    assert_eq!(fees, [(Method::Standard, 0), (Method::Express, 1_500)], "cheapest first");
    let only = Tariff::default().quote(&parcel("台湾", 500, 20_000)).unwrap();
    assert_eq!(only.len(), 1, "no express offshore");
}

fn words() {
    let option = standard(&parcel("广东", 2_500, 5_000));
    assert_eq!(
        option.explanation_zh,
        "全国:首重 1 公斤 ¥10.00,续重 2 公斤 × ¥4.00 = ¥8.00,共 ¥18.00;商品满 ¥99.00 可包邮"
    );
    assert_eq!(
        option.explanation_en,
        "To mainland China: first kg ¥10.00, 2 further kg at ¥4.00 = ¥8.00, in all ¥18.00; \
         it would be free for goods of ¥99.00 or more"
    );
    let free = standard(&parcel("上海", 500, 9_900));
    assert_eq!(free.explanation_zh, "江浙沪皖:首重 1 公斤 ¥8.00,共 ¥8.00;商品满 ¥99.00 包邮");
    assert_eq!(
        free.explanation_en,
        "To Yangtze delta: first kg ¥8.00, in all ¥8.00; free for goods of ¥99.00 or more"
    );
}

fn what_is_refused() {
    let code = |parcel: &Parcel| {
        let error = Tariff::default().quote(parcel).unwrap_err();
        (error.kind(), error.code().to_owned())
    };
    let refused = |name: &str| (ErrorKind::Rejected, name.to_owned());
    let abroad = Parcel { country: "DE".to_owned(), ..parcel("Berlin", 1, 1) };
    assert_eq!(code(&abroad), refused("shipping.destination_unserved"));
    assert_eq!(code(&parcel("上海", 100_001, 1)), refused("shipping.too_heavy"));
    assert_eq!(code(&parcel("上海", i64::MAX, 1)), refused("shipping.too_heavy"));
    let dollars = Parcel { subtotal: Money::new(1, Currency::USD), ..parcel("上海", 1, 1) };
    assert_eq!(code(&dollars), refused("shipping.currency_unsupported"));
    assert_eq!(code(&parcel("上海", -1, 1)).0, ErrorKind::Invalid);
}

fn fees_rise_with_weight_and_never_with_value() {
    let regions = prop::sample::select(vec!["上海", "广东", "新疆", "香港"]);
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    TestRunner::new(config)
        .run(
            &(regions, 0..99_000i64, 0..1_000i64, 0..50_000i64, 0..50_000i64),
            |(region, grams, more, value, extra)| {
                let fee = standard(&parcel(region, grams, value)).fee.minor;
                prop_assert!(standard(&parcel(region, grams + more, value)).fee.minor >= fee);
                prop_assert!(standard(&parcel(region, grams, value + extra)).fee.minor <= fee);
                prop_assert!(fee >= 0);
                Ok(())
            },
        )
        .unwrap();
}
