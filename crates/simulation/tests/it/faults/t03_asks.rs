//! T3: whatever one context asks of another, carried out twice, taken back before it was done, done after it was taken back,
//! and both at once: the state is the one of each done once. The guard is `reservation-tombstone`.

use std::collections::BTreeMap;

use futures_util::future::join4;
use merx_contracts::{
    common::v1::{Money, SkuQuantity},
    ids::AttemptId,
    inventory::v1::{
        ReleaseRequest, ReserveRequest, SellRequest, TakeBackRequest, inventory_client::InventoryClient,
    },
    ordering::v1::{GrantRefundRequest, GrantReplacementRequest, ordering_client::OrderingClient},
    payment::v1::{
        AcceptDepositRequest, CloseRequest, OpenRequest, RefundRequest, payments_client::PaymentsClient,
    },
    shipping::v1::{self as shipping, shipping_client::ShippingClient},
};
use merx_kernel::{Id, IdKind};
use merx_payment::commands::Report;
use merx_platform::rpc::{Peer, ask};
use merx_simulation::{
    run::number,
    world::{Buyer, Ground, Order, World},
};

use super::{lived_to, proof, seeds_for, topology, waiting};

/// What is done to a subject, in order: `d`one, taken back (`u`ndone), or both at once (`b`).
const ORDERS: &[&str] = &[
    "d", "dd", "ddd", "u", "uu", "du", "ddu", "duu", "dduu", "ud", "udd", "uud", "uudd", "udu", "dud", "b",
    "bb", "db", "bd", "ub", "bu",
];

/// What one context asks of another, and what takes it back if there is such a thing.
const NODES: &[(&str, Option<&str>)] = &[
    ("inventory.Reserve", Some("inventory.Release")),
    ("inventory.Sell", None),
    ("inventory.TakeBack", None),
    ("ordering.GrantRefund", None),
    ("ordering.GrantReplacement", None),
    ("payment.AcceptDeposit", None),
    ("payment.Open", Some("payment.Close")),
    ("payment.Refund", None),
    ("shipping.Hold", Some("shipping.LiftHold")),
    ("shipping.Open", Some("shipping.Cancel")),
];

#[test]
fn every_ask_and_its_undo_in_every_order() {
    let worlds = number("MERX_T3", 1);
    let seeds = seeds_for(worlds, 1);
    let first = seeds.start;
    let make = |seed| World::on(Ground::interleaved(seed), topology(seed), |_| {});
    let life = |world: World| async {
        let tried = in_every_order(&world).await;
        (world, tried)
    };
    // Orders that nobody placed: ordering wonders about the facts of them, and nobody looks at the books.
    let tried: u64 = lived_to(seeds, make, life, World::abandon).into_iter().sum();
    let asks = NODES.len() + NODES.iter().filter(|(_, undo)| undo.is_some()).count();
    let case = "asks between contexts: twice, undo before do, do after undo, both at once";
    let figure = format!(
        "{asks} of {asks} asks that change something (100 %), {tried} orders of events, 0 differ from single execution"
    );
    proof("T3", case, tried, figure, first);
}

/// Ids of things that only this test makes.
enum AnyKind {}
impl IdKind for AnyKind {
    const PREFIX: &'static str = "any";
}

/// What is asked about: everything a node needs, new for each order of events.
struct Subject<'a> {
    world: &'a World,
    /// The bits of its reservation, order, payment, refund, shipment.
    bits: String,
    sku: String,
    paid: Option<(Buyer, Order, String)>,
}

async fn in_every_order(world: &World) -> u64 {
    let mut tried = 0;
    for (node, undo) in NODES {
        let orders = ORDERS.iter().filter(|order| undo.is_some() || order.chars().all(|step| step == 'd'));
        let mut known: BTreeMap<bool, String> = BTreeMap::new();
        // Everything that is not taken back ends as done once, everything else as done once and taken back once.
        for order in
            ["d", "du"].into_iter().chain(orders.copied()).filter(|order| undo.is_some() || *order != "du")
        {
            let subject = Subject::new(world, node, tried).await;
            for step in order.chars() {
                subject.step(node, step).await;
            }
            world.settle().await;
            let state = subject.state(node).await;
            let undone = order.contains(['u', 'b']);
            let single = known.entry(undone).or_insert_with(|| state.clone());
            assert_eq!(&state, single, "{node}, in the order {order}");
            subject.clear_away(node).await;
            tried += 1;
        }
    }
    tried
}

impl<'a> Subject<'a> {
    async fn new(world: &'a World, node: &str, number: u64) -> Self {
        let id: Id<AnyKind> = world.shop.deps.ids.next();
        let sku = format!("NODE-{number}");
        world.sell(&sku, 1_000, 10, 5).await;
        let mut subject = Self { world, bits: id.bare(), sku, paid: None };
        match node {
            "inventory.Sell" | "inventory.TakeBack" => {
                subject.step("inventory.Reserve", 'd').await;
                if node == "inventory.TakeBack" {
                    subject.step("inventory.Sell", 'd').await;
                }
            }
            "payment.AcceptDeposit" => {
                let one = waiting(world, 1).await.remove(0);
                let number = one.buyer.attempt(&one.order).await.number;
                // More came than was asked, as far as the provider said.
                let report = Report {
                    provider: merx_payment::domain::ProviderName::Alipay,
                    attempt_id: AttemptId::parse_bare(&number).unwrap(),
                    amount: merx_kernel::Money::new(one.order.total_minor + 1, merx_kernel::Currency::CNY),
                    provider_trade_no: number.clone(),
                };
                let payment_id = one.order.payment_id.parse().unwrap();
                world.shop.payment.capture(payment_id, report, None, None).await.unwrap();
                subject.paid = Some((one.buyer, one.order, number));
            }
            "payment.Refund" | "ordering.GrantRefund" | "ordering.GrantReplacement" => {
                let one = waiting(world, 1).await.remove(0);
                let number = one.buyer.pay(world, &one.order).await.number;
                subject.paid = Some((one.buyer, one.order, number));
            }
            _ => {}
        }
        subject
    }

    fn peer(&self, context: &str) -> Peer {
        Peer::local(self.world.shop.services[context].clone())
    }

    async fn step(&self, node: &str, step: char) {
        match step {
            'd' => self.done(node).await,
            'u' => self.undone(node).await,
            _ => {
                let (done, undone) = (|| self.done(node), || self.undone(node));
                join4(done(), undone(), done(), undone()).await;
            }
        }
    }

    /// Does it; a refusal is an answer too.
    async fn done(&self, node: &str) {
        let id = |prefix: &str| format!("{prefix}_{}", self.bits);
        let lines = |quantity| vec![SkuQuantity { sku: self.sku.clone(), quantity }];
        let mut inventory = InventoryClient::new(self.peer("inventory"));
        let mut shipping = ShippingClient::new(self.peer("shipping"));
        match node {
            "inventory.Reserve" => {
                let request = ReserveRequest { reservation_id: id("rsv"), lines: lines(2) };
                drop(ask(inventory.reserve(request).await));
            }
            "inventory.Sell" => drop(ask(inventory.sell(SellRequest { reservation_id: id("rsv") }).await)),
            "inventory.TakeBack" => {
                let (return_id, reservation_id) = (id("rtn"), id("rsv"));
                let reason = "after_sale".to_owned();
                let request = TakeBackRequest {
                    return_id,
                    reservation_id,
                    lines: lines(1),
                    reason,
                    written_off: false,
                };
                drop(ask(inventory.take_back(request).await));
            }
            "payment.Open" => drop(ask(PaymentsClient::new(self.peer("payment")).open(self.opening()).await)),
            "payment.AcceptDeposit" => {
                let (_, order, number) = self.paid.as_ref().unwrap();
                let request = AcceptDepositRequest {
                    payment_id: order.payment_id.clone(),
                    attempt_id: format!("att_{number}"),
                    amount: Some(Money { minor: order.total_minor, currency: "CNY".to_owned() }),
                };
                drop(ask(PaymentsClient::new(self.peer("payment")).accept_deposit(request).await))
            }
            "payment.Refund" => {
                drop(ask(PaymentsClient::new(self.peer("payment")).refund(self.refund()).await))
            }
            "shipping.Hold" => {
                let request = shipping::HoldRequest { order_id: id("ord"), hold_id: id("hld") };
                drop(ask(shipping.hold(request).await));
            }
            "shipping.Open" => drop(ask(shipping.open(self.parcel(lines(1))).await)),
            "ordering.GrantRefund" | "ordering.GrantReplacement" => self.granted(node).await,
            other => panic!("{other} is not known"),
        }
    }

    async fn granted(&self, node: &str) {
        let mut ordering = OrderingClient::new(self.peer("ordering"));
        let (order_id, case_id) = (self.paid.as_ref().unwrap().1.id.clone(), format!("afs_{}", self.bits));
        if node == "ordering.GrantRefund" {
            let amount = Some(Money { minor: 100, currency: "CNY".to_owned() });
            drop(ask(ordering.grant_refund(GrantRefundRequest { order_id, case_id, amount }).await));
        } else {
            let request = GrantReplacementRequest { order_id, case_id };
            drop(ask(ordering.grant_replacement(request).await));
        }
    }

    async fn undone(&self, node: &str) {
        let id = |prefix: &str| format!("{prefix}_{}", self.bits);
        let mut shipping = ShippingClient::new(self.peer("shipping"));
        match node {
            "inventory.Reserve" => {
                let request = ReleaseRequest { reservation_id: id("rsv") };
                drop(ask(InventoryClient::new(self.peer("inventory")).release(request).await));
            }
            "payment.Open" => {
                let request = CloseRequest { payment_id: id("pay") };
                drop(ask(PaymentsClient::new(self.peer("payment")).close(request).await));
            }
            "shipping.Hold" => {
                let request = shipping::LiftHoldRequest { order_id: id("ord"), hold_id: id("hld") };
                drop(ask(shipping.lift_hold(request).await));
            }
            "shipping.Open" => {
                // Nothing is cancelled without the hold that decides it.
                let hold = shipping::HoldRequest { order_id: id("ord"), hold_id: id("hld") };
                drop(ask(shipping.hold(hold).await));
                let request = shipping::CancelRequest { order_id: id("ord"), hold_id: id("hld") };
                drop(ask(shipping.cancel(request).await));
            }
            other => panic!("{other} has no undo"),
        }
    }

    fn opening(&self) -> OpenRequest {
        let id = |prefix: &str| format!("{prefix}_{}", self.bits);
        OpenRequest {
            payment_id: id("pay"),
            order_id: id("ord"),
            account_id: id("acc"),
            amount: Some(Money { minor: 100, currency: "CNY".to_owned() }),
            deadline: self.world.shop.deps.now().as_millis() + 600_000,
            subject: "Tea".to_owned(),
            freight: None,
        }
    }

    fn refund(&self) -> RefundRequest {
        let (_, order, number) = self.paid.as_ref().unwrap();
        RefundRequest {
            payment_id: order.payment_id.clone(),
            refund_id: format!("rfd_{}", self.bits),
            amount: Some(Money { minor: 100, currency: "CNY".to_owned() }),
            reason: "after_sale".to_owned(),
            attempt_id: format!("att_{number}"),
        }
    }

    fn parcel(&self, lines: Vec<SkuQuantity>) -> shipping::OpenRequest {
        let id = |prefix: &str| format!("{prefix}_{}", self.bits);
        shipping::OpenRequest {
            shipment_id: id("shp"),
            order_id: id("ord"),
            account_id: id("acc"),
            address_id: id("adr"),
            method: "standard".to_owned(),
            lines,
            warehouse_id: String::new(),
            case_id: String::new(),
        }
    }

    /// Where it stands, as far as anybody can see it.
    async fn state(&self, node: &str) -> String {
        let figure = async |sql: String| self.world.count(&sql).await;
        let bits: merx_contracts::ids::OrderId = format!("ord_{}", self.bits).parse().unwrap();
        let key = format!("X'{:032X}'", bits.bits());
        match node {
            "payment.Open" => {
                let open = "SELECT COUNT(*) FROM payment_payments WHERE status = 'open' AND payment_id =";
                format!("{} payable", figure(format!("{open} {key}")).await)
            }
            "payment.AcceptDeposit" => {
                let order: merx_contracts::ids::OrderId = self.paid.as_ref().unwrap().1.id.parse().unwrap();
                let accepted =
                    "SELECT COUNT(*) FROM payment_events WHERE name = 'DepositAccepted' AND stream =";
                let accepted = figure(format!("{accepted} X'{:032X}'", order.bits())).await;
                assert_eq!(accepted, 1, "it pays the order");
                format!("{accepted} accepted")
            }
            "payment.Refund" => {
                let number = &self.paid.as_ref().unwrap().2;
                let ledger = self.world.ledger().await;
                let moved: Vec<i64> =
                    ledger.iter().filter(|e| e.out_trade_no == *number).map(|e| e.amount.minor).collect();
                let known = "SELECT COUNT(*) FROM payment_refunds WHERE refund_id =";
                format!("{} moves, {} refunds", moved.len(), figure(format!("{known} {key}")).await)
            }
            "ordering.GrantRefund" | "ordering.GrantReplacement" => {
                let order: merx_contracts::ids::OrderId = self.paid.as_ref().unwrap().1.id.parse().unwrap();
                let granted = "SELECT COUNT(*) FROM ordering_events WHERE name IN ('AfterSaleRefundGranted', \
                               'ReplacementGranted') AND stream =";
                format!("{} granted", figure(format!("{granted} X'{:032X}'", order.bits())).await)
            }
            "shipping.Hold" => {
                let held = "SELECT COUNT(*) FROM shipping_holds WHERE status = 'held' AND hold =";
                let gate = "SELECT COALESCE(SUM(holds), 0) FROM shipping_gates WHERE order_id =";
                format!(
                    "{} held, gate {}",
                    figure(format!("{held} {key}")).await,
                    figure(format!("{gate} {key}")).await
                )
            }
            "shipping.Open" => {
                let open = "SELECT COUNT(*) FROM shipping_shipments WHERE status = 'open' AND order_id =";
                format!("{} to be sent", figure(format!("{open} {key}")).await)
            }
            _ => format!("{:?}", self.world.stock(&self.sku).await),
        }
    }

    /// Nothing of it is left that the books would miss: what belongs to no order is let go.
    async fn clear_away(&self, node: &str) {
        match node {
            "inventory.Reserve" | "payment.Open" | "shipping.Hold" | "shipping.Open" => {
                self.undone(node).await
            }
            _ => {}
        }
    }
}

/// The asks that change something and are not in the list: none.
#[test]
fn the_list_of_asks_is_whole() {
    const READ_ONLY: &[&str] = &[
        "Quote",
        "Timeline",
        "Availability",
        "Address",
        "Contact",
        "Code",
        "Contents",
        "AfterSaleTerms",
        "Reservation",
    ];
    let listed: Vec<&str> = NODES.iter().flat_map(|(node, undo)| [Some(*node), *undo]).flatten().collect();
    let methods = crate::asks::every_method();
    for method in &methods {
        let (service, name) = method.rsplit_once('/').unwrap();
        let context = service.split('.').nth(1).unwrap();
        let known = listed.contains(&format!("{context}.{name}").as_str()) || READ_ONLY.contains(&name);
        assert!(known, "{method} has no row");
    }
}
