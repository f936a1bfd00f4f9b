//! The kernel's promises: money that adds up to the minor unit, ids that sort and round-trip, time that never
//! goes backwards in a difference, secrets that do not print.

#![allow(clippy::print_stdout, reason = "figures are shown with --nocapture")]

mod t21;

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use merx_kernel::{
    BoundedText, Clock, Currency, Entropy, Error, ErrorKind, Guard, Id, IdGen, IdKind, Money, PageRequest,
    Permission, Quantity, Role, Secret, Timestamp, clock::BoxFuture,
};
use proptest::prelude::*;

enum Thing {}
impl IdKind for Thing {
    const PREFIX: &'static str = "thg";
}

fn currency() -> impl Strategy<Value = Currency> {
    prop::sample::select(Currency::ALL)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_split_sums_to_the_whole_and_is_fair(
        minor in -10_000_000_000i64..10_000_000_000,
        weights in prop::collection::vec(0u64..1_000_000, 1..20),
        currency in currency(),
    ) {
        let whole = Money::new(minor, currency);
        let parts = whole.split(&weights).expect("splits");
        prop_assert_eq!(parts.len(), weights.len());
        prop_assert_eq!(Money::sum(currency, parts.iter().copied()).expect("adds"), whole);
        let total: u128 = weights.iter().map(|w| u128::from(*w)).sum();
        for (part, weight) in parts.iter().zip(&weights) {
            prop_assert!(part.minor == 0 || (part.minor < 0) == (minor < 0));
            if let Some(exact) = (u128::from(minor.unsigned_abs()) * u128::from(*weight)).checked_div(total) {
                // Within one unit of the exact share (Hamilton's quota rule).
                let given = u128::from(part.minor.unsigned_abs());
                prop_assert!(given == exact || given == exact + 1);
            }
        }
    }

    #[test]
    fn a_decimal_round_trips(minor in -10_000_000_000i64..10_000_000_000, currency in currency()) {
        let money = Money::new(minor, currency);
        prop_assert_eq!(Money::parse_decimal(&money.to_decimal(), currency).expect("reads"), money);
    }

    #[test]
    fn any_text_is_an_amount_or_a_clear_error(text in ".{0,24}", currency in currency()) {
        match Money::parse_decimal(&text, currency) {
            Ok(money) => prop_assert!(text.trim_start_matches('-').starts_with(|c: char| c.is_ascii_digit()), "{money}"),
            Err(error) => prop_assert_eq!(error.kind(), ErrorKind::Invalid),
        }
    }

    #[test]
    fn an_id_round_trips_and_sorts_as_its_text(a: u128, b: u128) {
        let (x, y) = (Id::<Thing>::from_bits(a), Id::<Thing>::from_bits(b));
        prop_assert_eq!(x.to_string().parse::<Id<Thing>>().expect("reads"), x);
        prop_assert_eq!(Id::<Thing>::from_slice(&x.to_bytes()), Some(x));
        prop_assert_eq!(x.to_string().cmp(&y.to_string()), a.cmp(&b));
    }

    #[test]
    fn any_text_is_an_id_or_a_clear_error(text in "(thg_)?.{0,30}") {
        if let Err(error) = text.parse::<Id<Thing>>() {
            prop_assert!(error.contains("thg_"), "{error}");
        }
    }

    #[test]
    fn beijing_time_round_trips(seconds in 0i64..4_000_000_000) {
        let time = Timestamp::from_millis(seconds * 1000);
        prop_assert_eq!(Timestamp::parse_beijing(&time.to_beijing_string()).expect("reads"), time);
        prop_assert_eq!(Timestamp::parse_rfc3339(&time.to_string()).expect("reads"), time);
    }
}

#[test]
fn amounts_are_written_as_their_currency_demands() {
    assert_eq!(Money::new(1999, Currency::CNY).to_string(), "19.99 CNY");
    assert_eq!(Money::new(-5, Currency::USD).to_decimal(), "-0.05");
    assert_eq!(Money::new(1999, Currency::JPY).to_decimal(), "1999");
    assert_eq!(Money::new(1999, Currency::KWD).to_decimal(), "1.999");
    for wrong in ["", ".", "1.", ".5", "1.234", "1,00", "+1", "1e3", "١", "--1", "99999999999999999999"] {
        assert!(Money::parse_decimal(wrong, Currency::CNY).is_err(), "{wrong}");
    }
}

#[test]
fn money_never_mixes_currencies_nor_overflows() {
    let yuan = Money::new(1, Currency::CNY);
    assert!(yuan.plus(Money::new(1, Currency::USD)).is_err());
    assert!(Money::new(i64::MAX, Currency::CNY).plus(yuan).is_err());
    assert!(Money::new(i64::MIN, Currency::CNY).minus(yuan).is_err());
    assert!(Money::new(i64::MAX, Currency::CNY).times(2).is_err());
    assert!(yuan.split(&[]).is_err());
}

struct StuckClock(AtomicI64);
impl Clock for StuckClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::Relaxed))
    }
    fn sleep(&self, _: Duration) -> BoxFuture<()> {
        Box::pin(async {})
    }
}
struct Zeroes;
impl Entropy for Zeroes {
    fn fill(&self, out: &mut [u8]) {
        out.fill(0);
    }
}

#[test]
fn ids_rise_even_when_the_clock_stands_or_jumps_back() {
    let clock = Arc::new(StuckClock(AtomicI64::new(1_763_622_000_000)));
    let ids = IdGen::new(clock.clone(), Arc::new(Zeroes));
    let mut last: Id<Thing> = ids.next();
    for step in 0..1_000 {
        if step == 500 {
            clock.0.fetch_sub(3_600_000, Ordering::Relaxed);
        }
        let next = ids.next();
        assert!(next > last);
        last = next;
    }
}

#[test]
fn beijing_time_may_have_a_fraction() {
    let whole = Timestamp::parse_beijing("2015-04-28 15:45:57").expect("reads");
    assert_eq!(
        Timestamp::parse_beijing("2015-04-28 15:45:57.320"),
        Ok(whole.plus(Duration::from_millis(320)))
    );
    assert!(Timestamp::parse_beijing("2015-04-28").is_err());
}

#[test]
fn differences_of_time_are_never_negative() {
    let (early, late) = (Timestamp::from_millis(1_000), Timestamp::from_millis(61_000));
    assert_eq!(late.since(early), Duration::from_secs(60));
    assert_eq!(early.since(late), Duration::ZERO);
    assert_eq!(Timestamp::from_millis(i64::MAX).plus(Duration::MAX).as_millis(), i64::MAX);
}

#[test]
fn limits_are_named() {
    assert!(Quantity::new(0).is_err() && Quantity::new(10_000).is_err() && Quantity::new(9_999).is_ok());
    let refused = serde_json::from_str::<Quantity>("0").expect_err("refused").to_string();
    assert!(refused.contains("1 to 9999"), "{refused}");
    let refused = BoundedText::<1, 3>::new("four").expect_err("refused");
    assert!(refused.contains("1 to 3"), "{refused}");
    assert!(BoundedText::<1, 9>::new("a\u{7}b").is_err());
    assert!(BoundedText::<1, 9>::new("   ").is_err());
    assert_eq!(BoundedText::<1, 9>::new("  茶 ").expect("fits").as_str(), "茶");
    let page = PageRequest { limit: Some(101), cursor: None };
    assert!(page.checked_limit().expect_err("refused").to_string().contains("1 to 100"));
}

#[test]
fn a_secret_does_not_print() {
    let secret = Secret::new("canary".to_owned());
    assert_eq!(format!("{secret} {secret:?}"), "[secret] [secret]");
    assert_eq!(secret.expose(), "canary");
}

#[test]
fn an_error_shows_its_chain_once() {
    let error = Error::unavailable("sql.busy", "The database is busy.").with_source(std::fmt::Error);
    assert_eq!(error.to_string(), "The database is busy. (sql.busy)");
    assert!(error.chain().contains("busy") && error.chain().contains("formatting"));
    assert!(ErrorKind::Unavailable.is_retryable() && !ErrorKind::Rejected.is_retryable());
}

#[test]
fn a_customer_shops_and_nothing_else() {
    for role in Role::ALL {
        assert_eq!(Role::from_name(role.name()), Some(*role));
    }
    assert!(Role::Customer.allows(Permission::Shop));
    assert!(!Role::Customer.allows(Permission::OrdersRead) && !Role::Customer.allows(Permission::Operate));
    assert!(!Role::Operator.allows(Permission::Shop));
}

#[test]
fn guards_have_distinct_names_and_stand() {
    let names: std::collections::BTreeSet<_> = Guard::ALL.iter().map(|g| g.name()).collect();
    assert_eq!(names.len(), Guard::ALL.len());
    if !merx_kernel::guard::switches_compiled_in() {
        assert!(Guard::ALL.iter().all(|g| g.on()));
    }
}
