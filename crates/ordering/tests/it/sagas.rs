//! Each saga in the generic harness: a failure at each step, everything twice, a crash after each record, and the
//! same for each refusal. The final state must be the same every time.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use merx_contracts::ids::OrderId;
use merx_kernel::{Result, Timestamp};
use merx_ordering::{
    CausedBy, Ordering, Tools,
    domain::{
        CancelReason, Command,
        event::{MoneyReceived, RevivalBegun},
        identity,
    },
    sagas::{
        accept_deposits::AcceptDeposits, cancel_paid::CancelPaid, close_order::CloseOrder,
        fulfil_order::FulfilOrder, place_order::PlaceOrder, refund_late::RefundLate,
        refund_quarantined::RefundQuarantined, refund_returned::RefundReturned, revive_order::ReviveOrder,
    },
    store,
};
use merx_platform::{
    Deps,
    saga::{
        AnySaga, EngineDeps, NewSaga, SagaEngine,
        fault::Fault,
        harness::{World, prove},
    },
};
use merx_sql::{Query as _, params};

use crate::paused;
use crate::{
    given::{ATTEMPT, ORDER, terms, total},
    neighbours::{Hold, Neighbours, Reservation, World as Around},
    shop::parts,
};

/// The world of one case: an order brought to where the saga begins.
struct Case {
    deps: Deps,
    ordering: Ordering,
    neighbours: Neighbours,
    saga: NewSaga,
}

const SCOPE: [u8; 32] = [9; 32];

impl Case {
    async fn new(before: &[Command], saga: fn(OrderId, Timestamp) -> Result<NewSaga>) -> Self {
        let neighbours = Neighbours::new();
        let (deps, ordering) = parts(&neighbours).await;
        let saga = saga(ORDER, deps.now()).unwrap();
        let case = Self { deps, ordering, neighbours, saga };
        for command in before {
            case.change(command.clone()).await;
        }
        case
    }

    async fn change(&self, command: Command) {
        let cause = self.ordering.tools.cause(ORDER, CausedBy::timer("test"));
        let own = self.ordering.tools.store.clone();
        self.deps
            .db
            .write("test.change", move |tx| {
                let loaded = store::load(&own, tx, ORDER)?;
                store::change(&own, tx, loaded, &command, &cause).map(drop)
            })
            .await
            .unwrap();
    }

    /// What the order's events and row, the facts, timers, answers and sagas that follow came to, and the neighbours'
    /// state.
    async fn outcome(&self) -> (Vec<String>, Vec<String>, i64, Option<u16>, Vec<String>, Around) {
        let (own, began) = (self.ordering.tools.store.clone(), self.saga.id);
        let (events, facts, timers, answer, sagas) = self
            .deps
            .db
            .read("test.outcome", move |q| {
                let events = own.events.load(q, ORDER)?.into_iter().map(|event| event.name).collect();
                let facts = own.outbox.read_after(q, 0, 100)?.into_iter().map(|row| row.kind).collect();
                let timers: i64 =
                    q.query_one("SELECT COUNT(*) FROM ordering_timers", params![], |row| row.get(0))?;
                let found = own.idempotency.find(q, SCOPE)?;
                let names = "SELECT name FROM ordering_sagas WHERE id <> ? ORDER BY name";
                let sagas = q.query(names, params![began], |row| row.get::<String>(0))?;
                let answered = found.and_then(|key| key.response).map(|saved| saved.status);
                Ok((events, facts, timers, answered, sagas))
            })
            .await
            .unwrap();
        let mut around = self.neighbours.world().clone();
        around.calls.clear();
        // So does a lift that came before its hold.
        around.holds.retain(|_, hold| *hold != Hold::Lifted);
        // A release that came before its reserve leaves a tombstone and nothing else.
        around.reservations.retain(|_, reservation| *reservation != Reservation::Released);
        // A refused reserve that was tried before is released too, which leaves a mark against the lost try: to the
        // stock that is the same as no reservation.
        around.reservations.retain(|_, reservation| *reservation != Reservation::Released);
        (events, facts, timers, answer, sagas, around)
    }
}

#[async_trait]
impl World for Case {
    fn engine(&self, fault: Arc<dyn Fault>) -> SagaEngine {
        // What follows a saga is left in the log: each is proved for itself.
        let tools = Tools { engine: Arc::default(), ..self.ordering.tools.clone() };
        let kinds: Vec<Arc<dyn AnySaga>> = vec![
            Arc::new(PlaceOrder(tools.clone())),
            Arc::new(FulfilOrder::new(tools.clone())),
            Arc::new(CloseOrder(tools.clone())),
            Arc::new(CancelPaid(tools.clone())),
            Arc::new(RefundQuarantined(tools.clone())),
            Arc::new(RefundReturned(tools.clone())),
            Arc::new(AcceptDeposits(tools.clone())),
            Arc::new(ReviveOrder(tools.clone())),
            Arc::new(RefundLate(tools)),
        ];
        let deps = EngineDeps {
            db: self.deps.db.clone(),
            log: self.ordering.tools.store.sagas,
            clock: self.deps.clock.clone(),
            entropy: self.deps.entropy.clone(),
            tasks: self.deps.tasks.clone(),
            metrics: self.deps.metrics.clone(),
            activity: self.deps.activity.clone(),
        };
        SagaEngine::with(deps, kinds, Default::default(), Some(fault))
    }

    async fn start(&self) -> Result<NewSaga> {
        let own = self.ordering.tools.store.clone();
        let (saga, now) = (self.saga.clone(), self.deps.now());
        self.deps
            .db
            .write("test.start", move |tx| {
                let _ = own.idempotency.begin(tx, SCOPE, [0; 32], ORDER.to_bytes(), now)?;
                own.sagas.start(tx, &saga)
            })
            .await?;
        Ok(self.saga.clone())
    }

    async fn wait(&self, until: Timestamp) {
        self.deps.clock.sleep(until.since(self.deps.now())).await;
    }
}

/// Proves the saga, and that for each end there is one final state; answers the states by end.
async fn proved(
    before: Vec<Command>,
    prepare: fn(&Case),
    saga: fn(OrderId, Timestamp) -> Result<NewSaga>,
) -> Vec<(String, String)> {
    let states: Mutex<Vec<(String, String)>> = Mutex::default();
    let make = async || {
        let case = Case::new(&before, saga).await;
        prepare(&case);
        case
    };
    let check = async |case: &Case, end: &merx_platform::saga::End| {
        let state = format!("{:?}", case.outcome().await);
        let end = format!("{end:?}");
        let known = states.lock().unwrap().iter().find(|(known, _)| *known == end).cloned();
        match known {
            Some((_, first)) => assert_eq!(state, first, "{end}"),
            None => states.lock().unwrap().push((end, state)),
        }
    };
    let proof = prove(make, check).await.unwrap();
    assert!(proof.cases.len() > 10, "{:?}", proof.cases);
    let name = Case::new(&before, saga).await.saga.name;
    println!(
        "PROOF | T3 | saga {name}: failures, crashes, everything twice, refusals and effects that come late, at each point | size={} | \
         one final state for each end in {} of {} cases (100 %) | seed=-",
        proof.cases.len(),
        proof.cases.len(),
        proof.cases.len()
    );
    states.into_inner().unwrap()
}

fn placed() -> Command {
    Command::Place(Box::new(harness_terms()))
}
/// As everywhere, with the SKUs the neighbours have.
fn harness_terms() -> merx_ordering::domain::OrderPlaced {
    let mut terms = terms();
    terms.lines[0].sku = "TEA".parse().unwrap();
    terms.lines[1].sku = "CUP".parse().unwrap();
    terms
}
fn awaiting() -> Vec<Command> {
    vec![placed(), Command::AwaitPayment(ORDER.cast())]
}
fn hold_stock(case: &Case) {
    let mut world = case.neighbours.world();
    let lines = vec![("TEA".to_owned(), 2), ("CUP".to_owned(), 1)];
    for (sku, count) in &lines {
        *world.stock.get_mut(sku).unwrap() -= count;
    }
    world
        .reservations
        .insert(ORDER.cast::<merx_contracts::ids::ReservationKind>().to_string(), Reservation::Held(lines));
}

async fn place_order_holds() {
    let saga = |order, _| PlaceOrder::of(order, &harness_terms(), SCOPE);
    let states = proved(vec![placed()], |_| {}, saga).await;
    let of =
        |end: &str| &states.iter().find(|(e, _)| e.contains(end)).unwrap_or_else(|| panic!("{states:?}")).1;
    assert!(of("Done").contains("OrderAwaitingPayment"), "{states:?}");
    assert!(of("Done").contains("Some(201)"));
    assert!(of("reserve-stock").contains("OrderRejected"));
    assert!(of("open-payment").contains("\"TEA\": 10"), "the stock is back");
    assert!(of("open-payment").contains("Some(409)"));
}

async fn close_order_holds() {
    let before = [awaiting(), vec![Command::RequestCancellation(CancelReason::Buyer)]].concat();
    let states = proved(before, hold_stock, CloseOrder::of).await;
    let done = &states.iter().find(|(end, _)| end == "Done").unwrap().1;
    assert!(
        done.contains("OrderCancelled") && done.contains("\"TEA\": 10") && done.contains("Closed"),
        "{done}"
    );
}

async fn fulfil_order_holds() {
    let paid = Command::RecordCapture { attempt_id: ATTEMPT, amount: total(), late: false };
    let before = [awaiting(), vec![paid]].concat();
    let states = proved(before, hold_stock, FulfilOrder::of).await;
    let done = &states.iter().find(|(end, _)| end == "Done").unwrap().1;
    assert!(done.contains("FulfilmentOpened") && done.contains("Sold"), "{done}");
}

async fn refund_late_holds() {
    let ended = vec![Command::RequestCancellation(CancelReason::Buyer), Command::Cancel];
    let late = Command::RecordCapture { attempt_id: ATTEMPT, amount: total(), late: true };
    let before = [awaiting(), ended, vec![late]].concat();
    let saga = |order, now| RefundLate::of(order, ATTEMPT, total(), now);
    let states = proved(before, |_| {}, saga).await;
    let done = &states.iter().find(|(end, _)| end == "Done").unwrap().1;
    let refund = identity::refund_of(ORDER, ATTEMPT).to_string();
    assert_eq!(done.matches("rfd_").count(), 1, "one refund: {done}");
    assert!(done.contains(&refund));
}

fn late() -> Vec<Command> {
    let ended = vec![Command::RequestCancellation(CancelReason::Buyer), Command::Cancel];
    let late = Command::RecordCapture { attempt_id: ATTEMPT, amount: total(), late: true };
    [awaiting(), ended, vec![late]].concat()
}

/// Revived with its stock, or neither; then its money is to go back, and only then.
async fn revive_order_holds() {
    let saga = |order, now| {
        let reservation_id = identity::reservation_of(order, ATTEMPT);
        ReviveOrder::of(order, &RevivalBegun { attempt_id: ATTEMPT, reservation_id }, total(), now)
    };
    let states = proved(late(), |_| {}, saga).await;
    let of =
        |end: &str| &states.iter().find(|(e, _)| e.contains(end)).unwrap_or_else(|| panic!("{states:?}")).1;
    let done = of("Done");
    assert!(done.contains("OrderRevived") && !done.contains("RevivalRefused"), "{done}");
    assert!(done.contains("\"TEA\": 8") && done.contains("Held"), "{done}");
    assert!(done.contains("accept-deposits") && done.contains("fulfil-order"), "{done}");
    for refused in ["find-buyer", "take-stock", "revive"] {
        let refused = of(&format!("step: \"{refused}\""));
        assert!(refused.contains("RevivalRefused") && !refused.contains("OrderRevived"), "{refused}");
        assert!(refused.contains("\"TEA\": 10") && refused.contains("refund-late"), "{refused}");
        assert!(!refused.contains("fulfil-order"), "{refused}");
    }
}

fn paid_with_stock_held() -> Vec<Command> {
    let paid = Command::RecordCapture { attempt_id: ATTEMPT, amount: total(), late: false };
    [awaiting(), vec![paid]].concat()
}

fn dispatch(case: &Case) {
    hold_stock(case);
    case.neighbours.world().dispatched.insert(ORDER.to_string());
}

async fn cancel_paid_holds() {
    let before = [paid_with_stock_held(), vec![Command::RequestCancellation(CancelReason::Buyer)]].concat();
    let states = proved(before.clone(), hold_stock, CancelPaid::of).await;
    let of =
        |end: &str| &states.iter().find(|(e, _)| e.contains(end)).unwrap_or_else(|| panic!("{states:?}")).1;
    let done = of("Done");
    assert!(done.contains("OrderCancelled") && done.contains("Returned"), "{done}");
    assert!(
        done.contains("\"TEA\": 10") && done.contains("Cancelled"),
        "stock is back, shipments are off: {done}"
    );
    assert_eq!(done.matches("rfd_").count(), 1, "one refund: {done}");
    for refused in ["hold-shipping", "cancel-order"] {
        let refused = of(refused);
        assert!(refused.contains("CancellationRefused") && !refused.contains("OrderCancelled"), "{refused}");
        assert!(refused.contains("\"TEA\": 8") && !refused.contains("rfd_"), "{refused}");
    }
}

/// The warehouse was faster.
async fn cancel_paid_of_a_dispatched_order_is_refused() {
    let before = [paid_with_stock_held(), vec![Command::RequestCancellation(CancelReason::Buyer)]].concat();
    let case = Case::new(&before, CancelPaid::of).await;
    dispatch(&case);
    let saga = case.start().await.unwrap();
    let progress = case.ordering.engine.run(&saga).await;
    assert!(format!("{progress:?}").contains("shipping.already_dispatched"), "{progress:?}");
    let (events, ..) = case.outcome().await;
    assert_eq!(events.last().unwrap(), "CancellationRefused");
}

async fn refund_quarantined_holds() {
    let odd = Command::RecordCapture { attempt_id: ATTEMPT, amount: crate::given::cny(1), late: false };
    let before = [awaiting(), vec![odd, Command::RefundQuarantine]].concat();
    let states = proved(before, hold_stock, RefundQuarantined::of).await;
    let done = &states.iter().find(|(end, _)| end == "Done").unwrap().1;
    assert!(done.contains("\"TEA\": 10") && done.contains("OrderCancelled"), "{done}");
    assert_eq!(done.matches("rfd_").count(), 1, "one refund: {done}");
}

async fn accept_deposits_holds() {
    let odd =
        Command::RecordCapture { attempt_id: ATTEMPT, amount: crate::given::cny(1_000_000), late: false };
    let before = [awaiting(), vec![odd, Command::AcceptQuarantine]].concat();
    let kept =
        |id, now| AcceptDeposits::of(id, &[MoneyReceived { attempt_id: ATTEMPT, amount: total() }], now);
    let states = proved(before, hold_stock, kept).await;
    assert!(states.iter().any(|(end, _)| end == "Done"), "{states:?}");
}

async fn refund_returned_holds() {
    let back = Command::RecordReturn(crate::given::SHIPMENT);
    let sent = vec![crate::given::ship(), back, Command::RefundReturned];
    let states = proved([paid_with_stock_held(), sent].concat(), hold_stock, RefundReturned::of).await;
    let done = &states.iter().find(|(end, _)| end == "Done").unwrap().1;
    assert!(done.contains("\"TEA\": 10") && done.contains("Returned"), "stock is back: {done}");
    assert_eq!(done.matches("rfd_").count(), 1, "one refund: {done}");
}

/// Two warehouses: each gets its shipment, however often the saga runs.
async fn fulfil_order_opens_one_shipment_of_each_warehouse() {
    let prepare = |case: &Case| {
        hold_stock(case);
        case.neighbours.world().allocations = vec![
            ("whs_b".to_owned(), vec![("TEA".to_owned(), 1), ("CUP".to_owned(), 1)]),
            ("whs_a".to_owned(), vec![("TEA".to_owned(), 1)]),
        ];
    };
    let states = proved(paid_with_stock_held(), prepare, FulfilOrder::of).await;
    let done = &states.iter().find(|(end, _)| end == "Done").unwrap().1;
    assert!(done.contains("FulfilmentOpened"), "{done}");
    assert_eq!(done.matches("shp_").count(), 2, "two shipments: {done}");
}

pub fn trials() -> Vec<libtest_mimic::Trial> {
    paused!["sagas": revive_order_holds, place_order_holds, close_order_holds, fulfil_order_holds, refund_late_holds, cancel_paid_holds, cancel_paid_of_a_dispatched_order_is_refused, refund_quarantined_holds, refund_returned_holds, accept_deposits_holds, fulfil_order_opens_one_shipment_of_each_warehouse]
}
