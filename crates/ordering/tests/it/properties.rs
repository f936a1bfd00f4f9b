//! Whatever anybody asks in whatever order, an order stays lawful.

use merx_contracts::ids::AttemptId;
use merx_kernel::{Id, Timestamp};
use merx_ordering::domain::{
    AfterSaleAxis, Axes, Axis as _, CancelReason, Command, Event, FulfilmentAxis, Order, OrderAxis,
    PaymentAxis, ReceivedBy, Rejection, codec, decide, event::AfterSaleMoved, identity, transitions,
};
use proptest::prelude::*;

use crate::given::{
    ATTEMPT, CUP, DEADLINE, OTHER_ATTEMPT, OTHER_SHIPMENT, PLACED_AT, SHIPMENT, TEA, await_payment,
    cancel_by, capture, cny, facts_at, open, open_some, place, refunded, reject, ship, ship_some, total,
};
use crate::plain;

/// What may stand together, said without looking at the table.
fn lawful(axes: Axes) -> bool {
    use {FulfilmentAxis as F, OrderAxis as O, PaymentAxis as P};
    let together = match axes.order {
        O::Placed => axes.payment == P::None && axes.fulfilment == F::None,
        O::Rejected => matches!(axes.payment, P::None | P::Late | P::Refunded) && axes.fulfilment == F::None,
        O::Cancelled => match axes.fulfilment {
            F::None => {
                matches!(axes.payment, P::None | P::Captured | P::PartRefunded | P::Late | P::Refunded)
            }
            // It came back, so it was paid.
            F::Shipped | F::Delivered => {
                matches!(axes.payment, P::Captured | P::PartRefunded | P::Late | P::Refunded)
            }
            F::PartShipped | F::Received => false,
        },
        O::AwaitingPayment => {
            matches!(axes.payment, P::Pending | P::Late | P::Refunded | P::Quarantined)
                && axes.fulfilment == F::None
        }
        O::Confirmed => paid(axes),
        O::Completed => paid(axes) && axes.fulfilment == F::Received,
    };
    let was_paid = matches!(axes.order, O::Confirmed | O::Completed | O::Cancelled);
    together && (was_paid || axes.after_sale == AfterSaleAxis::None)
}

/// The order's money is held, or went back after the sale.
fn paid(axes: Axes) -> bool {
    use PaymentAxis as P;
    matches!(axes.payment, P::Captured | P::Overpaid | P::PartRefunded | P::Refunded)
}

fn attempts() -> impl Strategy<Value = AttemptId> + Clone {
    prop_oneof![Just(ATTEMPT), Just(OTHER_ATTEMPT), Just(Id::from_bits(0x99))]
}

fn command() -> impl Strategy<Value = Command> {
    let attempt = attempts();
    let amount = prop_oneof![4 => Just(total()), 1 => Just(cny(1)), 1 => Just(cny(20_000))];
    prop_oneof![
        3 => Just(place()),
        1 => Just(reject()),
        4 => Just(await_payment()),
        1 => Just(cancel_by(CancelReason::Buyer)),
        1 => Just(cancel_by(CancelReason::Expired)),
        1 => Just(Command::Cancel),
        3 => (attempt.clone(), amount.clone(), any::<bool>()).prop_map(|(a, m, l)| capture(a, m, l)),
        2 => (attempt, amount).prop_map(|(a, m)| refunded(a, m)),
        2 => Just(cancel_by(CancelReason::Staff)),
        4 => attempts().prop_map(Command::Revive),
        1 => attempts().prop_map(|attempt_id| Command::RefuseRevival { attempt_id, code: "inventory.sold_out".to_owned() }),
        2 => Just(Command::CancelPaid),
        1 => Just(Command::RefuseCancellation("shipping.already_dispatched".to_owned())),
        1 => Just(Command::AcceptQuarantine),
        1 => Just(Command::RefundQuarantine),
        2 => Just(Command::RefundReturned),
        3 => (0..4_u128).prop_map(|which| Command::RecordReturn(Id::from_bits(0x11 + which))),
        1 => (0..4_u128, 0..2_u8).prop_map(|(which, number)| Command::RecordCorrection {
            shipment_id: Id::from_bits(0x11 + which),
            carrier: "YTO Express".to_owned(),
            tracking_number: format!("YT{number}"),
        }),
        1 => Just(open()),
        1 => Just(open_some(&[(SHIPMENT, &[(TEA, 2)]), (OTHER_SHIPMENT, &[(CUP, 1)])])),
        2 => Just(ship()),
        2 => (0..4_usize, 0..4_usize).prop_map(|(which, what)| {
            let lines: [&[(&str, i64)]; 4] = [&[(TEA, 1)], &[(CUP, 1)], &[(TEA, 2), (CUP, 1)], &[]];
            ship_some(Id::from_bits(0x11 + which as u128), lines[what])
        }),
        2 => (0..4_u128).prop_map(|which| Command::RecordDelivery(Id::from_bits(0x11 + which))),
        1 => prop_oneof![Just(ReceivedBy::Buyer), Just(ReceivedBy::Timer)].prop_map(Command::ConfirmReceipt),
        3 => (0..3_u128, prop_oneof![Just(900), Just(5_000), Just(total().minor)]).prop_map(|(case, minor)| {
            Command::GrantRefund { case_id: Id::from_bits(0xa0 + case), amount: cny(minor) }
        }),
        4 => (0..3_u128, prop_oneof![Just(ATTEMPT), Just(OTHER_ATTEMPT)], prop_oneof![Just(900), Just(5_000), Just(total().minor)])
            .prop_map(|(case, attempt, minor)| Command::RecordRefund {
                refund_id: identity::after_sale_refund_of(Id::from_bits(0xa0 + case), attempt),
                amount: cny(minor),
            }),
        1 => (0..3_u128).prop_map(|case| Command::GrantReplacement(Id::from_bits(0xa0 + case))),
        2 => (0..3_u128, 1..6_usize).prop_map(|(case, standing)| Command::RecordAfterSale(AfterSaleMoved {
            case_id: Id::from_bits(0xa0 + case),
            kind: "return".to_owned(),
            status: AfterSaleAxis::ALL[standing].name().to_owned(),
            standing: AfterSaleAxis::ALL[standing],
        })),
    ]
}

/// What anybody asks, in any order; often of an order that ended before money came.
fn commands() -> impl Strategy<Value = Vec<Command>> {
    let ended = prop_oneof![Just(CancelReason::Buyer), Just(CancelReason::Expired)]
        .prop_map(|reason| vec![place(), await_payment(), cancel_by(reason), Command::Cancel]);
    let begin = prop_oneof![2 => Just(Vec::new()), 1 => ended];
    (begin, prop::collection::vec(command(), 0..40)).prop_map(|(begin, more)| [begin, more].concat())
}

/// Runs the commands that are allowed; answers every state on the way and all events.
fn life(commands: &[Command], now: Timestamp) -> (Vec<Order>, Vec<Event>) {
    let mut states = vec![Order::default()];
    let mut log = Vec::new();
    for command in commands {
        let order = states.last().unwrap().clone();
        if let Ok(events) = decide(&order, command, &facts_at(now)) {
            let next = events.iter().fold(order, Order::evolve);
            states.push(next);
            log.extend(events);
        }
    }
    (states, log)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    fn axes_stay_lawful_and_money_adds_up(commands in commands()) {
        let (states, log) = life(&commands, DEADLINE);
        for order in &states {
            prop_assert_eq!(order.illegal_events, 0);
            let Some(axes) = order.axes else { continue };
            prop_assert!(lawful(axes), "unlawful {:?}", axes);
            let terms = order.terms.as_ref().unwrap();
            let lines: i64 = terms.lines.iter().map(|line| line.amount.minor).sum();
            prop_assert_eq!(lines + terms.freight.minor, terms.total.minor);
            let owes_nothing = matches!(axes.payment, PaymentAxis::None | PaymentAxis::Refunded | PaymentAxis::Pending);
            let overpaid = order.to_refund().next().is_some();
            if owes_nothing && !(axes.payment == PaymentAxis::Refunded && overpaid) {
                prop_assert_eq!(order.held_minor(), 0);
            }
            if axes.payment == PaymentAxis::Captured && axes.order != OrderAxis::Cancelled {
                prop_assert_eq!(order.held_minor(), terms.total.minor);
            }
            // Cancelled only when nothing is away, and never more shipped than ordered.
            let shipped = order.units(|parcel| parcel.dispatched);
            let away = order.units(|parcel| parcel.dispatched && !parcel.returned);
            prop_assert!(away.is_empty() || axes.order != OrderAxis::Cancelled);
            for line in &terms.lines {
                prop_assert!(shipped.get(&line.sku).copied().unwrap_or(0) <= line.quantity.get());
            }
            let all_left = order.unshipped().is_empty();
            let said = !matches!(axes.fulfilment, FulfilmentAxis::None | FulfilmentAxis::PartShipped);
            prop_assert_eq!(all_left, said);
        }
        let received: i64 = log.iter().map(|event| match event {
            Event::OrderPaid(m) | Event::PaymentQuarantined(m) => m.amount.minor,
            Event::LatePaymentReceived(s) | Event::OverpaymentReceived(s) => s.amount.minor,
            Event::LatePaymentRefunded(r) | Event::OverpaymentRefunded(r) | Event::OrderRefunded(r) => -r.amount.minor,
            Event::AfterSaleRefunded(r) => -r.amount.minor,
            _ => 0,
        }).sum();
        prop_assert_eq!(states.last().unwrap().held_minor(), received);
    }

    fn deciding_twice_is_deciding_once(commands in commands()) {
        let (states, _) = life(&commands, DEADLINE);
        // Every state against a few commands: the sequences vary enough to meet them all.
        for (n, order) in states.iter().enumerate() {
            for command in commands.iter().skip(n % 7).step_by(7) {
                let first = decide(order, command, &facts_at(DEADLINE));
                prop_assert_eq!(&first, &decide(order, command, &facts_at(DEADLINE)), "decide is not pure");
                let Ok(events) = first else { continue };
                let after = events.iter().fold(order.clone(), Order::evolve);
                let again = decide(&after, command, &facts_at(DEADLINE));
                prop_assert_eq!(again, Ok(vec![]), "{:?} happened twice", command);
            }
        }
    }

    fn replaying_stored_events_gives_the_same_order(commands in commands()) {
        let (states, log) = life(&commands, DEADLINE);
        let replayed = log.iter().fold(Order::default(), |order, event| {
            let body = codec::encode(event).unwrap();
            order.evolve(&codec::decode(event.name(), codec::schema_of(event), &body).unwrap())
        });
        prop_assert_eq!(&replayed, states.last().unwrap());
    }

    fn what_ended_stays_ended(commands in commands()) {
        let (states, log) = life(&commands, DEADLINE);
        let ended = |o: &Order| o.axes.map(|a| a.order).filter(|o| matches!(o, OrderAxis::Rejected | OrderAxis::Cancelled | OrderAxis::Completed));
        let mut came_back = 0;
        for pair in states.windows(2) {
            match (ended(&pair[0]), ended(&pair[1])) {
                // But for money that came too late, once, and never of an order that was paid before.
                (Some(OrderAxis::Cancelled), None) => {
                    came_back += 1;
                    prop_assert!(!pair[0].was_paid && pair[1].revival.is_some_and(|revival| revival.done));
                    prop_assert_eq!(pair[1].paid.values().map(|money| money.minor).sum::<i64>(), pair[1].terms.as_ref().unwrap().total.minor);
                }
                (Some(end), then) => prop_assert_eq!(then, Some(end)),
                (None, _) => {}
            }
        }
        prop_assert!(came_back <= 1);
        prop_assert_eq!(log.iter().filter(|event| matches!(event, Event::OrderRevived(_))).count(), came_back);
    }

    fn silence_is_no_receipt_of_what_came_back(commands in commands()) {
        let (states, _) = life(&commands, DEADLINE);
        for order in states.iter().filter(|order| order.has_returns()) {
            let timer = decide(order, &Command::ConfirmReceipt(ReceivedBy::Timer), &facts_at(DEADLINE));
            prop_assert!(timer.is_err() || timer == Ok(vec![]));
        }
    }

    fn before_the_deadline_nothing_expires(commands in commands()) {
        let (states, _) = life(&commands, PLACED_AT);
        for order in &states {
            prop_assert_ne!(order.cancellation, Some(CancelReason::Expired));
            let refused = decide(order, &cancel_by(CancelReason::Expired), &facts_at(PLACED_AT));
            if order.axes.is_some_and(|a| a.order == OrderAxis::AwaitingPayment && a.payment == PaymentAxis::Pending) && order.cancellation.is_none() {
                prop_assert_eq!(refused, Err(Rejection::DeadlineNotReached));
            }
        }
    }
}

fn the_table_reaches_only_lawful_states_and_every_row_is_used() {
    let reachable = transitions::reachable();
    for axes in &reachable {
        assert!(lawful(*axes), "unlawful {axes:?}");
    }
    for row in transitions::TRANSITIONS {
        let used = reachable.iter().any(|axes| {
            row.order.from.contains(&axes.order)
                && row.payment.from.contains(&axes.payment)
                && row.fulfilment.from.contains(&axes.fulfilment)
        });
        assert!(used, "no order ever comes to the row {}", row.title);
    }
}

fn only_placing_makes_an_order() {
    for row in transitions::TRANSITIONS {
        assert_eq!(transitions::next(None, row.step), None, "{}", row.title);
    }
    assert_eq!(transitions::next(None, transitions::Step::Place), Some(Axes::INITIAL));
    assert_eq!(transitions::next(Some(Axes::INITIAL), transitions::Step::Place), None);
}

pub fn trials() -> Vec<libtest_mimic::Trial> {
    plain!["properties": axes_stay_lawful_and_money_adds_up, deciding_twice_is_deciding_once, replaying_stored_events_gives_the_same_order, what_ended_stays_ended, silence_is_no_receipt_of_what_came_back, before_the_deadline_nothing_expires, the_table_reaches_only_lawful_states_and_every_row_is_used, only_placing_makes_an_order]
}
