//! The public routes of after-sale.

mod buyer;
mod pictures;
mod staff;

use axum::response::Response;
use http::StatusCode;
use merx_contracts::ids::{AccountId, AfterSaleId, EvidenceId, OrderId};
use merx_http::{
    Access, Answer, Begun, Idempotency, IdempotencyKey, Idempotent, Limits, Owner, Route, answer, respond,
};
use merx_kernel::{Page, Permission};
use merx_sql::Tx;

use crate::{
    AfterSale,
    domain::Command,
    pictures::{Made, PICTURE_BYTES_MAX},
    store::{
        self, Act, Deed,
        words::{self, Topic},
    },
    view::{CaseSummary, CaseView, EvidenceView},
};

/// What handlers work with.
#[derive(Clone)]
struct Api {
    own: AfterSale,
    idempotent: Idempotent,
}

const OWN_ORDER: Owner =
    Owner::Account("ordering is asked for the order's buyer, who must be the caller; another's is not found");
const OWN_CASE: Owner = Owner::Account("the case's buyer is the caller; another's is not found");
const ANY_CASE: Owner = Owner::None("who has the permission works on the cases of all buyers");
/// Reading and writing a large picture takes a while.
const UPLOAD_MS_MAX: u64 = 60_000;
const MEDIA: &[&str] = &["image/png", "image/jpeg", "image/webp"];
const NAMED: &[&str] = &["aftersale.case_not_found"];
const MOVES: &[&str] = &["aftersale.case_not_found", "aftersale.not_in_this_state"];

/// The routes.
pub(crate) fn routes(own: &AfterSale, limits: &Limits) -> Vec<Route> {
    let (db, clock) = (own.state.db.clone(), own.state.clock.clone());
    let idempotent = Idempotent::new(db, own.state.store.idempotency, clock, limits);
    let api = Api { own: own.clone(), idempotent };
    let mut all = of_buyers(&api);
    all.extend(of_pictures(&api));
    all.extend(of_staff(&api));
    all.extend(of_returns(&api));
    all
}

fn of_buyers(api: &Api) -> Vec<Route> {
    let own_order = Access::Permission { permission: Permission::Shop, owner: OWN_ORDER };
    let own_case = Access::Permission { permission: Permission::Shop, owner: OWN_CASE };
    vec![
        Route::post("/v1/orders/{order}/after-sales", own_order, buyer::request, api)
            .id("requestAfterSale")
            .summary("Ask for money back, a return or an exchange of some of an order's goods")
            .description(
                "`refund`: money back, the goods stay where they are; from the payment on. `return` and `exchange`: of goods \
                 that arrived; they are sent back once staff agree. Each unit can be asked for once at a time.",
            )
            .param::<OrderId>("order")
            .body::<buyer::RequestBody>()
            .response::<CaseView>(201)
            .errors(&["aftersale.order_not_found", "ordering.not_paid", "ordering.order_ended"])
            .errors(&["aftersale.units_claimed", "aftersale.not_arrived", "aftersale.window_closed"])
            .errors(&["aftersale.case_limit"])
            .idempotency(Idempotency::Required),
        Route::get("/v1/orders/{order}/after-sales", own_order, buyer::of_order, api)
            .id("listOrderAfterSales")
            .summary("The after-sale cases of an order, oldest first")
            .param::<OrderId>("order")
            .response::<Page<CaseSummary>>(200)
            .errors(&["aftersale.order_not_found"]),
        Route::get("/v1/after-sales/{case}", own_case, buyer::one, api)
            .id("getAfterSale")
            .summary("One of my after-sale cases with its words, pictures and history")
            .param::<AfterSaleId>("case")
            .response::<CaseView>(200)
            .errors(NAMED),
        Route::post("/v1/after-sales/{case}/withdrawal", own_case, buyer::withdraw, api)
            .id("withdrawAfterSale")
            .summary("Think better of it, before anything was sent")
            .param::<AfterSaleId>("case")
            .response::<CaseView>(200)
            .errors(MOVES)
            .idempotency(Idempotency::Required),
        Route::post("/v1/after-sales/{case}/return-shipment", own_case, buyer::sent, api)
            .id("sendAfterSaleReturn")
            .summary("Say who carries the goods back, and under which number; again to set it right")
            .param::<AfterSaleId>("case")
            .body::<buyer::ReturnShipmentBody>()
            .response::<CaseView>(200)
            .errors(MOVES)
            .idempotency(Idempotency::Required),
    ]
}

fn of_pictures(api: &Api) -> Vec<Route> {
    let own_case = Access::Permission { permission: Permission::Shop, owner: OWN_CASE };
    vec![
        Route::post("/v1/after-sales/{case}/pictures", own_case, pictures::add, api)
            .id("addAfterSalePicture")
            .summary("Show a picture with a case that waits for its answer; the body is its bytes")
            .description(
                "PNG, JPEG or WebP, told by its bytes alone; at most 10 MiB and 25 million pixels, nine of a case. It is \
                 turned upright, freed of everything but the picture, and kept as a JPEG of at most 1600 pixels a side. Only \
                 the buyer and staff who work on cases see it.",
            )
            .param::<AfterSaleId>("case")
            .raw_body(MEDIA)
            .body_bytes_max(PICTURE_BYTES_MAX)
            .handler_ms_max(UPLOAD_MS_MAX)
            .response::<EvidenceView>(201)
            .errors(MOVES)
            .errors(&["aftersale.picture_refused", "aftersale.picture_limit"])
            .idempotency(Idempotency::Required),
        Route::get("/v1/after-sales/{case}/pictures/{picture}", own_case, pictures::get, api)
            .id("getAfterSalePicture")
            .summary("The bytes of a picture of one of my cases")
            .param::<AfterSaleId>("case")
            .param::<EvidenceId>("picture")
            .raw_response(200, &[Made::MEDIA_TYPE])
            .errors(NAMED)
            .errors(&["aftersale.picture_not_found"]),
    ]
}

fn of_staff(api: &Api) -> Vec<Route> {
    let any = |permission| Access::Permission { permission, owner: ANY_CASE };
    let (read, write) = (any(Permission::AfterSalesRead), any(Permission::AfterSalesWrite));
    vec![
        Route::get("/v1/admin/after-sales", read, staff::list, api)
            .id("listAfterSales")
            .summary("The cases of all buyers, oldest first")
            .description("Filters are combined: a case is listed when all of them fit.")
            .query::<staff::CaseFilter>()
            .response::<Page<CaseSummary>>(200),
        Route::get("/v1/admin/after-sales/{case}", read, staff::one, api)
            .id("readAfterSale")
            .summary("One after-sale case of any buyer with its words, pictures and history")
            .param::<AfterSaleId>("case")
            .response::<CaseView>(200)
            .errors(NAMED),
        Route::get("/v1/admin/after-sales/{case}/pictures/{picture}", read, pictures::get_any, api)
            .id("readAfterSalePicture")
            .summary("The bytes of a picture of any case")
            .param::<AfterSaleId>("case")
            .param::<EvidenceId>("picture")
            .raw_response(200, &[Made::MEDIA_TYPE])
            .errors(NAMED)
            .errors(&["aftersale.picture_not_found"]),
        Route::post("/v1/admin/after-sales/{case}/approval", write, staff::approve, api)
            .id("approveAfterSale")
            .summary("Agree; of a refund the money goes back at once")
            .description("`freight`: how much of what was paid for sending goes back with the goods; nothing unless told.")
            .param::<AfterSaleId>("case")
            .body::<staff::ApprovalBody>()
            .response::<CaseView>(200)
            .errors(MOVES)
            .errors(&["aftersale.freight_exceeded"])
            .idempotency(Idempotency::Required),
        Route::post("/v1/admin/after-sales/{case}/refusal", write, staff::refuse, api)
            .id("refuseAfterSale")
            .summary("Do not agree with what was asked or with what came back, or end what never came back in time")
            .param::<AfterSaleId>("case")
            .body::<staff::RefusalBody>()
            .response::<CaseView>(200)
            .errors(MOVES)
            .idempotency(Idempotency::Required),
        Route::post("/v1/admin/after-sales/{case}/replacement-refund", write, staff::refund_replaced, api)
            .id("refundAfterSaleReplacement")
            .summary("Give the money back where the replacement came back; it goes back into stock")
            .param::<AfterSaleId>("case")
            .body::<staff::RefusalBody>()
            .response::<CaseView>(200)
            .errors(MOVES)
            .errors(&["aftersale.replacement_out"])
            .idempotency(Idempotency::Required),
    ]
}

fn of_returns(api: &Api) -> Vec<Route> {
    let returns = Access::Permission { permission: Permission::ReturnsWrite, owner: ANY_CASE };
    vec![
        Route::post("/v1/admin/after-sales/{case}/receipt", returns, staff::receive, api)
            .id("receiveAfterSaleReturn")
            .summary("Goods of a case came back: which, and how many")
            .description("Of a case that has expired too, as long as its units are asked for in no other case.")
            .param::<AfterSaleId>("case")
            .body::<staff::ReceiptBody>()
            .response::<CaseView>(200)
            .errors(MOVES)
            .errors(&["aftersale.units_claimed"])
            .idempotency(Idempotency::Required),
        Route::post("/v1/admin/after-sales/{case}/inspection", returns, staff::inspect, api)
            .id("inspectAfterSaleReturn")
            .summary("What became of each unit: back into stock, or written off; then money or a replacement follows")
            .param::<AfterSaleId>("case")
            .body::<staff::InspectionBody>()
            .response::<CaseView>(200)
            .errors(MOVES)
            .idempotency(Idempotency::Required),
    ]
}

/// One command on a case, with what goes with it.
struct Change {
    label: &'static str,
    status: StatusCode,
    act: Act,
    command: Command,
    /// The case's buyer.
    buyer: AccountId,
    /// Who acts.
    author: AccountId,
    words: Vec<(Topic, String)>,
    deed: Option<Deed>,
}

impl Api {
    /// Changes a case under the request's key: key, events, words, facts and answer in one transaction.
    async fn change(&self, key: IdempotencyKey, change: Change) -> Answer<Response> {
        let (state, status) = (&self.own.state, change.status);
        let (store, label, case_id) = (state.store.clone(), change.label, change.act.case_id);
        let repeated = key;
        let write = move |tx: &mut Tx<'_>| {
            let Change { act, command, buyer, author, words, deed, .. } = &change;
            if let Begun::Repeated { effect, saved } =
                key.begin(store.idempotency, tx, case_id, act.facts.now)?
            {
                return Ok(Err((effect, saved)));
            }
            let changed = store::change(tx, &store, act, command)?;
            for (topic, text) in words {
                words::write(tx, (case_id, *buyer), *topic, *author, text, act.facts.now)?;
            }
            if let Some(deed) = deed.as_ref().filter(|_| !changed.events.is_empty()) {
                act.tell(tx, &store, deed)?;
            }
            let saved = answer(status, &CaseView::one(tx, &store, case_id)?.without_words())?;
            key.complete(store.idempotency, tx, case_id, &saved)?;
            Ok(Ok((saved, changed.saga)))
        };
        match state.db.write(label, write).await? {
            Ok((saved, saga)) => {
                if let Some(saga) = saga {
                    state.run(&saga);
                }
                Ok(respond(saved))
            }
            // Key, effect and answer are one transaction, so there is always a saved answer.
            Err((effect, saved)) => {
                self.idempotent.repeat(&repeated, effect, saved, |_| async { Ok(None) }).await
            }
        }
    }
}
