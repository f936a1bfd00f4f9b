//! The values of the API and of the protocol, each from a text; and what stands in the head of a request.

use std::{fmt::Display, str::FromStr};

use axum::extract::FromRequestParts;
use futures_util::FutureExt as _;
use merx_accounts::domain::{
    address::Address, api_key, audit_chain::Head, code, country::Country, email::Email,
};
use merx_alipay::{BeijingTime, OutTradeNo, PrivateKey, PublicKey, Subject, TradeStatus, Yuan};
use merx_catalogue::domain::{Decimal, Slug};
use merx_contracts::ids::{AccountId, OrderId, Sku};
use merx_http::{
    IdempotencyKey, IfMatch, Query,
    outbound::{Reach, not_public},
};
use merx_kernel::{BoundedText, Currency, Money, PageRequest, Permission, RoleName, Timestamp};
use merx_notification::MailTarget;
use merx_ordering::domain::OrderNumber;
use merx_platform::trace::TraceContext;

use super::text;

/// What was read is shown in the one form that reads as the same.
fn round<T: FromStr + Display + PartialEq>(text: &str) {
    if let Ok(value) = text.parse::<T>() {
        let shown = value.to_string();
        let again = shown.parse::<T>().unwrap_or_else(|_| panic!("{shown:?}, from {text:?}, cannot be read"));
        assert!(again == value, "{shown:?}, from {text:?}, is read as something else");
    }
}

/// One text, taken for each value there is.
pub fn all(input: &[u8]) {
    let Some(text) = text(input) else { return };
    round::<Currency>(text);
    round::<AccountId>(text);
    round::<OrderId>(text);
    round::<Sku>(text);
    round::<Slug>(text);
    round::<Decimal>(text);
    round::<RoleName>(text);
    round::<TraceContext>(text);
    money_and_time(text);
    accounts(text);
    alipay(text);
    if let Ok(number) = OrderNumber::parse(text) {
        assert_eq!(number.as_str().len(), OrderNumber::LENGTH);
        assert_eq!(OrderNumber::parse(number.as_str()).ok(), Some(number.clone()));
        assert_eq!(OrderNumber::prefix(number.as_str()).as_deref(), Some(number.as_str()));
    }
    let _ = OrderNumber::prefix(text);
    let _ = Permission::from_name(text).map(|permission| assert_eq!(permission.name(), text));
    if let Ok(bounded) = BoundedText::<5, 30>::new(text) {
        assert_eq!(BoundedText::<5, 30>::new(bounded.as_str()).as_ref(), Ok(&bounded));
    }
    let _ = MailTarget::parse(text);
    if let Ok(address) = text.parse() {
        let _ = not_public(address);
    }
    if Reach::Public.check(text).is_ok() {
        assert!(text.to_ascii_lowercase().trim_start().starts_with("https:"), "{text:?} is reached");
    }
}

fn money_and_time(text: &str) {
    for currency in [Currency::CNY, Currency::USD, Currency::JPY] {
        if let Ok(money) = Money::parse_decimal(text, currency) {
            assert_eq!(Money::parse_decimal(&money.to_decimal(), currency).unwrap(), money, "{text:?}");
        }
    }
    if let Ok(at) = Timestamp::parse_rfc3339(text) {
        assert_eq!(Timestamp::parse_rfc3339(&at.to_string()), Ok(at), "{text:?}");
        let _ = at.to_beijing_string();
    }
    if let Ok(at) = Timestamp::parse_beijing(text) {
        assert_eq!(Timestamp::parse_beijing(&at.to_beijing_string()), Ok(at), "{text:?}");
    }
}

fn accounts(text: &str) {
    if let Ok(email) = Email::new(text) {
        assert_eq!(Email::new(email.as_str()).as_ref().map(Email::as_str), Ok(email.as_str()));
        assert!(email.as_str().len() <= Email::LENGTH_MAX && !email.as_str().contains(['\r', '\n', ' ']));
    }
    if let Ok(country) = Country::new(text) {
        assert_eq!(Country::new(country.code()), Ok(country));
    }
    for country in [Country::CN, Country::new("GB").unwrap(), Country::new("US").unwrap()] {
        let _ = country.rules().fits(text);
    }
    if let Ok(form) = serde_json::from_str(text)
        && let Ok(address) = Address::new(form)
    {
        let _ = address.label();
        let again = Address::new(address.form().clone()).unwrap();
        assert_eq!(again.form().postcode, address.form().postcode);
    }
    if let Some(symbols) = code::typed(text) {
        assert_eq!(code::typed(&symbols).as_deref(), Some(symbols.as_str()));
    }
    if let Some(id) = api_key::id_of(text) {
        assert_eq!(api_key::id_of(text), Some(id));
    }
    let _ = Head::parse(text);
}

fn alipay(text: &str) {
    if let Ok(number) = OutTradeNo::new(text) {
        assert!(number.as_str().is_ascii());
    }
    if let Ok(yuan) = Yuan::parse(text) {
        assert_eq!(Yuan::parse(&yuan.to_string()).unwrap(), yuan);
    }
    assert!(Subject::new(Subject::nearest(text).as_str()).is_ok(), "the nearest subject is none: {text:?}");
    let _ = TradeStatus::from_name(text);
    if let Ok(at) = serde_json::from_value::<BeijingTime>(serde_json::Value::from(text)) {
        let _ = serde_json::to_string(&at).unwrap();
    }
    if let Ok(key) = PublicKey::parse(text) {
        assert!(!key.verifies(b"something", text));
    }
    let _ = PrivateKey::parse(text);
}

/// The query of a URL in the first line, and values of headers in those that follow.
pub fn request_line(input: &[u8]) {
    let mut lines = input.split(|byte| *byte == b'\n');
    let query = lines.next().unwrap_or_default();
    let Ok(uri) = http::Uri::try_from([b"/?".as_slice(), query].concat().as_slice()) else { return };
    let mut request = http::Request::new(());
    *request.uri_mut() = uri;
    for (name, line) in
        ["if-match", "idempotency-key", "traceparent", "x-forwarded-for"].into_iter().zip(lines)
    {
        if let Ok(value) = http::HeaderValue::from_bytes(line) {
            request.headers_mut().insert(name, value);
        }
    }
    let (mut parts, ()) = request.into_parts();
    let page = Query::<PageRequest>::from_request_parts(&mut parts, &()).now_or_never().expect("at once");
    if let Ok(Query(page)) = page
        && let Ok(limit) = page.checked_limit()
    {
        assert!((1..=100).contains(&limit));
    }
    drop(IfMatch::from_request_parts(&mut parts, &()).now_or_never().expect("at once"));
    drop(IdempotencyKey::from_request_parts(&mut parts, &()).now_or_never().expect("at once"));
}
