//! What Alipay sends: notifications, and answers to our calls.

use std::sync::LazyLock;

use merx_alipay::{
    BeijingTime, Bill, BillKind, Call, Close, Expected, Merchant, Notification, OutTradeNo, Outcome, Params,
    Precreate, PrivateKey, PublicKey, Query, Refund, RefundQuery, Subject, Yuan, gateway,
};
use merx_kernel::{Currency, ErrorKind, Money, Timestamp};

const APP: &str = "2021000000000001";
const SELLER: &str = "2088000000000002";
const NUMBER: &str = "01kabcdefghjkmnpqrstvwxyz0";

static ALIPAY: LazyLock<PrivateKey> =
    LazyLock::new(|| PrivateKey::parse(include_str!("../../keys/alipay.pem")).unwrap());
static PUBLIC: LazyLock<PublicKey> = LazyLock::new(|| ALIPAY.public_key().unwrap());

/// The form of a notification. As it comes it is believed only with the signature that Alipay's key makes of it; signed
/// again by Alipay, its fields are read.
pub fn notification(input: &[u8]) {
    let as_it_comes = Notification::verify(input, &PUBLIC);
    let Ok(params) = Params::from_form(input) else {
        assert!(as_it_comes.is_err(), "what cannot be read was believed");
        return;
    };
    let form = params.to_form();
    if form.len() <= Params::BYTES_MAX {
        assert_eq!(Params::from_form(form.as_bytes()).unwrap(), params, "written and read again");
    }
    if params.get("notify_id").is_none() {
        assert!(as_it_comes.is_err(), "a notification without an id was believed");
        return;
    }
    let (fields, signature) = params.partition(|name| !matches!(name, "sign" | "sign_type"));
    let signed = gateway::signed_notification(fields, &ALIPAY).unwrap();
    if as_it_comes.is_ok() {
        // RSASSA-PKCS1-v1_5 is deterministic: there is one right signature, though base64 may be written in two ways.
        let bare = |params: &Params| params.get("sign").unwrap_or_default().trim_end_matches('=').to_owned();
        assert_eq!(bare(&signature), bare(&signed), "a signature that Alipay did not make was believed");
    }
    match Notification::verify(signed.to_form().as_bytes(), &PUBLIC) {
        Ok(notification) => {
            let out_trade_no = OutTradeNo::new(NUMBER).unwrap();
            let amount = Money::new(8_888, Currency::CNY);
            let expected = Expected { app_id: APP, seller_id: SELLER, out_trade_no: &out_trade_no, amount };
            let agrees = notification.mismatches(&expected).is_empty();
            let same = notification.total_amount == amount
                && notification.app_id == APP
                && notification.seller_id == SELLER
                && notification.out_trade_no == out_trade_no;
            assert_eq!(agrees, same, "{notification:?}");
            let _ = notification.notified();
        }
        Err(error) => {
            assert!(matches!(error.kind(), ErrorKind::Invalid | ErrorKind::Forbidden), "{}", error.chain());
        }
    }
}

/// The answer to a call: as it comes, and its inner object signed by Alipay as the answer to each call.
pub fn answer(input: &[u8]) {
    let merchant =
        Merchant::new("http://127.0.0.1:1/gateway.do", APP, SELLER, ALIPAY.clone(), PUBLIC.clone());
    let number = || OutTradeNo::new(NUMBER).unwrap();
    let amount = || Yuan::payable(Money::new(8_888, Currency::CNY)).unwrap();
    let fields = serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(input).ok();
    let fields = fields.as_ref();
    conclude(&merchant, &Query { out_trade_no: number() }, input, fields);
    conclude(&merchant, &Close { out_trade_no: number() }, input, fields);
    let refund = Refund {
        out_trade_no: number(),
        refund_amount: amount(),
        out_request_no: number(),
        refund_reason: None,
    };
    conclude(&merchant, &refund, input, fields);
    conclude(&merchant, &RefundQuery { out_trade_no: number(), out_request_no: number() }, input, fields);
    let expires = BeijingTime(Timestamp::from_millis(1_795_132_800_000));
    let precreate = Precreate {
        out_trade_no: number(),
        total_amount: amount(),
        subject: Subject::nearest("tea"),
        time_expire: expires,
        notify_url: "http://127.0.0.1/n".to_owned(),
    };
    conclude(&merchant, &precreate, input, fields);
}

fn conclude<C: Call>(
    merchant: &Merchant,
    call: &C,
    input: &[u8],
    fields: Option<&serde_json::Map<String, serde_json::Value>>,
) {
    let as_it_comes = merchant.conclude(call, input);
    if let Some(fields) = fields {
        let signed = gateway::signed_answer(C::METHOD, fields, &ALIPAY).unwrap();
        if let Outcome::Done(answer) = merchant.conclude(call, signed.as_bytes()) {
            assert!(call.is_answered_by(&answer), "the answer to another question was taken");
        }
        assert!(
            !matches!(as_it_comes, Outcome::Done(_)) || fields.contains_key("sign"),
            "an answer without a signature was believed"
        );
    }
}

/// A day's bill, as a ZIP or as the file of its details. What is read agrees with itself.
pub fn bill(input: &[u8]) {
    for read in [Bill::read(input), Bill::of_detail(input)] {
        match read {
            Ok(bill) => {
                let counted = bill.sum_of(BillKind::Trade).0 + bill.sum_of(BillKind::Refund).0;
                assert_eq!(counted, bill.lines.len() as u64);
                for line in &bill.lines {
                    assert!(line.amount.minor >= 0 && line.received.minor >= 0, "{line:?}");
                    assert!(!line.out_trade_no.is_empty() && !line.trade_no.is_empty(), "{line:?}");
                    assert!(line.kind == BillKind::Refund || line.out_request_no.is_none(), "{line:?}");
                }
            }
            Err(error) => {
                assert_eq!((error.kind(), error.code()), (ErrorKind::Invalid, "alipay.bill_invalid"))
            }
        }
    }
}
