use merx_alipay::{
    Close, Method, OutTradeNo, Outcome, QueriedTrade, Query, Refund, RefundQuery, SubCode, TradeStatus, Yuan,
    gateway,
};
use serde_json::{Value, json};

use crate::world::{ALIPAY_KEY, OTHER_KEY, amount, fields, merchant, order_no};

fn query() -> Query {
    Query { out_trade_no: order_no() }
}

fn paid() -> Value {
    json!({
        "code": "10000", "msg": "Success", "out_trade_no": order_no().as_str(), "trade_no": "2026112022001",
        "trade_status": "TRADE_SUCCESS", "total_amount": "88.88", "send_pay_date": "2026-11-20 16:30:20",
        "buyer_logon_id": "abc***@example.com", "store": "https://example.com/a/b",
    })
}

fn answered(text: &str) -> Outcome<QueriedTrade> {
    merchant().conclude(&query(), text.as_bytes())
}

fn signed(json: Value) -> String {
    gateway::signed_answer(Query::METHOD, &fields(json), &ALIPAY_KEY).unwrap()
}

fn by_hand(property: &str, body: &str, before_sign: &str) -> String {
    let sign = ALIPAY_KEY.sign(body.as_bytes()).unwrap();
    format!("{{ \"{property}\" : {body} ,{before_sign}\n\"sign\" : \"{sign}\" }}\n")
}

pub fn a_signed_answer_is_read() {
    let text = signed(paid());
    assert!(text.contains("https:\\/\\/example.com"), "slashes are escaped as Alipay's writer does: {text}");
    let Outcome::Done(trade) = answered(&text) else { panic!("{:?}", answered(&text)) };
    assert_eq!(trade.trade_status, TradeStatus::TradeSuccess);
    assert_eq!(trade.total_amount.money(), amount());
    assert_eq!(trade.send_pay_date.unwrap().0.to_string(), "2026-11-20T08:30:20.000Z");
}

pub fn spaces_and_escaped_slashes_are_part_of_what_is_signed() {
    let body = paid().to_string().replace('/', "\\/").replace(',', " ,\n ");
    let spaced = by_hand("alipay_trade_query_response", &body, " \"alipay_cert_sn\":\"a\\\"}\",");
    assert!(matches!(answered(&spaced), Outcome::Done(_)), "{:?}", answered(&spaced));
    let compacted = spaced.replace(" ,\n ", ",");
    assert!(answered(&compacted).is_unknown(), "the same JSON with other bytes is not what was signed");
    assert!(answered(&spaced.replace("\\/", "/")).is_unknown());
}

pub fn codes_lead_to_their_conclusions() {
    let with = |code: &str, sub_code: &str| {
        answered(&signed(json!({"code": code, "msg": "m", "sub_code": sub_code, "sub_msg": "说明"})))
    };
    assert_eq!(with("10003", ""), Outcome::InProgress);
    assert_eq!(with("40004", "ACQ.TRADE_NOT_EXIST").refused_by(), Some(&SubCode::TradeNotExist));
    assert_eq!(with("40004", "ACQ.NEW_RULE").refused_by(), Some(&SubCode::Other("ACQ.NEW_RULE".to_owned())));
    for code in ["20001", "40001", "40002", "40003", "40006"] {
        let Outcome::Misused(refusal) = with(code, "isv.invalid-signature") else { panic!("{code}") };
        assert_eq!(refusal.to_string(), format!("Alipay answered {code} isv.invalid-signature (说明)"));
    }
    for (code, sub_code) in [
        ("20000", "isp.unknow-error"),
        ("40004", "ACQ.SYSTEM_ERROR"),
        ("40004", "aop.ACQ.SYSTEM_ERROR"),
        ("40004", "isp.something"),
        ("40004", ""),
        ("40005", "isv.call-limited"),
        ("99999", "ACQ.TRADE_NOT_EXIST"),
        ("", ""),
    ] {
        assert!(with(code, sub_code).is_unknown(), "{code} {sub_code}");
    }
    for sub_code in ["ACQ.TRADE_STATUS_ERROR", "ACQ.DISCORDANT_REPEAT_REQUEST", "ACQ.ANYTHING"] {
        assert_eq!(SubCode::from_text(sub_code).as_str(), sub_code);
    }
    let error = json!({"code": "40002", "msg": "m", "sub_code": "isv.x", "sub_msg": "s"}).to_string();
    assert!(matches!(answered(&by_hand("error_response", &error, "")), Outcome::Misused(_)));
}

pub fn what_cannot_be_trusted_is_unknown() {
    let good = signed(paid());
    let why = |text: &str| match answered(text) {
        Outcome::Unknown(why) => why,
        other => panic!("{text} led to {other:?}"),
    };
    for cut in 0..good.len() {
        if good.is_char_boundary(cut) {
            why(&good[..cut]);
        }
    }
    assert!(why(&good.replace("88.88", "88.89")).contains("does not verify"));
    assert!(why(&good.replace("TRADE_SUCCESS", "TRADE_CLOSED")).contains("does not verify"));
    let foreign = gateway::signed_answer(Query::METHOD, &fields(paid()), &OTHER_KEY).unwrap();
    assert!(why(&foreign).contains("does not verify"));
    let unsigned =
        json!({"error_response": {"code": "40002", "sub_code": "isv.invalid-app-id", "sub_msg": "x"}});
    assert!(why(&unsigned.to_string()).contains("isv.invalid-app-id"), "it is told, not believed");
    let close = gateway::signed_answer(Close::METHOD, &fields(paid()), &ALIPAY_KEY).unwrap();
    assert!(why(&close).contains("neither"));
    let two = good.replacen('{', &format!("{{\"alipay_trade_query_response\":{},", paid()), 1);
    assert!(why(&two).contains("comes twice"));
    assert!(why("<html>502</html>").contains("JSON"));
    assert!(why(&signed(json!({"code": "10000"}))).contains("does not have the fields"));
    assert!(why(&signed(json!({"msg": "no code"}))).contains("malformed"));
    assert!(why(&format!("{good}{}", " ".repeat(300_000))).contains("at most"));
    assert!(matches!(merchant().conclude(&query(), b"\xff\xfe"), Outcome::Unknown(_)));
    let number =
        by_hand("alipay_trade_query_response", &paid().to_string().replace("\"88.88\"", "88.88"), "");
    assert!(why(&number).contains("expected a string"), "an amount is a text, never a number");
}

pub fn an_answer_about_another_order_is_unknown() {
    let other = Query { out_trade_no: OutTradeNo::new("another").unwrap() };
    let replayed = merchant().conclude(&other, signed(paid()).as_bytes());
    assert_eq!(replayed, Outcome::Unknown("the answer is about another order".to_owned()));
    let refusal =
        json!({"code": "40004", "msg": "m", "sub_code": "ACQ.TRADE_NOT_EXIST", "out_trade_no": "x"});
    assert!(answered(&signed(refusal)).is_unknown());
}

pub fn a_refund_is_proved_by_its_fields_only() {
    let refund = Refund {
        out_trade_no: order_no(),
        refund_amount: Yuan::of_fen(100),
        out_request_no: OutTradeNo::new("r1").unwrap(),
        refund_reason: None,
    };
    let body = |change: &str| {
        let fields = fields(json!({
            "code": "10000", "out_trade_no": order_no().as_str(), "trade_no": "t", "fund_change": change,
            "refund_fee": "1.00",
        }));
        gateway::signed_answer(Refund::METHOD, &fields, &ALIPAY_KEY).unwrap()
    };
    for (change, moved) in [("Y", true), ("N", false), ("", false)] {
        let Outcome::Done(answer) = merchant().conclude(&refund, body(change).as_bytes()) else { panic!() };
        assert_eq!(answer.moved_money(), moved);
    }
    let ask = RefundQuery { out_trade_no: order_no(), out_request_no: OutTradeNo::new("r1").unwrap() };
    let told = |json: Value| {
        let text = gateway::signed_answer(RefundQuery::METHOD, &fields(json), &ALIPAY_KEY).unwrap();
        match merchant().conclude(&ask, text.as_bytes()) {
            Outcome::Done(answer) => Some(answer.succeeded()),
            _ => None,
        }
    };
    let full = |no: &str, status: &str| {
        json!({"code": "10000", "out_trade_no": order_no().as_str(), "out_request_no": no,
               "refund_amount": "1.00", "refund_status": status})
    };
    assert_eq!(told(full("r1", "REFUND_SUCCESS")), Some(Some(Yuan::of_fen(100))));
    assert_eq!(told(full("r1", "REFUND_PROCESSING")), Some(None));
    assert_eq!(told(json!({"code": "10000", "msg": "Success"})), Some(None), "unknown to Alipay");
    assert_eq!(told(full("r2", "REFUND_SUCCESS")), None, "about another refund");
}
