//! The routes as data, and the page of every code.

use crate::{inline, modes::Mode, plain};
use libtest_mimic::Trial;
use std::{path::Path, sync::Arc};

use merx_http::{Limits, Route};
use merx_kernel::Error;
use merx_payment::{domain::Rejection, provider::InProcess};

use crate::{
    gateway::Gateway,
    world::{World, config},
};

pub fn trials() -> Vec<Trial> {
    let mut trials = inline!["routes":
        every_route_says_who_may_use_it,
    ];
    trials.extend(plain!["routes":
        every_code_has_a_page,
    ]);
    trials
}

async fn every_route_says_who_may_use_it(mode: Mode) {
    let (world, gateway) = (World::new(mode).await, Gateway::new());
    let outbound = Arc::new(InProcess(gateway.router()));
    let built = merx_payment::module(&world.deps, &Limits::default(), &config(&gateway), outbound).unwrap();
    assert_eq!(Route::check(&built.routes), Vec::<String>::new());
    let ids: Vec<&str> = built.routes.iter().map(Route::operation_id).collect();
    let all = [
        "listPaymentMethods",
        "startPaymentAttempt",
        "drawPaymentQrCode",
        "getPayment",
        "getPaymentRefund",
        "takeAlipayNotification",
        "listPayments",
        "listPaymentAlerts",
        "resolvePaymentAlert",
        "listPaymentQuarantine",
        "resolvePaymentQuarantine",
        "retryPaymentRefund",
        "confirmPaymentMoney",
        "confirmPaymentRefund",
        "getTrialBalance",
        "listPostings",
        "exportPostings",
        "reconcilePayments",
        "listReconciliations",
        "listReconciliationCases",
        "resolveReconciliationCase",
    ];
    assert_eq!(ids, all);
    for code in built.routes.iter().flat_map(Route::codes) {
        has_page(code);
    }
}

fn every_code_has_a_page() {
    for rejection in Rejection::ALL {
        assert_eq!(Error::from(*rejection).code(), rejection.code());
        has_page(rejection.code());
    }
    has_page("payment.provider_unavailable");
}

fn has_page(code: &str) {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../docs/errors/{code}.md"));
    let text = std::fs::read_to_string(&page).unwrap_or_else(|e| panic!("{}: {e}", page.display()));
    assert!(text.starts_with(&format!("# {code}\n")), "{code}: the page has another title");
}
